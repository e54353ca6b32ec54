"""JSON lines in, JSON lines out: order, bad lines, processes, nothing half written."""

import json
import threading

import pytest

from audits.extraction import annotate_jsonl, claims
from audits.extraction.stream import LONGEST_RUN, _squeezed
from audits.language.pipeline import load_pipeline
from recapdata.errors import InputError, OptionError, PipelineNotFound


def write(path, lines):
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


def test_rows_keep_ids_and_order(tmp_path):
    rows = [{"id": n, "caption": f"a {color} ball"} for n, color in enumerate(["red", "green", "blue"])]
    source = write(tmp_path / "in.jsonl", [json.dumps(row).encode() for row in rows])
    summary = annotate_jsonl(source, tmp_path / "out.jsonl")
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["id"] for row in found] == [0, 1, 2]
    colors = [next(claim for claim in row["claims"] if claim["kind"] == "color") for row in found]
    assert colors[0] == {"kind": "color", "span": [2, 10], "object": "ball", "color": "red"}
    assert [claim["color"] for claim in colors] == ["red", "green", "blue"]
    assert (summary.captions, summary.failures) == (3, 0)
    assert summary.claims == {"object": 3, "count": 0, "color": 3, "size": 0, "position": 0, "text": 0}
    assert summary.pipeline.startswith("en_recapdata@")


def test_bad_lines_are_named_and_counted(tmp_path, capsys):
    source = write(
        tmp_path / "in.jsonl",
        [
            b'{"id": 1, "caption": "a dog"}',
            b"{not json",
            b'{"id": 2}',
            b'{"id": 3, "caption": null}',
            b'{"id": 4, "caption": 5}',
            b'{"id": 5, "caption": "caf\xe9"}',
            b"[1, 2]",
            b"",
            b'{"id": 6, "caption": "a cat"}',
        ],
    )
    summary = annotate_jsonl(source, tmp_path / "out.jsonl")
    assert [json.loads(line)["id"] for line in (tmp_path / "out.jsonl").read_text().splitlines()] == [1, 6]
    assert summary.failures == 6
    said = capsys.readouterr().err
    for line, reason in (
        (2, "not JSON"),
        (3, '"id" and "caption"'),
        (4, "null"),
        (5, "int"),
        (6, "UTF-8"),
        (7, '"id"'),
    ):
        assert any(f"in.jsonl:{line}:" in each and reason in each for each in said.splitlines())


def test_a_failed_run_leaves_the_old_file(tmp_path):
    source = write(tmp_path / "in.jsonl", [b'{"id": 1, "caption": "a dog"}'])
    target = tmp_path / "out.jsonl"
    target.write_text(old := '{"id": 0, "claims": []}\n')
    with pytest.raises(PipelineNotFound, match="no_such_pipeline"):
        annotate_jsonl(source, target, pipeline="no_such_pipeline")
    assert target.read_text() == old
    with pytest.raises(InputError, match=r"missing\.jsonl"):
        annotate_jsonl(tmp_path / "missing.jsonl", target)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]


CAPTIONS = [f"a {color} cat on a mat" for color in ("red", "green", "blue", "black", "white")] * 3


@pytest.fixture
def another_thread():
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    yield
    done.set()
    thread.join()


def test_processes_give_what_one_gives():
    assert list(claims(CAPTIONS, processes=2, batch_size=4)) == list(claims(CAPTIONS))


def test_processes_beside_a_thread_load_the_pipeline_themselves(another_thread):
    assert list(claims(CAPTIONS, processes=2, batch_size=4)) == list(claims(CAPTIONS))


def test_a_pipeline_in_memory_cannot_be_shared_beside_a_thread(another_thread):
    nlp = load_pipeline()
    nlp._path = None
    with pytest.raises(OptionError, match="memory"):
        list(claims(["a dog"], pipeline=nlp, processes=2))


def test_captions_are_read_as_they_are_asked_for():
    taken = []

    def endless():
        while True:
            taken.append(1)
            yield "a dog"

    stream = claims(endless(), batch_size=10)
    for _ in range(25):
        next(stream)
    assert len(taken) < 100


def test_the_vocabulary_does_not_grow_with_the_captions(monkeypatch):
    nlp = load_pipeline()
    captions = ["a zyxwqe dog", "a vutsrq dog on a ponmlk"]
    strings = len(nlp.vocab.strings)
    monkeypatch.setattr("audits.extraction.stream.LEARNED", 0)
    found = list(claims(captions, pipeline=nlp))
    assert len(nlp.vocab.strings) == strings
    monkeypatch.undo()
    assert list(claims(captions, pipeline=nlp)) == found
    assert "ponmlk" in nlp.vocab.strings


@pytest.mark.parametrize(
    "marks", [")", '"', "'", "&", ",", "()", "![", "$", "+", "“", "&#", "$1", "a,", "'a"]
)
def test_no_run_of_marks_reaches_the_tokenizer(marks):
    # it takes quadratic time for one: 9,000 dollars were 45 s
    caption = f"a red ball {marks * 4500} and a dog"
    runs = _squeezed(caption, 10**6).text.split()
    assert all(len(run) <= LONGEST_RUN or run.isalnum() for run in runs)
    [found] = claims([caption])
    assert ("color", (2, 10)) in {(claim.kind, claim.span) for claim in found}
    dog = (len(caption) - 3, len(caption))
    assert any(claim.span[1] == dog[1] for claim in found if claim.object == "dog")


def test_a_line_too_long_to_be_parsed_says_so(tmp_path, capsys):
    rows = [{"id": 1, "caption": "a dog. " * 3000}, {"id": 2, "caption": "a dog"}]
    source = write(tmp_path / "in.jsonl", [json.dumps(row).encode() for row in rows])
    summary = annotate_jsonl(source, tmp_path / "out.jsonl")
    assert (summary.captions, summary.failures) == (1, 1)
    assert "the caption has 21,000 characters, more than are parsed (20,000)" in capsys.readouterr().err


def test_lettering_by_the_thousand_keeps_its_carriers():
    # each quotation once went through all words of the caption
    [found] = claims(["a sign that says 'Club'. " * 400])
    written = [claim for claim in found if claim.kind == "text"]
    assert len(written) == 400
    assert {(claim.text, claim.object) for claim in written[:20]} == {("Club", "sign")}
