"""The dataset card: its words, its escaping, and its head, read back by the stock classes."""

import random
from dataclasses import replace

import pyarrow as pa
import pytest
from huggingface_hub.repocard import DatasetCard
from markdown_it import MarkdownIt

from recapdata.errors import PublishRefused
from recapdata.publishing.card import (
    CardFacts,
    ConfigFacts,
    SetFacts,
    check_head,
    escape,
    render_card,
    size_category,
    who,
)
from recapdata.publishing.licenses import check_license
from recapdata.publishing.published import captions_features, features
from recapdata.records import RECORD_SCHEMA, Counts, Manifest, Provenance
from recapdata.versions.contents import Contents, Release, ShardContents
from recapdata.versions.figures import compare_figures

NASTY = [
    "BUY | now",
    "<script>alert(1)</script>",
    "a **bold** _claim_ `code`",
    "![x](http://e.example/x.png) and [text](http://e.example)",
    "see https://e.example or www.e.example",
    "1. first",
    "- item",
    "# title",
    "> quoted",
    "new\nline\ttab\x00\x1b[31m",
    "--- \n***",
    "&lt;b&gt; &amp;",
    "back\\slash $x$ ~~gone~~ :dog: @me",
    "日本語 ‮ right to left",
]


def facts(**changes) -> CardFacts:
    summary = {
        "pipeline": "en@1",
        "clip": None,
        "evidence": ["annotations"],
        "sets": {
            "alt": {"figures": {"object coverage": _share(0.4)}},
            "new": {"figures": {"CLIP score": _share(0.2)}},
        },
    }
    before = {"sets": {"alt": {"figures": {"object coverage": _share(0.2)}}}}
    values = {
        "repo_id": "me/my_birds",
        "manifest": Manifest(
            name="me/my_birds",
            version="1.1.0",
            license="cc-by-4.0",
            sources=("a|b",),
            columns=("tags",),
            sets={
                "alt": Provenance(writer="web", column="alt_text"),
                "new": Provenance(
                    writer="model", model="me/vlm", revision="a" * 40, prompt="Say | it", sampling={"k": 1}
                ),
            },
            counts=Counts(items=10, records=6, duplicates=1, failures=2, removed=1),
            fingerprint="f" * 32,
        ),
        "contents": Contents(
            columns={},
            shards=(ShardContents(rows=6, keys="", columns="", sets={}),),
            keys="",
            sets={},
            history=(
                Release(version="1.0.0", date="2026-01-01", changes=("first version",), commit="c" * 40),
                Release(version="1.1.0", date="2026-02-01", changes=("caption set new added",)),
            ),
        ),
        "configs": {
            "default": ConfigFacts(
                features=features([*RECORD_SCHEMA, pa.field("alt", pa.string())], image=True),
                rows=6,
                size=100,
            ),
            "captions": ConfigFacts(features=captions_features(), rows=12, size=10),
        },
        "sets": {
            "alt": SetFacts(captions=6, failures={}),
            "new": SetFacts(captions=4, failures={"Timeout": 2}),
        },
        "examples": {"a" * 64: {"alt": "a dog on the lawn", "new": None}},
        "failures": {"TruncatedImage": 2},
        "summary": summary,
        "figures": compare_figures(before, summary),
        "parent_version": "1.0.0",
    }
    return CardFacts(**{**values, **changes})


def _share(value: float) -> dict:
    return {
        "value": value,
        "low": value - 0.01,
        "high": value + 0.01,
        "unit": "share",
        "better": "higher",
        "n": 100,
    }


def cells(markdown: str) -> list[str]:
    """The texts of all table cells as a reader of the rendered page sees them."""
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown)
    found = []
    for place, token in enumerate(tokens):
        if token.type == "td_open":
            inline = tokens[place + 1]
            assert all(child.type == "text" for child in inline.children or []), inline
            found.append("".join(child.content for child in inline.children or []))
    return found


