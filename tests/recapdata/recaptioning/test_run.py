"""The run: nothing lost, nothing twice, the same bytes after any interruption."""

import multiprocessing
import os
import random
import shutil
import signal
import time
from pathlib import Path

import pyarrow as pa
import pytest
import torch

from recapdata import captioners
from recapdata.captioners import CaptionerOptions
from recapdata.dataset.folder import DatasetFolder, hold
from recapdata.dataset.journal import Journal, replay
from recapdata.dataset.shards import ShardWriter
from recapdata.dataset.writing import writing
from recapdata.errors import (
    CaptionSetExists,
    CaptionSetNotFound,
    ColumnNotFound,
    DatasetBusy,
    DatasetDamaged,
    DatasetEmpty,
    InputError,
    ModelNotSupported,
    OptionError,
)
from recapdata.recaptioning import RecaptionSummary, RunOptions, recaption, recorder
from recapdata.records import Caption, image_key
from tests import scripted
from tests.builders import build_dataset, noise_jpeg, png
from tests.vlms import save_vlm
from tests.waiting import until

ROWS = 22  # shards of 10, 10 and 2
KILLS = int(os.environ.get("RECAPDATA_TEST_KILLS", "4"))
"""SIGKILLs of a run; more of them find more, and take longer."""


@pytest.fixture(autouse=True)
def _scripted(monkeypatch):
    monkeypatch.setitem(captioners.CAPTIONERS, "scripted", "tests.scripted:open_scripted")


@pytest.fixture
def folder(tmp_path) -> DatasetFolder:
    return build_dataset(tmp_path / "set", rows=ROWS, shard_rows=10, row_group_rows=4)


def red(row: int) -> int:
    return row * 37 % 256


def said(row: int, prompt: str = "short") -> str:
    return f"{prompt} {red(row)} 0 {row}"


def key(row: int) -> str:
    return image_key(png(row))


def caption(folder: DatasetFolder, *, style: str = "short", revision: str | None = None, **run):
    return recaption(
        folder.path,
        "recap",
        captioner="scripted:me/model",
        options=CaptionerOptions(style=style, revision=revision),
        run=RunOptions(**{"workers": 0, **run}),
    )


def rows(folder: DatasetFolder) -> list[dict]:
    return [row for shard in folder.shards() for row in folder.read_captions("recap", shard).to_pylist()]


def contents(folder: DatasetFolder) -> dict[str, bytes]:
    root = folder.path / "captions" / "recap"
    return {path.name: path.read_bytes() for path in sorted(root.iterdir())}


def captioned() -> int:
    """Images that the captioner of the last run was given."""
    return sum(scripted.opened[-1].sizes)


# -- a whole run --------------------------------------------------------------------------------------------------------


def test_every_record_gets_its_caption_in_the_order_of_the_images(folder):
    summary = caption(folder)
    assert [row["key"] for row in rows(folder)] == [key(row) for row in range(ROWS)]
    assert [row["caption"] for row in rows(folder)] == [said(row) for row in range(ROWS)]
    assert {row["set"] for row in rows(folder)} == {"recap"}
    assert (summary.records, summary.captions, summary.failures, summary.lacking) == (ROWS, ROWS, 0, 0)
    assert (summary.done, summary.complete) == (ROWS, True)
    assert sorted(contents(folder)) == [f"train-{shard:05d}.parquet" for shard in range(3)]


def test_manifest_says_who_wrote_the_set(folder):
    caption(folder, style="What is this?", batch_size=3)
    provenance = folder.manifest.sets["recap"]
    assert list(folder.manifest.sets) == ["alt", "recap"]
    assert (provenance.writer, provenance.model, provenance.revision) == ("model", "me/model", "1")
    assert (provenance.prompt, provenance.batch_size, provenance.dtype) == ("What is this?", 3, "float32")
    assert provenance.date.endswith("Z")


def test_the_same_command_again_does_nothing(folder):
    caption(folder)
    before, date = contents(folder), folder.manifest.sets["recap"].date
    summary = caption(folder)
    assert (summary.done, summary.complete) == (0, True)
    assert contents(folder) == before
    assert folder.manifest.sets["recap"].date == date
    assert "nothing to do" in summary.text()


def test_an_empty_dataset_has_nothing_to_caption(tmp_path):
    folder = DatasetFolder.create(tmp_path / "empty")
    with pytest.raises(DatasetEmpty, match="holds no records"):
        caption(folder)


