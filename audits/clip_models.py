"""Finding a CLIP model by name: `embedded`, the project's own small model of the drawn world, or any model of open_clip."""

from recapdata.errors import ModelNotSupported
from recapdata.models import EMBEDDED
from recapdata.open_clip_models import OpenClipSource as ClipSource
from recapdata.open_clip_models import find_model, in_folder
from recapdata.weights import embedded_path

__all__ = ["ClipSource", "resolve"]


def resolve(name: str) -> ClipSource:
    """Find a model by name (`embedded`, or a form of `recapdata.open_clip_models`) and pin it; downloads what is not here yet.

    Raises:
        ModelNotSupported: the name has none of the forms, or what it names is not an open_clip model.
        HubError: no such repository or revision, or the Hub cannot be reached.
    """
    if name == EMBEDDED:
        return in_folder(embedded_path("clip"), EMBEDDED)
    try:
        return find_model(name)
    except ModelNotSupported as error:
        raise ModelNotSupported(
            f"no CLIP model {name!r}: {error}; `embedded` is the one of the drawn world"
        ) from error
