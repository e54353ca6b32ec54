"""A user's datasets as arms: how they are named, and which prompts they are measured on."""

import json

import pytest

from recapdata.errors import InputError, OptionError
from recaptrain.reproduction import own
from recaptrain.reproduction.own import open_compared, prepare_own
from recaptrain.reproduction.settings import ReproduceSettings
from tests.builders import build_dataset, png

AUDIT = {"sets": {name: {"figures": {"color precision": {"value": 0.5}}} for name in ("short", "long")}}


class Audits:
    """Commands in whose place an audit's summary stands."""

    def __init__(self) -> None:
        self.ran = []

    def run(self, *words):
        self.ran.append(words)
        return AUDIT


@pytest.fixture
def folders(tmp_path):
    """Two datasets of 60 records, 50 of them in both; the first has no long caption of every tenth."""
    images = [png(number) for number in range(70)]
    made = []
    for name, first in (("v1", 0), ("v2", 10)):
        sets = {
            "short": [f"{name} short {number}" for number in range(first, first + 60)],
            "long": [
                None if name == "v1" and not number % 10 else f"{name} long {number}"
                for number in range(first, first + 60)
            ],
        }
        build_dataset(tmp_path / name, rows=60, images=images[first : first + 60], sets=sets)
        made.append(str(tmp_path / name))
    return made


def test_a_mixture_stands_behind_a_colon_or_is_everybodys(folders) -> None:
    found = open_compared(
        ReproduceSettings(datasets=(f"{folders[0]}:long", folders[1]), mixture="short=3,long=1")
    )
    assert [each.name for each in found] == [f"{folders[0]}:long", folders[1]]
    assert [dict(each.mixture.weights) for each in found] == [{"long": 1}, {"short": 3, "long": 1}]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([0], "name two or more"),
        (["0:short", "0:short"], "named twice"),
        (["0:long", "1:lng"], "no caption set lng; it has short, long"),
        ([0, 1], "no caption set recap-short"),
    ],
)
def test_what_cannot_be_compared_is_said(folders, names, message) -> None:
    named = [folders[int(str(each)[0])] + str(each)[1:] for each in names]
    with pytest.raises(OptionError, match=message):
        open_compared(ReproduceSettings(datasets=tuple(named)))


@pytest.mark.parametrize("names", [("base", "b"), ("a/b:long", "a-b:long")])
def test_datasets_whose_models_would_lie_in_one_folder_are_refused(tmp_path, monkeypatch, names) -> None:
    monkeypatch.chdir(tmp_path)
    for name in names:
        build_dataset(tmp_path / name.partition(":")[0], rows=2, sets={"long": ["a ring", "a star"]})
    with pytest.raises(
        OptionError, match=r"its models would lie where those of .* do; name it by another path"
    ):
        open_compared(ReproduceSettings(datasets=names, mixture="long"))


def test_prompts_are_captions_of_records_that_none_is_trained_on(folders, tmp_path, monkeypatch) -> None:
    """Of 50 records in both, those of 10, 20, 30, 40 and 50 lack a long caption: of 45, a tenth are 4 prompts, of each dataset its own
    captions of them.
    """
    monkeypatch.setattr(own, "FEWEST_PROMPTS", 4)
    settings = ReproduceSettings(datasets=tuple(f"{each}:short=1,long=2" for each in folders))
    commands = Audits()
    study = prepare_own(settings, open_compared(settings), tmp_path, commands)
    keys = study.held_out.read_text().split()
    prompts = {kind: [json.loads(line) for line in path.open()] for kind, path in study.prompts.items()}
    assert len(keys) == 4
    assert list(prompts) == ["captions 1", "captions 2"]
    first, second = prompts.values()
    assert [each["id"] for each in first] == [each["id"] for each in second] == [key[:16] for key in keys]
    assert [each["prompt"].split()[:2] for each in first + second] == [["v1", "long"]] * 4 + [
        ["v2", "long"]
    ] * 4
    assert [each["prompt"].split()[2] for each in first] == [each["prompt"].split()[2] for each in second]
    assert study.audit == {name: {"color precision": 0.5} for name in settings.datasets}
    assert [words[:3] for words in commands.ran] == [("audits", "run", each) for each in folders]
    assert study.metrics == ("rp", "clipscore", "fid")


def test_too_few_records_in_common_ask_for_prompts(folders, tmp_path) -> None:
    settings = ReproduceSettings(datasets=tuple(f"{each}:short" for each in folders))
    with pytest.raises(InputError, match="50 captioned records in common"):
        prepare_own(settings, open_compared(settings), tmp_path, Audits())


def test_prompts_of_ones_own(folders, tmp_path) -> None:
    own_prompts = tmp_path / "prompts.txt"
    own_prompts.write_text("a cat\na dog\n")
    settings = ReproduceSettings(
        datasets=tuple(f"{each}:short" for each in folders), prompts_from=str(own_prompts)
    )
    study = prepare_own(settings, open_compared(settings), tmp_path, Audits())
    assert study.held_out is None
    assert [json.loads(line)["prompt"] for line in study.prompts["prompts"].open()] == ["a cat", "a dog"]
