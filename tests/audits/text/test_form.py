"""Forms of captions: what is text in each notation, the flags, the language; positions are kept and time is linear."""

import json
import os
import random
import time
from pathlib import Path

import pytest
import yaml

from audits.extraction import claims
from audits.text import FLAGS, read_form, squeeze
from audits.text.squeezed import END, NOTHING, Squeezed
from tests.audits.reading import claims_of, own_pipeline

SHARED = Path(os.environ.get("RECAPDATA_SHARED", Path(__file__).parents[4] / "shared"))
OTHER_LANGUAGES = yaml.safe_load((Path(__file__).parent / "captions.yaml").read_text(encoding="utf8"))
#: The classifier takes these for each other, which readers do, too, in a short sentence.
RELATIVES = [
    {"nb", "no", "nn", "da", "sv"},
    {"zh", "yue"},
    {"id", "ms"},
    {"pt", "gl", "es", "ca"},
    {"hr", "sr", "sl"},
]


def read(caption: str) -> str:
    """What the pipeline reads of a caption."""
    return squeeze(read_form(caption).text).text


PROSE = [
    "A dog on a mat.",
    "a woman's hat (red, with a white band) – and 3 dogs!",
    'A sign that says "STOP" at 10:30',
    "A red, blue, green, yellow and white kite",
    "a tall clock tower with clocks on each side, trees, and a flag",
    "Tom & Jerry cost $5 or 50% more",
    "a well-lit room; it's empty…",
    "Zoë at the naïve café",
    "A dog—brown and white—runs",
    "cat < dog > mouse",
    "room #5 at 16:9 (ratio 16:9)",
]

