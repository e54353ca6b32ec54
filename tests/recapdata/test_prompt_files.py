"""Prompts in the forms that the benchmarks come in."""

import json
import os
from pathlib import Path

import pytest

from recapdata.errors import InputError
from recapdata.prompt_files import read_prompt_file


def read(path):
    return [(row.name, row.prompt, row.category) for row in read_prompt_file(path)]


def test_lines_and_json_lines(tmp_path):
    (tmp_path / "a.txt").write_text("﻿a cat\n\n  two dogs ", encoding="utf8")
    assert read(tmp_path / "a.txt") == [(None, "a cat", None), (None, "two dogs", None)]
    (tmp_path / "a.jsonl").write_text('{"Prompt": "a cat", "id": 7, "category": "Animals"}\n"two dogs"\n')
    assert read(tmp_path / "a.jsonl") == [("7", "a cat", "Animals"), (None, "two dogs", None)]


def test_tables_as_drawbench_and_partiprompts_are(tmp_path):
    (tmp_path / "drawbench.csv").write_text(
        'Prompts,Category\nA red car.,Colors\n"One car, on the street.",Counting\n'
    )
    assert read(tmp_path / "drawbench.csv") == [
        (None, "A red car.", "Colors"),
        (None, "One car, on the street.", "Counting"),
    ]
    (tmp_path / "parti.tsv").write_text(
        'Prompt\tCategory\tChallenge\tNote\na "bond"\tAbstract\tBasic\tmany\n'
    )
    (row,) = read_prompt_file(tmp_path / "parti.tsv")
    assert (row.prompt, row.category) == ('a "bond"', "Abstract")
    assert row.row == {"Category": "Abstract", "Challenge": "Basic", "Note": "many"}


def test_a_table_of_dpg_bench_is_a_prompt_per_item_with_its_questions(tmp_path):
    (tmp_path / "dpg.csv").write_text(
        "item_id,text,proposition_id,dependency,question_natural_language\n"
        "p1,A cat and a dog.,1,0,Is there a cat?\np1,A cat and a dog.,2,0,Is there a dog?\np2,A car.,1,0,Is there a car?\n"
    )
    rows = list(read_prompt_file(tmp_path / "dpg.csv"))
    assert [(row.name, row.prompt) for row in rows] == [("p1", "A cat and a dog."), ("p2", "A car.")]
    assert [each["question_natural_language"] for each in rows[0].row["questions"]] == [
        "Is there a cat?",
        "Is there a dog?",
    ]


def test_geneval_keeps_what_is_to_be_checked(tmp_path):
    line = {
        "tag": "counting",
        "include": [{"class": "bench", "count": 2}],
        "prompt": "a photo of two benches",
    }
    (tmp_path / "geneval.jsonl").write_text(json.dumps(line))
    (row,) = read_prompt_file(tmp_path / "geneval.jsonl")
    assert row.row == {"tag": "counting", "include": [{"class": "bench", "count": 2}]}


def test_a_folder_of_texts_holds_prompts_or_categories(tmp_path):
    (tmp_path / "COCOval_1.txt").write_text("A long paragraph.\n")
    (tmp_path / "color_val.txt").write_text("a green bench\na blue bowl\n")
    assert read(tmp_path) == [
        ("COCOval_1", "A long paragraph.", None),
        ("color_val-00000", "a green bench", "color_val"),
        ("color_val-00001", "a blue bowl", "color_val"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.csv", "Words,Category\nx,y\n", "line 2: no text under any of"),
        ("a.jsonl", "[" * 100_000, "line 1: not JSON"),
        ("a.jsonl", "[1]", "no text under any of"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, name, text, said):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=said):
        list(read_prompt_file(tmp_path / name))


def test_a_folder_without_texts_is_named(tmp_path):
    with pytest.raises(InputError, match=r"holds no \.txt files"):
        list(read_prompt_file(tmp_path))


@pytest.mark.skipif("RECAPDATA_SHARED" not in os.environ, reason="RECAPDATA_SHARED is not set")
def test_the_benchmarks_own_files():
    prompts = Path(os.environ["RECAPDATA_SHARED"]) / "prompts"
    assert len(read(prompts / "drawbench.csv")) == 200
    assert len(read(prompts / "PartiPrompts.tsv")) == 1632
    assert len({name for name, _, _ in read(prompts / "t2i-compbench")}) == len(
        read(prompts / "t2i-compbench")
    )


def test_a_folder_of_prompts_is_read_no_further_than_it_reaches(tmp_path: Path) -> None:
    """A downloaded benchmark whose text file is a link to a key would have it drawn, or sent to a server."""
    folder = tmp_path / "benchmark"
    folder.mkdir()
    (tmp_path / "key.txt").write_text("mine", encoding="utf8")
    (folder / "a.txt").write_text("a star", encoding="utf8")
    (folder / "b.txt").symlink_to(folder / "a.txt")
    assert [row.prompt for row in read_prompt_file(folder)] == ["a star", "a star"]
    (folder / "c.txt").symlink_to(tmp_path / "key.txt")
    with pytest.raises(InputError, match=r"c\.txt is a symbolic link out of its folder"):
        list(read_prompt_file(folder))
