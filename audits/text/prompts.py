"""The notation of prompts for image generators: tags, weights, alternatives, parameters."""

from __future__ import annotations

import re

from audits.text.squeezed import END, blank, end_of_sentence

_NAME = (
    r"(?:ar|aspect|v|version|s|style|stylize|chaos|c|seed|no|niji|iw|tile|weird|w|q|quality|hd|uplight|testp?|video|stop|raw|p|"
    r"profile|sref|cref|sw|cw|fast|relax|turbo|repeat)"
)
_VALUE = r"(?:\s+(?:[\d.:x]+|raw|expressive|cute|scenic|original|random)(?![\w]))?"
#: "--ar 9:16", "--no people, cars", "::2".
PARAMETERS = re.compile(
    rf"(?<![\w-])(?:--|—)no\s[^-\n]+|(?<![\w-])(?:--[a-z]\w*|—{_NAME}\b){_VALUE}|::\s*(?:-?\d+(?:\.\d+)?)?"
)
#: "<lora:name:0.8>"
_NETWORK = re.compile(r"<[a-z]+:[^<>\n]+>")
#: "(word:1.2)", one or more words.
_WEIGHT = re.compile(r"(?<=[^\W\d]):-?\d+(?:\.\d+)?\s*(?=[)\]}])|(?<=[^\W\d] ):\d\.\d+\s*(?=[)\]}])")
_NEGATIVE = re.compile(r"\bNegative prompt\s*:[^\n]*|^[ \t]*Steps\s*:\s*\d+,[^\n]*", re.I | re.M)
_BREAK = re.compile(r"(?<![^\s,.])BREAK(?![^\s,.])")
#: "[cat|dog]", "{red|blue}", "[cat:dog:0.5]": one of them was drawn, and nobody knows which.
_ALTERNATIVES = re.compile(
    r"\[[^\[\]|{}\n]*(?:\|[^\[\]{}\n]*|:[^\[\]{}:\n]*:\s*[\d.]+\s*)\]|\{[^{}|\n]*\|[^{}\n]*\}"
)
_DOUBLED = re.compile(r"\({2,}|\[{2,}|\{{2,}")
_CLOSING = re.compile(r"\){2,}|\]{2,}|\}{2,}")
_SCORES = re.compile(r"\b(?:score_\d\w*|source_\w+|rating[_:]\s?\w+)")

#: "1girl", "2boys", "6+girls"; how many others, and what, the tag does not say.
_COUNTED = re.compile(r"\b\d\+?(?:girl|boy|other)s?\b")
_UNREAD_COUNT = re.compile(r"\b\d\+(?=(?:girl|boy)s?\b)|\b\d\+?others?\b")
_UNDERSCORES = re.compile(r"(?<=[^\W_])_+(?=[^\W_])")
_BRACKETED = re.compile(r"\\\([^()\n]*\\\)|_\([^()\n]*\)")
_SEPARATOR = re.compile(rf"[,\n|{END}]+")
_FUNCTION_WORD = re.compile(
    r"\b(?:a|an|the|and|is|are|was|has|have|his|her|their|its|that|which|who|there|while|this|or|not)\b", re.I
)
#: Prepositions are in tags, too ("holding sword", "hands on hips"), yet in few.
MIN_TAGS = 3
MIN_PLAIN_TAGS = 5
LONGEST_TAG = 60

