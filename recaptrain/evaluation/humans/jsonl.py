"""Votes as JSON lines, one a line, with models, prompt and rater by name: for other programs, and for putting studies of two machines together."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recapdata.atomic import write_atomic
from recapdata.dataset.bounded import TooLarge, read_small
from recapdata.display import printable_json
from recapdata.errors import InputError, OptionError
from recapdata.outputs import check_replaceable, lines_kind
from recaptrain.evaluation.humans.database import DATABASE, Database
from recaptrain.evaluation.humans.ratings import NAME_MAX, Added, Vote, add_votes, is_name, read_votes
from recaptrain.evaluation.humans.study import Question, Study

FIELDS = (
    "protocol", "caption", "prompt", "image", "a", "b", "left", "winner", "success", "rater", "seconds", "at",
)  # fmt: skip
VOTES = lines_kind("file of votes", "votes.jsonl", lambda row: set(row) == set(FIELDS))
SHOWN_ERRORS = 3
IMPORTED_BYTES = 2**27
"""Of a file that is imported: some 400,000 votes."""
SECONDS_MAX = 2.0**40


def export_votes(database: Database, path: Path) -> int:
    """Write all votes that count, in the order in which they came: how many.

    A line has protocol, caption (original or read: which prompt this is), prompt, image (from 0), a and b (models; b is null of a picture by itself), left
    (the model on the left), winner (a model, or null for a tie), success (of a picture by itself), rater, seconds, at (seconds since 1970).

    Raises:
        OptionError: the file is that of the votes themselves, or holds something else than votes.
    """
    if path.name.startswith(DATABASE) and path.parent.resolve() == database.path.parent.resolve():
        raise OptionError(f"{path} is where the votes are kept; name another file for --export")
    check_replaceable(path, VOTES)
    votes = read_votes(database)
    # Half a surrogate pair, which a prompt may hold, is no UTF-8: it stays an escape.
    lines = [
        printable_json(json.dumps(_row(database.study, vote), ensure_ascii=False)) + "\n" for vote in votes
    ]
    write_atomic(path, "".join(lines).encode())
    return len(votes)


def _row(study: Study, vote: Vote) -> dict[str, Any]:
    question = vote.question
    a = study.models[question.a]
    b = None if question.b is None else study.models[question.b]
    return {
        "protocol": study.protocol,
        "caption": study.identity["prompts"],
        "prompt": study.prompts[question.prompt],
        "image": question.image,
        "a": a,
        "b": b,
        "left": b if vote.left_is_b else a,
        "winner": {"a": a, "b": b}.get(vote.answer),
        "success": {"yes": True, "no": False}.get(vote.answer),
        "rater": vote.rater,
        "seconds": vote.seconds,
        "at": vote.at,
    }


def import_votes(database: Database, path: Path) -> dict[Added, int]:
    """Take in votes of an exported file, all or none: how many were new, known or left out (see `add_votes`).

    Raises:
        InputError: the file cannot be read, or a line is no vote on a question of this study; the message names the first lines.
    """
    if path.exists() and not path.is_file():
        raise InputError(f"{path} cannot be read: it is no file")
    try:
        content = read_small(path, IMPORTED_BYTES).decode("utf8")
    except (OSError, TooLarge, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    study = database.study
    questions = {
        (study.prompts[each.prompt], each.image, each.a, each.b): each for each in database.questions.values()
    }
    votes, wrong = [], []
    for number, line in enumerate(content.split("\n"), 1):
        if line.strip():
            try:
                votes.append(_vote(study, questions, json.loads(line)))
            except KeyError as error:
                wrong.append(f"line {number}: {error.args[0]} is missing")
            except (ValueError, TypeError, RecursionError) as error:
                wrong.append(f"line {number}: {error}")
    if wrong:
        more = f"; and {len(wrong) - SHOWN_ERRORS:,} more" if len(wrong) > SHOWN_ERRORS else ""
        raise InputError(f"{path}: nothing was imported, since {'; '.join(wrong[:SHOWN_ERRORS])}{more}")
    return add_votes(database, votes)


def _vote(study: Study, questions: Mapping[tuple[str, int, int, int | None], Question], row: Any) -> Vote:
    """The vote of one line; raises ValueError, KeyError or TypeError where it is none."""
    if not isinstance(row, dict):
        raise ValueError("no JSON object")
    for name, there in (("protocol", study.protocol), ("caption", study.identity["prompts"])):
        if row[name] != there:
            raise ValueError(f"{name} is {row[name]!r}, and that of this study {there!r}")
    numbers = {name: number for number, name in enumerate(study.models)}
    models = [row["a"]] if row["b"] is None else [row["a"], row["b"]]
    for name in models:
        if name not in numbers:
            raise ValueError(f"{name!r} is no model of this study ({', '.join(study.models)})")
    if row["left"] not in models:
        raise ValueError(f"left is {row['left']!r}, which is neither a nor b")
    a, b = numbers[row["a"]], None if row["b"] is None else numbers[row["b"]]
    if b is not None and b < a:
        a, b = b, a
    question = questions.get((row["prompt"], row["image"], a, b))
    if question is None or isinstance(row["image"], bool):
        raise ValueError("this study has no such question: it knows no such prompt, image or pair")
    return Vote(
        question=question,
        rater=_rater(row["rater"]),
        answer=_answer(row, question, numbers),
        left_is_b=b is not None and numbers[row["left"]] == b,
        seconds=None if row["seconds"] is None else _number("seconds", row["seconds"]),
        at=_number("at", row["at"]),
    )


def _answer(row: Mapping[str, Any], question: Question, numbers: Mapping[str, int]) -> str:
    if question.b is None:
        if not isinstance(row["success"], bool):
            raise ValueError(f"success is {row['success']!r}, neither true nor false")
        return "yes" if row["success"] else "no"
    winner = row["winner"]
    if winner is None:
        return "tie"
    answers = {question.a: "a", question.b: "b"}
    if numbers.get(winner) not in answers:
        raise ValueError(f"winner is {winner!r}, which is neither a nor b")
    return answers[numbers[winner]]


def _rater(name: Any) -> str:
    if not isinstance(name, str) or not is_name(name):
        raise ValueError(f"rater is {name!r:.80}, no name of at most {NAME_MAX} characters")
    return name


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not (0 <= value < SECONDS_MAX):
        raise ValueError(f"{name} is {value!r:.80}, no number of seconds")
    return float(value)
