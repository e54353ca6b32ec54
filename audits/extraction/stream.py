"""Many captions to claims: batches through the pipeline, on as many processes as asked; JSON lines to JSON lines."""

from __future__ import annotations

import json
import re
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import islice
from multiprocessing import get_all_start_methods, get_context
from pathlib import Path
from typing import TYPE_CHECKING

from audits.extraction.extract import extract_claims
from audits.extraction.tree import Lemmas
from audits.language.pipeline import identity, load_pipeline, numpy_products, pipeline_scheme
from audits.text import LONGEST, Squeezed, read_form, squeeze
from audits.text.squeezed import NOTHING
from recapdata.atomic import replacing
from recapdata.console import progress, say
from recapdata.errors import InputError, OptionError
from recapdata.outputs import check_replaceable, lines_kind
from recapdata.records import CLAIM_KINDS, Claim

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc

BATCH_SIZE = 256
#: Words that the pipeline's vocabulary may remember, some 30 MB: the frequent ones, since they come first.
LEARNED = 50_000
#: Bad lines of a file that are shown one by one; the rest are counted.
SHOWN_FAILURES = 20

#: Characters without a blank that may be words; tokenizers take quadratic time to split a longer run at its marks.
LONGEST_RUN = 256

CLAIMS = lines_kind("file of claims", "claims.jsonl", lambda row: set(row) == {"id", "claims"})

_LONG_RUN = re.compile(rf"\S{{{LONGEST_RUN + 1},}}")
_MARK = re.compile(rf"[^\w{NOTHING}]")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_worker_nlp: Language | None = None


def claims(
    captions: Iterable[str],
    *,
    pipeline: Language | str | None = None,
    processes: int = 1,
    batch_size: int = BATCH_SIZE,
) -> Iterator[list[Claim]]:
    """The claims of each caption, in order, read as they are asked for: memory does not grow with their number.

    Args:
        pipeline: a loaded pipeline, the name or folder of one, or None for the project's own.
        processes: processes that parse.
        batch_size: captions parsed at once, in each process.

    Raises:
        PipelineNotFound, ModelNotSupported: see `audits.language.pipeline.load_pipeline`.
        OptionError: no processes, or several where threads run and the pipeline exists only in memory.
        InputError: a caption longer than the pipeline takes (a million code points for spaCy's own).
    """
    if processes < 1:
        raise OptionError(f"processes={processes}: at least one process is needed to read captions.")
    nlp = load_pipeline(pipeline) if pipeline is None or isinstance(pipeline, str) else pipeline
    if processes == 1:
        yield from _serial(captions, nlp, batch_size)
    else:
        yield from _parallel(captions, nlp, pipeline, processes, batch_size)


def _serial(captions: Iterable[str], nlp: Language, batch_size: int) -> Iterator[list[Claim]]:
    from spacy.pipeline import Lemmatizer

    scheme = pipeline_scheme(nlp)
    lemmatizers = {
        name: pipe for name, pipe in nlp.pipeline if isinstance(pipe, Lemmatizer) and pipe.mode == "rule"
    }
    lemmas_of = Lemmas(next(iter(lemmatizers.values()))) if len(lemmatizers) == 1 else None
    texts = (_squeezed(caption, nlp.max_length) for caption in _fitting(captions, nlp.max_length))
    with numpy_products(nlp):
        while batch := list(islice(texts, batch_size)):
            # Later words are forgotten with their batch: a large set has no end of names and misspellings.
            with nlp.memory_zone() if len(nlp.vocab) > LEARNED else nullcontext():
                docs = nlp.pipe(
                    (_document(nlp, text) for text in batch),
                    batch_size=batch_size,
                    disable=list(lemmatizers) if lemmas_of is not None else [],
                )
                found = [
                    _located(extract_claims(doc, scheme, text=text.text, lemmas_of=lemmas_of), text)
                    for doc, text in zip(docs, batch, strict=True)
                ]
            yield from found