def test_appended_shards_are_captioned_by_the_same_command(folder, tmp_path):
    caption(folder)
    before = contents(folder)
    more = build_dataset(tmp_path / "more", images=[png(row) for row in range(100, 105)], shard_rows=5)
    shutil.copy(more.image_shard(0), folder.image_shard(3))
    summary = caption(folder)
    assert (summary.done, summary.records) == (5, ROWS + 5)
    assert {name: contents(folder)[name] for name in before} == before


@pytest.mark.parametrize("workers", [1, 2])
def test_captions_do_not_depend_on_the_number_of_workers(folder, tmp_path, workers):
    other = DatasetFolder(shutil.copytree(folder.path, tmp_path / "other"))
    caption(folder)
    caption(other, workers=workers)
    assert contents(folder) == contents(other)


# -- interruptions ------------------------------------------------------------------------------------------------------


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("after", [0, 1, 3, 5])
def test_a_run_goes_on_from_its_last_finished_batch(folder, tmp_path, monkeypatch, after):
    other = DatasetFolder(shutil.copytree(folder.path, tmp_path / "other"))
    caption(folder)
    write, batches = Journal.batch, []

    def stop(self, keys, captions):
        if len(batches) == after:
            raise Interrupted
        batches.append(keys)
        write(self, keys, captions)

    monkeypatch.setattr(Journal, "batch", stop)
    with pytest.raises(Interrupted):
        caption(other)
    monkeypatch.undo()
    monkeypatch.setitem(captioners.CAPTIONERS, "scripted", "tests.scripted:open_scripted")
    caption(other)
    assert captioned() == ROWS - sum(map(len, batches))
    assert contents(folder) == contents(other)


def test_crash_between_a_shard_and_its_journal_costs_nothing(folder, tmp_path):
    caption(folder)
    before = contents(folder)
    with Journal(folder.journal("recap", 1)) as journal:
        keys = folder.read_keys(1)
        journal.batch(
            keys, [Caption(caption=said(10 + row), finish_reason="stop", tokens=4) for row in range(10)]
        )
    assert caption(folder).done == 0
    assert contents(folder) == before


def _run_in_child(folder: str, model: str) -> None:
    recaption(
        folder,
        "recap",
        captioner=model,
        options=CaptionerOptions(max_tokens=8, temperature=1.0),
        run=RunOptions(batch_size=4, workers=1),
    )


def test_killed_at_random_moments_it_ends_with_the_same_bytes(tmp_path):
    """SIGKILL of the whole process, with a real model that samples and a decoding process beside it."""
    model = str(save_vlm("paligemma", tmp_path / "model"))
    folder = build_dataset(tmp_path / "set", rows=12 * KILLS, shard_rows=25, row_group_rows=10, sets=())
    whole = DatasetFolder(shutil.copytree(folder.path, tmp_path / "whole"))
    _run_in_child(str(whole.path), model)

    dice = random.Random(0)
    fork = multiprocessing.get_context("fork")
    kills = 0
    while kills < KILLS:
        child = fork.Process(target=_run_in_child, args=(str(folder.path), model))
        child.start()
        before, wanted = _progress(folder), dice.randint(0, 2)
        while child.is_alive() and _progress(folder) < before + wanted:
            time.sleep(0.002)
        time.sleep(dice.random() * 0.05)
        if not child.is_alive():
            assert child.exitcode == 0
            break
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        kills += 1
        until(lambda: _is_free(folder))  # the decoding process sees that it is an orphan
    assert kills >= 3
    _run_in_child(str(folder.path), model)
    assert contents(folder) == contents(whole)


def _is_free(folder: DatasetFolder) -> bool:
    """Whether no process holds the folder."""
    try:
        with hold(folder.path):
            return True
    except DatasetBusy:
        return False


def _progress(folder: DatasetFolder) -> int:
    """Finished batches on disk."""
    root = folder.path / "captions" / "recap"
    finished = 0
    for shard in folder.shards():
        try:
            finished += (
                100
                if folder.caption_shard("recap", shard).exists()
                else folder.journal("recap", shard).read_bytes().count(b"\n")
            )
        except FileNotFoundError:
            continue
    return finished if root.exists() else 0


