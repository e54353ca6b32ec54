"""Prompts → pictures: a PNG each and a metadata file, each picture a function of prompt and seed alone.

The folder is an `imagefolder`, so it can be ingested, loaded and audited as a dataset. An interrupted run resumes where it
stopped, with the same batches; another batch size moves a picture by no more than rounding. Under `accelerate launch` every process makes
the pictures of its own batches.
"""

import io
import json
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recapdata.atomic import write_atomic
from recapdata.caption_sets.mixture import fitting_sentences
from recapdata.console import progress
from recapdata.dataset.bounded import read_small
from recapdata.display import shown_as_text
from recapdata.errors import DatasetDamaged, InputError, ModelNotSupported, OptionError
from recapdata.models.opening import one_line
from recapdata.models.sources import ModelSource, resolve_model
from recapdata.models.transformers import REFUSALS
from recapdata.options import identity
from recapdata.outputs import check_own_folder
from recaptrain.diffusion.conditioning import encode, tokenize
from recaptrain.diffusion.windows import windows
from recaptrain.generation.prompts import Prompt, read_prompts
from recaptrain.generation.settings import GenerateSettings, LongPrompts

if TYPE_CHECKING:
    from accelerate import PartialState
    from PIL.Image import Image

    from recaptrain.diffusion.conditioning import Pipeline