TEXTS = {
    # Tags.
    "1girl, solo, looking_at_viewer, long hair, red dress, masterpiece, best quality": (
        "1 girl. long hair. red dress",
        {"tags"},
    ),
    "2boys solo_focus black_hair blue_shirt outdoors": ("2 boys. black hair. blue shirt", {"tags"}),
    "6+girls, 1other, from_above, night, sword": ("girls. sword", {"tags"}),
    "saber_(fate), blonde_hair, holding_sword, absurdres, highres": (
        "saber. blonde hair. holding sword",
        {"tags"},
    ),
    r"hatsune miku \(vocaloid\), twintails, 1girl, microphone": (
        "hatsune miku. twintails. 1 girl. microphone",
        {"tags"},
    ),
    "score_9, score_8_up, rating_safe, 1boy, red car": ("1 boy. red car", {"tags", "prompt_syntax"}),
    "car, street, red sign, traffic light, puddle": (
        "car. street. red sign. traffic light. puddle",
        {"tags"},
    ),
    # Prompts.
    "(masterpiece:1.2), a red apple, (brick wall:0.8) in the background": (
        "masterpiece, a red apple, brick wall in the background",
        {"prompt_syntax"},
    ),
    "a woman in a ((red dress)) with [[flowers]]": ("a woman in a red dress with flowers", {"prompt_syntax"}),
    "a {red|blue|green} car on a street": ("a car on a street", {"prompt_syntax"}),
    "a dog on a [beach:street:0.5] bench": ("a dog on a bench", {"prompt_syntax"}),
    "a knight <lora:armor_v2:0.8> on a horse": ("a knight on a horse", {"prompt_syntax"}),
    "a red car BREAK two trees": ("a red car. two trees", {"prompt_syntax"}),
    "a cat::2 a dog::1 --ar 16:9 --style raw --v 6": ("a cat, a dog", {"prompt_syntax"}),
    "a castle on a hill --no people, cars": ("a castle on a hill", {"prompt_syntax"}),
    "a castle —ar 9:16": ("a castle", {"prompt_syntax"}),
    "a dog on grass\nNegative prompt: blurry, extra legs\nSteps: 20, Sampler: Euler a, Seed: 7": (
        "a dog on grass",
        {"prompt_syntax"},
    ),
    # JSON.
    '{"caption": "a red car", "tags": ["street", "tree"], "id": "car-7", "score": 0.9}': (
        "a red car. street. tree",
        {"json"},
    ),
    "{'caption': 'a man\\'s red car', 'is_real': True}": ("a man's red car", {"json"}),
    r'{"text": "a na\u00efve \"STOP\" sign\nTwo dogs"}': ('a naïve "STOP" sign. Two dogs', {"json"}),
    '{"a": {"b": [{"subject": "a dog"}, {"subject": "a cat"}]}}': ("a dog. a cat", {"json"}),
    '["a dog", "a cat"]': ("a dog. a cat", {"json"}),
    '{"caption": "a dog on a': ("a dog on a", {"json"}),
    'Sure:\n```json\n{"caption": "a dog"}\n```': ("Sure. a dog", {"json", "markdown"}),
    '{"tags": "1girl, red_dress, solo"}': ("1 girl. red dress", {"json"}),
    # HTML.
    "<b>red</b> car &nbsp; on a street<br>": ("red car on a street", {"html"}),
    "<p>A dog.</p><ul><li>red car<li>two trees</ul>": ("A dog. red car. two trees", {"html"}),
    "red</b car and a <i>blue</i>bell": ("red car and a bluebell", {"html"}),
    '<img src="x.jpg" alt="A red car"> on <a href="/y">a street</a>': ("A red car. on a street", {"html"}),
    "don&#39;t walk &amp;amp; wait": ("don't walk & wait", {"html"}),
    "&lt;b&gt;red&lt;/b&gt; car": ("red. car", {"html"}),
    "<style>p {color: red}</style><p>A dog": ("A dog", {"html"}),
    # Markdown.
    "**Foreground:** a red bicycle.\n**Background:** two trees.": (
        "a red bicycle. two trees.",
        {"markdown"},
    ),
    "# Image Description\n\nA **red** car and __two__ `dogs`.": ("A red car and two dogs.", {"markdown"}),
    "- a red car\n- two dogs\n* a tree\n1. a house": ("a red car. two dogs. a tree. a house", {"markdown"}),
    "1. A red car. 2. Two dogs 3. A tree": ("A red car. Two dogs. A tree", {"markdown"}),
    "| Object | Color |\n|---|---|\n| car | red |\n| dog | brown |": ("car. red. dog. brown", {"markdown"}),
    "![a dog](dog.png) beside [a cat](https://a.org/b)": ("a dog beside a cat", {"markdown"}),
    "> A dog[1] on a mat\n\n---\n~~cat~~": ("A dog on a mat. cat", set()),
    "```python\nprint('a dog')\n```\nA cat": ("A cat", {"markdown"}),
    # Labels and lines.
    "Caption: a dog": ("a dog", set()),
    "subject: a dog\nmood: calm\nplace: a beach": ("a dog. a beach", set()),
    "Foreground: a dog. Background: a cat.": ("a dog. a cat.", set()),
    "objects:\n  - car\n  - dog": ("car. dog", {"markdown"}),
    "A dog\non a mat\nA cat": ("A dog on a mat. A cat", set()),
    r"A dog on a mat.\nA cat\tand \"Rex\"": ('A dog on a mat. A cat and "Rex"', set()),
    # What models leave behind.
    "<|im_start|>assistant\nA dog.<|im_end|>": ("A dog.", set()),
    "USER: <image>\nDescribe the car. ASSISTANT: A dog.": ("A dog.", set()),
    "[INST] Describe the car [/INST] A dog.</s>": ("A dog.", set()),
    # Signs.
    "a red car 🚗 on\u00a0a street ☀️ #sunset #beach": ("a red car on a street", set()),
    "a photo\ufeff of a pho\u00adto\u200b frame": ("a photo of a photo frame", set()),
    "ａ ｄｏｇ and a 𝐜𝐚𝐭": ("a dog and a cat", set()),
    "a dog IMG_2034.jpg see https://a.org/b?c=d me@a.org @rex": ("a dog see", set()),
    "a sign with the words `` NO PARKING '' on it": ("a sign with the words “ NO PARKING ” on it", set()),
    '"a dog named ""Rex"" on a mat"': ('a dog named "Rex" on a mat', set()),
    r"\textbf{A red car} near $x^2$ trees \cite{a1}\\ \emph{two} dogs": (
        "A red car near trees. two dogs",
        {"latex"},
    ),
}