def test_full_disk_stops_with_a_word_and_goes_on_later(folder, monkeypatch):
    write = Journal.batch

    def full(self, keys, captions):
        if key(5) in keys:
            raise OSError(28, "No space left on device")
        write(self, keys, captions)

    monkeypatch.setattr(Journal, "batch", full)
    with pytest.raises(recorder.DiskFull, match=r"no space left .*same command goes on"):
        caption(folder)
    monkeypatch.setattr(Journal, "batch", write)
    assert caption(folder).complete
    assert [row["caption"] for row in rows(folder)] == [said(row) for row in range(ROWS)]


# -- failures -----------------------------------------------------------------------------------------------------------


def test_failed_images_keep_their_error_and_are_retried_alone(folder, monkeypatch):
    monkeypatch.setenv("SCRIPTED_REFUSES", f"{red(3)},{red(12)}")
    summary = caption(folder)
    assert (summary.captions, summary.failures, summary.complete) == (ROWS - 2, 2, False)
    assert summary.failures_by_type == {"ValueError": 2}
    assert "--retry-failed" in summary.text()
    failed = [row for row in rows(folder) if row["error"]]
    assert [(row["key"], row["caption"]) for row in failed] == [(key(3), None), (key(12), None)]
    assert failed[0]["error"] == "ValueError: the model refuses"
    untouched = contents(folder)["train-00002.parquet"]

    assert caption(folder).done == 0  # a plain run leaves failures as they are
    monkeypatch.setenv("SCRIPTED_REFUSES", str(red(12)))
    summary = caption(folder, retry_failed=True)
    assert (captioned(), summary.done, summary.failures) == (2, 2, 1)
    monkeypatch.delenv("SCRIPTED_REFUSES")
    summary = caption(folder, retry_failed=True)
    assert (summary.done, summary.complete) == (1, True)
    assert [row["caption"] for row in rows(folder)] == [said(row) for row in range(ROWS)]
    assert contents(folder)["train-00002.parquet"] == untouched
    assert caption(folder, retry_failed=True).done == 0


def test_interrupted_retry_is_finished_by_either_command(folder, monkeypatch):
    monkeypatch.setenv("SCRIPTED_REFUSES", f"{red(3)},{red(4)},{red(15)}")
    caption(folder, batch_size=1)
    monkeypatch.delenv("SCRIPTED_REFUSES")
    before = contents(folder)
    write, batches = Journal.batch, []

    def stop(self, keys, captions):
        if batches:
            raise Interrupted
        batches.append(keys)
        write(self, keys, captions)

    monkeypatch.setattr(Journal, "batch", stop)
    with pytest.raises(Interrupted):
        caption(folder, batch_size=1, retry_failed=True)
    monkeypatch.setattr(Journal, "batch", write)
    shards = {name: content for name, content in contents(folder).items() if not name.startswith(".")}
    assert shards == before  # a shard changes only whole
    summary = caption(folder, batch_size=1)
    assert summary.done == 1  # of the first shard; the retry had not come to the others
    assert caption(folder, batch_size=1, retry_failed=True).done == 1
    assert [row["caption"] for row in rows(folder)] == [said(row) for row in range(ROWS)]


def test_a_model_that_fails_on_everything_stops_the_run(folder, monkeypatch):
    monkeypatch.setenv("SCRIPTED_REFUSES", ",".join(str(red(row)) for row in range(ROWS)))
    with pytest.raises(ModelNotSupported, match=r"3 batches in a row.*the model refuses"):
        caption(folder)
    assert "recap" not in folder.manifest.sets
    monkeypatch.delenv("SCRIPTED_REFUSES")
    assert caption(folder, style="long").complete


def test_few_images_that_all_fail_are_failures(tmp_path, monkeypatch):
    folder = build_dataset(tmp_path / "set", rows=2)
    monkeypatch.setenv("SCRIPTED_REFUSES", f"{red(0)},{red(1)}")
    summary = caption(folder)
    assert (summary.records, summary.captions, summary.failures) == (2, 0, 2)


def test_memory_that_did_not_suffice_is_reported(folder, monkeypatch):
    monkeypatch.setenv("SCRIPTED_FITS", "2")
    summary = caption(folder)
    assert summary.complete
    assert summary.largest_batch == 2
    assert "2 at a time" in summary.text()
    assert folder.manifest.sets["recap"].batch_size == 4


