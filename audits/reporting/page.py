"""The page: everything that is measured and chosen, into one template, into one file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audits.audited import AuditedSet, notices, open_audit
from audits.corrections import Correction, agreement, corrections_of
from audits.figures import registered
from audits.reporting.charts import histograms, panels
from audits.reporting.gallery import Card, Gallery, fill
from audits.reporting.survey import Survey, survey
from audits.reporting.tables import Group, groups, habits, heads, hygiene
from audits.summary import short_model
from audits.text.coverage import CLIP_CONTEXT
from recapdata.atomic import write_atomic
from recapdata.console import progress
from recapdata.dataset.audit_files import SUMMARY_FILE, read_summary
from recapdata.dataset.target import Target, open_dataset
from recapdata.display import shell_word, shown_as_text
from recapdata.errors import AuditNotFound
from recapdata.outputs import check_replaceable, page_kind
from recapdata.templates import render
from recapdata.versions.figures import FigureValue, read_figures

WORST = 6
RANDOM = 12
MAX_BYTES = 15_000_000
SHARES = (0.6, 0.3)
"""Shares of the bytes that pictures may take, and captions; the rest is for tables and drawings."""
TEMPLATE = "report.html.j2"
PAGE, GENERATOR = page_kind("audits report", "report.html")


@dataclass(frozen=True, slots=True, kw_only=True)
@shown_as_text
class ReportSummary:
    """The outcome of `audits report`.

    Attributes:
        sets: caption sets that the page shows; `left_out` those that it cannot, each with the reason.
        glance: the figures on top, as texts: set → figure → text.
        pictures: pictures on the page.
        bytes: size of the page.
    """

    target: str
    path: str
    sets: Sequence[str]
    left_out: Mapping[str, str]
    glance: Mapping[str, Mapping[str, str]]
    pictures: int
    bytes: int

    def text(self) -> str:
        """What was written and what is missing from it."""
        lines = [f"left out: {reason}" for reason in self.left_out.values()]
        sets = f"{len(self.sets)} caption set{'' if len(self.sets) == 1 else 's'}"
        size = f"{self.bytes / 1e6:.1f} MB"
        return "\n".join(
            [*lines, f"→ {self.path}: {sets}, {self.pictures} pictures, {size}, needs nothing beside it"]
        )


def write_report(
    target: str | Path | Target,
    path: Path,
    *,
    audits: Path | None = None,
    worst: int = WORST,
    random: int = RANDOM,
    seed: int = 0,
    max_bytes: int = MAX_BYTES,
) -> ReportSummary:
    """Write the report of an audited dataset as one HTML file that asks for nothing else.

    The same audit gives the same bytes.

    Args:
        audits: where `audits run --out` put the audit; the target's own where None.
        worst: rows shown of every set because most is wrong with them.
        random: rows shown by chance, drawn from their keys and `seed`.
        max_bytes: size that the page is kept within by making its pictures smaller.

    Raises:
        AuditNotFound: no caption set has an audit that can be shown.
        OptionError: `path` is a folder, or a file that is no such report.
    """
    check_replaceable(path, PAGE)
    target = open_dataset(target)
    summary = _summary(target, audits)
    audited, left_out = _opened(target, summary, audits)
    figures = {name: read_figures(summary)[name] for name in audited}
    surveys = _surveys(audited, worst, random, seed)
    galleries = _galleries(target, audited, surveys, max_bytes)
    tops = heads(target.manifest.sets, summary, figures)
    page = render(
        TEMPLATE,
        generator=GENERATOR,
        target=target,
        summary=summary,
        clip=short_model(summary["clip"]) if summary["clip"] else None,
        judged=bool(summary["evidence"]),
        heads=tops,
        left_out=left_out,
        notices=notices([each.made for each in audited.values()], figures),
        agreement=_agreement(target),
        groups=groups(figures),
        **_drawings(figures, surveys),
        **_texts(summary, surveys, figures),
        galleries=galleries,
    )
    content = page.encode("utf8", "replace")
    write_atomic(path, content)
    return ReportSummary(
        target=target.resolved,
        path=str(path),
        sets=list(audited),
        left_out=left_out,
        glance={each.name: dict(each.glance) for each in tops},
        pictures=sum(len(gallery.cards) for gallery in galleries),
        bytes=len(content),
    )


def _summary(target: Target, audits: Path | None) -> dict[str, Any]:
    """The content of `summary.json`."""
    found = target.summary() if audits is None else read_summary(audits / SUMMARY_FILE, str(audits))
    if found is None:
        place = " --out DIR (and name DIR with --audit)" if target.published else ""
        place = f" --out {audits}" if audits is not None else place
        where = f" in {audits}" if audits is not None else ""
        raise AuditNotFound(
            f"{target.name} has no audit{where}; run: audits run {shell_word(str(target.name))}{place}"
        )
    return found


def _opened(
    target: Target, summary: Mapping[str, Any], audits: Path | None
) -> tuple[dict[str, AuditedSet], dict[str, str]]:
    """The sets whose audit can be shown, and of the others why not."""
    audited: dict[str, AuditedSet] = {}
    left_out: dict[str, str] = {}
    for name in target.set_names():
        try:
            found = open_audit(target, name, audits)
        except AuditNotFound as error:
            left_out[name] = str(error)
            continue
        if name in summary["sets"]:
            audited[name] = found
        else:
            left_out[name] = (
                f"{name} is not in the audit's summary; run: audits run {shell_word(str(target.name))}"
            )
    if not audited:
        raise AuditNotFound("; ".join(left_out.values()) or f"{target.name} has no caption sets")
    return audited, left_out


def _surveys(audited: Mapping[str, AuditedSet], worst: int, random: int, seed: int) -> dict[str, Survey]:
    total = sum(each.target.rows(shard) for each in audited.values() for shard in each.paths)
    with progress("read", total, unit="captions") as advance:
        return {
            name: survey(each, worst=worst, random=random, seed=seed, advance=advance)
            for name, each in audited.items()
        }


def _galleries(
    target: Target, audited: Mapping[str, AuditedSet], surveys: Mapping[str, Survey], max_bytes: int
) -> list[Gallery]:
    chosen = {name: found.worst for name, found in surveys.items()}
    fullest = max(surveys.values(), key=lambda found: len(found.random))
    chosen[""] = fullest.random
    pictures = len({(row.shard, row.place) for rows in chosen.values() for row in rows})
    with progress("pictures", pictures) as advance:
        budget = int(max_bytes * SHARES[0]), int(max_bytes * SHARES[1])
        cards = fill(target, audited, chosen, budget, advance)
    return [
        *(_worst_gallery(name, cards[name]) for name in audited if cards[name]),
        Gallery(
            title="Rows at random",
            note="Drawn by chance from all records, the same ones at every run",
            cards=cards[""],
        ),
    ]


def _worst_gallery(name: str, cards: Sequence[Card]) -> Gallery:
    note = "The most contradicted claims first, then the most hygiene flags, then the lowest CLIP score or the most left unsaid"
    return Gallery(title=f"Worst rows of {name}", note=note, cards=cards)


def _agreement(target: Target) -> str | None:
    """How far the audit agrees with people; None where nobody has corrected anything."""
    found: list[Correction] = corrections_of(target)
    return agreement(found).text() if found else None


def _drawings(
    figures: Mapping[str, Mapping[str, FigureValue]], surveys: Mapping[str, Survey]
) -> dict[str, Any]:
    beyond = (CLIP_CONTEXT, f"{CLIP_CONTEXT}: CLIP reads no further")
    drawn = [figure for figure in registered() if figure.drawn]
    return {
        "coverage": panels([each.name for each in drawn if each.group == "coverage"], figures),
        "truth": panels([each.name for each in drawn if each.group != "coverage"], figures),
        "words": histograms({name: each.words for name, each in surveys.items()}, "words"),
        "tokens": histograms({name: each.tokens for name, each in surveys.items()}, "CLIP tokens", beyond),
    }


def _texts(
    summary: Mapping[str, Any],
    surveys: Mapping[str, Survey],
    figures: Mapping[str, Mapping[str, FigureValue]],
) -> dict[str, Any]:
    captions = {name: summary["sets"][name]["captions"] for name in figures}
    return {
        "hygiene": Group("", hygiene({name: each.flags for name, each in surveys.items()}, captions)),
        "habits": Group("", habits(summary, list(figures))),
    }
