"""What people wrote into a card, and what becomes of it in the next version."""

import re
from dataclasses import replace

import pytest
from huggingface_hub.repocard import DatasetCard

from recapdata.errors import PublishRefused
from recapdata.publishing.card import render_card
from recapdata.publishing.card_edits import CardEdits, find_edits, merge_card
from recapdata.versions.contents import Release
from tests.recapdata.publishing.test_card import facts

OWN = "## How we collected it\n\nBy hand, in May."


def card(version: str = "1.1.0", edits: CardEdits = CardEdits()) -> str:  # noqa: B008
    made = facts()
    history = (*made.contents.history[:1], Release(version=version, date="2026-03-01", changes=("rows",)))
    return merge_card(
        render_card(
            replace(
                made,
                manifest=replace(made.manifest, version=version),
                contents=replace(made.contents, history=history),
            )
        ),
        edits,
    )


def without_markers(text: str) -> str:
    return re.sub(r"<!-- recapdata:.*?-->\n", "", text)


FIRST = card()
BEFORE_LOAD = ("## Load this version", f"{OWN}\n\n## Load this version")


@pytest.mark.parametrize(
    "edited",
    [
        FIRST.replace(*BEFORE_LOAD),
        FIRST.replace(*BEFORE_LOAD).replace("\n", "\r\n"),
        "\ufeff" + FIRST.replace(*BEFORE_LOAD),
        FIRST.replace("<!-- recapdata:begin load -->", f"{OWN}\n\n<!-- recapdata:begin load -->"),
        FIRST.replace("## Changelog\n", f"## Changelog\n\n{OWN}\n\n"),  # within a section
        FIRST.replace(
            "earlier version has already brought", f"\n{OWN}\n\nearlier version has already brought"
        ),
        FIRST + f"\n{OWN}\n",
        FIRST.replace("---\n\n<!--", f"---\n\n{OWN}\n\n<!--", 1),
        without_markers(FIRST.replace(*BEFORE_LOAD)),
    ],
    ids=["section", "crlf", "bom", "outside", "changelog", "split", "end", "top", "markers-deleted"],
)
def test_own_text_stays_for_every_later_version(edited):
    edits = find_edits(edited, FIRST)
    assert edits.kept == ["## How we collected it"]
    assert edits.lost == ()
    second = card("1.2.0", edits)
    assert second.count(OWN) == 1
    assert without_markers(second).replace(OWN, "").split() == without_markers(card("1.2.0")).split()
    third = card("1.3.0", find_edits(second, second))
    assert third == second.replace("1.2.0", "1.3.0")


def test_own_text_stays_where_it_was():
    second = card("1.2.0", find_edits(FIRST.replace(*BEFORE_LOAD), FIRST))
    assert re.findall(r"^## .*", second, re.MULTILINE)[:3] == [
        "## How we collected it",
        "## Load this version",
        "## Caption sets",
    ]


def test_a_card_of_an_earlier_recapdata_has_no_markers():
    old = without_markers(FIRST)
    edits = find_edits(old.replace(*BEFORE_LOAD), old)
    assert (edits.kept, edits.lost) == (["## How we collected it"], ())
    assert card("1.2.0", edits) == card("1.2.0", find_edits(FIRST.replace(*BEFORE_LOAD), FIRST))


def test_what_is_written_over_is_named():
    edited = FIRST.replace("title  = {me/my\\_birds}", "title  = {My birds}").replace(
        "Every version is a tag, and a tag never changes.", "Every version is a tag and a tag never changes!"
    )
    edited = edited.replace("license: cc-by-4.0", "license: mit # as agreed")
    edited = re.sub(r"## Audit.*?(?=<!-- recapdata:end audit)", "", edited, flags=re.DOTALL)
    lost = "\n".join(find_edits(edited, FIRST).lost)
    for words in (
        "the edited line 'title = {My birds},' is written anew (section citation)",
        "Every version is a tag and a tag never changes!",
        "the deleted line '## Audit' comes back (section audit)",
        "license: mit in its head follows from the version",
    ):
        assert words in lost
    gone = re.sub(r"<!-- recapdata:begin audit.*?end audit -->\n", "", FIRST, flags=re.DOTALL)
    assert find_edits(gone, FIRST).lost == ("section 'audit' was taken out and comes back",)


def test_metadata_of_ones_own_stays_for_every_later_version():
    edited = FIRST.replace("---\n", "---\nextra_gated_prompt: Ask Ann.\npaperswithcode_id: birds\n", 1)
    edited = edited.replace("- en\n", "- de\n").replace("pretty_name: my_birds", "pretty_name: Ann's birds")
    edited = edited.replace("- captions\n", "- birds\n")
    edited = edited.replace("configs:\n", "configs:\n- config_name: notes\n  data_files: data/notes.csv\n")
    edits = find_edits(edited, FIRST)
    assert edits.lost == ()
    assert set(edits.kept) == {
        *("extra_gated_prompt", "paperswithcode_id", "pretty_name", "language", "tags", "configs of notes"),
    }
    second = card("1.2.0", edits)
    third = card("1.3.0", find_edits(second, second))
    for text in (second, third):
        head = DatasetCard(text).data.to_dict()
        assert (head["extra_gated_prompt"], head["paperswithcode_id"]) == ("Ask Ann.", "birds")
        assert (head["pretty_name"], head["language"]) == ("Ann's birds", ["de"])
        assert head["tags"] == ["recapdata", "birds", "recaptioning"]
        assert [each["config_name"] for each in head["configs"]] == ["default", "captions", "notes"]
        assert head["license"] == "cc-by-4.0"


def test_a_card_from_before_the_first_version_stays_above_the_sections():
    own = "---\nlicense: mit\ntags: [birds]\nviewer: false\n---\n# My birds\n\nThey sing.\n"
    edits = find_edits(own, None)
    assert edits.kept == ["# My birds", "viewer", "tags"]
    assert edits.lost == ("license: mit in its head follows from the version and is written anew",)
    first = card("1.0.0", edits)
    assert first.index("They sing.") < first.index("<!-- recapdata:begin intro -->")
    assert DatasetCard(first).data.to_dict()["tags"] == ["birds", "recapdata", "captions", "recaptioning"]


def test_a_head_that_cannot_be_read_is_not_written_over():
    with pytest.raises(PublishRefused, match=r"head of README\.md .* cannot be read"):
        find_edits(FIRST.replace("license:", "a: [\nlicense:"), FIRST)


def test_nothing_written_changes_nothing():
    assert find_edits(FIRST, FIRST).kept == []
    assert card("1.2.0", find_edits(FIRST, FIRST)) == card("1.2.0")
    assert find_edits(None, None) == CardEdits()