_HOW = (
    "masterpiece|(?:best|high|highest|amazing|great|good|normal|low|worst|bad|top) quality|(?:high|low|hi|absurd|ultra ?high|)res|"
    "(?:absurd|incredibly absurd)res|(?:ultra|highly|extremely|super|very|insanely|hyper)?[ -]?(?:detailed|realistic|aesthetic|detail)|"
    r"intricate(?: details?)?|\d+k(?: uhd| wallpaper)?|u?hdr?|uhd|dslr|raw photo|wallpaper|official art|concept art|"
    "solo(?: focus)?|looking (?:at viewer|back|away|to the side|up|down|at another|ahead|afar)|(?:upper|full|lower) body|"
    "cowboy shot|(?:wide|medium|long|close) shot|close[ -]?up|portrait|from (?:above|below|behind|side)|pov|dutch angle|"
    r"depth of field|bokeh|blurry(?: \w+)?|(?:\w+ )?background|no humans|safe|general|sensitive|questionable|explicit|n?sfw|"
    "artist name|(?:english )?commentary(?: request)?|translat(?:ion request|ed)|bad (?:pixiv )?id|md5 mismatch|photorealistic|"
    "(?:photo)?realistic|realism|anime(?: style| screencap)?|monochrome|gr[ae]yscale|sketch|lineart|original|smile|grin|blush|"
    "(?:open|closed) (?:mouth|eyes)|expressionless|standing|sitting|lying|kneeling|walking|running|jumping|squatting|"
    "(?:arms?|hands?|legs?) (?:up|down|behind back|behind head|crossed|on own \\w+)|crossed arms|v|day|night|outdoors|indoors|alone|"
    "sharp focus|(?:cinematic|volumetric|dynamic|soft|dramatic|studio|natural)(?: lighting| light)?|(?:back)?lighting|lens flare|"
    "chromatic aberration|film grain|trending on \\w+|illustration|digital (?:art|painting)|artwork|newest|recent|mid|early|late|"
    "very aesthetic|year \\d{4}|\\d{4}|highres|multiple views|2d|3d|cg|game cg|unity|unreal engine(?: \\d)?|octane render"
)
#: A whole segment between commas that only says how: "highly detailed", "octane render", "trending on artstation".
STYLE = re.compile(
    r"^\s*(?:(?:\w+[- ]){0,4})?(?:artstation(?: hq)?|octane(?: render)?|unreal engine(?: \d)?|render(?:ing|ed)?|4k|8k|4 k|8 k|16k|hdr?|uhd|hq|dslr|"
    r"bokeh|photorealis(?:m|tic)|hyper-?realis(?:m|tic)|lifelike|unrealistic|realistic|surrealism|cinematic|(?:highly|ultra|very|extremely|super|insanely|hyper)[ -]?"
    r"(?:detailed|realistic|sharp)|detailed|sharp focus|smooth|intricate|elegant|volumetric (?:light|lighting)|lighting|concept art|"
    r"digital (?:art|painting|illustration)|matte painting|oil on canvas|art nouveau|art deco|screen-?print|acrylic painting|"
    r"oil painting|pixel art|vector|svg|eps\d*|wide angle|depth of field|film grain|\d+ ?mm|\d+k resolution|resolution|"
    r"hd quality|trending|award[- ]winning|masterpiece|symmetrical|isometric|low poly|ray ?tracing|constructivism|stunning photography)"
    r"(?: (?:on|by|from|in) [\w ]+| (?:style|render|art|quality|resolution|lighting|view|perspective|hq))?\s*[.!]?\s*$",
    re.I,
)
#: A tag that says how the picture is made, framed or rated, or how somebody stands or looks; no thing that can be seen.
_META = re.compile(rf"\s*(?:{_HOW})\s*[.,]?\s*", re.I)


def without_parameters(text: str) -> str:
    """The text without parameters, networks and weights, as long as before; commas where a parameter cut it in two."""
    text = _NEGATIVE.sub(end_of_sentence, text)
    parted = PARAMETERS.sub(_parted, text)
    if parted != text:
        text = parted.rstrip(" ,").ljust(len(text))
    text = _NETWORK.sub(blank, text)
    text = _SCORES.sub(blank, text)
    text = _BREAK.sub(end_of_sentence, text)
    text = _ALTERNATIVES.sub(blank, text)
    if _WEIGHT.search(text):
        text = _WEIGHT.sub(blank, text)
        text = re.sub(r"[()\[\]{}]", " ", text)
    return _CLOSING.sub(blank, _DOUBLED.sub(blank, text)) if _DOUBLED.search(text) else text


def without_qualifiers(text: str) -> str:
    """The text without what tells tags of one name apart: "saber_(fate)", "saber \\(fate\\)"."""
    return _BRACKETED.sub(blank, text)


def are_tags(text: str) -> bool:
    """Whether a text is a list of tags and not of phrases or sentences."""
    separators = len(_SEPARATOR.findall(text))
    if separators + 1 < MIN_TAGS and not ("_" in text or _COUNTED.search(text)):
        return False
    if len(text.split()) > 3 * (separators + 1) and separators:
        return False
    tags = [tag.strip() for tag in _SEPARATOR.split(text) if tag.strip()]
    counted = _COUNTED.search(text) is not None
    if len(tags) < MIN_TAGS:
        words = text.split()
        underscored = sum("_" in word.strip("_") for word in words)
        if len(words) >= MIN_TAGS and underscored >= 2 and not _FUNCTION_WORD.search(text):
            return True
        if not counted:
            return False
    if sum(len(tag.split()) for tag in tags) > 3 * len(tags):
        return False
    phrases = sum(bool(_FUNCTION_WORD.search(tag)) for tag in tags)
    if counted or any("_" in tag.strip("_") for tag in tags):
        return 3 * phrases <= len(tags)
    meta = sum(_is_meta(tag) for tag in tags)
    if meta >= 2:
        return 4 * phrases <= len(tags)
    return len(tags) >= MIN_PLAIN_TAGS and not phrases and not re.search(r"[.!?]\s+\w", text)


def read_tags(text: str) -> str:
    """Tags as one short sentence each, as long as before: "2girls, red_dress, solo" says two girls and a red dress."""
    spaced = not _SEPARATOR.search(text)
    text = re.sub(r"\s", END, text) if spaced else _SEPARATOR.sub(end_of_sentence, text)
    text = _UNREAD_COUNT.sub(blank, text)
    text = _UNDERSCORES.sub(blank, text)
    return END.join(" " * len(tag) if _is_meta(tag) else tag for tag in text.split(END))


def _is_meta(tag: str) -> bool:
    return len(tag) < LONGEST_TAG and bool(_META.fullmatch(tag) or STYLE.match(tag))


def _parted(match: re.Match[str]) -> str:
    """A comma where a parameter stands inside a text: what it cuts in two stays apart."""
    return "," + " " * (len(match.group()) - 1)