@pytest.mark.parametrize("caption", PROSE)
def test_prose_is_read_as_it_is(caption):
    form = read_form(caption)
    assert (form.text, form.kind, form.flags, form.readable) == (caption, "prose", (), True)
    assert squeeze(form.text) == Squeezed(caption)


@pytest.mark.parametrize("caption", TEXTS)
def test_what_is_read(caption):
    text, flags = TEXTS[caption]
    form = read_form(caption)
    assert read(caption) == text
    assert set(form.flags) == flags
    assert form.readable
    assert len(form.text) == len(caption)


def test_every_flag_is_tested():
    assert {flag for _, flags in TEXTS.values() for flag in flags} | {"not_english"} == set(FLAGS)


def test_the_first_notation_is_the_kind():
    kinds = [
        read_form(caption).kind for caption in ('{"a": "<b>dog</b>"}', "<b>a</b> ((dog))", "a dog --ar 1:1")
    ]
    assert kinds == ["json", "html", "prompt"]


# --- positions ----------------------------------------------------------------------------------------------------------


def test_a_squeezed_text_knows_where_it_stands():
    squeezed = squeeze(f"  a{NOTHING}b  c{END}d ")
    assert squeezed.text == "ab c. d"
    assert squeezed.origins == (2, 4, 5, 7, 8, 8, 9)
    assert squeezed.breaks == (6,)
    assert squeezed.original((0, 2)) == (2, 5)
    assert squeezed.original((3, 4)) == (7, 8)


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("<b>red</b> car", "red</b> car"),
        ('{"caption": "a red   car"}', "red   car"),
        ("street, red_car, 1girl", "red_car"),
        ("🚗🚗 the red\n\tcar", "red\n\tcar"),
        ("a red ca\u00adr", "red ca\u00adr"),
    ],
)
def test_spans_are_of_the_caption_as_written(caption, words):
    found = claims_of(caption)
    colors = [claim for claim in found if claim.kind == "color"]
    assert [caption[slice(*claim.span)] for claim in colors] == [words]
    assert colors[0].object == "car"


def test_no_relation_is_read_across_tags():
    found = claims_of("car, red, street, cat, lying_on_back, table, holding cup, dog")
    assert {claim.kind for claim in found} == {"object"}
    assert {"car", "street", "cat", "table", "cup", "dog"} <= {claim.object for claim in found}


def test_notation_says_nothing():
    """The claims of a caption are those of its text, in whatever notation."""

    def said(caption):
        found = claims_of(caption)
        return [(claim.kind, claim.object, claim.color, claim.subject, claim.relation) for claim in found]

    plain = said("a red car on a street.")
    assert len(plain) == 4
    for caption in (
        '{"caption": "a red car on a street", "id": "dog.jpg"}',
        "<p>a <b>red</b> car on&nbsp;a street</p>",
        "**Scene:** a *red* car on a street",
        "a red car on a street --ar 3:2 --no dogs",
        "caption: a ((red)) car on a street <lora:dog:1>",
        r"a red\tcar on a street\n",
    ):
        assert said(caption) == plain


def test_any_characters_keep_their_positions():
    rng = random.Random(0)
    pieces = [
        *"\"'()[]{}<>|*#_\\~`\n\r ,:.-&\x00\x1eé的İ😀\u200b",
        "a dog",
        "--ar 1",
        "<b>",
        "&amp;",
        "1girl",
        "\\n",
        "**",
        "- ",
    ]
    pieces += [
        '{"a": "b',
        "http://x",
        "x.jpg",
        "Caption:",
        "ein Hund auf der Bank",
        "[x|y]",
        "<lora:a:1>",
        "|---|",
        "``",
    ]
    for _ in range(2000):
        caption = "".join(rng.choice(pieces) for _ in range(rng.randint(1, 25)))
        form = read_form(caption)
        squeezed = squeeze(form.text)
        assert len(form.text) == len(caption), caption
        assert squeezed.origins is None or len(squeezed.origins) == len(squeezed.text)
        assert squeezed.origins is None or list(squeezed.origins) == sorted(squeezed.origins)


