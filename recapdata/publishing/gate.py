"""What a plan is checked for beyond rows and captions: other changes, an audit that got worse, and what to remark."""

from collections.abc import Sequence

from recapdata.dataset.folder import CORRECTIONS
from recapdata.display import shell_word
from recapdata.errors import PublishRefused
from recapdata.publishing.card_edits import CardEdits
from recapdata.publishing.published import is_of_version
from recapdata.publishing.survey import Local, Published, Remote, Request
from recapdata.versions.changes import Changes, counted
from recapdata.versions.comparable import Made, remedy
from recapdata.versions.figures import FigureChange, incomparable, not_compared

CORRECTED = ("audits", CORRECTIONS.removeprefix("audits/"))


def other_changes(local: Local, parent: Published, license: str) -> list[str]:
    """What changed beside rows, columns and captions, a phrase each."""
    then, now = parent.manifest, local.manifest
    phrases = [f"license {then.license} → {license}"] if then.license != license else []
    for name, provenance in now.sets.items():
        if name in then.sets and not provenance.same_settings(then.sets[name]):
            phrases.append(f"provenance of {name}")
    for name in ("duplicates", "failures", "removed"):
        if (was := getattr(then.counts, name)) != (is_now := getattr(now.counts, name)):
            phrases.append(f"{name} {was:,} → {is_now:,}")
    if tuple(then.sources) != tuple(now.sources):
        phrases.append("sources")
    same = {name for name in now.sets if local.contents.sets[name] == parent.contents.sets.get(name)}
    changed: dict[tuple[str, str], None] = {}
    mine = {part.path: part.hashes for part in local.parts if part.shard is None}
    theirs = {
        path: file.hash
        for path, file in parent.files.items()
        if is_of_version(path) and not path.startswith("data/")
    }
    for path in sorted({*mine, *theirs}):
        top, _, rest = path.partition("/")
        name = rest.split("/")[0]
        if theirs.get(path) not in mine.get(path, ()) and (top != "captions" or name in same):
            changed[top, name] = None
    if CORRECTED in changed:
        del changed[CORRECTED]
        phrases.append("corrections of the audit")
    audited = [name for name in now.sets if ("audits", name) in changed]
    if any(top == "audits" for top, _ in changed):
        phrases.append(f"audit of {', '.join(audited)}" if audited else "audit summary")
    phrases += [f"seeds or errors of {name}" for top, name in changed if top == "captions"]
    return [*phrases, *(["ledger of failures"] if any(top == "failures" for top, _ in changed) else [])]


def audit_notes(
    local: Local, parent: Published | None, figures: Sequence[FigureChange], repo_id: str, *, allow: bool
) -> list[str]:
    """Remarks on the audit beside the parent's; figures that the two measured differently are named and not judged.

    Raises:
        PublishRefused: a figure got worse beyond its confidence interval, and that was not allowed.
    """
    if local.summary is None:
        return [f"not audited; run: audits run {shell_word(str(local.path))}"]
    if parent is None or parent.summary is None:
        sides = [Made.from_summary(local.summary, name, str(local.path)) for name in local.summary["sets"]]
        old = [side for side in sides if side.earlier]
        names = ", ".join(side.set_name for side in old)
        return [f"the audit of {names} was made by an earlier recapdata; run: {remedy(*old)}"] if old else []
    unlike = incomparable(
        figures,
        (parent.summary, local.summary),
        (f"{repo_id}@v{parent.manifest.version}", str(local.path)),
        published=(True, False),
    )
    notes = not_compared(unlike)
    worse = [
        change
        for change in figures
        if change.verdict == "worse" and (change.set_name, change.name) not in unlike
    ]
    if worse and not allow:
        shown = "; ".join(change.text() for change in worse[:3])
        more = f"; and {len(worse) - 3} more" if len(worse) > 3 else ""
        raise PublishRefused(
            f"the audit got worse than that of {parent.manifest.version}: {shown}{more}. "
            "Look at the captions (audits view), or add --allow-regression"
        )
    return (
        [*notes, f"published with {counted(len(worse), 'audit figure')} worse than before"]
        if worse
        else notes
    )


def remarks(
    local: Local, remote: Remote, changes: Changes, request: Request, card: CardEdits, delete: Sequence[str]
) -> list[str]:
    """What the user should know before saying yes."""
    notes = [f"README.md keeps what was written there by hand: {'; '.join(card.kept)}"] if card.kept else []
    notes += [f"README.md: {phrase}" for phrase in card.lost]
    known = {path for sent in (remote.parent, remote.killed) if sent for path in sent.files}
    notes += [
        f"{path} is deleted: it is none of this version's files, and would be read as one of them"
        for path in delete
        if path not in known
    ]
    if changes.removed and remote.parent is not None:
        notes.append(
            "removed rows stay in the earlier versions; to take them off the Hub for good, delete those tags and "
            "their history there as well"
        )
    parent = remote.parent
    if parent is not None and local.manifest.version not in (None, parent.manifest.version):
        notes.append(
            f"this folder was last published as {local.manifest.version}, the Hub is at {parent.manifest.version}: "
            "compare them with recapdata diff"
        )
    if remote.private is not None and remote.private == request.public:
        kind = "private" if remote.private else "public"
        notes.append(f"the repository exists and is {kind}; --public decides for new ones only")
    return notes
