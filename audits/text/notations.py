"""JSON, HTML, LaTeX, escapes and chat templates: each function blanks what is no text in one notation, and keeps every position
(see `audits.text.squeezed`)."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable

from audits.text.squeezed import END, NOTHING, blank, end_of_sentence

# --- characters ---------------------------------------------------------------------------------------------------------

_INVISIBLE = re.compile("[\u200c-\u200f\u202a-\u202e\u2060-\u2064\ufeff\u00ad\u061c\u180e]")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffd]")
_SPACE = re.compile("[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]")
_STYLED = re.compile("[\uff01-\uff5e\U0001d400-\U0001d7ff]")
_PICTOGRAM = re.compile(
    "[\U0001f000-\U0001faff\u2190-\u21ff\u2300-\u23ff\u2460-\u24ff\u25a0-\u27bf\u2b00-\u2bff\ufe00-\ufe0f\u20e3"
    "\U000e0020-\U000e007f]"
)
#: Marks of list items, which only lines begin with.
_LIST_MARKS = "•·‣◦▪●■➤►✓✔☐☑"
_ADDRESS = re.compile(
    r"\b(?:https?|ftp)://[^\s<>\"()\[\]]+|\bwww\.[^\s<>\"()\[\]]+|\bdata:image/[^\s\"]+|(?<![\w@.])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+|"
    r"(?<![\w/.-])[\w/.-]{1,120}\.(?:jpe?g|png|gif|webp|bmp|tiff?|svg|mp4)\b|(?<!\w)@\w{2,30}\b",
    re.I,
)
_HASHTAGS = re.compile(r"(?<![\w&])#[^\W\d]\w*(?:[ \t]+#[^\W\d]\w*)+|(?<![\w&])#[^\W\d]\w*[ \t]*(?=\n|\Z)")
_HASH = re.compile(r"(?<![\w&])#(?=[^\W\d])")


def without_signs(text: str) -> str:
    """The text without invisible characters, controls, pictograms and addresses; styled letters as plain ones.

    Quotation marks as treebanks and TeX write them, ``so'', become the usual ones.
    """
    if not text.isascii():
        text = _SPACE.sub(" ", text)
        text = _INVISIBLE.sub(NOTHING, text)
        text = _STYLED.sub(_plain, text)
        text = re.sub(rf"(?m)^([ \t]*)[{_LIST_MARKS}]", r"\1-", text)
        text = _PICTOGRAM.sub(" ", text)
    text = _CONTROL.sub(" ", text)
    if "." in text or "@" in text or "://" in text:
        text = _ADDRESS.sub(blank, text)
    if "``" in text and "''" in text and "```" not in text:
        text = text.replace("``", f"{NOTHING}“").replace("''", f"”{NOTHING}")
    if "#" in text:
        text = _HASH.sub(NOTHING, _HASHTAGS.sub(blank, text))
    return text


def _plain(match: re.Match[str]) -> str:
    plain = unicodedata.normalize("NFKC", match.group())
    return plain if len(plain) == 1 else match.group()


# --- escapes ------------------------------------------------------------------------------------------------------------

_LATEX = re.compile(
    r"\\(?:text(?:bf|it|tt)?|emph|section|subsection|paragraph|begin|end|item|caption|label|includegraphics)\b"
)
_LATEX_UNREAD = re.compile(
    r"\\(?:begin|end|label|includegraphics|ref|cite|usepackage|documentclass)\s?(?:\[[^\[\]]*\])?\{[^{}]*\}"
)
_COMMAND = re.compile(r"\\[a-zA-Z]+\*?")
_FORMULA = re.compile(r"\$\$[^$]+\$\$|\$(?=[^$\s])[^$\n]{0,200}[\\^_={][^$\n]{0,200}\$|\\\([^()\n]*\\\)")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))", re.S)


def is_latex(text: str) -> bool:
    return bool(_LATEX.search(text))


def read_latex(text: str) -> str:
    """The text of LaTeX: arguments of commands, no formulas."""
    text = _FORMULA.sub(blank, text)
    text = _LATEX_UNREAD.sub(end_of_sentence, text)
    text = re.sub(r"\\item\b", lambda match: END + " " * 4, text)
    text = _COMMAND.sub(blank, text)
    text = re.sub(r"\\\\", f"{END} ", text)
    text = re.sub(r"\\(?=[%&$#_])", NOTHING, text)
    return re.sub(r"[{}\\]", NOTHING, text)


def without_escapes(text: str) -> str:
    r"""The text with what its escapes stand for: `\n` ends a line, `caf\u00e9` is one word."""
    return _ESCAPE.sub(_unescaped, text)


def _unescaped(match: re.Match[str]) -> str:
    code, byte, letter = match.groups()
    if code or byte:
        character = chr(int(code or byte, 16))
        if not character.isprintable():
            character = NOTHING
        return character + NOTHING * (len(match.group()) - 1)
    if letter in "nr":
        return "\n "
    if letter in "tfb":
        return "  "
    if letter in "\"'/\\*_#()[]{}.-!&|~`>+":
        return NOTHING + ("" if letter == "\\" else letter) + (NOTHING if letter == "\\" else "")
    return match.group()


# --- JSON ---------------------------------------------------------------------------------------------------------------

#: Keys whose values are no description of a picture.
_UNREAD_KEYS = re.compile(
    r"(?:\w*_)?(?:id|ids|url|uri|file|files|file_?name|path|image|img|src|source|model|lang|language|license|author|date|type|format|"
    r"role|version|seed|key|score|confidence|bbox|split|index|width|height|style|mood|medium|quality|lighting|atmosphere)",
    re.I,
)
_JSON = re.compile(r"[{\[]\s*(?:[\"'{\[])|[{\[]\s*\}")
_JSON_KEY = re.compile(r"[\"']\s*:\s*[\"'{\[\w-]|\[\s*[\"']")


def json_start(text: str) -> int | None:
    """Where a JSON object or array begins in a text, which need not end; None where there is none."""
    match = _JSON.search(text)
    if match is None:
        return None
    if match.group()[0] == "[" and text[: match.start()].strip():
        return None
    return match.start() if _JSON_KEY.search(text, match.start()) else None


def read_json(text: str, start: int, read_value: Callable[[str], str]) -> str:
    """The string values of JSON, also of a Python literal or one that is cut off, each as a sentence; what surrounds it stays."""
    end = max(text.rfind("}"), text.rfind("]")) + 1
    if end <= start:
        end = len(text)
    parts = [text[:start]]
    index, key = start, ""
    while index < end:
        mark = text[index]
        if mark not in "\"'":
            # Numbers, true and null are values without text; a bracket ends a sentence.
            parts.append(END if mark in "{}[]" else " ")
            index += 1
            continue
        close = min(_closing(text, index, end), end)
        content = text[index + 1 : close]
        mark = END if close < end else ""
        index = close + len(mark)
        after = _next(text, index, end)
        if after == ":":
            key = content
            parts.append(" " * (1 + len(content)) + mark)
            continue
        unread = _UNREAD_KEYS.fullmatch(key) is not None
        parts.append(END + (" " * len(content) if unread else read_value(content)) + mark)
    parts.append(text[end:])
    return "".join(parts)


def _closing(text: str, index: int, end: int) -> int:
    """The index of the mark that closes a string; of the end where none does."""
    mark = text[index]
    index += 1
    while index < end:
        if text[index] == "\\":
            index += 2
            continue
        if text[index] == mark and (mark == '"' or _next(text, index + 1, end) in ",:]}"):
            return index
        index += 1
    return end


_NOT_BLANK = re.compile(r"\S")


def _next(text: str, index: int, end: int) -> str:
    match = _NOT_BLANK.search(text, index, min(end, index + 100))
    return match.group() if match else ""


# --- HTML ---------------------------------------------------------------------------------------------------------------

_INLINE = "b|i|u|em|strong|span|font|small|big|sub|sup|mark|code|tt|del|ins|q|cite|abbr|label|strike|center|a|bdi|kbd"
_BLOCK = (
    "br|p|div|li|ul|ol|dl|dt|dd|h[1-6]|hr|table|tr|td|th|thead|tbody|caption|figure|figcaption|img|section|article|header|footer|"
    "main|nav|aside|body|html|head|title|meta|link|blockquote|pre|script|style|svg|path|iframe|input|button|form|video|picture|source"
)
_TAG = re.compile(rf"</?(?P<name>{_INLINE}|{_BLOCK})(?:\s[^<>]*)?/?>", re.I)
_UNCLOSED = re.compile(
    rf"</(?:{_INLINE}|{_BLOCK})(?![\w>])|<(?:{_INLINE}|{_BLOCK})(?:(?:\s[^<>]*)?=[^<>]*|/)?\Z", re.I
)
_ESCAPED_TAG = re.compile(rf"&lt;/?(?:{_INLINE}|{_BLOCK})\b[^&<>]*&gt;", re.I)
_COMMENT = re.compile(r"<![^<>]*>")
_ENTITY = re.compile(r"&(?:amp;)*(#\d{1,7}|#x[0-9a-f]{1,6}|[a-z]{2,31}\d{0,2});", re.I)
_ALT = re.compile(r"\b(?:alt|title)\s?=\s?(?:\"([^\"<>]*)\"|'([^'<>]*)')", re.I)
_ANY_TAG = re.compile(r"</?[a-z][\w:.-]*(?:\s[^<>]*)?/?>", re.I)


def is_html(text: str) -> bool:
    return bool(_TAG.search(text) or _UNCLOSED.search(text) or _ESCAPED_TAG.search(text)) or any(
        html.unescape(match.group()) != match.group() for match in _ENTITY.finditer(text)
    )


def read_html(text: str) -> str:
    """The text between tags, and of `alt` and `title`; entities as their characters."""
    text = _without_scripts(text)
    text = _ESCAPED_TAG.sub(end_of_sentence, text)
    text = _COMMENT.sub(blank, text)
    text = _TAG.sub(_tag, text)
    text = _UNCLOSED.sub(blank, text)
    return _ENTITY.sub(_entity, text)


def _without_scripts(text: str) -> str:
    lower = text.lower()
    for name in ("script", "style"):
        start = lower.find(f"<{name}")
        while start >= 0:
            end = lower.find(f"</{name}", start)
            end = len(text) if end < 0 else end
            text = text[:start] + " " * (end - start) + text[end:]
            start = lower.find(f"<{name}", end)
    return text


def _tag(match: re.Match[str]) -> str:
    tag = match.group()
    if match["name"].lower() in _INLINE.split("|"):
        return NOTHING * len(tag)
    characters = [END] + [" "] * (len(tag) - 1)
    for each in _ALT.finditer(tag):
        start, end = each.span(each.lastindex or 0)
        characters[start:end] = tag[start:end]
        characters[end] = END
    return "".join(characters)


def _entity(match: re.Match[str]) -> str:
    entity = match.group()
    character = html.unescape(f"&{match.group(1)};")
    if len(character) != 1:
        return entity
    if character in "<>\xa0" or not character.isprintable():
        return " " * len(entity)
    return character + NOTHING * (len(entity) - 1)


# --- chat templates ----------------------------------------------------------------------------------------------------

_SPECIAL = re.compile(
    r"<\|[^|<>\n]{1,40}\|>(?:\s*(?:system|user|assistant)\b)?|</?(?:s|pad|eos|bos|unk|image|img|sys|think|start_of_turn|end_of_turn)\d*>|"
    r"<<\s?/?SYS\s?>>|</?s>",
    re.I,
)
_INSTRUCTION = re.compile(r"\[INST\][^\[\]]*\[/INST\]|\[/?INST\]")
_TURN = re.compile(r"^\W*(?:user|human|instruction|question|q)\s*:", re.I)
_REPLY = re.compile(r"\b(?:assistant|answer|response|a|gpt|ai)\s*:", re.I)


def without_chat(text: str) -> str:
    """The text without a model's special tokens and without the user's part of a chat."""
    if "[" in text:
        text = _INSTRUCTION.sub(blank, text)
    if "<" in text:
        text = _SPECIAL.sub(blank, text)
        text = _ANY_TAG.sub(blank, text)
    if ":" in text and _TURN.match(text) and (reply := _REPLY.search(text)):
        text = " " * reply.end() + text[reply.end() :]
    return text
