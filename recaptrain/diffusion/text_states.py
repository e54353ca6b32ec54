"""Captions as text encoders' states, made once and kept: where no text encoder is trained, they never change.

The cache (`recaptrain.caches`) is of the encoders' weights, their tokenizers, how many windows are read, and the type of numbers; an
entry is of a caption's text. So runs of other mixtures share one, and so do versions of a dataset: which caption a picture is seen
under is drawn when it is sampled, as ever.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from recaptrain.caches import Cache, model_digest, open_cache
from recaptrain.diffusion.conditioning import Encoded, Layout, run_encoders, text_encoders, tokenize

if TYPE_CHECKING:
    import torch

    from recaptrain.diffusion.conditioning import Pipeline

FORMAT = 1
KIND = "texts"
FILE = 32 * 2**20
"""Bytes of one file of the cache, about: it is in memory, twice, before it is written."""
BATCH = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class TextEncoding:
    """The text encoders of a pipeline, and how they read.

    Attributes:
        model: what a person calls it.
        most: windows that a caption is read in at most.
        dtype: that states are kept in, by its name in torch: what the UNet's attention computes in.
        autocast: makes the context manager that the encoders run under.
    """

    pipeline: "Pipeline"
    model: str = ""
    most: int = 1
    dtype: str = "float32"
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext

    def cache(self, root: Path) -> Cache:
        """The cache of these encoders under `root`."""
        names = text_encoders(self.pipeline)
        about = {
            "format": FORMAT,
            "encoders": {name: model_digest(each) for name, each in names.items()},
            "tokenizers": {
                name: _tokenizer_digest(getattr(self.pipeline, name.replace("text_encoder", "tokenizer")))
                for name in names
            },
            "windows": self.most,
            "dtype": self.dtype,
            "_model": self.model,
        }
        return open_cache(root, KIND, about)

    def bytes_of(self, windows: int) -> int:
        """Disk that the states of so many windows take."""
        import torch

        widths = sum(each.config.hidden_size for each in text_encoders(self.pipeline).values())
        return (
            windows * self.pipeline.tokenizer.model_max_length * widths * getattr(torch, self.dtype).itemsize
        )

    def encode(self, captions: Sequence[str]) -> Encoded:
        """The states of captions, on the CPU in the type that they are kept in."""
        import torch

        kept = getattr(torch, self.dtype)
        with torch.no_grad(), self.autocast():
            made = run_encoders(self.pipeline, tokenize(self.pipeline, captions, most=self.most))
        pooled = None if made.pooled is None else made.pooled.to("cpu", kept)
        return Encoded(made.states.to("cpu", kept), pooled, made.layout)


def _tokenizer_digest(tokenizer: Any) -> str:
    """A hash over what a tokenizer makes of text: its vocabulary and merges, special tokens and length."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    what: Any = sorted(tokenizer.get_vocab().items())
    if backend is not None:
        what = json.loads(backend.to_str())
        for of_last_call in ("truncation", "padding"):
            what.pop(of_last_call, None)
    about = [what, tokenizer.special_tokens_map, tokenizer.model_max_length, tokenizer.padding_side]
    return hashlib.sha256(json.dumps(about, sort_keys=True, default=str).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class TextStates:
    """The states of captions, read from disk on demand.

    Attributes:
        tables: the cache's files, memory-mapped.
        places: file and entry by caption.
    """

    tables: Sequence[pa.Table]
    places: Mapping[str, tuple[int, int]]

    def read(self, captions: Sequence[str]) -> Encoded | None:
        """The states of captions as a batch; None where one of them is not there."""
        import torch

        places = [self.places.get(each) for each in captions]
        found = [each for each in places if each is not None]
        if len(found) < len(places):
            return None
        entries = [_entry(self.tables[file], number) for file, number in found]
        counts = [len(states) for states, _ in entries]
        states = [states for states, _ in entries]
        pooled = [each for _, each in entries if each is not None]
        if max(counts) > min(counts):  # the layout's last window, an empty one that the UNet is masked from
            states.append(torch.zeros_like(states[0][:1]))
        return Encoded(torch.cat(states), torch.cat(pooled) if pooled else None, Layout.of(counts, captions))


def _entry(table: pa.Table, number: int) -> "tuple[torch.Tensor, torch.Tensor | None]":
    """States (windows, tokens, width) and pooled states (windows, width) of an entry; not to be written to."""
    about = json.loads(table.schema.metadata[b"shape"])

    def tensor(column: str, *shape: int) -> "torch.Tensor | None":
        import warnings

        import torch

        value = table.column(column)[number]
        if not value.is_valid:
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a mapped file cannot be written to, and is not
            flat = torch.frombuffer(memoryview(value.as_buffer()), dtype=getattr(torch, about["dtype"]))
        return flat.reshape(shape)

    states = tensor("states", -1, about["tokens"], about["width"])
    assert states is not None
    return states, tensor("pooled", len(states), about["pooled"])


def encode_captions(
    encoding: TextEncoding,
    captions: Iterable[str],
    root: Path,
    dataset: str,
    *,
    advance: Callable[[int], None] = lambda count: None,
) -> TextStates:
    """Encode what the cache under `root` does not hold yet, and open it all.

    Args:
        captions: repeated ones are encoded once.
        dataset: folder or repository that they are of.
        advance: called with numbers of captions done.
    """
    cache = encoding.cache(root)
    cache.note_use(dataset)
    names = {_name(each): each for each in captions}
    known = {name for table in cache.tables() for name in table.column("name").to_pylist()}
    missing = [caption for name, caption in names.items() if name not in known]
    advance(len(names) - len(missing))
    entries = max(1, FILE // encoding.bytes_of(1))
    for part in _parts(missing, entries):
        _write(cache, encoding, part, advance)
    tables = list(cache.tables())
    places = {
        names[name]: (file, entry)
        for file, table in enumerate(tables)
        for entry, name in enumerate(table.column("name").to_pylist())
        if name in names
    }
    return TextStates(tables=tables, places=places)


def _name(caption: str) -> str:
    return hashlib.sha256(caption.encode()).hexdigest()


def _parts(captions: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (captions[start : start + size] for start in range(0, len(captions), size))


def _write(
    cache: Cache, encoding: TextEncoding, captions: Sequence[str], advance: Callable[[int], None]
) -> None:
    """Encode captions and write them as one file."""
    batches, shape = [], {}
    for part in _parts(captions, BATCH):
        made = encoding.encode(part)
        counts = made.layout.counts.tolist()
        columns = {
            "name": pa.array([_name(each) for each in part], pa.string()),
            "states": _binary(made.states, counts),
            "pooled": pa.nulls(len(part), pa.large_binary())
            if made.pooled is None
            else _binary(made.pooled, counts),
        }
        batches.append(pa.RecordBatch.from_pydict(columns))
        shape = {
            "dtype": encoding.dtype,
            "tokens": made.states.shape[1],
            "width": made.states.shape[2],
            "pooled": 0 if made.pooled is None else made.pooled.shape[1],
        }
        advance(len(part))
    table = pa.Table.from_batches(batches)
    cache.add(table.replace_schema_metadata({"shape": json.dumps(shape)}))


def _binary(windows: "torch.Tensor", counts: Sequence[int]) -> pa.LargeBinaryArray:
    """The windows of captions, which stand behind one another, as a value of bytes for each caption; nothing is copied."""
    import torch

    own = windows[: sum(counts)].contiguous()
    size = own.element_size() * own[0].numel()
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64) * size
    content = pa.py_buffer(own.view(torch.uint8).numpy())
    return pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), len(counts), [None, pa.py_buffer(offsets), content]
    )
