"""The similarity index: pictures near a picture, or near a text, by the CLIP model that the audit scored with.

The index is FiftyOne's own, so that its App searches it; the model is offered to FiftyOne as one of its zoo (`models.json`), found
on this disk by where it lay when the index was built, so that a search asks no one. Only pictures that are not in the index yet
are embedded.
"""

import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import fiftyone.brain as brain
import fiftyone.core.models as models
import numpy as np
from eta.core.config import Config

from audits.cache import ShardCache, cache_roots
from audits.clip.cache import EMBEDDING_SCHEMA, embeddings_maker, encode_cached
from audits.clip.scorer import load_clip
from audits.summary import named_clip
from recapdata.console import progress, say
from recapdata.dataset.target import Target
from recapdata.errors import HubError, ModelNotSupported
from recapdata.models.dual_encoders import ClipSource, DualEncoderSource, find_clip
from recapdata.models.open_clip import OpenClipSource
from recapdata.models.sources import ModelSource

KEY = "clip"
MODEL = "recapdata-clip"
BATCH = 64


class ClipModelConfig(Config):  # type: ignore[misc]
    """Where the model lies, as `_packed` wrote it down."""

    def __init__(self, d: dict[str, Any]) -> None:
        self.source = self.parse_dict(d, "source")


class ClipModel(models.Model, models.PromptMixin):  # type: ignore[misc]
    """A CLIP model as FiftyOne asks it for the embedding of a text."""

    def __init__(self, config: ClipModelConfig) -> None:
        self.config = config
        self._clip = load_clip(_unpacked(config.source))

    @property
    def media_type(self) -> str:
        """What it looks at."""
        return "image"

    @property
    def can_embed_prompts(self) -> bool:
        """It can."""
        return True

    def embed_prompt(self, prompt: str) -> np.ndarray:
        """The unit embedding [d] of a text."""
        return self.embed_prompts([prompt])[0]

    def embed_prompts(self, prompts: list[str]) -> np.ndarray:
        """Unit embeddings [n, d] of texts."""
        found: np.ndarray = self._clip.encode_texts(list(prompts)).cpu().numpy()
        return found


def index(dataset: Any, target: Target, clip: str | None) -> str | None:
    """Bring the similarity index up to date; the model of it, or None where there is none to make it with.

    Args:
        clip: the model by name; the one that the audit scored with where None.

    Raises:
        ModelNotSupported: `clip` is no CLIP model.
    """
    source = _source(target, clip)
    if source is None:
        return None
    found = _opened(dataset, source)
    ids = dict(zip(*dataset.values(["key", "id"]), strict=True))
    here = set(found.sample_ids) if found.sample_ids is not None else set()
    gone = sorted(here - set(ids.values()))
    if gone:
        found.remove_from_index(sample_ids=gone, warn_missing=False)
    missing = {key: each for key, each in ids.items() if each not in here}
    if missing:
        embeddings, order = _embedded(target, source, missing)
        if order:
            found.add_to_index(embeddings, np.array(order))
    if missing or gone:
        found.save()
    return f"{source.name}@{source.revision}"


def _source(target: Target, clip: str | None) -> ClipSource | None:
    if clip is not None:
        return find_clip(clip)
    named = named_clip(target.summary())
    if named is None:
        return None
    try:
        return find_clip(named)
    except (ModelNotSupported, HubError) as error:
        say(f"pictures cannot be searched by text: {error}; name the audit's CLIP model with --clip")
        return None


def _opened(dataset: Any, source: ClipSource) -> Any:
    """The index of this model, made if there is none; one of another model goes."""
    wanted = {"source": _packed(source)}
    if dataset.has_brain_run(KEY):
        if dataset.get_brain_info(KEY).config.model_kwargs == wanted:
            return dataset.load_brain_results(KEY)
        dataset.delete_brain_run(KEY)
    return brain.compute_similarity(
        dataset, model=MODEL, model_kwargs=wanted, embeddings=False, brain_key=KEY, backend="sklearn"
    )


def _packed(source: ClipSource) -> dict[str, Any]:
    """A model that was found, as plain values, so that it is found again without asking a Hub."""
    if isinstance(source, OpenClipSource):
        return {**asdict(source), "folder": str(source.folder) if source.folder is not None else None}
    assert isinstance(source, DualEncoderSource)
    return {"transformers": asdict(source.source)}


def _unpacked(values: dict[str, Any]) -> ClipSource:
    if "transformers" in values:
        return DualEncoderSource(source=ModelSource(**values["transformers"]))
    return OpenClipSource(**{**values, "folder": Path(values["folder"]) if values["folder"] else None})


def _embedded(target: Target, source: ClipSource, missing: dict[str, str]) -> tuple[np.ndarray, list[str]]:
    """Unit image embeddings [n, d] of the records that are missing, and their samples; unreadable pictures are left out."""
    clip = load_clip(source)
    parts, order = [], []
    with progress("embed", len(missing)) as advance:
        for shard, steps in _pictures(target, missing):
            cache = ShardCache(cache_roots(target), embeddings_maker(clip.identity), shard, EMBEDDING_SCHEMA)
            workers = len(os.sched_getaffinity(0))
            for keys, encoded in encode_cached(
                clip, steps, cache, workers=workers, keep=False, max_pixels=target.max_pixels
            ):
                rows = [(key, row) for key, row in zip(keys, encoded.rows, strict=True) if row is not None]
                if rows:
                    parts.append(encoded.images[[row for _, row in rows]].cpu().numpy())
                    order += [missing[key] for key, _ in rows]
                advance(len(keys), len(keys) - len(rows))
    return (np.concatenate(parts) if parts else np.empty((0, 0), np.float32)), order


_Step = tuple[list[str], list[str], list[bytes | None]]
"""The keys of a batch, to be handed back and to look up, and its images."""


def _pictures(target: Target, missing: dict[str, str]) -> Iterator[tuple[int, Iterator[_Step]]]:
    """The shards with missing records, and the pictures of these."""
    for shard in target.shards():
        keys = {key for batch in target.read(shard, ["key"]) for key in batch.column("key").to_pylist()}
        if not keys.isdisjoint(missing):
            yield shard, _of_shard(target, shard, missing)


def _of_shard(target: Target, shard: int, missing: dict[str, str]) -> Iterator[_Step]:
    for batch in target.read(shard, ["key", "image"], batch_rows=BATCH):
        rows = [row for row in batch.to_pylist() if row["key"] in missing]
        if rows:
            keys = [row["key"] for row in rows]
            yield keys, keys, [(row["image"] or {}).get("bytes") for row in rows]