METADATA = "metadata.jsonl"
SETTINGS = "generation.json"
JOURNALS = ".made-*.jsonl"
"""Rows of a run under way, a file of each process."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
@shown_as_text
class GenerateSummary:
    """What was made: `made` by this run, `kept` from an earlier one; `flagged` by the model's own safety checker.

    Attributes:
        over_length: pictures whose prompt the text encoder cannot read whole; `left_out` of them by the policy `drop`.
    """

    out: str
    model: str
    revision: str
    images: int
    made: int
    kept: int
    flagged: int
    over_length: int
    left_out: int
    long_prompts: LongPrompts
    seconds: float

    def text(self) -> str:
        """The closing lines for the terminal."""
        lines = [
            f"{self.images:,} pictures in {self.out}: {self.made:,} made in {self.seconds:.1f} s, {self.kept:,} there before"
        ]
        if self.over_length:
            lines.append(
                f"{self.over_length:,} prompts are longer than the text encoder reads: policy {self.long_prompts}"
                + (f", {self.left_out:,} of them left out" if self.left_out else "")
            )
        if self.flagged:
            lines.append(
                f"{self.flagged:,} of them blackened by the model's safety checker (flagged in {METADATA})"
            )
        lines.append(f"prompts, seeds and settings stand in {self.out}/{METADATA} and {SETTINGS}")
        return "\n".join(lines)


def generate(
    model: str, prompts: str | Path, out: Path, settings: GenerateSettings
) -> GenerateSummary | None:
    """Make the pictures that `out` does not hold yet.

    Args:
        model: `embedded`, a folder, or `user/name` on the Hub at the settings' revision.
        prompts: see `read_prompts`.

    Returns:
        The summary; None in all processes but the first.

    Raises:
        InputError: the prompts cannot be read.
        OptionError: `out` holds other files, or pictures of another model or other settings.
        CaptionerNotFound, ModelNotSupported: no such model, or not a Stable Diffusion pipeline.
    """
    from recaptrain.diffusion.lora import open_pipeline

    began = time.monotonic()
    check_own_folder(out, {SETTINGS}, "pictures of recaptrain generate")
    given = read_prompts(
        prompts, settings.seed, images_per_prompt=settings.images_per_prompt, limit=settings.limit
    )
    _check_texts(given)
    source = resolve_model(model, kind="diffusion", revision=settings.revision)
    rows = _rows(out, source, settings)
    state = _process()
    pipeline = open_pipeline(source)
    over = _over_length(pipeline, given)
    wanted = [each for each in given if settings.long_prompts != "drop" or each.prompt not in over]
    missing = {prompt.id for prompt in wanted if not _made(out, rows, prompt)}
    if state.is_main_process:
        _write_settings(out, source, settings, pipeline)
        _write_metadata(out, wanted, rows)
    state.wait_for_everyone()
    if missing:
        _draw_all(_on_device(pipeline, state), state, wanted, missing, out, settings)
        state.wait_for_everyone()
    if not state.is_main_process:
        return None
    rows = _rows(out, source, settings)
    _write_metadata(out, wanted, rows)
    return GenerateSummary(
        out=str(out),
        model=source.name,
        revision=source.revision,
        images=len(wanted),
        made=len(missing),
        kept=len(wanted) - len(missing),
        flagged=sum(bool(rows[prompt.id].get("flagged")) for prompt in wanted),
        over_length=sum(each.prompt in over for each in given),
        left_out=len(given) - len(wanted),
        long_prompts=settings.long_prompts,
        seconds=round(time.monotonic() - began, 1),
    )


def _rows(out: Path, source: ModelSource, settings: GenerateSettings) -> dict[str, Row]:
    """The rows of an earlier run with the same model and settings, by id: those of its metadata and of its processes' journals.

    Raises:
        OptionError: the folder holds pictures made otherwise.
        DatasetDamaged: what they were made with cannot be read.
    """
    path = out / SETTINGS
    if path.is_file():
        before = _settings_before(path)
        differing = "; ".join(
            f"{name}: {before.get(name)} there, {value} now"
            for name, value in _decided(source, settings).items()
            if name != "model" and before.get(name, value) != value
        )
        if differing:
            raise OptionError(f"{out} holds pictures made otherwise ({differing}); name another folder")
    rows: dict[str, Row] = {}
    for file in (out / METADATA, *sorted(out.glob(JOURNALS))):
        for line in file.read_bytes().split(b"\n") if file.is_file() else ():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                continue  # the end of what a killed process wrote
            if _is_row(row):
                rows[row["id"]] = row
    return rows


def _check_texts(prompts: Sequence[Prompt]) -> None:
    """Refuse prompts, and what their file says of them, that no tokenizer and no file takes.

    Raises:
        InputError: one holds half a surrogate pair.
    """
    for each in prompts:
        try:
            json.dumps([each.prompt, each.original, each.category, each.fields], ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise InputError(
                f"the prompt {each.id} holds half a surrogate pair, which is no text; mend it"
            ) from error


def _settings_before(path: Path) -> dict[str, Any]:
    """What the pictures of a folder were made with."""
    try:
        before = json.loads(read_small(path))
    except (OSError, ValueError, RecursionError) as error:
        raise DatasetDamaged(f"{path} is damaged ({error}); name another folder") from error
    if not isinstance(before, dict):
        raise DatasetDamaged(f"{path} is damaged (it holds no settings by name); name another folder")
    return before


def _is_row(row: Any) -> bool:
    """Whether it is a row that `_row` makes, of a picture in the folder itself; any other is no row, and its picture is made anew."""
    return (
        isinstance(row, dict)
        and all(isinstance(row.get(name), str) for name in ("id", "prompt", "prompt_id"))
        and row.get("file_name") == f"{row['id']}.png"
        and isinstance(row.get("seed"), int)
    )


def _decided(source: ModelSource, settings: GenerateSettings) -> dict[str, Any]:
    return {"model": source.name, "revision": source.revision, **identity(settings)}


def _write_settings(out: Path, source: ModelSource, settings: GenerateSettings, pipeline: "Pipeline") -> None:
    """Model, settings and what else the pictures were made with."""
    scheduler = {name: value for name, value in pipeline.scheduler.config.items() if not name.startswith("_")}
    made_with = {
        "scheduler": {"class": type(pipeline.scheduler).__name__, **scheduler},
        "versions": {name: version(name) for name in ("diffusers", "transformers", "torch")},
    }
    content = {**_decided(source, settings), **made_with}
    write_atomic(out / SETTINGS, json.dumps(content, indent=2, default=str).encode())


def _made(out: Path, rows: dict[str, Row], prompt: Prompt) -> bool:
    row = rows.get(prompt.id)
    if row is None or (row["prompt"], row["seed"]) != (prompt.prompt, prompt.seed):
        return False
    return (out / row["file_name"]).is_file()


def _write_metadata(out: Path, wanted: Sequence[Prompt], rows: dict[str, Row]) -> None:
    """Rows in the order of the prompts; what the prompts no longer name is left out, its picture stays."""
    lines = [json.dumps(rows[prompt.id], ensure_ascii=False) + "\n" for prompt in wanted if prompt.id in rows]
    write_atomic(out / METADATA, "".join(lines).encode())
    for journal in out.glob(JOURNALS):
        if journal.is_dir() and not journal.is_symlink():
            raise OptionError(f"{journal} is a folder, where a file is to be written; move it away")
        journal.unlink()


def _over_length(pipeline: "Pipeline", prompts: Sequence[Prompt]) -> set[str]:
    """The prompts that have more tokens than the text encoder reads."""
    tokenizer = pipeline.tokenizer
    texts = list({prompt.prompt for prompt in prompts})
    ids = tokenizer(texts, truncation=False, verbose=False).input_ids
    return {text for text, each in zip(texts, ids, strict=True) if len(each) > tokenizer.model_max_length}


def _process() -> "PartialState":
    """This process among those that `accelerate launch` started; alone otherwise."""
    from accelerate import PartialState

    return PartialState()


def _on_device(pipeline: "Pipeline", state: "PartialState") -> "Pipeline":
    """On this process's GPU where there is one, in half precision there."""
    import torch

    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(state.device, torch.float16 if state.device.type == "cuda" else torch.float32)


