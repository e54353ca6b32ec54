"""Claims against bare parsing: captions a second of `audits.extraction.claims` over those of `nlp.pipe`, in the same run.

    python tests/benchmarks/claims_throughput.py [--captions N] [--processes P] [--pipeline NAME] [--against NAME] [--file CAPTIONS.txt]

Without a file the captions are made up of things, colors, counts and places. Rounds alternate, so that a busy machine slows all
alike; the figure is the median of the rounds' ratios. Wanted: 0.9 or more. `--against` reads the same captions with a second
pipeline in the same rounds (an earlier release's weights, say).
"""

import argparse
import random
import statistics
import time
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path

from audits.extraction import claims
from audits.language.pipeline import identity, load_pipeline

ROUNDS = 5
NOUNS = [
    "dog",
    "cat",
    "man",
    "woman",
    "child",
    "car",
    "bus",
    "tree",
    "table",
    "chair",
    "boat",
    "bird",
    "horse",
    "kite",
    "umbrella",
    "bench",
    "bowl",
    "lamp",
    "sign",
]
COLORS = ["red", "green", "blue", "white", "black", "yellow", "brown", "gray"]
PLACES = ["on", "under", "next to", "behind", "in front of", "to the left of"]


def made_up(count: int) -> list[str]:
    """Captions of four to twenty-five words about things, colors, counts and places."""
    rng = random.Random(0)

    def phrase() -> str:
        number = rng.choice(["a", "a", "two", "three"])
        return f"{number} {rng.choice(COLORS)} {rng.choice(NOUNS)}{'s' if number != 'a' else ''}"

    captions = []
    for _ in range(count):
        parts = [f"{phrase()} {rng.choice(PLACES)} {phrase()}" for _ in range(rng.choice([1, 1, 1, 2, 3]))]
        captions.append(". ".join(parts).capitalize() + rng.choice(["", "."]))
    return captions


def rate(work: Callable[[], object], captions: int) -> float:
    start = time.perf_counter()
    work()
    return captions / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--captions", type=int, default=2000)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--pipeline", default=None)
    parser.add_argument("--against", default=None, help="a second pipeline for the same captions")
    parser.add_argument("--file", type=Path, default=None, help="one caption a line")
    args = parser.parse_args()

    nlp = load_pipeline(args.pipeline)
    if args.file is not None:
        lines = [line for line in args.file.read_text(encoding="utf8").splitlines() if line.strip()]
        captions = list(islice(cycle(lines), args.captions))
    else:
        captions = made_up(args.captions)
    words = sum(len(caption.split()) for caption in captions) / len(captions)
    workers = {"n_process": args.processes} if args.processes > 1 else {}

    def bare() -> None:
        for _ in nlp.pipe(captions, batch_size=256, **workers):
            pass

    def ours() -> None:
        for _ in claims(captions, pipeline=nlp, processes=args.processes):
            pass

    other = load_pipeline(args.against) if args.against is not None else None

    def theirs() -> None:
        for _ in claims(captions, pipeline=other, processes=args.processes):
            pass

    works = [bare, ours, *([theirs] if other is not None else [])]
    for work in works:
        work()
    rounds = [[rate(work, len(captions)) for work in works] for _ in range(ROUNDS)]
    parsing, claiming, *rest = (statistics.median(column) for column in zip(*rounds, strict=True))
    ratio = statistics.median(second / first for first, second, *_ in rounds)
    print(f"{identity(nlp)}, {len(captions):,} captions of {words:.1f} words, {args.processes} process(es)")
    print(f"nlp.pipe {parsing:,.0f}/s   claims {claiming:,.0f}/s   ratio {ratio:.2f}")
    if other is not None:
        gain = statistics.median(each[1] / each[2] for each in rounds)
        print(f"{identity(other)}: claims {rest[0]:,.0f}/s; this pipeline {gain:.2f} times as many")
    print(f"a million such captions: {1e6 / claiming / 60:,.0f} minutes")


if __name__ == "__main__":
    main()