@pytest.mark.parametrize("workers", [0, 1])
def test_captions_are_the_same_where_memory_does_not_suffice(tmp_path, monkeypatch, workers):
    """A real model that samples, whose accelerator holds three images at once."""
    from transformers import GenerationMixin

    model = str(save_vlm("paligemma", tmp_path / "model"))
    images = [noise_jpeg(row, (40, 30 + row)) for row in range(14)]
    folder = build_dataset(tmp_path / "set", images=images, shard_rows=10, sets=())
    roomy = DatasetFolder(shutil.copytree(folder.path, tmp_path / "roomy"))

    def run(where: DatasetFolder) -> RecaptionSummary:
        return recaption(
            where.path,
            "recap",
            captioner=model,
            options=CaptionerOptions(max_tokens=8, temperature=1.0),
            run=RunOptions(batch_size=7, workers=workers),
        )

    assert run(roomy).largest_batch is None
    generate, sizes = GenerationMixin.generate, []

    def cramped(self, *args, **kwargs):
        sizes.append(len(kwargs["input_ids"]))
        if sizes[-1] > 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return generate(self, *args, **kwargs)

    monkeypatch.setattr(GenerationMixin, "generate", cramped)
    summary = run(folder)
    assert contents(folder) == contents(roomy)
    # Batches of 7, 3 and 4: only the first is tried whole, the last is cut to what is known to fit.
    assert sizes == [7, 3, 3, 1, 3, 3, 1]
    assert (summary.failures, summary.largest_batch) == (0, 3)
    assert "batches of 7 did not fit and were captioned 3 at a time" in summary.text()
    assert folder.manifest.sets["recap"].batch_size == 7


# -- existing sets ------------------------------------------------------------------------------------------------------


def test_a_set_made_otherwise_is_never_overwritten_unasked(folder):
    caption(folder)
    before = contents(folder)
    with pytest.raises(CaptionSetExists, match=r"prompt was short, now long.*--overwrite"):
        caption(folder, style="long")
    with pytest.raises(CaptionSetExists, match="batch size was 4, now 5"):
        caption(folder, batch_size=5)
    assert contents(folder) == before
    summary = caption(folder, style="long", overwrite=True)
    assert summary.done == ROWS
    assert rows(folder)[0]["caption"] == said(0, "long")
    assert (
        caption(folder, style="long", overwrite=True).done == 0
    )  # the same command again goes on, it does not start over


def test_an_imported_set_is_never_overwritten_unasked(folder):
    with pytest.raises(CaptionSetExists, match="it is a web set from column alt"):
        recaption(folder.path, "alt", captioner="scripted")


def test_revision_of_a_set_under_way_does_not_move(folder):
    caption(folder, revision="f00")
    assert caption(folder).provenance.revision == "f00"
    with pytest.raises(CaptionSetExists, match="revision was f00, now beef"):
        caption(folder, revision="beef")


def test_a_model_folder_that_moved_is_still_the_same_model(folder):
    here = {"options": CaptionerOptions(revision="sha256:f00"), "run": RunOptions(workers=0)}
    recaption(folder.path, "recap", captioner="scripted:here/model", **here)
    assert recaption(folder.path, "recap", captioner="scripted:/there/model", **here).done == 0
    assert folder.manifest.sets["recap"].model == "here/model"


def test_other_library_versions_are_kept_beside(folder, monkeypatch):
    caption(folder, limit=5)
    monkeypatch.setenv("SCRIPTED_VERSION", "1.1")
    assert caption(folder).complete
    assert folder.manifest.sets["recap"].libraries == {"scripted": "1.0, 1.1"}


@pytest.mark.parametrize("name", ["Recap", "a b", "", "../x", "_x"])
def test_names_that_no_column_could_have_are_refused(folder, name):
    with pytest.raises(OptionError, match="cannot name a caption set"):
        recaption(folder.path, name, captioner="scripted")


def test_names_of_columns_are_refused(tmp_path):
    folder = build_dataset(tmp_path / "set", rows=2, columns={"alt_text": pa.array(["a", "b"])})
    for name in ("alt_text", "key", "objects"):
        with pytest.raises(OptionError, match="is a column of"):
            recaption(folder.path, name, captioner="scripted")


def test_one_writer_at_a_time(folder):
    with writing(folder), pytest.raises(DatasetBusy):
        caption(folder)


# -- parts of a dataset -------------------------------------------------------------------------------------------------


def test_a_pilot_is_a_sample_over_all_shards_that_the_full_run_keeps(folder):
    summary = caption(folder, limit=11)
    assert (summary.done, summary.captions, summary.lacking, summary.complete) == (11, 11, 11, True)
    assert [len(replay(folder.journal("recap", shard)).captions) for shard in range(3)] == [5, 5, 1]
    assert "the other 11 images would take about" in summary.text()
    assert caption(folder, limit=11).done == 0
    assert caption(folder, limit=14).done == 3
    full = caption(folder)
    assert (full.done, full.lacking) == (8, 0)
    assert [row["caption"] for row in rows(folder)] == [said(row) for row in range(ROWS)]


