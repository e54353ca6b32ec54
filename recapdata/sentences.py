"""The sentences of a caption: one splitter, for CLIP scores, mixtures and whoever else cuts a text."""

import re

_END = re.compile(r"(?:[.!?]+[\"'”’)\]]*(?=\s)|[。！？]+[”’」』）]*)(?P<gap>\s*)")
"""Closing punctuation with the quotation marks and brackets that close behind it, and the blanks up to what follows."""
_OPENING = "\"'“‘«([「『（"


def _ending(abbreviations: str) -> re.Pattern[str]:
    """A pattern for texts that end with one of these abbreviations, which are spelled without their last point."""
    longest_first = sorted(abbreviations.split(), key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})\.$")


_NEVER_LAST = _ending(
    "Mr Mrs Ms Mx Messrs Mme Mlle Msgr Prof Capt Cmdr Cpl Cpt Lt Sgt Pvt Maj Gen Col Adm Rev Gov Sen Rep Hon Pres Supt "
    "vs approx ca cf e.g i.e esp incl viz aka a.k.a"
)
"""Titles, and words that only introduce what follows."""
_ALSO_LAST = _ending(
    "St Ste Dr Mt Mts Ft Pt Fr Br Jr Sr Inc Ltd Co Corp Bros Dept Univ Assn Intl Natl Ave Blvd Rd Ln Sq Pl Hwy Rte Ph.D M.D D.D.S"
)
"""Abbreviations that stand before a name ("St. Paul", "Acme Co. Building") and at the end of a sentence ("on Main St.")."""
_INITIALS = re.compile(r"(?<![\w.])(?:[A-Z]\.-?)+$")
"""Initials and countries: "J. R. R. Tolkien", "the U.S. Navy", "Washington, D.C."; also last words of a sentence."""
_BEFORE_NUMBER = _ending(
    "No Nos no nos Fig Figs fig figs Vol vol Ch ch Sec sec p pp Pg pg Art art Apt Rm Bldg Rte Hwy Ave c ca b d est max min "
    "Nr Jan Feb Mar Apr Jun Jul Aug Sep Sept Oct Nov Dec"
)
"""Abbreviations that go on with a number; "No." alone is an answer."""
_STARTER = re.compile(
    "A|An|The|This|That|These|Those|Some|Several|Many|Most|Both|Each|Every|All|Another|Other|Two|Three|Four|Five|"
    "It|Its|He|She|They|We|You|I|His|Her|Their|There|Here|Who|What|Nobody|Someone|Everyone|One|Nothing|"
    "In|On|At|Behind|Beside|Below|Above|Under|Over|Near|Around|Along|Across|Next|Between|Beyond|To|From|With|Without|"
    "By|For|Of|As|And|But|Or|So|While|When|Where|Although|Though|Because|If|Since|After|Before|Then|Also|However|"
    "Is|Are|Was|Were|Has|Have|Very|Just|Only|No|Not"
)
"""Words that are spelled with a capital where a sentence begins, and are seldom part of a name."""
_LONGEST = 16
"""Characters of an abbreviation, with some to spare."""
_NAME = re.compile(r"(?:[A-Z]\.[-\s]*)*(\w[\w'’]+)")
"""A word of at least two letters, with initials before it."""


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Code point spans [start, end) of the sentences of a text, without the blanks between them.

    A sentence ends at `.`, `!` or `?`, with the closing marks behind it, before a line break, or before blanks and a capital, a
    digit or another letter without lower case; and at `。`, `！` or `？`. A title or another abbreviation ends none ("Dr. Smith",
    "No. 5"); one that can be the last word ("the U.S.", "Main St.") ends a sentence before a word that begins one ("The", "It").
    """
    spans = []
    start = len(text) - len(text.lstrip())
    for match in _END.finditer(text):
        following = text[match.end() : match.end() + 40].lstrip(_OPENING)
        ends = (
            text[match.start()] in "。！？"
            or "\n" in match["gap"]
            or (following[:1].isalnum() and not following[:1].islower())
        )
        stop = match.start() + 1
        before = text[max(start, stop - _LONGEST) : stop]
        if ends and not _abbreviated(before, match[0].strip(), following):
            spans.append((start, match.start("gap")))
            start = match.end()
    if (end := len(text.rstrip())) > start:
        spans.append((start, end))
    return spans


def sentences(text: str) -> list[str]:
    """The sentences of a text, see `sentence_spans`."""
    return [text[start:end] for start, end in sentence_spans(text)]


def _abbreviated(before: str, mark: str, following: str) -> bool:
    """Whether a text up to its last point ends with an abbreviation after which the sentence goes on."""
    if mark != ".":  # "Wait …", "He is a Dr.!", and "(Acme Co.)"
        return False
    if _NEVER_LAST.search(before):
        return True
    if following[:1].isdigit():
        initials = _INITIALS.search(before)
        return bool(_BEFORE_NUMBER.search(before) or (initials and len(initials[0]) > 2))
    if not (_ALSO_LAST.search(before) or _INITIALS.search(before)):
        return False
    name = _NAME.match(following)
    return name is not None and not _STARTER.fullmatch(name[1])
