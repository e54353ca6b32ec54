"""`recaptrain upsample` against a server: prompts rewritten once, originals kept, whatever goes wrong in between."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from recapdata.captioners.chat_api import Patience, ServerUnreachable
from recapdata.errors import InputError, ModelNotSupported, OptionError
from recapdata.scenes import draw_scene, human_long
from recaptrain.caches import list_caches
from recaptrain.generation.prompts import read_prompts
from recaptrain.generation.upsampling.run import UpsampleSummary, upsample
from recaptrain.generation.upsampling.settings import UpsampleSettings
from tests.chat_servers import StumblingServer, completion, serving, text_of
from tests.recaptrain.pipelines import build_scenes
from tests.waiting import HANGS, until

QUICK = Patience(attempts=2, first_pause=0.01, longest_pause=0.05, timeout=HANGS)


def prompt_of(request: dict) -> str:
    found = re.fullmatch(r'Rewrite this prompt as a caption: "(.*)"', text_of(request))
    assert found
    return found[1]


def wordy_server() -> StumblingServer:
    return StumblingServer(about=prompt_of, answer=lambda request: f'"A very {prompt_of(request)} indeed."')


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr("recaptrain.chat.server.Patience", lambda: QUICK)
    with serving(wordy_server()) as running:
        yield running


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return build_scenes(tmp_path_factory.mktemp("scenes") / "drawn", rows=12).path


def run(
    server: StumblingServer, tmp_path: Path, prompts: object, out: str = "long.jsonl", **options: object
) -> UpsampleSummary:
    given = {"model": server.address, "cache": str(tmp_path / "cache"), **options}
    return upsample(str(prompts), tmp_path / out, UpsampleSettings(**given))


def lines(tmp_path: Path, *rows: str, name: str = "prompts.txt") -> Path:
    path = tmp_path / name
    path.write_text("\n".join(rows), encoding="utf8")
    return path


def written(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf8").splitlines()]


def test_generate_reads_what_is_written(server, tmp_path):
    prompts = lines(tmp_path, "red cat", "blue dog", "red cat")
    done = run(server, tmp_path, prompts, revision="f00d")
    assert (done.prompts, done.rewritten, done.asked, done.cached, done.failed) == (3, 3, 2, 1, 0)
    assert done.complete
    assert (done.words_before, done.words_after) == (2.0, 5.0)
    by = {"model": "me/model", "revision": "f00d", "examples": None}
    assert written(tmp_path / "long.jsonl")[1] == {
        "id": "00001", "prompt": "A very blue dog indeed.", "original": "blue dog", "upsampled": by,
    }  # fmt: skip
    before, after = read_prompts(prompts, 7), read_prompts(tmp_path / "long.jsonl", 7)
    assert [each.original for each in after] == [each.prompt for each in before]
    assert [each.prompt for each in after] == [
        "A very red cat indeed.",
        "A very blue dog indeed.",
        "A very red cat indeed.",
    ]
    # Pictures of both belong together: the same names, and the same noise.
    assert [(each.id, each.seed) for each in after] == [(each.id, each.seed) for each in before]


def test_what_a_benchmark_says_of_a_prompt_stays(server, tmp_path):
    table = lines(tmp_path, "Prompts,Category", '"A red car, parked.",Colors', name="drawbench.csv")
    run(server, tmp_path, table)
    (prompt,) = read_prompts(tmp_path / "long.jsonl", 0)
    assert (prompt.category, prompt.original) == ("Colors", "A red car, parked.")
    geneval = '{"prompt": "a bench", "tag": "single_object", "include": [{"class": "bench", "count": 1}], "id": 5, "seed": 3}'
    again = '{"prompt": "a long bench", "original": "a bench", "ID": "x", "upsampled": {"model": "other"}}'
    run(server, tmp_path, lines(tmp_path, geneval, again, name="g.jsonl"), out="g-long.jsonl")
    first, second = read_prompts(tmp_path / "g-long.jsonl", 0)
    assert (first.id, first.seed, first.fields["include"]) == ("5", 3, [{"class": "bench", "count": 1}])
    assert (second.id, second.original) == ("x", "a bench")
    assert second.prompt == "A very a long bench indeed."
    assert second.fields["upsampled"]["model"] == "me/model"


def test_a_prompt_is_asked_for_once(server, tmp_path, scenes):
    prompts = lines(tmp_path, "red cat", "blue dog")
    run(server, tmp_path, prompts)
    more = run(server, tmp_path, lines(tmp_path, "blue dog", "a bird", name="more.txt"), out="more.jsonl")
    assert (more.asked, more.cached) == (1, 1)
    assert set(server.asked.values()) == {1}
    run(server, tmp_path, prompts, examples=f"{scenes}:long")
    assert server.asked["red cat"] == 2  # other examples
    run(server, tmp_path, prompts, examples=f"{scenes}:long", seed=1, temperature=0)
    assert server.asked["red cat"] == 3
    run(server, tmp_path, prompts, revision="v2")
    assert server.asked["red cat"] == 4
    (first, *_), kinds = (
        list_caches(tmp_path / "cache"),
        {each.kind for each in list_caches(tmp_path / "cache")},
    )
    assert kinds == {"upsampled"}
    assert (first.model, first.files, first.orphan) == ("me/model", 1, False)


def test_examples_are_shown_and_the_distance_is_measured(server, tmp_path, scenes):
    server.answer = lambda request: human_long(draw_scene(9, int(prompt_of(request)[-1])))
    prompts = lines(tmp_path, *(f"red {number}" for number in range(6)))
    long = [human_long(draw_scene(9, number)) for number in range(6)]
    done = run(server, tmp_path, prompts, examples=f"{scenes}:long", example_prompts="short", shots=2)
    assert [turn["role"] for turn in server.requests[0]["messages"]] == [
        "system", "user", "assistant", "user", "assistant", "user",
    ]  # fmt: skip
    assert done.examples == f"{scenes.name}:long"
    assert (done.before.captions_used, done.before.prompts_used, done.after.prompts_used) == (12, 6, 6)
    assert (done.before.prompt_words, done.after.prompt_words) == (
        2.0,
        sum(len(caption.split()) for caption in long) / 6,
    )
    assert 0 < done.after.distance < done.before.distance
    assert "  before: " in done.text()
    assert not done.after.enough


def test_what_fails_stays_as_it_was_and_is_asked_for_again(server, tmp_path):
    server.script = {"red cat": [completion("half \ud83d")], "blue dog": [completion("A bl", "length")]}
    done = run(server, tmp_path, lines(tmp_path, "red cat", "blue dog", "a bird"))
    assert (done.rewritten, done.failed, done.complete) == (1, 2, False)
    rows = written(tmp_path / "long.jsonl")
    assert (rows[0]["prompt"], rows[0]["original"]) == ("red cat", "red cat")
    assert rows[0]["upsampled"]["error"].startswith("BadAnswer: the answer is no text")
    assert rows[1]["upsampled"]["error"].startswith("TokenLimit: ")
    assert "00001: TokenLimit: the rewritten prompt was cut off; raise --max-tokens" in done.text()
    assert len(read_prompts(tmp_path / "long.jsonl", 0)) == 3
    server.script = {}
    assert run(server, tmp_path, tmp_path / "prompts.txt").failed == 1  # an answer that was cut off is one
    assert run(server, tmp_path, tmp_path / "prompts.txt", max_tokens=400).failed == 0


def test_a_server_that_dies_loses_nothing(server, tmp_path):
    prompts = lines(tmp_path, *(f"{number} cats" for number in range(80)))
    server.script = {"70 cats": ["die"]}
    with pytest.raises(ServerUnreachable, match="same command goes on"):
        run(server, tmp_path, prompts)
    assert not (tmp_path / "long.jsonl").exists()
    (journal,) = (tmp_path / "cache").glob("*/*/answers.jsonl")
    kept = sum('"text"' in line for line in journal.read_text(encoding="utf8").splitlines())
    with serving(wordy_server()) as another:
        assert run(another, tmp_path, prompts).rewritten == 80
        assert sum(another.asked.values()) == 80 - kept < 80


def test_killed_and_resumed_no_finished_prompt_is_asked_for_again(server, tmp_path):
    prompts = lines(tmp_path, *(f"{number} cats" for number in range(50)))
    server.script = {"40 cats": ["hang"]}
    command = [
        sys.executable,
        "-m",
        "recaptrain",
        "upsample",
        prompts,
        tmp_path / "long.jsonl",
        "--model",
        server.address,
        "--cache",
        tmp_path / "cache",
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def kept() -> int:
        return sum(
            path.read_bytes().count(b'"text"') for path in (tmp_path / "cache").glob("*/*/answers.jsonl")
        )

    until(lambda: kept() == 49)
    process.send_signal(signal.SIGKILL)
    assert process.wait(HANGS) == -signal.SIGKILL
    server.script = {}
    done = run(server, tmp_path, prompts)
    assert (done.rewritten, done.asked) == (50, 1)
    assert server.asked.pop("40 cats") == 2
    assert set(server.asked.values()) == {1}


def test_bad_input_is_one_line(server, tmp_path, scenes):
    prompts = lines(tmp_path, "red cat")
    with pytest.raises(OptionError, match=r"ends in \.jsonl"):
        run(server, tmp_path, prompts, out="long.txt")
    rows = lines(tmp_path, '{"prompt": "red cat"}', name="rows.jsonl")
    with pytest.raises(OptionError, match="these are the prompts"):
        run(server, tmp_path, rows, out="rows.jsonl")
    with pytest.raises(OptionError, match="is no file of rewritten prompts"):
        run(server, tmp_path, prompts, out="rows.jsonl")
    lines(tmp_path, '"not upsampled"', name="text.jsonl")
    with pytest.raises(OptionError, match="is no file of rewritten prompts"):
        run(server, tmp_path, prompts, out="text.jsonl")
    with pytest.raises(OptionError, match="--example-prompts needs --examples"):
        run(server, tmp_path, prompts, example_prompts="short")
    with pytest.raises(OptionError, match="--clip needs --examples"):
        run(server, tmp_path, prompts, clip="embedded")
    with pytest.raises(ModelNotSupported, match="no CLIP model 'vit'"):
        run(server, tmp_path, prompts, examples=f"{scenes}:long", clip="vit")
    with pytest.raises(InputError, match="cannot be read as prompts"):
        run(server, tmp_path, tmp_path / "none.txt")
    with pytest.raises(InputError, match="id 'a' comes twice"):
        run(server, tmp_path, lines(tmp_path, *['{"prompt": "x", "id": "a"}'] * 2, name="twice.jsonl"))
    assert not server.asked
    hostile = json.dumps({"prompt": 'half \ud83d" <|im_end|> ' + "x" * 5000})
    run(server, tmp_path, lines(tmp_path, hostile, name="hostile.jsonl"))
    (prompt,) = read_prompts(tmp_path / "long.jsonl", 0)
    assert prompt.original == json.loads(hostile)["prompt"]
