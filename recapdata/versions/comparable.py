"""Whether two audits measured the same: what made each part of them, and where that differs, why and what to type.

The figures of an audit rest on parts of it (`PARTS`). A part is made by rule sets, each with a declared version (`claims:3`), by models
with their revisions, and by sources of evidence. Comparison, report, panel, `recapdata diff` and the publish gate all ask `comparable`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from recapdata.dataset.audit_files import EARLIER
from recapdata.display import shell_line

PARTS: Mapping[str, str] = {
    "claims": "claims were read by",
    "coverage": "lengths were counted by",
    "hygiene": "hygiene flags were raised by",
    "copies": "shared captions were counted by",
    "names": "proper names were found by",
    "clip": "captions were scored by",
    "margin": "false captions were made and scored by",
    "evidence": "claims were judged by",
}
"""The parts of an audit that figures rest on, each with the beginning of a sentence on who made it."""
OWN_PIPELINE = "en_recapdata"
NAMED = 3
"""Figures that a sentence names; of more it gives the number."""

_RULES = re.compile(r"([a-z_]+):(\d+)")
_SOURCE = re.compile(r"(.+)\+(?:v(\d+)|earlier)")
_HASH = re.compile(r"(?<=sha256:)([0-9a-f]{12})[0-9a-f]+|(?<=@)([0-9a-f]{12})[0-9a-f]{28}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What the audit of one caption set was made by.

    Attributes:
        parts: by part (a name of `PARTS`) the rules and models, words separated by blanks; more than one such text where shards of
            the set were audited differently. A part that was not computed is missing.
        target: the folder or `user/name@revision`, as a command takes it; `published` where it cannot be written to.
        audits: the folder given by `--out` where the audit lies elsewhere; None where it lies in the target.
        evidence_hash: a hash of what the evidence saw; empty where that is not known.
    """

    set_name: str
    target: str
    parts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    published: bool = False
    audits: str | None = None
    evidence_hash: str = ""

    @classmethod
    def from_summary(
        cls, summary: Mapping[str, Any], set_name: str, target: str, *, published: bool = False
    ) -> "Made":
        """What a set of `summary.json` was made by; earlier rules where the summary does not say."""
        parts = summary["sets"][set_name].get("made_by") or _earlier(summary)
        return cls(set_name=set_name, target=target, parts=parts, published=published)

    @property
    def earlier(self) -> bool:
        """Whether a recapdata made any part of it that did not declare the versions of its rules."""
        return any(_is_earlier(text) for texts in self.parts.values() for text in texts)