def _draw_all(
    pipeline: "Pipeline",
    state: "PartialState",
    wanted: Sequence[Prompt],
    missing: Collection[str],
    out: Path,
    settings: GenerateSettings,
) -> None:
    """Make this process's pictures, batch by batch; the batches are the same whatever was made before."""
    starts = range(0, len(wanted), settings.batch_size)[state.process_index :: state.num_processes]
    batches = [wanted[start : start + settings.batch_size] for start in starts]
    todo = sum(prompt.id in missing for batch in batches for prompt in batch)
    journal = out / JOURNALS.replace("*", str(state.process_index))
    with progress("generating", total=todo) as advance, open(journal, "a", encoding="utf8") as made:
        for batch in batches:
            if not any(prompt.id in missing for prompt in batch):
                continue
            for prompt, (image, row) in zip(batch, _draw(pipeline, batch, settings), strict=True):
                if prompt.id in missing:
                    content = io.BytesIO()
                    image.save(content, "PNG")
                    write_atomic(out / row["file_name"], content.getvalue())
                    made.write(json.dumps(row, ensure_ascii=False) + "\n")
                    advance(1)
            made.flush()


def _draw(
    pipeline: "Pipeline", batch: Sequence[Prompt], settings: GenerateSettings
) -> list[tuple["Image", Row]]:
    """The pictures of a batch with their rows; of chunks, prompts of as many windows are drawn together."""
    import torch

    tokenizer = pipeline.tokenizer
    limit = tokenizer.model_max_length

    def count(text: str) -> int:
        return len(tokenizer(text, truncation=False, verbose=False).input_ids)

    read = [prompt.prompt for prompt in batch]
    if settings.long_prompts == "sentences":
        read = [text if count(text) <= limit else fitting_sentences(text, count, limit) for text in read]
    chunks = [len(windows(tokenizer, text)) if settings.long_prompts == "chunks" else 1 for text in read]
    drawn: dict[int, tuple[Image, Row]] = {}
    for number in sorted(set(chunks)):
        places = [place for place, own in enumerate(chunks) if own == number]
        texts = [read[place] for place in places]
        given: dict[str, Any] = {"prompt": texts}
        if number > 1:
            given = _embeddings(pipeline, texts, number)
        with _drawing():
            result = pipeline(
                **given,
                num_inference_steps=settings.steps,
                guidance_scale=settings.guidance,
                generator=[torch.Generator().manual_seed(batch[place].seed) for place in places],
            )
        flags = getattr(result, "nsfw_content_detected", None) or [False] * len(places)  # SDXL has no checker
        for place, image, flagged in zip(places, result.images, flags, strict=True):
            row = _row(
                batch[place],
                read[place],
                over_length=count(batch[place].prompt) > limit,
                flagged=bool(flagged),
            )
            drawn[place] = (image, row)
    return [drawn[place] for place in range(len(batch))]


@contextmanager
def _drawing() -> Iterator[None]:
    """Turn what a pipeline raises whose parts do not fit together, or that lacks memory, into one line."""
    try:
        yield
    except (*REFUSALS, MemoryError) as error:
        raise ModelNotSupported(
            f"the model fails to draw ({one_line(error)}); where memory is what lacks, a smaller --batch-size takes less"
        ) from error


def _embeddings(pipeline: "Pipeline", texts: Sequence[str], number: int) -> dict[str, Any]:
    """Texts of `number` windows each as arguments of the pipeline, with empty windows of as many to guide away from."""
    import torch

    given: dict[str, Any] = {}
    for prefix, each in (("", texts), ("negative_", [""] * len(texts))):
        with torch.no_grad():
            condition = encode(pipeline, tokenize(pipeline, each, most=number, at_least=number))
        given[f"{prefix}prompt_embeds"] = condition.states
        if condition.pooled is not None:
            given[f"{prefix}pooled_prompt_embeds"] = condition.pooled
    return given


def _row(prompt: Prompt, read: str, *, over_length: bool, flagged: bool) -> Row:
    """A row of the metadata; what a benchmark says of the prompt is JSON text, since every row must have one form.

    `read` is what the model was given, less than the prompt where the policy for long prompts left sentences out.
    """
    return {
        "file_name": f"{prompt.id}.png",
        "id": prompt.id,
        "prompt_id": prompt.prompt_id,
        "prompt": prompt.prompt,
        "original": prompt.original,
        "read": read,
        "over_length": over_length,
        "seed": prompt.seed,
        "category": prompt.category,
        "fields": json.dumps(prompt.fields, ensure_ascii=False) if prompt.fields else None,
        "flagged": flagged,
    }
