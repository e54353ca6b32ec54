"""Pictures of prompts: read, made, found again, and the same whatever the batch."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from recapdata.errors import DatasetDamaged, InputError, OptionError, RecapdataError
from recapdata.models.sources import resolve_model
from recaptrain.diffusion.base import load_pipeline
from recaptrain.diffusion.conditioning import encode, tokenize
from recaptrain.diffusion.windows import windows
from recaptrain.generation.generate import generate
from recaptrain.generation.prompts import derived_seed, read_prompts
from recaptrain.generation.settings import GenerateSettings
from tests.builders import build_dataset, png
from tests.recaptrain.pipelines import build_pipeline

QUICK = GenerateSettings(steps=2, guidance=2.0, batch_size=3)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(build_pipeline(tmp_path_factory.mktemp("model") / "tiny"))


def prompts_file(tmp_path, *lines, name="prompts.txt"):
    path = tmp_path / name
    path.write_text("\n".join(lines), encoding="utf8")
    return path


def test_lines_are_prompts(tmp_path):
    prompts = read_prompts(prompts_file(tmp_path, "a cat", "", "  two\u2028dogs "), 0)
    assert [(each.id, each.prompt) for each in prompts] == [("00000", "a cat"), ("00001", "two\u2028dogs")]
    assert prompts[0].seed == derived_seed(0, "00000") != prompts[1].seed


def test_rows_bring_ids_and_seeds(tmp_path):
    rows = ['{"prompt": "a cat", "id": "cat", "seed": 7}', '{"caption": "a dog"}']
    prompts = read_prompts(prompts_file(tmp_path, *rows, name="p.jsonl"), 0)
    assert [(each.id, each.prompt) for each in prompts] == [("cat", "a cat"), ("00001", "a dog")]
    assert prompts[0].seed == 7


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("p.txt", "\n \n", "holds no prompts"),
        ("p.jsonl", "{", "line 1: not JSON"),
        ("p.jsonl", '{"words": "x"}', "no text under any of prompt, prompts, caption, text"),
        ("p.jsonl", '{"prompt": "x", "id": "../x"}', "cannot name a file"),
        ("p.jsonl", '{"prompt": "x", "seed": "7"}', "seed '7'"),
        ("p.jsonl", '{"prompt": "x", "id": 1}\n{"prompt": "y", "id": "1"}', "id '1' comes twice"),
    ],
)
def test_prompts_that_cannot_be_used(tmp_path, name, text, said):
    with pytest.raises(InputError, match="p\\.") as error:
        read_prompts(prompts_file(tmp_path, text, name=name), 0)
    assert said in str(error.value)


def pixels(path):
    return np.asarray(Image.open(path), np.int16)


def test_an_interrupted_run_makes_the_same_pictures(tmp_path, model):
    prompts = prompts_file(tmp_path, "a red circle", "a blue star", "two green hearts")
    whole, parts, single = tmp_path / "whole", tmp_path / "parts", tmp_path / "single"
    summary = generate(model, prompts, whole, QUICK)
    assert (summary.made, summary.kept) == (3, 0)
    rows = [json.loads(line) for line in (whole / "metadata.jsonl").read_text(encoding="utf8").splitlines()]
    names = [row["file_name"] for row in rows]
    assert names == ["00000.png", "00001.png", "00002.png"]

    generate(model, prompts, parts, QUICK)
    (parts / names[1]).unlink()
    summary = generate(model, prompts, parts, QUICK)
    assert (summary.made, summary.kept) == (1, 2)
    generate(model, prompts, single, replace(QUICK, batch_size=1))
    for name in names:
        assert (whole / name).read_bytes() == (parts / name).read_bytes()
        assert np.abs(pixels(whole / name) - pixels(single / name)).max() <= 2  # another batch: rounding
    assert np.abs(pixels(whole / names[0]) - pixels(whole / names[1])).max() > 2


def test_a_changed_prompt_is_made_again_and_other_settings_are_refused(tmp_path, model):
    out = tmp_path / "out"
    generate(model, prompts_file(tmp_path, "a cat"), out, QUICK)
    assert generate(model, prompts_file(tmp_path, "a dog"), out, QUICK).made == 1
    with pytest.raises(OptionError, match=r"guidance: 2\.0 there, 3\.0 now"):
        generate(model, prompts_file(tmp_path, "a dog"), out, replace(QUICK, guidance=3.0))


def rows_of(out):
    return [json.loads(line) for line in (out / "metadata.jsonl").read_text(encoding="utf8").splitlines()]


def test_more_pictures_of_a_prompt_leave_the_first_as_it_was(tmp_path, model):
    prompts, out = prompts_file(tmp_path, "a red circle", "a blue star"), tmp_path / "out"
    generate(model, prompts, out, QUICK)
    first = (out / "00001.png").read_bytes()
    summary = generate(model, prompts, out, replace(QUICK, images_per_prompt=3))
    assert (summary.images, summary.kept, summary.made) == (6, 2, 4)
    assert [row["id"] for row in rows_of(out)] == [
        "00000",
        "00000-1",
        "00000-2",
        "00001",
        "00001-1",
        "00001-2",
    ]
    assert (out / "00001.png").read_bytes() == first != (out / "00001-1.png").read_bytes()


def test_pictures_need_a_folder(tmp_path):
    (tmp_path / "file").write_text("mine", encoding="utf8")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OptionError, match="file is a file; name a folder"):
            generate("embedded", tmp_path / "prompts.txt", out, GenerateSettings())


def test_a_limit_draws_prompts_by_their_names(tmp_path):
    prompts = prompts_file(tmp_path, *(f"{number} cats" for number in range(40)))
    few, more = (read_prompts(prompts, 0, limit=limit) for limit in (5, 10))
    assert len(few) == 5
    assert {each.id for each in few} < {each.id for each in more}


def test_captions_of_a_dataset_are_prompts_named_by_their_keys(tmp_path):
    folder = build_dataset(
        tmp_path / "ds", sets={"alt": ["a cat", None, "a dog"]}, images=[png(row) for row in range(3)]
    )
    keys = folder.read_keys(0)
    prompts = read_prompts(f"{folder.path}:alt", 0)
    assert [(each.id, each.prompt) for each in prompts] == [(keys[0], "a cat"), (keys[2], "a dog")]
    assert prompts[0].fields == {"key": keys[0], "set": "alt"}
    with pytest.raises(RecapdataError, match="no column 'lat'"):
        read_prompts(f"{folder.path}:lat", 0)


def test_what_a_person_asked_stands_beside_what_was_drawn(tmp_path, model):
    line = '{"prompt": "a fluffy cat on a mat", "original": "a cat", "tag": "one"}'
    generate(model, prompts_file(tmp_path, line, name="p.jsonl"), tmp_path / "out", QUICK)
    (row,) = rows_of(tmp_path / "out")
    assert (row["prompt"], row["original"]) == ("a fluffy cat on a mat", "a cat")
    assert json.loads(row["fields"]) == {"tag": "one"}
    made_with = json.loads((tmp_path / "out" / "generation.json").read_text())
    assert made_with["scheduler"]["class"] == "DDIMScheduler"
    assert made_with["steps"] == 2


LONG = "A red circle is left of a blue star. " * 6
"""More tokens than the text encoder reads."""


def drawn(tmp_path, model, name, *prompts, **changes):
    summary = generate(model, prompts_file(tmp_path, *prompts), tmp_path / name, replace(QUICK, **changes))
    return summary, {
        row["prompt"]: (pixels(tmp_path / name / row["file_name"]), row) for row in rows_of(tmp_path / name)
    }


def test_long_prompts_by_each_policy(tmp_path, model):
    end = LONG + "Three green hearts are below."
    summary, cut = drawn(tmp_path, model, "truncate", LONG, end, "a cat")
    assert (summary.over_length, summary.left_out) == (2, 0)
    assert [row["over_length"] for _, row in cut.values()] == [True, True, False]

    summary, whole = drawn(tmp_path, model, "chunks", LONG, end, "a cat", long_prompts="chunks")
    assert summary.images == 3
    assert np.abs(whole["a cat"][0] - cut["a cat"][0]).max() <= 2  # read in one window either way
    assert np.abs(whole[end.strip()][0] - cut[end.strip()][0]).max() > 2

    _, fitting = drawn(tmp_path, model, "sentences", end, long_prompts="sentences")
    read = fitting[end.strip()][1]["read"]
    assert end.startswith(read)
    assert read.endswith("star.")
    assert len(read) < len(end)

    summary, left = drawn(tmp_path, model, "drop", LONG, "a cat", long_prompts="drop")
    assert (summary.images, summary.left_out, list(left)) == (1, 1, ["a cat"])
    assert "1 of them left out" in summary.text()


def test_chunks_of_the_end_of_a_prompt_are_read(model):
    pipeline = load_pipeline(resolve_model(model, kind="diffusion"))
    texts = [LONG + "green", LONG + "brown"]
    ids = windows(pipeline.tokenizer, texts[0])
    assert len(ids) > 1
    assert {len(part) for part in ids} == {77}
    words = [token for part in ids for token in part[1 : part.index(pipeline.tokenizer.eos_token_id)]]
    assert words == pipeline.tokenizer(texts[0], add_special_tokens=False, verbose=False).input_ids
    states = [
        encode(pipeline, tokenize(pipeline, [text], most=len(ids), at_least=len(ids) + 1)).states[0]
        for text in texts
    ]
    assert states[0].shape == (77 * (len(ids) + 1), 16)
    same = (states[0] == states[1]).all(-1)
    last = 77 * (len(ids) - 1)
    assert same[:last].all()
    assert not same[last : last + 77].all()
    assert same[last + 77 :].all()


@pytest.mark.slow
def test_two_processes_make_the_pictures_of_one(tmp_path, model):
    prompts = prompts_file(tmp_path, *(f"{number} red circles" for number in range(7)))
    generate(model, prompts, tmp_path / "one", QUICK)
    command = [
        sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes=2", "-m", "recaptrain", "generate", model,
        str(prompts), str(tmp_path / "two"), "--steps=2", "--guidance=2.0", "--batch-size=3", "--json",
    ]  # fmt: skip
    subprocess.run(command, check=True, timeout=600, stdout=subprocess.PIPE)
    assert rows_of(tmp_path / "two") == rows_of(tmp_path / "one")
    assert len(list((tmp_path / "two").iterdir())) == 7 + 2
    for row in rows_of(tmp_path / "one"):
        assert (tmp_path / "one" / row["file_name"]).read_bytes() == (
            tmp_path / "two" / row["file_name"]
        ).read_bytes()


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"id": "../x"}, "cannot name a file"),
        ({"id": "\ud800"}, "since it is no text"),
        ({"id": "x" * 201}, "too long to name a file"),
        ({"id": "é" * 101}, "too long to name a file"),
    ],
)
def test_names_of_prompts_that_can_name_no_file(tmp_path, row, said):
    (tmp_path / "p.jsonl").write_text(json.dumps({"prompt": "a", **row}), encoding="utf8")
    with pytest.raises(InputError, match=said):
        read_prompts(tmp_path / "p.jsonl", 0)


@pytest.mark.parametrize("name", ["fifo", "zero.txt", "sparse.csv", "folder"])
def test_prompts_without_an_end_are_not_waited_for(tmp_path, name):
    path = tmp_path / name
    if name == "fifo":
        os.mkfifo(path)
    elif name == "zero.txt":
        path.symlink_to("/dev/zero")
    elif name == "sparse.csv":
        with open(path, "wb") as file:
            file.truncate(2**36)
    else:
        path.mkdir()
        os.mkfifo(path / "a.txt")
    with pytest.raises(InputError, match="cannot be read as prompts"):
        read_prompts(path, 0)


@pytest.mark.parametrize("content", [b"", b"[]", b"3", b"[" * 10**5, b"\xff", b"9" * 5000])
def test_a_folder_whose_settings_are_damaged_is_left_alone(tmp_path, content):
    (tmp_path / "p.txt").write_text("a red circle\n", encoding="utf8")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "generation.json").write_bytes(content)
    with pytest.raises(DatasetDamaged, match=r"generation.json is damaged"):
        generate("embedded", tmp_path / "p.txt", tmp_path / "out", GenerateSettings(steps=1))


def test_rows_of_a_stranger_are_no_rows(tmp_path):
    """A picture that lies elsewhere is not taken for the prompt's, and what is no row is left out."""
    prompt = {"id": "a", "prompt": "a red circle", "prompt_id": "a", "seed": 1}
    (tmp_path / "p.jsonl").write_text(json.dumps({**prompt, "seed": 1}), encoding="utf8")
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "b.png").write_bytes(b"mine")
    (out / "generation.json").write_text("{}", encoding="utf8")
    rows = [
        b"[]",
        b"3",
        b"{}",
        b"\xff",
        b"[" * 10**5,
        json.dumps({**prompt, "file_name": "../b.png"}).encode(),
    ]
    for name in ("metadata.jsonl", ".made-0.jsonl"):
        (out / name).write_bytes(b"\n".join(rows))
    made = generate("embedded", tmp_path / "p.jsonl", out, GenerateSettings(steps=1))
    assert (made.made, made.kept) == (1, 0)
    (row,) = (json.loads(line) for line in (out / "metadata.jsonl").read_text(encoding="utf8").splitlines())
    assert row["file_name"] == "a.png"
    assert (tmp_path / "b.png").read_bytes() == b"mine"