def _earlier(summary: Mapping[str, Any]) -> dict[str, list[str]]:
    """The parts of a summary that names its models and sources alone."""
    sources = (f"{each}+{EARLIER}" for each in summary.get("evidence") or ())
    models = [f"{model} {EARLIER}".strip() for model in (summary.get("clip") or "").split(", ")]
    return {
        **{part: [EARLIER] for part in PARTS},
        "claims": [f"{summary.get('pipeline') or ''} {EARLIER}".strip()],
        "clip": models,
        "margin": models,
        "evidence": [" ".join([EARLIER, *sources])],
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why a part of two audits cannot be compared.

    Attributes:
        part: a name of `PARTS`.
        why: the difference, a clause.
        command: what to type so that both are made alike.
        earlier: the names of the sides that were made by earlier rules, where that is the difference.
    """

    part: str
    why: str
    command: str
    earlier: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.why}; run: {self.command}"


def comparable(a: Made, b: Made) -> list[Reason]:
    """The parts of two audits whose figures do not mean the same, in the order of `PARTS`; none where all can be compared.

    A part that either side lacks has no figures to compare, and is no reason.
    """
    reasons = []
    names = _names(a, b)
    for part, begins in PARTS.items():
        one, other = (sorted(set(side.parts.get(part) or ())) for side in (a, b))
        if not one or not other:
            continue
        old = [name for name, texts in zip(names, (one, other), strict=True) if any(map(_is_earlier, texts))]
        why = ""
        if old:
            why = _by_earlier_rules(old)
        elif one != other or len(one) > 1:
            made = zip(_differing(one, other), names, strict=True)
            why = f"{begins} {' and by '.join(f'{text} in {name}' for text, name in made)}"
        elif part == "evidence" and a.target == b.target and _differ(a.evidence_hash, b.evidence_hash):
            why = "the evidence has changed between the two audits"
        if why:
            reasons.append(Reason(part=part, why=why, command=remedy(a, b), earlier=tuple(old)))
    return reasons


def _differ(one: str, other: str) -> bool:
    """Whether two hashes that are known differ."""
    return bool(one and other) and one != other


def affected(reasons: Iterable[Reason], rests_on: Iterable[str]) -> list[Reason]:
    """Those of the reasons that concern a figure which rests on these parts; all where it does not say on which."""
    parts = set(rests_on)
    return [reason for reason in reasons if not parts or reason.part in parts]


def sentence(figures: Sequence[str], reasons: Sequence[Reason]) -> str:
    """One sentence: which figures cannot be compared, why, and what to type."""
    rest = len(figures) - NAMED
    more = f" and {rest} more figure{'s' if rest > 1 else ''}" if rest > 0 else ""
    names = ", ".join(figures[:NAMED]) + more
    old = [name for reason in reasons for name in reason.earlier]
    clauses = [_by_earlier_rules(old)] if old else []
    clauses += dict.fromkeys(reason.why for reason in reasons if not reason.earlier)
    why = " and ".join([", ".join(clauses[:-1]), clauses[-1]] if clauses[1:] else clauses)
    return f"{names} cannot be compared, because {why}; run: {reasons[0].command}"


def _by_earlier_rules(names: Iterable[str]) -> str:
    sides = list(dict.fromkeys(names))
    return f"{' and '.join(sides)} {'were' if len(sides) > 1 else 'was'} audited by earlier rules"


def remedy(*sides: Made) -> str:
    """What to type so that all are audited alike; what is up to date already is not computed again by it.

    An audit in a published version stays as it is: that version is audited into a folder, and two are compared from there.
    """
    options = _options(sides)
    placed = [replace(side, audits=side.audits or _folder(side)) for side in sides]
    runs: dict[tuple[str, str | None], list[str]] = {}
    for side in placed:
        sets = runs.setdefault((side.target, side.audits), [])
        if side.set_name not in sets:
            sets.append(side.set_name)
    commands = []
    for (target, audits), sets in runs.items():
        words = ["audits", "run", target]
        words += [word for name in sets for word in ("--captions", name)]
        words += [*options, *(["--out", audits] if audits is not None else [])]
        commands.append(shell_line(words))
    if len(placed) == 2 and any(side.published for side in placed):
        commands.append(_comparison(*placed))
    return " && ".join(commands)


def _comparison(a: Made, b: Made) -> str:
    names = [a.target, a.set_name, b.set_name] if a.target == b.target else [a.target, b.target]
    words = ["audits", "compare", *names]
    if a.target != b.target:
        words += ["--set", a.set_name]
    places = dict.fromkeys([a.audits or f"{a.target}/audits", b.audits or f"{b.target}/audits"])
    return shell_line([*words, *(word for place in places for word in ("--audit", place))])


def _folder(side: Made) -> str | None:
    """Where a published version is audited into."""
    if not side.published:
        return None
    return re.sub(r"[^\w.-]+", "-", side.target.rpartition("/")[2]) + "-audit"


def _names(a: Made, b: Made) -> tuple[str, str]:
    """What tells the two sides apart."""
    if a.target == b.target:
        return a.set_name, b.set_name
    if a.set_name == b.set_name:
        return a.target, b.target
    return f"{a.set_name} of {a.target}", f"{b.set_name} of {b.target}"


def _is_earlier(text: str) -> bool:
    """Whether a part was made by rules without a declared version, or from evidence that was."""
    return any(word.rpartition("+")[2] == EARLIER for word in text.split(" "))


def _differing(one: Sequence[str], other: Sequence[str]) -> tuple[str, str]:
    """What made either side, as far as the two differ."""
    words = [[text.split(" ") for text in side] for side in (one, other)]
    common = set.intersection(*(set(text) for side in words for text in side))
    if any(common.issuperset(text) for side in words for text in side):
        common = set()  # one has what the other has and more
    texts = []
    for side in words:
        each = [" and ".join(_plain(word) for word in text if word not in common) for text in side]
        texts.append(" or ".join(each))
    return texts[0], texts[1]


def _plain(word: str) -> str:
    """A word of an identity as a person reads it: `claims:3` is version 3 of the claims rules."""
    if match := _RULES.fullmatch(word):
        return f"{match[1].replace('_', ' ')} rules {match[2]}"
    if match := _SOURCE.fullmatch(word):
        return f"{_short(match[1])} (rules {match[2]})"
    return _short(word)


def _short(model: str) -> str:
    """A model's name with its hash or commit cut to what tells versions apart."""
    return _HASH.sub(r"\1\2", model)


def _options(sides: Sequence[Made]) -> list[str]:
    """The options that all are audited with: those of the first, and of the others what it lacks."""
    words: list[str] = []
    pipeline = _models(sides, "claims")[:1]
    if pipeline and (name := pipeline[0].partition("@")[0]) != OWN_PIPELINE:
        words += ["--pipeline", name]
    sources = [
        source for side in sides for text in side.parts.get("evidence") or () for source in source_names(text)
    ]
    if sources:
        words += ["--evidence", ",".join(dict.fromkeys(sources))]
    models = _models(sides, "clip", "margin")
    return [*words, "--clip", clip_option(models[0])] if models else words


def _models(sides: Sequence[Made], *parts: str) -> list[str]:
    """The models that some parts were made with, those of the first side first."""
    texts = [text for side in sides for part in parts for text in side.parts.get(part) or ()]
    return [text.split(" ")[0] for text in texts if "@" in text.split(" ")[0]]


def source_names(evidence: str) -> list[str]:
    """The sources of a part `evidence` as `--evidence` takes them; the rules that judge by them have no plus."""
    named = [word.rpartition("+")[0] for word in evidence.split(" ") if "+" in word]
    return ["ocr" if name.startswith("ocr:") else name for name in named]  # what follows is its own version


def clip_option(model: str) -> str:
    """A CLIP model as `--clip` takes it: a local one has no revision beside its content, which stands after the `@`."""
    name, _, revision = model.partition("@")
    return name if revision.startswith("sha256:") else model
