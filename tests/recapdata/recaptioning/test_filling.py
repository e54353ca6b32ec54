"""A recaptioned selection: the rows that were not chosen hold the words of the base set, and say so."""

import pytest

from recapdata.captioners import CaptionerOptions
from recapdata.dataset.folder import DatasetFolder
from recapdata.dataset.writing import note_sets
from recapdata.errors import CaptionSetExists, CaptionSetNotFound, ColumnNotFound, OptionError
from recapdata.publishing.card import who
from recapdata.recaptioning import RunOptions, recaption
from recapdata.records import Manifest
from tests.builders import write_captions
from tests.recapdata.recaptioning.test_where import ALT, _scripted, folder  # noqa: F401
from tests.scripted import REFUSES

WRONG = "alt: contradicted > 0"
"""True of rows 0 and 3, by the audit that `audit` writes."""


def fix(folder, style="look:", set_name="fixed", **options):  # noqa: F811
    return recaption(
        folder.path,
        set_name,
        captioner="scripted",
        options=CaptionerOptions(style=style),
        run=RunOptions(workers=0, **options),
    )


def rows_of(folder: DatasetFolder, set_name="fixed"):  # noqa: F811
    return [row for shard in folder.shards() for row in folder.read_captions(set_name, shard).to_pylist()]


def content(folder: DatasetFolder):  # noqa: F811
    return [folder.caption_shard("fixed", shard).read_bytes() for shard in folder.shards()]


def test_what_is_not_chosen_keeps_the_words_of_the_base(folder):  # noqa: F811
    summary = fix(folder, where=WRONG)
    rows = rows_of(folder)
    assert [row["origin"] for row in rows] == [None, "alt", "alt", None, "alt", "alt"]
    assert [row["caption"] for row in rows] == ["look: 0 0 0", ALT[1], None, "look: 111 0 3", ALT[4], ALT[5]]
    assert [row["finish_reason"] for row in rows] == ["stop", "import", None, "stop", "import", "import"]
    assert rows[2]["error"] == "Refused: built to fail"  # alt has none of it either
    assert (summary.captions, summary.filled, summary.failures, summary.lacking) == (5, 3, 1, 0)
    assert "2 written, 3 of alt" in summary.text()
    provenance = folder.manifest.sets["fixed"]
    assert (provenance.base, provenance.edits) == ("alt", 2)
    assert who(provenance) == "scripted @ 1; where it wrote none, alt"


def test_more_is_captioned_over_the_base_and_nothing_twice(folder):  # noqa: F811
    fix(folder, where=WRONG)
    before = content(folder)
    assert (fix(folder, where=WRONG).done, content(folder)) == (0, before)
    assert fix(folder, where="alt: words > 1").done == 1  # row 1; 0 and 3 are there
    assert [row["origin"] for row in rows_of(folder)] == [None, None, "alt", None, "alt", "alt"]
    whole = fix(folder)
    assert (whole.done, whole.filled, whole.captions, whole.failures) == (2, 0, 5, 1)
    assert fix(folder, retry_failed=True).captions == 6
    assert [row["origin"] for row in rows_of(folder)] == [None] * 6


def test_an_interruption_leaves_the_same_bytes(folder, monkeypatch):  # noqa: F811
    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("recapdata.recaptioning.run.fill", stop)
        with pytest.raises(KeyboardInterrupt):
            fix(folder, where=WRONG)
    assert fix(folder, where=WRONG).done == 0
    interrupted = content(folder)
    fix(folder, where=WRONG, overwrite=True, style="other:")
    fix(folder, where=WRONG, overwrite=True)
    assert content(folder) == interrupted


def test_what_failed_is_a_failure_and_not_filled(folder, monkeypatch):  # noqa: F811
    monkeypatch.setenv(REFUSES, "0")
    summary = fix(folder, where=WRONG)
    assert (summary.captions, summary.failures) == (4, 2)
    assert rows_of(folder)[0]["error"] == "ValueError: the model refuses"
    assert summary.first_error == "ValueError: the model refuses"
    monkeypatch.setenv(REFUSES, "")
    assert fix(folder, retry_failed=True).failures == 0


def test_a_base_that_changed_is_taken_over_anew(folder):  # noqa: F811
    fix(folder, where=WRONG)
    write_captions(folder, "alt", 1, folder.read_keys(1), ["ship", "sea"])
    fix(folder, keys=keys_file(folder, 0))
    assert [row["caption"] for row in rows_of(folder)][4:] == ["ship", "sea"]


def keys_file(folder, row):  # noqa: F811
    path = folder.path.parent / "keys.txt"
    path.write_text(folder.read_keys(0)[row] + "\n")
    return path


def test_fill_names_another_set_or_none(folder):  # noqa: F811
    summary = fix(folder, keys=keys_file(folder, 1), fill="alt")
    assert (summary.captions, summary.filled, summary.lacking) == (5, 4, 0)
    gaps = fix(folder, set_name="gaps", where=WRONG, fill="none")
    assert (gaps.captions, gaps.lacking, folder.manifest.sets["gaps"].base) == (2, 4, None)
    assert fix(folder, set_name="gaps", where=WRONG, fill="alt").lacking == 0
    with pytest.raises(CaptionSetNotFound, match=r"--fill altt: .*did you mean alt\?"):
        fix(folder, keys=keys_file(folder, 1), fill="altt")
    with pytest.raises(OptionError, match="--fill fixed: it is 'fixed', or made of it"):
        fix(folder, keys=keys_file(folder, 1), fill="fixed")
    with pytest.raises(CaptionSetExists, match="base was alt, now gaps"):
        fix(folder, keys=keys_file(folder, 1), fill="gaps")


def test_the_base_stays_while_a_set_is_made_of_it(folder):  # noqa: F811
    fix(folder, where=WRONG)
    with pytest.raises(OptionError, match=r"'fixed' .* is 'alt' with some captions written anew"):
        note_sets(folder, ["alt"])
    assert Manifest.from_dict(folder.manifest.to_dict()) == folder.manifest


def test_a_mistyped_condition_is_said_before_the_captioner_is_opened(folder):  # noqa: F811
    for where in ("alt: contradictd > 0", "atl: words > 0"):
        with pytest.raises((CaptionSetNotFound, ColumnNotFound), match=r"did you mean (contradicted|alt)"):
            recaption(folder.path, "fixed", captioner="no.such:thing", run=RunOptions(where=where))
