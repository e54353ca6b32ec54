"""Prompts → pictures: one PNG per prompt and a metadata file, each picture a function of prompt and seed alone.

The folder is an `imagefolder`, so it can be ingested, loaded and audited as a dataset. An interrupted run resumes where it
stopped, with the same batches; another batch size moves a picture by no more than rounding.
"""

import hashlib
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recapdata.atomic import write_atomic
from recapdata.console import progress
from recapdata.display import shown_as_text
from recapdata.errors import InputError, OptionError
from recapdata.models.sources import ModelSource, resolve_model
from recapdata.options import identity
from recapdata.prompt_files import read_prompt_file
from recaptrain.generation.settings import GenerateSettings

if TYPE_CHECKING:
    from diffusers.pipelines.stable_diffusion import StableDiffusionPipeline

METADATA = "metadata.jsonl"
SETTINGS = "generation.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One picture to make; `id` is the prompt's name in its file, or its number."""

    id: str
    prompt: str
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
@shown_as_text
class GenerateSummary:
    """What was made: `made` by this run, `kept` from an earlier one; `flagged` by the model's own safety checker."""

    out: str
    model: str
    revision: str
    images: int
    made: int
    kept: int
    flagged: int
    seconds: float

    def text(self) -> str:
        """The closing lines for the terminal."""
        lines = [
            f"{self.images:,} pictures in {self.out}: {self.made:,} made in {self.seconds:.1f} s, {self.kept:,} there before"
        ]
        if self.flagged:
            lines.append(
                f"{self.flagged:,} of them blackened by the model's safety checker (flagged in {METADATA})"
            )
        lines.append(f"prompts, seeds and settings stand in {self.out}/{METADATA}")
        return "\n".join(lines)


def read_prompts(path: Path, seed: int) -> list[Prompt]:
    """Read prompts: a text file with one per line, or JSON lines with `prompt` (or `caption`, `text`), `id` and `seed`.

    A prompt without a seed gets one from the run's seed and its own id, so that no two share their noise.

    Raises:
        InputError: no such file, not UTF-8, no prompts, a row without a prompt, an id that comes twice.
    """
    prompts = []
    for number, row in enumerate(read_prompt_file(path)):
        own = row.row.get("seed")
        if own is not None and not isinstance(own, int):
            raise InputError(f"{row.where}: seed {own!r} is not a whole number")
        name = str(row.row.get("id", f"{number:05d}"))
        if not name or "/" in name or name.startswith("."):
            raise InputError(f"{row.where}: id {name!r} cannot name a file")
        prompts.append(
            Prompt(id=name, prompt=row.prompt, seed=derived_seed(seed, name) if own is None else own)
        )
    if not prompts:
        raise InputError(f"{path} holds no prompts; write one per line")
    names = [prompt.id for prompt in prompts]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{path}: id {twice!r} comes twice; ids name the pictures")
    return prompts


def derived_seed(seed: int, name: str) -> int:
    """The seed of one picture: 63 bits that are a function of the run's seed and the prompt's id."""
    digest = hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def generate(model: str, prompts: Path, out: Path, settings: GenerateSettings) -> GenerateSummary:
    """Make the pictures that `out` does not hold yet.

    Args:
        model: `embedded`, a folder, or `user/name` on the Hub at the settings' revision.

    Raises:
        InputError: the prompts cannot be read.
        OptionError: `out` holds pictures of another model or other settings.
        CaptionerNotFound, ModelNotSupported: no such model, or not a Stable Diffusion pipeline.
    """
    from recaptrain.diffusion.base import load_pipeline

    began = time.monotonic()
    wanted = read_prompts(prompts, settings.seed)
    source = resolve_model(model, kind="diffusion", revision=settings.revision)
    finished = _finished(out, source, settings)
    missing = {prompt.id for prompt in wanted if not _made(out, finished, prompt)}
    rows = dict(finished)
    if missing:
        pipeline = _on_device(load_pipeline(source))
        with progress("generating", total=len(missing)) as advance:
            for start in range(0, len(wanted), settings.batch_size):
                batch = wanted[start : start + settings.batch_size]
                new = missing.intersection(prompt.id for prompt in batch)
                if new:
                    rows |= _make(pipeline, batch, settings, out, only=new)
                    _write_metadata(out, wanted, rows)
                    advance(len(new))
    _write_metadata(out, wanted, rows)
    return GenerateSummary(
        out=str(out),
        model=source.name,
        revision=source.revision,
        images=len(wanted),
        made=len(missing),
        kept=len(wanted) - len(missing),
        flagged=sum(bool(rows[prompt.id].get("flagged")) for prompt in wanted),
        seconds=round(time.monotonic() - began, 1),
    )


