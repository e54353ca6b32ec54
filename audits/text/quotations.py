"""Quotations in a caption: lettering, speech and titles, by the marks around them."""

import re

#: Quotation marks that open and close; a straight single one opens only after a blank and closes only before one.
_QUOTED = re.compile(
    r'"(?P<double>[^"\n]{1,200})"|“(?P<curly>[^”\n]{1,200})”|«(?P<guillemet>[^»\n]{1,200})»|„(?P<low>[^“”\n]{1,200})[“”]'
    r"|(?<![\w'])‘(?P<single>[^’\n]{1,200}(?:’\w[^’\n]*)*)’(?!\w)"
    r"|(?<![\w'])'(?P<straight>(?=\S)(?:[^'\n]|(?<=\w)'(?=\w)){1,200}(?<=\S))'(?!\w)"
)


def quotations(text: str) -> list[tuple[int, int]]:
    """Code point spans between quotation marks, marks left out."""
    whole = text.strip()
    if len(whole) > 1 and whole[0] in '"“' and whole[-1] in '"”':
        inside = text.replace('""', "\u2033\u2033")  # a doubled mark inside is one that CSV has escaped
        first, last = text.index(whole[0]) + 1, text.rindex(whole[-1])
        inner = [match for match in _QUOTED.finditer(inside, first, last) if match.end() <= last]
        return (
            [match.span(match.lastgroup or "") for match in inner] if _is_sentence(whole) else [(first, last)]
        )
    return [match.span(match.lastgroup or "") for match in _QUOTED.finditer(text)]


def _is_sentence(quoted: str) -> bool:
    """Whether a caption that is all in quotation marks is a caption, as CSV files leave it, and not lettering."""
    return len(quoted.split()) > 3
