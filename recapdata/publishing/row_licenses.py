"""Licenses of single images held against the dataset's: which rows forbid what the dataset's license allows.

A license is read for four things that it may forbid or demand. A dataset's license allows what it does not forbid, so that a row
that forbids more does not fit under it. What cannot be read (a name of one's own, an agreement) is not judged.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping

TERMS = {
    "nc": "commercial use",
    "nd": "changed copies",
    "sa": "copies under another license",
    "none": "any use without permission",
}
"""What a license may forbid, by its sign."""
SHOWN = 3

_CREATIVE_COMMONS = re.compile(
    r"\bcc[\s_-]*(?P<short>by(?:[\s_-]*(?:nc|nd|sa))*)\b|creativecommons\.org/licenses/(?P<link>[a-z-]+)",
    re.IGNORECASE,
)
_WORDS = {
    "nc": re.compile(
        r"non[\s_-]?commercial|\bcc[\s_-]*nc\b|research[\s_-]?only|academic[\s_-]?(use[\s_-]?)?only",
        re.IGNORECASE,
    ),
    "nd": re.compile(r"no[\s_-]?deriv", re.IGNORECASE),
    "sa": re.compile(r"share[\s_-]?alike|^a?gpl|^lgpl|^gfdl|gnu .*public license", re.IGNORECASE),
    "none": re.compile(r"all[\s_-]rights[\s_-]reserved|\bcopyright(ed)?\b|^\s*(©|\(c\))", re.IGNORECASE),
}
_RESTRICTED = {"cdla-sharing-1.0": {"sa"}, "odbl": {"sa"}, "h-research": {"nc"}, "intel-research": {"nc"}}
_FREE = re.compile(
    r"no (known )?copyright|public[\s_-]domain|not copyrighted|\bcc0\b|copyright[\s_-]free", re.IGNORECASE
)


def forbidden(license: str) -> frozenset[str] | None:
    """The signs of what a license forbids; None where that cannot be read from its name, address or words."""
    text = license.strip()
    if not text or text.lower() in ("unknown", "other") or text.lower().startswith("other:"):
        return None
    if text.lower() in _RESTRICTED:
        return frozenset(_RESTRICTED[text.lower()])
    if _FREE.search(text):
        return frozenset()
    if match := _CREATIVE_COMMONS.search(text):
        return frozenset(re.findall(r"nc|nd|sa", (match["short"] or match["link"]).lower()))
    return frozenset(sign for sign, words in _WORDS.items() if words.search(text))


def misfits(dataset: str, rows: Mapping[str, int]) -> dict[str, tuple[int, list[str]]]:
    """Licenses of rows that forbid more than the dataset's: how many rows have them, and what they forbid beyond it.

    Args:
        rows: how many rows have each license.
    """
    allowed = forbidden(dataset)
    if allowed is None:
        return {}
    found = {}
    for license, count in rows.items():
        beyond = (forbidden(license) or frozenset()) - allowed
        if "none" in allowed or not beyond:
            continue
        found[license] = (count, [words for sign, words in TERMS.items() if sign in beyond])
    return dict(sorted(found.items(), key=lambda item: (-item[1][0], item[0])))


def license_notes(dataset: str, rows: Mapping[str, int], examples: Mapping[str, str]) -> list[str]:
    """A sentence for each license of rows that does not fit under the dataset's, the most frequent first.

    Args:
        examples: the key of a row with each license.
    """
    wrong = misfits(dataset, rows)
    notes = [
        f"{count:,} {'row is' if count == 1 else 'rows are'} licensed {license[:80]!r} (key {examples[license][:12]}…), which "
        f"forbids {' and '.join(words)}; {dataset} allows it: take them out (recapdata remove), or choose another --license"
        for license, (count, words) in list(wrong.items())[:SHOWN]
    ]
    if len(wrong) > SHOWN:
        rest = sum(count for count, _ in list(wrong.values())[SHOWN:])
        notes.append(
            f"{rest:,} rows more, of {len(wrong) - SHOWN} other licenses, forbid what {dataset} allows"
        )
    return notes


class LicenseCount:
    """How many rows have each license, with the key of a first one."""

    def __init__(self) -> None:
        self.rows: Counter[str] = Counter()
        self.examples: dict[str, str] = {}

    def add(self, keys: Iterable[str], licenses: Iterable[str | None]) -> None:
        """Count the next rows."""
        for key, license in zip(keys, licenses, strict=True):
            if license:
                self.rows[license] += 1
                self.examples.setdefault(license, key)