@pytest.mark.parametrize("text", NASTY)
def test_no_caption_becomes_markup(text):
    plain = "".join(char for char in " ".join(text.split()) if char.isprintable())
    assert cells(f"| a |\n|---|\n| {escape(text)} |\n") == [plain]
    alone = MarkdownIt("commonmark", {"html": True}).render(escape(text))
    assert alone.count("<") == 2  # <p> and </p>


def test_no_sequence_of_signs_becomes_markup():
    """Three thousand texts of signs and words, drawn at random, in a cell, in a list and alone."""
    parts = [
        *"&<>|`*_[]()!\\#~$:@-+=.1a ",
        "__",
        "](",
        "~~",
        "&amp;",
        "<b>",
        "http://e.example",
        "snake_case",
    ]
    draw = random.Random(5)
    markdown = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    for _ in range(3000):
        text = " ".join("".join(draw.choices(parts, k=draw.randint(1, 8))).split())
        if not text:
            continue
        assert cells(f"| a |\n|---|\n| {escape(text)} |\n") == [text]
        for before, opened in (("", ["paragraph"]), ("- ", ["bullet_list", "list_item", "paragraph"])):
            tokens = markdown.parse(before + escape(text))
            assert [token.type for token in tokens if token.nesting == 1] == [
                f"{name}_open" for name in opened
            ]
            inline = next(token for token in tokens if token.type == "inline")
            assert all(child.type == "text" for child in inline.children or []), text
            assert "".join(child.content for child in inline.children or []) == text


def test_what_only_a_site_would_link_is_broken_up():
    """Bare addresses, mentions, issues and emoji are no CommonMark, but sites make links of them."""
    text = escape("http://e.example www.e.example a@e.example @me #12 :dog:")
    for sign in ("://", "www.", "@", "#12", ":dog:"):
        assert sign not in text


@pytest.mark.parametrize(
    "text",
    [
        "recap_short",
        "black & white!",
        "five > three, (a)",
        "me/vlm @ aaaaaaaaaaaa",
        "scenes:120,seed=1",
        "1.5 m",
        "C# at 12:30",
        "captioner-base_v1.2",
    ],
)
def test_what_is_no_markup_stays_as_it_is(text):
    assert escape(text) == text


def test_the_head_is_what_the_stock_classes_read():
    card = DatasetCard(render_card(facts()))
    data = card.data.to_dict()
    assert data["license"] == "cc-by-4.0"
    assert data["language"] == ["en"]
    assert data["annotations_creators"] == ["found", "machine-generated"]
    assert data["size_categories"] == ["n<1K"]
    assert data["configs"][1] == {
        "config_name": "captions",
        "data_files": [{"split": "train", "path": "captions/*/train-*.parquet"}],
    }
    infos = {info["config_name"]: info for info in data["dataset_info"]}
    assert infos["captions"]["splits"] == [{"name": "train", "num_bytes": 10, "num_examples": 12}]
    assert {"name": "image", "dtype": "image"} in infos["default"]["features"]


def test_the_words():
    text = render_card(facts()).split("\n---\n", 1)[1]
    for words in (
        'load_dataset("me/my_birds", revision="v1.1.0", split="train")',
        "| new | me/vlm @ aaaaaaaaaaaa | 4 | 2 | Say &#124; it | k 1 |",
        "| alt | object coverage | 20.0 % (19.0–21.0) | 40.0 % (39.0–41.0) | better |",
        "| 10 | 6 | 1 | 2 | 1 |",
        "Failures by type: TruncatedImage 2; in new: Timeout 2.",
        "- **1.1.0** (2026-02-01): caption set new added",
        "- **1.0.0** (2026-01-01, commit cccccccccccc): first version",
        "title  = {me/my\\_birds}",
        "(no caption)",
    ):
        assert words in text


def test_without_captions_or_audit_it_says_so():
    bare = facts(
        manifest=Manifest(name="me/x", version="1.0.0", license="mit"),
        sets={},
        examples={},
        failures={},
        summary=None,
        figures=(),
        parent_version=None,
        configs={"default": facts().configs["default"]},
    )
    text = render_card(bare)
    assert "No captions yet" in text
    assert "without an audit" in text
    assert DatasetCard(text).data.annotations_creators == ["no-annotation"]
    assert "Failures by type" not in text