@pytest.mark.parametrize(
    "piece",
    [
        *"\"'([{<|*#_\\~`\n@:-.$“é😀&",
        "a ",
        "a, ",
        "a_b ",
        "<a ",
        "a: b\n",
        "1. ",
        "[a|",
        "::",
        "--a ",
        "\\n",
        "http://",
        "A b. ",
    ],
)
def test_time_grows_with_the_length(piece):
    def seconds(length):
        caption = (piece * length)[:length]
        best = 60.0
        for _ in range(3):
            start = time.process_time()
            squeeze(read_form.__wrapped__(caption).text)
            best = min(best, time.process_time() - start)
        return best

    assert seconds(36_000) < 12 * max(
        seconds(9_000), 0.002
    )  # four times as long; quadratic would be sixteen times


# --- languages ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", OTHER_LANGUAGES)
def test_other_languages_are_not_read(language):
    for caption in OTHER_LANGUAGES[language]:
        form = read_form(caption)
        assert not form.readable, caption
        assert form.flags == ("not_english",), caption
        assert form.language == language or any({form.language, language} <= group for group in RELATIVES)
        assert not form.text.strip()
    assert [found for found in claims(OTHER_LANGUAGES[language], pipeline=own_pipeline()) if found] == []


@pytest.mark.parametrize(
    "caption",
    [
        "Château de Chambord, France",
        "Angela Merkel, Emmanuel Macron and Giorgia Meloni in Brussels",
        "Real Madrid vs FC Barcelona at Estadio Santiago Bernabéu",
        "San Miguel de Allende, Guanajuato, Mexico",
        "Ludwig Mies van der Rohe Barcelona Pavilion",
        "La Casa de Papel poster",
        "spaghetti alla carbonara",
        "chicken tikka masala with naan",
        "Crème brûlée, tiramisu and panna cotta on plates",
        "Nguyen Van Thieu and Kim Dae-jung in Seoul",
        "Zlatan Ibrahimović scores for Malmö FF",
        "Hermès Birkin bag 30 Togo leather gold",
        "zebra mane",
        "yin-yang",
        "kimono-clad geisha in Gion, Kyoto",
        'a sign that reads "Eintritt verboten, Betreten auf eigene Gefahr"',
        "a man holding a sign with the words 日本 on it",
        "a poster «Liberté, égalité, fraternité pour tous» on a wall",
        "BLACK DOG ON A RED COUCH",
        "boat is in water",
        "A Bzaseball galove.",
    ],
)
def test_names_dishes_and_signs_are_no_other_language(caption):
    form = read_form(caption)
    assert form.readable
    assert "not_english" not in form.flags


def test_the_english_half_is_read():
    caption = "A red car on a street. Ein Hund sitzt auf einer grünen Bank. Two trees stand near a house."
    form = read_form(caption)
    assert form.readable
    assert form.flags == ("not_english",)
    assert read(caption) == "A red car on a street. Two trees stand near a house."
    found = claims_of(caption)
    assert {claim.object for claim in found if claim.kind == "object"} == {"car", "street", "tree", "house"}


def test_a_foreign_caption_with_english_words_is_not_read():
    assert not read_form(
        "Un concierto de The Beatles en la plaza mayor de Madrid. Mucha gente baila."
    ).readable


@pytest.mark.skipif(not (SHARED / "caption-gold").is_dir(), reason=f"needs the captions of {SHARED}")
def test_captions_by_people_are_english():
    """At most one in ten thousand captions and prompts by people is taken for another language."""
    lines = [
        json.loads(line)["caption"]
        for name in ("factual_dev", "factual_train", "dsg_dev")
        for line in (SHARED / "caption-gold" / f"{name}.jsonl").read_text(encoding="utf8").splitlines()
    ]
    lines += (SHARED / "prompts" / "coco_captions_4096.txt").read_text(encoding="utf8").splitlines()
    for name in ("PartiPrompts.tsv", "drawbench.csv"):
        lines += (SHARED / "prompts" / name).read_text(encoding="utf8").splitlines()[1:]
    foreign = [line for line in lines if "not_english" in read_form(line).flags]
    assert len(lines) > 40_000
    assert len(foreign) <= len(lines) / 10_000, foreign
