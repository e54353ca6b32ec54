"""Prompts → prompts rewritten by a language model, each asked for once, and their distance from the training captions before and after."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from audits.clip.skew import Skew, embed, skew_of
from audits.text.coverage import count_words
from recapdata.atomic import write_atomic
from recapdata.captioners.answers import Words
from recapdata.console import progress
from recapdata.display import shell_word, shown_as_text
from recapdata.errors import OptionError
from recapdata.extras import require
from recapdata.models.dual_encoders import ClipSource, find_clip
from recapdata.models.sources import EMBEDDED, caution
from recapdata.outputs import check_replaceable, lines_kind
from recapdata.prompt_files import PromptRow
from recaptrain.caches import caches_root, open_cache
from recaptrain.chat import ChatModel, Request, open_chat_model
from recaptrain.chat.asking import ask, request_key
from recaptrain.chat.journal import AnswerJournal
from recaptrain.generation.prompts import read_named_rows
from recaptrain.generation.upsampling.examples import Examples, read_examples
from recaptrain.generation.upsampling.instructions import (
    MAX_TOKENS,
    VERSION,
    conversation,
    read_caption,
)
from recaptrain.generation.upsampling.settings import UpsampleSettings

KIND, ANSWERS = "upsampled", "answers.jsonl"
WORDS = Words(noun="answer", option="--model", prompt="the prompt")
UPSAMPLED = "upsampled"
"""Field of a row that says who rewrote it, or why nobody did."""
REWRITTEN = lines_kind("file of rewritten prompts", "rewritten.jsonl", lambda row: UPSAMPLED in row)


@dataclass(frozen=True, slots=True, kw_only=True)
@shown_as_text
class UpsampleSummary:
    """What was rewritten.

    Attributes:
        asked: rewritten by this run; `cached` by an earlier one, or alike.
        failed: prompts without a rewriting, which stand in `out` as they were.
        words_before, words_after: mean lengths of the prompts that were rewritten.
        examples: the dataset at its commit and the caption set that was shown.
        before, after: train–inference skew of those captions and the prompts; None without examples, or without a CLIP model for them.
    """

    out: str
    model: str
    revision: str | None
    prompts: int
    rewritten: int
    asked: int
    cached: int
    failed: int
    failures: Sequence[str]
    words_before: float
    words_after: float
    examples: str | None
    before: Skew | None
    after: Skew | None
    cache: str
    seconds: float

    @property
    def complete(self) -> bool:
        """Whether every prompt was rewritten."""
        return not self.failed

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "complete": self.complete}

    def text(self) -> str:
        """The closing lines for the terminal."""
        return "\n".join(_lines(self))


def upsample(prompts: str | Path, out: Path, settings: UpsampleSettings) -> UpsampleSummary:
    """Write the prompts to `out` as a language model rewrites them, with the originals beside.

    Args:
        prompts: see `recaptrain.generation.prompts.read_prompts`.
        out: JSON lines, which `recaptrain generate` reads; replaced as a whole at the end.

    Raises:
        InputError: the prompts, or the examples, cannot be read.
        OptionError: `out` is no .jsonl file, or holds something else; no such model.
        CaptionerNotFound, ModelNotSupported: no such model, or one that holds no conversation.
        ServerUnreachable, CreditsSpent: the server answers no more; what is rewritten is kept.
    """
    began = time.monotonic()
    _check_out(out, prompts)
    rows = read_named_rows(prompts, settings.limit)
    examples = _examples(settings)
    clip = _clip(settings, examples)
    model = open_chat_model(settings, max_tokens=MAX_TOKENS, words=WORDS)
    root = Path(settings.cache) if settings.cache else caches_root()
    about = {"chat": dict(model.identity), "version": VERSION, "_model": model.identity["model"]}
    cache = open_cache(root, KIND, about)
    for place in [str(out.parent.absolute()), *([examples.place] if examples else [])]:
        cache.note_use(place)
    requests = [_request(row, examples) for _, row in rows]
    with (
        AnswerJournal(cache.path / ANSWERS) as journal,
        progress("rewriting", total=len(rows), unit="prompts") as advance,
    ):
        asked = ask(model, requests, journal, advance=advance)
        found = [read_caption(journal.reply(request.key)) for request in requests]
    by = _by(model, examples)
    written = [_row(name, row, *each, by) for (name, row), each in zip(rows, found, strict=True)]
    lines = [json.dumps(row, ensure_ascii=False) for row in written]
    write_atomic(out, "\n".join([*lines, ""]).encode("utf8", "backslashreplace"))
    pairs = [(row.prompt, text) for (_, row), (text, _) in zip(rows, found, strict=True) if text is not None]
    before, after = _skews(pairs, examples, clip)
    return UpsampleSummary(
        out=str(out),
        model=by["model"],
        revision=by["revision"],
        prompts=len(rows),
        rewritten=len(pairs),
        asked=asked,
        cached=len(rows) - asked,
        failed=len(rows) - len(pairs),
        failures=[f"{name}: {error}" for (name, _), (_, error) in zip(rows, found, strict=True) if error],
        words_before=_mean_words([each for each, _ in pairs]),
        words_after=_mean_words([each for _, each in pairs]),
        examples=examples.source if examples else None,
        before=before,
        after=after,
        cache=str(cache.path),
        seconds=round(time.monotonic() - began, 1),
    )


def _check_out(out: Path, prompts: str | Path) -> None:
    """Refuse to write over anything but rewritten prompts."""
    if out.suffix.lower() != ".jsonl" or out.is_dir():
        raise OptionError(f"{out}: rewritten prompts are JSON lines; name a file that ends in .jsonl")
    if out.exists() and Path(prompts).exists() and out.samefile(prompts):
        raise OptionError(f"{out}: these are the prompts; name another file for what becomes of them")
    check_replaceable(out, REWRITTEN)


def _examples(settings: UpsampleSettings) -> Examples | None:
    if settings.examples is None:
        if settings.example_prompts is not None:
            raise OptionError("--example-prompts needs --examples, the captions that belong to them")
        if settings.clip is not None:
            raise OptionError("--clip needs --examples, the captions to compare with")
        return None
    return read_examples(
        settings.examples, shots=settings.shots, prompts=settings.example_prompts, seed=settings.seed
    )


def _request(row: PromptRow, examples: Examples | None) -> Request:
    turns = conversation(row.prompt, examples)
    return Request(key=request_key(turns), conversation=turns, about={"prompt": row.prompt})


def _by(model: ChatModel, examples: Examples | None) -> dict[str, Any]:
    return {
        "model": str(model.identity["model"]),
        "revision": model.identity["revision"],
        "examples": examples.source if examples else None,
    }


def _row(
    name: str, row: PromptRow, text: str | None, error: str | None, by: Mapping[str, Any]
) -> dict[str, Any]:
    """A row of `out`: what `generate` reads, and whatever else the file says of the prompt."""
    own = {"id", "prompt", "original", "category", UPSAMPLED}
    others = {field: value for field, value in row.row.items() if field.lower() not in own}
    original = row.row.get("original")
    return {
        "id": name,
        "prompt": row.prompt if text is None else text,
        "original": original if isinstance(original, str) else row.prompt,
        **({"category": row.category} if row.category is not None else {}),
        **others,
        UPSAMPLED: dict(by) if text is not None else {"error": error},
    }


def _mean_words(texts: Sequence[str]) -> float:
    return round(sum(map(count_words, texts)) / len(texts), 1) if texts else 0.0


def _clip(settings: UpsampleSettings, examples: Examples | None) -> ClipSource | None:
    """The CLIP model by which the distance is measured, found before anything is asked for; None where none is named for such captions."""
    if examples is None or (settings.clip is None and caution(EMBEDDED, examples.dataset)):
        return None
    require("torch", "open_clip", extra="evaluate")
    return find_clip(settings.clip or EMBEDDED)


def _skews(
    pairs: Sequence[tuple[str, str]], examples: Examples | None, clip: ClipSource | None
) -> tuple[Skew | None, Skew | None]:
    """The captions' distance from the prompts as they were, and as they are now."""
    if examples is None or clip is None or not pairs:
        return None, None
    from audits.clip.scorer import load_clip

    loaded = load_clip(clip)
    captions = embed(loaded, examples.sample)
    before, after = (
        skew_of(captions, embed(loaded, texts), name, loaded)
        for name, texts in zip(("original", UPSAMPLED), zip(*pairs, strict=True), strict=True)
    )
    return before, after


def _lines(summary: UpsampleSummary) -> Iterator[str]:
    at = f"@{summary.revision}" if summary.revision else " (of no known revision)"
    yield (
        f"{summary.rewritten:,} of {summary.prompts:,} prompts rewritten by {summary.model}{at}: {summary.asked:,} asked for in "
        f"{summary.seconds:.1f} s, {summary.cached:,} known before"
    )
    if summary.failed:
        yield f"{summary.failed:,} were not, and stand in {summary.out} as they were; the same command asks again where there was no answer:"
        yield from (f"  {line}" for line in summary.failures[:5])
    if summary.rewritten:
        yield f"words of a prompt on average: {summary.words_before:.1f} before, {summary.words_after:.1f} after"
    if summary.before is not None and summary.after is not None:
        yield f"distance from the captions of {summary.examples} (train–inference skew, by {summary.after.clip}):"
        yield f"  before: {summary.before.text()}"
        yield f"  after:  {summary.after.text()}"
    elif summary.examples is not None and summary.rewritten:
        yield f"for the distance from the captions of {summary.examples}, before and after, name a CLIP model: --clip MODEL"
    yield f"draw them with: recaptrain generate MODEL {shell_word(str(summary.out))} PICTURES"