def test_language_is_not_claimed_for_what_is_not_english():
    assert DatasetCard(render_card(facts(examples={"a": {"alt": "犬が芝生にいる"}}))).data.language == ["und"]


def test_a_head_that_the_hub_would_refuse_is_refused():
    good = DatasetCard(render_card(facts())).data.to_dict()
    check_head(good)
    for field, value in (
        ("license", "mine"),
        ("license_name", "of no other license"),
        ("language", ["English"]),
        ("annotations_creators", ["me"]),
        ("configs", []),
    ):
        with pytest.raises(PublishRefused, match=field):
            check_head({**good, field: value})


def test_who_wrote_it():
    assert (
        who(Provenance(writer="model", model="embedded", revision="sha256:0123456789abcdef"))
        == "embedded @ 0123456789ab"
    )
    assert who(Provenance(writer="human")) == "people"
    edits = Provenance(writer="human", base="recap-short", edits=3)
    assert who(edits) == "recap-short, 3 captions of it edited by people"


@pytest.mark.parametrize(
    ("rows", "name"),
    [(999, "n<1K"), (1000, "1K<n<10K"), (10**6, "1M<n<10M"), (10**12 - 1, "100B<n<1T"), (10**12, "n>1T")],
)
def test_size_categories(rows, name):
    assert size_category(rows) == name


def test_licenses():
    assert check_license("CC-BY-4.0") == "cc-by-4.0"
    with pytest.raises(PublishRefused, match="has no license"):
        check_license(None)
    with pytest.raises(PublishRefused, match="write other:NAME"):
        check_license("zzzzzz")


def test_a_license_of_ones_own_has_a_name():
    assert check_license(" Other:Lab-1.0 ") == "other:Lab-1.0"
    assert check_license("other:lab,https://lab.example/l") == "other:lab,https://lab.example/l"
    for wrong in (
        "other",
        "other:",
        "other:my license",
        "other:lab,LICENSE",
        "other:lab,https://a b",
        "other:a: b",
    ):
        with pytest.raises(PublishRefused, match="does not say which: write other:NAME"):
            check_license(wrong)


@pytest.mark.parametrize(
    ("license", "fields"),
    [
        ("mit", {"license": "mit"}),
        ("other:Lab-1.0", {"license": "other", "license_name": "Lab-1.0"}),
        (
            "other:lab,https://lab.example/l",
            {"license": "other", "license_name": "lab", "license_link": "https://lab.example/l"},
        ),
    ],
)
def test_the_head_names_the_license_as_the_hub_reads_it(license, fields):
    manifest = replace(facts().manifest, license=license)
    data = DatasetCard(render_card(facts(manifest=manifest))).data.to_dict()
    assert {name: each for name, each in data.items() if name.startswith("license")} == fields


def test_no_name_of_a_column_becomes_markup():
    names = (
        "plain-name_1",
        "a`b",
        "x\n\n# Heading",
        "<script>alert(1)</script>",
        "![x](http://e)",
        "a|b",
        "\x1b[2J",
    )
    columns = [*RECORD_SCHEMA, *(pa.field(name, pa.string()) for name in names)]
    config = ConfigFacts(features=features(columns, image=True), rows=6, size=100)
    manifest = replace(facts().manifest, columns=names)
    card = render_card(facts(manifest=manifest, configs={"default": config}))
    body = DatasetCard(card).text
    html = MarkdownIt("commonmark", {"html": True}).render(body)
    assert "<h1>Heading" not in html
    assert "<script" not in html
    assert "<img" not in html
    assert "\x1b" not in card
    assert "`plain-name_1`, <code>a&#96;b</code>" in body
    read = DatasetCard(card).data.to_dict()["dataset_info"]["features"]
    assert [each["name"] for each in read[-len(names) :]] == list(names)