def _squeezed(caption: str, longest: int) -> Squeezed:
    """The readable text of a caption; with its gaps where full stops would make it longer than the pipeline takes."""
    text = _LONG_RUN.sub(lambda run: _MARK.sub(" ", run.group()), read_form(caption).text)
    squeezed = squeeze(text)
    return squeezed if len(squeezed.text) <= longest else Squeezed(text)


def _document(nlp: Language, text: Squeezed) -> str | Doc:
    """What the pipeline gets to see of a text, and where its sentences begin for sure."""
    readable = _lowered(text.text)
    if not text.breaks:
        return readable
    doc = nlp.make_doc(readable)
    starts = set(text.breaks)
    for token in doc:
        if token.i and token.idx in starts:
            token.is_sent_start = True
    return doc


def _lowered(text: str) -> str:
    """A text all in capitals, or That Capitalizes Every Word, in lower case: taggers take its words for names."""
    words = _WORD.findall(text)
    if len(words) > 2 and not any(word[0].islower() for word in words):
        lower = text.lower()
        return lower if len(lower) == len(text) else text
    return text


def _located(claims: list[Claim], text: Squeezed) -> list[Claim]:
    """Claims of a text with their spans in the caption."""
    if text.origins is None:
        return claims
    return [replace(claim, span=text.original(claim.span)) for claim in claims]


def _fitting(captions: Iterable[str], longest: int) -> Iterator[str]:
    for number, caption in enumerate(captions):
        if len(caption) > longest:
            raise InputError(
                f"Caption {number} has {len(caption):,} characters; the pipeline takes at most {longest:,}. "
                "Leave it out or cut it."
            )
        yield caption


def _parallel(
    captions: Iterable[str], nlp: Language, pipeline: Language | str | None, processes: int, batch_size: int
) -> Iterator[list[Claim]]:
    """Batches in order; claims come back from the workers, not parsed documents, which cost more to send than to make.

    Workers are forked with the pipeline as it is, as spaCy itself does it, unless other threads run here, whose locks a
    fork would copy: then they start afresh and load it by name.
    """
    forked = "fork" in get_all_start_methods() and threading.active_count() == 1
    if not forked and nlp.path is None:
        raise OptionError(
            "This pipeline exists only in memory, so other processes cannot load it: "
            "save it with to_disk and give the folder, or use processes=1."
        )
    name = pipeline if pipeline is None or isinstance(pipeline, str) else str(nlp.path)
    source = iter(captions)
    pending: deque[Future[list[list[Claim]]]] = deque()
    with ProcessPoolExecutor(
        processes,
        get_context("fork" if forked else "spawn"),
        initializer=_start_worker,
        initargs=(nlp if forked else name,),
    ) as pool:
        while True:
            while len(pending) < 2 * processes and (batch := list(islice(source, batch_size))):
                pending.append(pool.submit(_work, batch))
            if not pending:
                return
            yield from pending.popleft().result()


def _start_worker(pipeline: Language | str | None) -> None:
    from threadpoolctl import threadpool_limits

    global _worker_nlp
    threadpool_limits(1)  # each process has a core of its own
    _worker_nlp = load_pipeline(pipeline) if pipeline is None or isinstance(pipeline, str) else pipeline


