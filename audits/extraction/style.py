"""What a prompt says to the painter and not of the picture: artists, media, engines.

Its parameters and weights are no text and do not come so far (`audits.text.prompts`).
"""

from __future__ import annotations

import re

from audits.text.prompts import STYLE

_ART = (
    r"(?:art|artwork|painting|illustration|drawing|photo|photograph|photography|picture|image|print|poster|render|sketch|"
    r"portrait|design|style|work|pic|directed|inspired|painted|drawn|made|created|designed|photographed|illustrated|shot|"
    r"taken|produced)"
)
#: No place: "a picture by the door".
_NAME = r"(?!(?:a|an|the|his|her|their|its|my|our|your|this|that|these|those|some|two|three|\d+|hand)\b)"
#: "art by X and Y", "in the style of X", ", by X", a final "by First Last": names up to the next comma.
ARTISTS = re.compile(
    rf"\b{_ART}\s+by\s+{_NAME}(?P<a>[^,.;:|]+)"
    r"|\b(?:in|with) the (?:art |painting |visual )?style of (?:a |an |the )?(?P<b>[^,.;:|]+)"
    rf"|(?:^|[,.;|]\s*)by\s+{_NAME}(?P<c>[^,.;:|]+)"
    r"|\bby (?P<d>(?-i:[A-Z][\w.'’-]+(?: (?:(?:de|van|von|der|la|for|and|&) )?[A-Z][\w.'’-]+)+))"
    r"|(?P<f>©\s*[^,.;:|]+)",
    re.I,
)


def spans(text: str) -> list[tuple[int, int]]:
    """Code point spans of style; empty for nearly every caption, and cheap to find so."""
    found = []
    if " by " in f" {text.lower()}" or "style of" in text or "©" in text:
        for match in ARTISTS.finditer(text):
            assert match.lastgroup is not None
            found.append(match.span(match.lastgroup))
    if "," in text:
        start = 0
        for segment in text.split(","):
            if len(segment) < 60 and STYLE.match(segment):
                found.append((start, start + len(segment)))
            start += len(segment) + 1
    return found
