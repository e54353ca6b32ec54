"""Every writing command killed before every change it makes, with every other command after it: is anything refused, lost or doubled?

The test of the same (`tests/recapdata/test_killed.py`) draws some of these; here are all of them, or with `--once` each kill with
one command drawn for it. Prints what went wrong, and a line for each command.

    python -m tests.benchmarks.every_kill [--once] [--part 1/2]
"""

import argparse
import random
import tempfile
from pathlib import Path

from tests.recapdata.killing import Killing
from tests.recapdata.test_killed import COMMANDS, Scene, changes, kill_and_go_on


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--once", action="store_true", help="one command after each kill, drawn from a seed")
    parser.add_argument("--part", default="1/1", help="of so many parts, this one")
    options = parser.parse_args()
    part, parts = map(int, options.part.split("/"))
    dice = random.Random(0)
    wrong = 0
    with tempfile.TemporaryDirectory() as path, Killing() as killing:
        scene = Scene(Path(path))
        for name in COMMANDS:
            total, kills = changes(killing, scene, name), 0
            for at in range(1, total + 1):
                for then in [dice.choice(COMMANDS)] if options.once else COMMANDS:
                    if at % parts != part - 1:
                        continue
                    kills += 1
                    try:
                        kill_and_go_on(killing, scene, name, at, then)
                    except Exception as error:  # noqa: BLE001 - every kind of it is what is looked for
                        wrong += 1
                        print(
                            f"{name} killed before change {at}, then {then}: {str(error)[:400]}", flush=True
                        )
            print(f"{name}: {kills} kills, at {total} changes", flush=True)
    print(f"{wrong} went wrong")


if __name__ == "__main__":
    main()
