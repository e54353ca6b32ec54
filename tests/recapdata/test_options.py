"""Options once: what a field says is what command line, Python, identity and printed command say."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from typer.testing import CliRunner

from recapdata.console import application, command
from recapdata.errors import OptionError
from recapdata.options import (
    above,
    accepting_aliases,
    at_least,
    check_options,
    command_line,
    identity,
    option,
    outcome_of,
    table,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Baking:
    """Every kind of option."""

    recipe: str = option(help="What is baked.", identity=False)
    heat: float = option(180.0, help="Degrees.", check=above(0), identity="temperature")
    trays: int = option(2, help="At once.", minimum=1, outcome=False)
    steam: float | None = option(0.5, help="Share of steam; 0: none.", off=0)
    rise: Literal["slow", "fast"] = option("slow", help="slow or fast.")
    seeds: tuple[str, ...] = option(("flax", "poppy"), help="Seeds, commas between.")
    notes: tuple[str, ...] = option((), help="May be given again.", repeated=True)
    swaps: Mapping[str, str] = option({}, help="OLD=NEW.", example="milk=water")
    book: Path | None = option(None, help="Where it is written.", shown="nowhere", outcome=False)
    dark: bool = option(False, help="Longer.")
    turns: int | None = option(
        None, help="By itself none.", check=at_least(1), aliases=("flips", "turn_table")
    )

    def __post_init__(self):
        check_options(self)


@dataclass(frozen=True)
class Baked:
    words: dict

    def text(self):
        return "baked"


def bake(*words):
    app = application("A bakery.")
    seen = []

    @app.callback()
    def bakery():
        """A bakery."""

    @command(app, "bake bread")
    def bread(name: str, options: Baking) -> Baked:
        seen.append(options)
        return Baked({"name": name})

    done = CliRunner().invoke(app, ["bread", *words], catch_exceptions=False)
    return done, seen


def test_the_command_line_gives_what_python_gives():
    done, seen = bake("rye", "--recipe", "old")
    assert (done.exit_code, done.output) == (0, "baked\n")
    assert seen == [Baking(recipe="old")]
    words = (
        "--recipe new --heat 200 --trays 3 --steam 0 --rise fast --seeds flax --notes a,b --notes c --swaps milk=water,egg=oil "
        "--book b.txt --dark --turns 4"
    )
    _, seen = bake("rye", *words.split())
    everything = Baking(
        recipe="new", heat=200, trays=3, steam=None, rise="fast", seeds=("flax",), notes=("a,b", "c"),
        swaps={"milk": "water", "egg": "oil"}, book=Path("b.txt"), dark=True, turns=4,
    )  # fmt: skip
    assert seen == [everything]
    assert command_line("bake bread", ["rye"], everything) == f"bake bread rye {words}"


def test_json_is_one_object_and_summaries_say_the_rest():
    done, _ = bake("rye", "--recipe", "old", "--json")
    assert json.loads(done.output) == {"words": {"name": "rye"}}


def test_python_may_write_what_the_command_line_writes():
    options = Baking(recipe="x", seeds="flax, sesame", swaps="milk=water", book="b.txt", notes=["a"], steam=0)
    assert (options.seeds, options.swaps, options.notes) == (("flax", "sesame"), {"milk": "water"}, ("a",))
    assert (options.book, options.steam) == (Path("b.txt"), None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"heat": 0.0}, "--heat 0: it must be above 0"),
        ({"trays": 0}, "--trays 0: it must be at least 1"),
        ({"turns": 0}, "--turns 0: it must be at least 1"),
        ({"rise": "never"}, "--rise never: it must be one of slow, fast"),
        ({"heat": float("inf")}, "--heat inf: it must be finite"),
        (
            {"swaps": "milk=water,milk=oats"},
            "--swaps: milk is given twice (milk=water and milk=oats); give it once",
        ),
        ({"swaps": "milk"}, "--swaps milk: write NAME=VALUE, for example --swaps milk=water"),
    ],
)
def test_a_mistake_is_one_line_wherever_it_is_made(change, message):
    with pytest.raises(OptionError) as raised:
        Baking(recipe="x", **change)
    assert str(raised.value) == message
    ((name, value),) = change.items()
    if name == "trays":  # the one that has a minimum: a usage error
        done, _ = bake("rye", "--recipe", "x", "--trays", "0")
        assert done.exit_code == 2
        return
    with pytest.raises(OptionError) as raised:
        bake("rye", "--recipe", "x", f"--{name}", str(value))
    assert str(raised.value) == message


@pytest.mark.parametrize("value", ["hot", [180.0], {}])
def test_a_value_of_another_type_is_one_line_in_python(value):
    with pytest.raises(OptionError, match=f"^--heat .*: it cannot be a {type(value).__name__}$"):
        Baking(recipe="x", heat=value)


@pytest.mark.parametrize(
    "change",
    [
        {"trays": True},
        {"trays": 2.0},
        {"heat": True},
        {"turns": False},
        {"steam": False},
        {"recipe": 3},
        {"dark": 1},
        {"dark": "no"},
        {"rise": 3},
        {"rise": True},
        {"rise": ["slow"]},
        {"seeds": True},
        {"seeds": [1]},
        {"swaps": 3},
        {"book": 3},
        {"book": True},
    ],
)
def test_a_flag_is_no_number_and_a_number_no_flag_or_text(change):
    ((name, value),) = change.items()
    with pytest.raises(OptionError, match=rf"^--{name} .*: it cannot be a {type(value).__name__}$"):
        Baking(**{"recipe": "x", **change})


def test_numbers_are_of_the_field_s_type_whoever_gives_them():
    options = Baking(recipe="x", trays=np.int64(3), heat=np.float32(180), steam=1, turns=np.int32(2))
    assert json.dumps(identity(options)) == json.dumps(
        identity(Baking(recipe="x", trays=3, heat=180.0, steam=1.0, turns=2))
    )


def test_an_alias_is_another_name_on_the_command_line_and_in_python():
    for word in ("--turns", "--flips"):
        assert bake("rye", "--recipe", "x", word, "3")[1] == [Baking(recipe="x", turns=3)]
    assert command_line("bake", [], Baking(recipe="x", turns=3)) == "bake --recipe x --turns 3"

    @accepting_aliases(lambda: Baking)
    def bread(*, recipe: str, turns: int | None = None) -> Baking:
        return Baking(recipe=recipe, turns=turns)

    assert bread(recipe="x", flips=3) == bread(recipe="x", turns=3) == Baking(recipe="x", turns=3)
    with pytest.raises(OptionError, match="flips is another name of turns"):
        bread(recipe="x", turns=3, flips=3)
    with pytest.raises(TypeError, match="spins"):
        bread(recipe="x", spins=3)


def test_underscores_are_hyphens():
    for word in ("--turn-table", "--turn_table"):
        assert bake("rye", "--recipe", "x", word, "3")[1] == [Baking(recipe="x", turns=3)]


def test_commands_are_quoted_and_say_no_defaults():
    options = Baking(recipe="grandma's", heat=1e-05)
    line = command_line("bake bread", ["a b"], options)
    assert line == """bake bread 'a b' --recipe 'grandma'"'"'s' --heat 1e-05"""


def test_a_printed_command_is_one_line_and_tells_no_secret():
    """Bash reads `$'…'`; a line break would end the block of code that the command stands in on a card."""
    line = command_line(
        "bake bread", ["a\n```\n\x1b[2J"], Baking(recipe="http://me:hunter2@h/v1?api_key=abcdef#m")
    )
    assert line == r"bake bread $'a\n```\n\x1b[2J' --recipe 'http://h/v1?api_key=REDACTED#m'"
    words = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True, text=True
    )
    assert words.stdout.split("\0")[2] == "a\n```\n\x1b[2J"


def test_the_identity_is_what_decides_under_its_own_names():
    assert identity(Baking(recipe="x")) == {
        "temperature": 180.0, "steam": 0.5, "rise": "slow", "seeds": ("flax", "poppy"), "notes": (), "swaps": {},
        "dark": False, "turns": None,
    }  # fmt: skip


def test_a_card_leaves_out_what_does_not_change_the_outcome():
    options = Baking(recipe="x", book="secret.txt", trays=9, seeds="flax")
    assert outcome_of(options) == Baking(recipe="x", seeds="flax")
    assert dict(table(options, without=["dark"])) == {
        "recipe": "x", "heat": "180", "steam": "0.5", "rise": "slow", "seeds": "flax", "notes": "none", "swaps": "none",
        "turns": "none",
    }  # fmt: skip


def test_help_shows_defaults_as_they_are_typed():
    done, _ = bake("--help")
    assert "[default: flax,poppy]" in " ".join(done.output.split())
    assert "[default: (nowhere)]" in " ".join(done.output.split())
