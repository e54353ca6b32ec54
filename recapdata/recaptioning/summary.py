"""What a recaption run did, as numbers and as the text a person reads at its end."""

from collections.abc import Mapping
from dataclasses import dataclass
from textwrap import shorten
from typing import Any

from recapdata.display import shell_line, shell_word, shown_as_text
from recapdata.records import Provenance
from recapdata.versions.comparable import clip_option


@dataclass(frozen=True, slots=True, kw_only=True)
@shown_as_text
class RecaptionSummary:
    """The outcome of a recaption run.

    Attributes:
        asked: `all`, `pilot`, `keys`, `where` or `retry`: what the run was to caption.
        where: the expression that chose among the records; None where all were meant.
        among: how many records that is, of which a pilot takes a sample.
        records: of the dataset; captions + failures + lacking of the set make the same sum.
        lacking: records that the set has neither caption nor error for (after a pilot, say).
        done: images this run itself captioned, `done_failures` of them without success.
        examples: the first few captions of this run.
        seconds: of the whole command; `caption_seconds` from the first batch to the last, without loading the model.
        caption_bytes: what the set takes on disk.
        filled: captions of the base set, for records that were not chosen; they are among `captions`.
        first_error: the first failure of this run, whose type and remedy others of it share.
        audited_by: the options of the folder's audit, which the next one is to be held against.
        largest_batch: the largest batch that fit, where one did not fit.
        command: the command without what chooses images, to be typed again.
    """

    directory: str
    set_name: str
    provenance: Provenance
    device: str
    records: int
    captions: int
    failures: int
    failures_by_type: Mapping[str, int]
    lacking: int
    asked: str
    where: str | None
    among: int
    done: int
    done_failures: int
    examples: tuple[str, ...]
    seconds: float
    caption_seconds: float
    caption_bytes: int
    largest_batch: int | None
    command: str
    filled: int = 0
    first_error: str | None = None
    audited_by: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether all that was asked for is there: no failures, and after a full run nothing lacking."""
        return not self.failures and (self.asked in ("pilot", "keys", "where") or not self.lacking)

    @property
    def images_per_second(self) -> float:
        """Speed of this run; 0 where it captioned nothing."""
        return self.done / max(self.caption_seconds, 1e-4)

    def text(self) -> str:
        """The summary for a terminal."""
        lines = [self._headline(), ""]
        parts = f"   {self.captions - self.filled:,} written, {self.filled:,} of {self.provenance.base}"
        lines.append(f"  {'captions':<10}{self.captions:>12,}" + (parts if self.filled else ""))
        reasons = ", ".join(f"{kind} {count:,}" for kind, count in self.failures_by_type.items())
        lines.append(f"  {'failures':<10}{self.failures:>12,}" + (f"   {reasons}" if reasons else ""))
        if self.first_error:
            lines.append(f"  {'such as':<10}  {shorten(self.first_error, 300, placeholder=' …')}")
        if self.lacking:
            lines.append(f"  {'to do':<10}{self.lacking:>12,}")
        lines.append(f"  {'records':<10}{self.records:>12,}")
        if self.where is not None:
            lines.append(f"  {'chosen':<10}{self.among:>12,}   --where {self.where}")
        lines += ["", *self._how(), ""]
        if self.examples:
            lines += [
                "For example",
                *(f"  {shorten(text, 200, placeholder=' …')}" for text in self.examples),
                "",
            ]
        if self.where is None or self.among:
            lines += ["Next", *self._next()]
        return "\n".join(lines)

    def _headline(self) -> str:
        if self.where is not None and not self.among:
            return f"{self.set_name} of {self.directory}: nothing to do; there is no caption of which --where is true."
        if not self.done:
            return f"{self.set_name} of {self.directory}: nothing to do."
        what = {"pilot": "a pilot of ", "retry": "again "}.get(self.asked, "")
        return f"Captioned {what}{images(self.done)} of {self.directory} as {self.set_name}."

    def _how(self) -> list[str]:
        who = self.provenance
        sampling = ", ".join(f"{name} {value}" for name, value in who.sampling.items())
        decoding = f"{sampling}; " if sampling else ""
        lines = [
            f"  written by   {who.model} at {who.revision or 'a revision that its server does not tell'}",
            f"  prompt       {who.prompt!r}" if who.prompt else "  prompt       none",
            f"  decoding     {decoding}{machine(who, self.device)}, batches of {who.batch_size}",
        ]
        if self.done:
            lines.append(
                f"  speed        {self.images_per_second:,.1f} images/s over {duration(self.caption_seconds)}"
            )
        if self.largest_batch:
            lines.append(
                f"  memory       batches of {who.batch_size} did not fit and were captioned {self.largest_batch} at a time"
            )
        return lines

    def _next(self) -> list[str]:
        lines = []
        audit = shell_line(["audits", "run", self.directory, "--captions", self.set_name, *self.audited_by])
        if self.asked == "pilot" and self.left and self.done:
            rate, share = self.images_per_second, self.captions + self.failures
            disk = self.caption_bytes / max(share, 1) * self.left
            lines.append(
                f"  the other {images(self.left)} would take about {duration(self.left / rate)} "
                f"and {size(disk)} of disk at this speed"
            )
        if self.lacking and self.captions:
            lines.append(f"  {audit}   # audits what is there, as a sample")
        if self.asked == "pilot" and self.left and self.where is not None:
            lines.append(
                f"  {self.command} --where {shell_word(self.where)}   # captions the rest of those chosen"
            )
        if self.lacking:
            whole = "captions the rest and keeps these" + (
                "; publishing needs the set whole" if self.where else ""
            )
            lines.append(f"  {self.command}   # {whole}")
        if self.failures:
            lines.append(f"  {self.command} --retry-failed   # does only what failed again")
        if not self.lacking:
            lines.append(f"  {audit}")
        return lines

    @property
    def left(self) -> int:
        """Images that a pilot left out of those it was drawn from."""
        return min(self.lacking, max(0, self.among - self.done)) if self.where is not None else self.lacking


def audit_options(summary: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Evidence and CLIP model of an audit's summary, as `audits run` takes them; none where there is no audit."""
    named = (summary or {}).get("evidence") or []
    evidence = [each.partition(":")[0] if each.startswith("ocr:") else each for each in named]
    clip = (summary or {}).get("clip")
    return (
        *(("--evidence", ",".join(evidence)) if evidence else ()),
        *(("--clip", clip_option(clip)) if clip and "," not in clip else ()),
    )


def machine(provenance: Provenance, device: str) -> str:
    """Where a captioner runs, with its dtype if it has one: `float32 on cpu`."""
    return f"{provenance.dtype} on {device}" if provenance.dtype else f"on {device}"


def images(count: int) -> str:
    """A number of images in words."""
    return f"{count:,} image" + ("" if count == 1 else "s")


def duration(seconds: float) -> str:
    """Seconds in a person's units: `8.2 s`, `3 min`, `4 h 20 min`, `3 days`."""
    if seconds < 90:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{hours / 24:.1f} days"


def size(count: float) -> str:
    """Bytes in a person's units."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