def _work(batch: list[str]) -> list[list[Claim]]:
    assert _worker_nlp is not None
    return list(_serial(batch, _worker_nlp, len(batch)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimsSummary:
    """What `audits claims` did.

    Attributes:
        captions: rows written.
        claims: number of claims of each kind.
        failures: lines that could not be read, and so have no row.
        pipeline: the pipeline's identity, with the hash of its files.
    """

    captions: int
    claims: dict[str, int]
    failures: int
    pipeline: str
    out: str

    @property
    def complete(self) -> bool:
        """Whether every line could be read."""
        return not self.failures

    def text(self) -> str:
        kinds = ", ".join(f"{self.claims.get(kind, 0):,} {kind}" for kind in CLAIM_KINDS)
        total = sum(self.claims.values())
        lines = [
            f"{self.captions:,} captions, {total:,} claims ({kinds})",
            f"pipeline {self.pipeline}",
            f"→ {self.out}",
        ]
        if self.failures:
            lines.insert(0, f"{self.failures:,} lines could not be read and have no row (named above)")
        return "\n".join(lines)


def annotate_jsonl(
    source: Path,
    target: Path,
    *,
    pipeline: str | None = None,
    processes: int = 1,
    batch_size: int = BATCH_SIZE,
) -> ClaimsSummary:
    """Reads `{"id", "caption"}` lines and writes `{"id", "claims"}` lines in their order.

    The target appears whole or not at all. A line that cannot be read gets no row, is said on standard error, and is
    counted in the summary.

    Raises:
        InputError: no such file, or a target whose folder does not exist.
        OptionError: the target is a file that is none of claims.
        PipelineNotFound, ModelNotSupported: see `audits.language.pipeline.load_pipeline`.
    """
    if not source.is_file():
        raise InputError(
            f"No file {source}: `audits claims` reads one JSON object per line, with id and caption."
        )
    if not target.parent.is_dir():
        raise InputError(f"No folder {target.parent} to write {target.name} into: make it first.")
    check_replaceable(target, CLAIMS)
    nlp = load_pipeline(pipeline)
    lines = _Lines(source, min(nlp.max_length, LONGEST))
    found: Counter[str] = Counter()
    rows = 0
    with (
        replacing(target, shared=True) as temporary,
        open(temporary, "w", encoding="utf8") as out,
        progress("claims", unit="captions") as advance,
    ):
        captions = lines.captions(lambda: advance(0, failed=1))
        for each in claims(captions, pipeline=nlp, processes=processes, batch_size=batch_size):
            row = {"id": lines.ids.popleft(), "claims": [claim.to_dict() for claim in each]}
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
            found.update(claim.kind for claim in each)
            rows += 1
            advance()
    if lines.failures > SHOWN_FAILURES:
        say(f"… and {lines.failures - SHOWN_FAILURES:,} more lines that could not be read")
    return ClaimsSummary(
        captions=rows,
        claims={kind: found[kind] for kind in CLAIM_KINDS},
        failures=lines.failures,
        pipeline=identity(nlp),
        out=str(target),
    )


class _Lines:
    """The captions of a file of JSON lines, with the ids of those on their way and the number of bad lines."""

    def __init__(self, path: Path, longest: int) -> None:
        self.path = path
        self.longest = longest
        self.ids: deque[object] = deque()
        self.failures = 0

    def captions(self, on_failure: Callable[[], None]) -> Iterator[str]:
        with open(self.path, "rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                reason, row = self._parsed(line)
                if reason is not None:
                    self.failures += 1
                    on_failure()
                    if self.failures <= SHOWN_FAILURES:
                        say(f"{self.path}:{number}: {reason}")
                    continue
                self.ids.append(row["id"])
                yield row["caption"]

    def _parsed(self, line: bytes) -> tuple[str | None, dict]:
        try:
            row = json.loads(line.decode("utf8"))
        except UnicodeDecodeError as error:
            return f"not UTF-8 at byte {error.start}", {}
        except json.JSONDecodeError as error:
            return f"not JSON: {error.msg} at column {error.colno}", {}
        except RecursionError:
            return "not JSON: nested too deeply", {}
        if not isinstance(row, dict) or "id" not in row or "caption" not in row:
            return 'not an object with "id" and "caption"', {}
        caption = row["caption"]
        if not isinstance(caption, str):
            return f"the caption is {'null' if caption is None else type(caption).__name__}, not a string", {}
        if len(caption) > self.longest:
            return (
                f"the caption has {len(caption):,} characters, more than are parsed ({self.longest:,})",
                {},
            )
        return None, row
