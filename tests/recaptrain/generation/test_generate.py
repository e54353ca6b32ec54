"""Pictures of prompts: read, made, found again, and the same whatever the batch."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from recapdata.errors import InputError, OptionError
from recaptrain.generation.generate import derived_seed, generate, read_prompts
from recaptrain.generation.settings import GenerateSettings
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
        ("p.jsonl", '{"words": "x"}', "no text under any of prompt, caption, text"),
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
