"""Finding a scorer by name: `embedded`, the project's own small model of the drawn world, any model of open_clip, or a dual
encoder of transformers, in a folder or on the Hub."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from audits.clip.dual_encoders import find_dual_encoder
from recapdata.errors import ModelNotSupported
from recapdata.models.open_clip import HUB_PREFIX, find_model, in_folder
from recapdata.models.sources import EMBEDDED
from recapdata.weights import embedded_path

_PLACE = re.compile(r"([\w.-]+/[\w.-]+)(?:@([\w./-]+))?")


class ClipSource(Protocol):
    """A model found and pinned; it can be sent to other processes."""

    @property
    def name(self) -> str:
        """As audits name it."""
        ...

    @property
    def revision(self) -> str:
        """The commit on the Hub, or a hash of the model's files."""
        ...

    def load(self) -> tuple[Any, Callable[..., Any], Callable[..., Any]]:
        """Model, preprocessing of an image for inference, and tokenizer.

        Raises:
            ModelNotSupported: no model can be made of its files.
        """
        ...


def resolve(name: str) -> ClipSource:
    """Find a model by name (`embedded`, or a form of `recapdata.models.open_clip`) and pin it; downloads what is not here yet.

    Raises:
        ModelNotSupported: the name has none of the forms, or what it names is neither an open_clip model nor a dual encoder.
        HubError: no such repository or revision, or the Hub cannot be reached.
    """
    if name == EMBEDDED:
        return in_folder(embedded_path("clip"), EMBEDDED)
    try:
        return find_model(name)
    except ModelNotSupported as error:
        place = _PLACE.fullmatch(name.removeprefix(HUB_PREFIX))
        path, revision = (name, None) if Path(name).is_dir() else place.groups() if place else (None, None)
        found = find_dual_encoder(path, revision) if path is not None else None
        if found is not None:
            return found
        raise ModelNotSupported(
            f"no CLIP model {name!r}: {error}; `embedded` is the one of the drawn world"
        ) from error