def test_only_the_keys_asked_for(folder, tmp_path):
    path = tmp_path / "keys.txt"
    path.write_text(f"{key(3)}\n{key(21)}\n")
    summary = caption(folder, keys=path)
    assert (summary.done, summary.lacking, summary.complete) == (2, ROWS - 2, True)
    assert set(replay(folder.journal("recap", 0)).captions) == {key(3)}
    assert caption(folder).done == ROWS - 2


def test_a_list_of_keys_may_come_from_windows(folder, tmp_path):
    path = tmp_path / "keys.txt"
    path.write_bytes(f"\ufeff{key(3)}\r\n{key(21)}\r\n".encode())
    summary = caption(folder, keys=path)
    assert (summary.done, summary.lacking) == (2, ROWS - 2)


def test_keys_that_cannot_be_used_are_named(folder, tmp_path):
    path = tmp_path / "keys.txt"
    path.write_text(f"{key(3)}\n{'0' * 64}\n")
    with pytest.raises(InputError, match=r"1 of 2 keys are not in .*0000"):
        caption(folder, keys=path)
    path.write_text("dog.jpg\n")
    with pytest.raises(InputError, match=r"line 1 is no key: 'dog\.jpg'"):
        caption(folder, keys=path)
    with pytest.raises(InputError, match="cannot be read"):
        caption(folder, keys=tmp_path / "none.txt")


@pytest.mark.parametrize(
    ("run", "named"),
    [
        ({"limit": 0}, "--limit"),
        ({"batch_size": 0}, "--batch-size"),
        ({"workers": -1}, "--workers"),
        ({"limit": 3, "retry_failed": True}, "--limit and --retry-failed"),
        ({"keys": Path("x"), "retry_failed": True}, "--keys and --retry-failed"),
    ],
)
def test_options_that_mean_nothing_are_refused(run, named):
    with pytest.raises(OptionError, match=named):
        RunOptions(**run)


def test_nothing_failed_where_there_is_no_set(folder):
    with pytest.raises(CaptionSetNotFound, match="leave out --retry-failed"):
        caption(folder, retry_failed=True)


def test_a_caption_shard_of_other_rows_is_named(folder):
    caption(folder)
    with ShardWriter(folder.caption_shard("recap", 0), folder.read_captions("recap", 0).schema) as writer:
        writer.write(folder.read_captions("recap", 1).slice(0, 3))
    with pytest.raises(DatasetDamaged, match="has 3 rows, its image shard 10"):
        caption(folder)


# -- prompts of their own -----------------------------------------------------------------------------------------------


def test_a_prompt_that_names_no_column_is_told_which_there_are(folder):
    with pytest.raises(
        ColumnNotFound, match=r"no column or caption set 'title'.*it has source, license, width, height, alt"
    ):
        caption(folder, style="Call it {title}.")
    for name in ("image", "key", "objects"):
        with pytest.raises(ColumnNotFound, match="that a prompt could hold"):
            caption(folder, style=f"{{{name}}}")
    assert list(folder.manifest.sets) == ["alt"]


@pytest.mark.parametrize("workers", [0, 1])
def test_each_picture_is_prompted_with_its_own_row(tmp_path, monkeypatch, workers):
    """Whatever batches, retries and halved batches do to the order."""
    monkeypatch.setitem(captioners.CAPTIONERS, "scripted", "tests.scripted:open_prompted")
    monkeypatch.setenv("SCRIPTED_FITS", "3")
    monkeypatch.setenv("SCRIPTED_REFUSES", str(red(5)))
    folder = build_dataset(
        tmp_path / "set",
        rows=ROWS,
        shard_rows=10,
        row_group_rows=4,
        columns={"alt_text": pa.array([f"alt {row}" for row in range(ROWS)])},
    )
    summary = caption(folder, style="{alt_text} {width}", batch_size=7, workers=workers)
    assert summary.failures == 1
    monkeypatch.delenv("SCRIPTED_REFUSES")
    caption(folder, style="{alt_text} {width}", batch_size=7, workers=workers, retry_failed=True)
    assert [row["caption"] for row in rows(folder)] == [
        f'"alt {row}" 8 {red(row)} 0 {row}' for row in range(ROWS)
    ]
