"""Markdown, lines of "key: value" and plain lines: marks and labels are blanked, and every position is kept
(see `audits.text.squeezed`)."""

from __future__ import annotations

import re

from audits.text.squeezed import END, blank, end_of_sentence, nothing

_LABELS = (
    r"(?:(?:image|short|long|detailed|main|brief|full|alt|photo|picture|figure|video)[ _-])?(?:captions?|descriptions?|alt[ -]?text|subjects?|"
    r"foreground|background|midground|middle ?ground|objects?|setting|scene|colou?rs?|composition|details|elements|people|animals|"
    r"actions?|pose|clothing|location|place|answer|response|output|assistant|ai|human|user|system|question|prompt|positive prompt|"
    r"summary|tags|keywords|image|photo|picture|fig(?:ure|\.)? ?\d*|text|overall|left|right|center|top|bottom|note|view)"
)
_UNREAD_LABELS = re.compile(
    r"(?:art |camera |color |colour )?(?:style|mood|tone|lighting|atmosphere|camera|lens|seed|steps|sampler|size|model(?: hash)?|resolution|"
    r"aspect ratio|quality|negative prompt|language|source|url|date|author|artist|medium|id|file ?name|file|format|cfg(?: scale)?|"
    r"rating|score|width|height|genre|technique|camera angle|angle|perspective|palette|copyright|credits?|license|instruction|emotion)",
    re.I,
)
_PLAIN_LABEL = re.compile(rf"[\s>]*({_LABELS})\s*:(?=\s|\Z)", re.I)
#: After a sentence: "Foreground: a dog. Background: a cat."
_LATER_LABEL = re.compile(rf"(?<=[.!?;])\s+(?=[A-Z])(?i:{_LABELS}):(?=\s)")
_ANY_LABEL = re.compile(r"[\s>]*([^\W\d_][\w /-]{0,30}?)\s?:(?:\s+(?=\S)|\s*\Z)")
_BOLD_LABEL = re.compile(
    r"\s*(?:\*\*|__)([^*_\n]{1,60}?)\s?(?::(?:\*\*|__)\s*:?|(?:\*\*|__)\s?(?::|[-–—](?=\s)))"
)
_HEADING = re.compile(r"\s{0,3}#{1,6}\s+")
_DETERMINED = re.compile(r"\b(?:a|an|the|two|three|four|five|some|several|\d+|is|are)\b", re.I)
_QUOTE = re.compile(r"\s*>\s?")
_BULLET = re.compile(r"\s*(?:[-*+–—](?:\s+\[[ xX]?\])?|\d{1,3}[.)]|\(\d{1,3}\)|[a-h]\))\s+(?=\S)")
_RULE = re.compile(r"\s*(?:-{3,}|={3,}|\*{3,}|_{3,}|(?:`{3,}|~{3,})\s*\w*)\s*")
_FENCE = re.compile(r"\s*(?:`{3,}|~{3,})\s*(\w*)\s*")
_TABLE_RULE = re.compile(r"(?=[^\n]*-)(?=[^\n]*\|)[\s|:-]+")
_LINK = re.compile(r"!?\[([^\[\]\n]{0,300})\]\([^()\s]{0,500}(?:\s\"[^\"\n]{0,200}\")?\)")
_REFERENCE = re.compile(r"\[\d{1,3}\]")
_EMPHASIS = re.compile(r"\*+|(?<![^\W_])_{1,3}(?=[^\s_])|(?<=[^\s_])_{1,3}(?![^\W_])|`+|~~+")
_NUMBERED = re.compile(r"(?<=[^\s\d])\s+(\d{1,2})[.)](?=\s+\S)")
_CODE_NAMES = "python py js javascript typescript ts java c cpp bash sh sql css html xml rust go ruby php"
_CODE = frozenset(_CODE_NAMES.split())


def is_markdown(text: str) -> bool:
    """Whether a text has headings, lists, tables, emphasis, links or fences in Markdown."""
    if re.search(r"\*\*\S|(?<!\w)__\S[^_\n]*__(?!\w)|```|~~~|!?\[[^\[\]\n]{0,300}\]\([^()\s]{0,500}", text):
        return True
    lines = text.split("\n")
    marked = sum(bool(_BULLET.match(line)) for line in lines)
    return (
        any(_HEADING.match(line) or (len(lines) > 1 and _TABLE_RULE.fullmatch(line)) for line in lines)
        or (marked > 0 and (len(lines) > 1 or not lines[0][:1].isdigit()))
        or sum(line.count("|") >= 2 and line.strip().startswith("|") for line in lines) > 0
        or re.match(r"\s*1[.)]\s", text) is not None
    )


def without_links(text: str) -> str:
    """The text of Markdown's links and pictures without their addresses."""
    return _LINK.sub(_link, text)


def read_lines(text: str) -> str:
    """The text of Markdown, of lines of "key: value" and of plain lines: no marks and labels, sentences end with their items."""
    text = _REFERENCE.sub(blank, text)
    lines = text.split("\n")
    tables = [number for number, line in enumerate(lines) if _TABLE_RULE.fullmatch(line)]
    labels = sum(bool(_ANY_LABEL.match(line)) for line in lines) >= 2
    code = False
    found: list[str] = []
    for number, line in enumerate(lines):
        fence = _FENCE.fullmatch(line)
        if fence:
            code = not code and fence[1].lower() in _CODE
        if fence or code or _RULE.fullmatch(line) or number in tables or number + 1 in tables:
            found.append(" " * len(line))
        else:
            found.append(_line(line, labels))
    joined = []
    for number, line in enumerate(found):
        joined.append(line)
        if number + 1 < len(found):
            hard = line != lines[number] or found[number + 1] != lines[number + 1]
            joined.append(END if hard or _begins_sentence(lines[number + 1]) else " ")
    return "".join(joined)


def _line(line: str, labels: bool) -> str:
    """One line without its marks; `labels` where the lines of this text are of the form "key: value"."""
    start = 0
    heading = False
    for pattern in (_QUOTE, _HEADING, _BULLET):
        if match := pattern.match(line, start):
            start = match.end()
            heading = heading or pattern is _HEADING
    if (
        heading
        and len(line[start:].split()) <= 4
        and (line.rstrip().endswith(":") or not _DETERMINED.search(line[start:]))
    ):
        return " " * len(line)
    line = line[:start] + _LATER_LABEL.sub(end_of_sentence, line[start:])
    label = _BOLD_LABEL.match(line, start) or _PLAIN_LABEL.match(line, start)
    any_label = _ANY_LABEL.match(line, start)
    if any_label and _UNREAD_LABELS.fullmatch((label or any_label)[1].strip()):
        return " " * len(line)
    label = label or (any_label if labels else None)
    if label is not None and len(label[1].split()) <= 5:
        start = label.end()
    if line.count("|") >= 2 or " | " in line:
        line = line.replace("|", END)
    if re.match(r"\s*1[.)]\s", line):
        line = _NUMBERED.sub(end_of_sentence, line)
    return " " * start + _EMPHASIS.sub(nothing, line[start:])


def _begins_sentence(line: str) -> bool:
    stripped = line.lstrip()
    return not stripped or stripped[0].isupper() or stripped[0].isdigit()


def _link(match: re.Match[str]) -> str:
    start, end = match.start(1) - match.start(), match.end(1) - match.start()
    return " " * start + match[1] + " " * (len(match.group()) - end)