def _finished(out: Path, source: ModelSource, settings: GenerateSettings) -> dict[str, dict[str, Any]]:
    """The rows of an earlier run with the same model and settings, by id; claims the folder where there is none."""
    decided = {"model": source.name, "revision": source.revision, **identity(settings)}
    path = out / SETTINGS
    if not path.is_file():
        write_atomic(path, json.dumps(decided, indent=2).encode())
        return {}
    before = json.loads(path.read_text(encoding="utf8"))
    if {**before, "model": ""} != {**decided, "model": ""}:
        told = "; ".join(
            f"{name}: {before.get(name)} there, {value} now"
            for name, value in decided.items()
            if before.get(name) != value
        )
        raise OptionError(f"{out} holds pictures made otherwise ({told}); name another folder")
    metadata = out / METADATA
    lines = metadata.read_text(encoding="utf8").split("\n") if metadata.is_file() else []
    return {row["id"]: row for row in map(json.loads, filter(None, lines))}


def _made(out: Path, finished: dict[str, dict[str, Any]], prompt: Prompt) -> bool:
    row = finished.get(prompt.id)
    if row is None or (row["prompt"], row["seed"]) != (prompt.prompt, prompt.seed):
        return False
    return (out / row["file_name"]).is_file()


def _on_device(pipeline: "StableDiffusionPipeline") -> "StableDiffusionPipeline":
    """On a GPU where there is one, in half precision there."""
    import torch

    pipeline.set_progress_bar_config(disable=True)
    if torch.cuda.is_available():
        return pipeline.to("cuda", torch.float16)
    return pipeline.to("mps") if torch.backends.mps.is_available() else pipeline


def _make(
    pipeline: "StableDiffusionPipeline",
    batch: list[Prompt],
    settings: GenerateSettings,
    out: Path,
    *,
    only: set[str],
) -> dict[str, dict[str, Any]]:
    """Make one batch and keep those of its pictures that are wanted; their rows, the pictures being on disk by then."""
    import io

    import torch

    result = pipeline(
        [prompt.prompt for prompt in batch],
        num_inference_steps=settings.steps,
        guidance_scale=settings.guidance,
        generator=[torch.Generator().manual_seed(prompt.seed) for prompt in batch],
    )
    flags = result.nsfw_content_detected or [False] * len(batch)
    rows = {}
    for prompt, image, flagged in zip(batch, result.images, flags, strict=True):
        if prompt.id not in only:
            continue
        content = io.BytesIO()
        image.save(content, "PNG")
        name = f"{prompt.id}.png"
        write_atomic(out / name, content.getvalue())
        rows[prompt.id] = {"file_name": name, **asdict(prompt), "flagged": bool(flagged)}
    return rows


def _write_metadata(out: Path, wanted: list[Prompt], rows: dict[str, dict[str, Any]]) -> None:
    """Rows in the order of the prompts; what the prompts no longer name is left out, its picture stays."""
    lines = [json.dumps(rows[prompt.id], ensure_ascii=False) + "\n" for prompt in wanted if prompt.id in rows]
    write_atomic(out / METADATA, "".join(lines).encode())
