"""Print the figures of the gold captions as Markdown, or the mistakes of one kind."""

import argparse
import sys
from collections.abc import Iterator, Sequence

from recapdata.records import Claim
from tests.audits.gold.rows import FOLDER, LENGTHS, Row, read_rows
from tests.audits.gold.score import (
    KINDS,
    Judged,
    compare,
    extracted,
    figures,
    judge,
    proportion,
)

Read = list[tuple[Row, list[Claim]]]


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.audits.gold", description=__doc__)
    parser.add_argument("--errors", choices=[*KINDS, "verdicts"], help="list the mistakes of one kind")
    parser.add_argument("--length", choices=LENGTHS, help="only these captions")
    chosen = parser.parse_args(arguments)
    lengths = (
        [chosen.length]
        if chosen.length
        else [each for each in LENGTHS if (FOLDER / f"{each}.jsonl").exists()]
    )
    rows = {length: read_rows(length) for length in lengths}
    read = {length: list(zip(each, extracted(each), strict=True)) for length, each in rows.items()}
    if chosen.errors is None:
        lines = [*claims_table(read), "", *verdicts_table(read)]
    else:
        every = [pair for each in read.values() for pair in each]
        lines = list(verdict_errors(every) if chosen.errors == "verdicts" else errors(every, chosen.errors))
    sys.stdout.write("\n".join(lines) + "\n")


def claims_table(read: dict[str, Read]) -> list[str]:
    """Precision, recall and F1 per kind, and F1 per length of captions."""
    captions = ", ".join(f"{len(each)} {length}" for length, each in read.items())
    lengths = [f" F1, {length} |" for length in read] if len(read) > 1 else []
    lines = [
        f"| claims ({captions} captions) | gold | precision | recall | F1 (95 %) |{''.join(lengths)}",
        "|---|---|---|---|---|" + "---|" * len(lengths),
    ]
    for kind in KINDS:
        compared = {
            length: [compare(row, claims, kind) for row, claims in each] for length, each in read.items()
        }
        every = [each for comparisons in compared.values() for each in comparisons]
        found = figures(every)
        gold = sum(len(each.right) + len(each.missed) for each in every)
        parts = [f" {figures(each)['F1'].value:.3f} |" for each in compared.values()] if lengths else []
        lines.append(
            f"| {kind} | {gold} | {found['precision'].value:.3f} | {found['recall'].value:.3f} | {found['F1']} |"
            + "".join(parts)
        )
    return lines


def judged_rows(read: Read) -> list[Judged]:
    """The rows that have evidence, judged."""
    return [judge(row, claims) for row, claims in read if row.evidence is not None]


def verdicts_table(read: dict[str, Read]) -> list[str]:
    """How claims of true captions are judged, and how many lies are found."""
    judged = judged_rows([pair for each in read.values() for pair in each])
    true, lying = [each for each in judged if each.true], [each for each in judged if not each.true]
    lines = ["| verdicts | of | share (95 %) |", "|---|---|---|"]

    def line(name: str, numbers: list[bool]) -> None:
        if numbers:
            lines.append(f"| {name} | {len(numbers)} | {proportion(numbers)} |")

    line("true captions, nothing contradicted", [not each.contradicted for each in true])
    verdicts = [claim.verdict for each in true for claim in each.claims]
    line("their claims judged, contradicted", [one == "contradicted" for one in verdicts if one != "unknown"])
    named = [
        name not in each.unsupported for each in judged for name in each.row.verdicts.get("supported", ())
    ]
    line("things in the evidence, supported", named)
    for kind in ("object", "count", "position", "color", None):
        found = [
            seen for each in lying if each.row.verdicts.get("lie") == kind for seen in each.lies.values()
        ]
        line(f"lies found: {kind or 'any kind'}", found)
    line("lying captions, nothing true contradicted", [not each.contradicted for each in lying])
    return lines


def errors(read: Read, kind: str) -> Iterator[str]:
    """The mistakes of one kind, a caption a line: what is missed (-) and what is wrong (+)."""
    for row, claims in read:
        found = compare(row, claims, kind)
        marks = [("-", each) for each in found.missed] + [("+", each) for each in found.wrong]
        if marks:
            said = "; ".join(f"{mark} {' '.join(map(str, each))}" for mark, each in marks)
            yield f"{row.id} {row.caption!r}\n    {said}"


def verdict_errors(read: Read) -> Iterator[str]:
    """True claims that are contradicted, things that are not supported, lies that are not found."""
    for each in judged_rows(read):
        said = [
            f"contradicted: {claim.kind} {claim.object} ({claim.evidence})" for claim in each.contradicted
        ]
        said += [f"not supported: {name}" for name in each.unsupported]
        said += [f"lie not found: {name}" for name, found in each.lies.items() if not found]
        if said:
            yield f"{each.row.id} {each.row.caption!r}\n    {'; '.join(said)}"


if __name__ == "__main__":
    main()
