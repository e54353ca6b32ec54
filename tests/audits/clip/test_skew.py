"""Train–inference skew: the distance by hand, in pieces, of samples, and what is kept of an earlier run."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from audits.clip.skew import Cloud, Skew, embed, frechet, open_prompts, sampler, skews
from recapdata.errors import InputError, OptionError
from recapdata.models.dual_encoders import find_clip
from tests.audits.models import known_clip, save_small_clip


def cloud(values: list[list[float]]) -> Cloud:
    found = Cloud()
    found.add(np.array(values))
    return found


def test_the_distance_in_one_dimension_by_hand() -> None:
    # Means 0 and 3, deviations √2 and √8: 3² + (√8 − √2)² = 9 + 2.
    one, other = cloud([[-1.0], [1.0]]), cloud([[1.0], [5.0]])
    assert frechet(one, other) == pytest.approx(11)
    assert frechet(one, one) == pytest.approx(0, abs=1e-9)


def test_the_distance_of_clouds_that_lie_across_each_other() -> None:
    # Σ₁ = diag(2, 0), Σ₂ = diag(0, 2): nothing in common, so that the traces add up.
    one, other = cloud([[-1.0, 0.0], [1.0, 0.0]]), cloud([[0.0, -1.0], [0.0, 1.0]])
    assert frechet(one, other) == pytest.approx(4)


def test_pieces_make_the_same_cloud_as_the_whole() -> None:
    values = np.random.default_rng(0).normal(size=(50, 3))
    whole, pieces = cloud(values.tolist()), Cloud()
    for start in range(0, 50, 7):
        pieces.add(values[start : start + 7])
    assert pieces.count == 50
    assert np.allclose(pieces.covariance, np.cov(values.T))
    assert frechet(whole, pieces) == pytest.approx(0, abs=1e-9)


def test_texts_become_unit_embeddings() -> None:
    found = embed(known_clip(), ["red", "a green wall"])
    assert found.mean.tolist() == pytest.approx([0.5, 0.5, 0.0])
    assert found.words == 4


def test_prompts_are_a_set_or_a_file(tmp_path: Path) -> None:
    sets, sample = ["alt", "none"], {"alt": ["a dog"] * 3, "none": []}.__getitem__
    plain, rows, wrong, empty = (tmp_path / name for name in ("p.txt", "p.jsonl", "wrong.jsonl", "empty.txt"))
    plain.write_text("a cat\n\n a bird \n")
    rows.write_text('{"prompt": "a cat"}\n{"caption": "a bird"}\n"a cow"\n')
    wrong.write_text('{"prompt": "a cat"}\n{"n": 1}\n')
    empty.write_text("\n")
    assert list(open_prompts("alt", sets, sample).texts()) == ["a dog"] * 3
    assert list(open_prompts(str(plain), sets, sample).texts()) == ["a cat", "a bird"]
    assert list(open_prompts(str(rows), sets, sample).texts()) == ["a cat", "a bird", "a cow"]
    with pytest.raises(InputError, match="line 2"):
        list(open_prompts(str(wrong), sets, sample).texts())
    for name, says in (("nope", "neither a caption set"), (str(empty), "no prompts"), ("none", "no prompts")):
        with pytest.raises(OptionError, match=says):
            open_prompts(name, sets, sample)


def test_of_many_records_a_sample_is_taken_by_key() -> None:
    keys = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(40)]
    assert all(map(sampler(40), keys))
    few = list(filter(sampler(40, most=10), keys))
    assert few == [key for key in keys if int(key[:8], 16) <= 2**32 * 10 // 40]
    assert 3 <= len(few) <= 20


def test_an_entry_is_computed_once_and_kept_while_it_holds(tmp_path: Path) -> None:
    model = find_clip(str(save_small_clip(tmp_path / "clip")))
    short, long = ["a dog"] * 6, [f"a dog and {n} cats" for n in range(6)]
    prompts = open_prompts("long", ["long"], lambda name: long)
    first = skews({"alt": ("one", short), "long": ("two", long)}, prompts, model, {})
    assert list(first) == ["alt"]  # prompts are no distance from themselves
    skew = Skew(**first["alt"])
    assert (skew.captions_used, skew.prompts_used, skew.dimensions, skew.enough) == (6, 6, 16, False)
    assert (skew.caption_words, skew.prompt_words) == (2, 5)
    assert "too few for 16 dimensions" in skew.text()
    assert "too few" not in replace(skew, enough=True).text()
    json.dumps(first)
    marked = {"alt": {**first["alt"], "distance": -1.0}}
    # Asked again, or not asked at all, it stays; with other captions, or other prompts, it is not what was meant.
    one, other = {"alt": ("one", short)}, {"alt": ("other", short)}
    assert skews(one, prompts, model, marked) == marked
    assert skews(one, None, None, marked) == marked
    assert skews(other, None, None, marked) == {}
    assert skews(other, prompts, model, marked)["alt"]["distance"] == first["alt"]["distance"]
    (tmp_path / "p.txt").write_text("a cat\n")
    another = skews(one, open_prompts(str(tmp_path / "p.txt"), [], lambda name: []), model, marked)
    assert another["alt"]["prompts"] == "p.txt"
