"""recapdata makes versioned, recaptioned image–text datasets, and can say who wrote each caption and how good it is.

The stages, in the order in which a dataset passes them:

    stage      input → output                             command                    file
    ingest     raw pairs → records in a dataset folder    recapdata ingest           recapdata/ingestion/
    remove     keys, sets → a folder without them         recapdata remove           recapdata/dataset/removal.py
    import     a column → a caption set                   recapdata import-captions  recapdata/caption_sets/importing.py
    recaption  records → a caption set                    recapdata recaption        recapdata/recaptioning/
    audit      captions (+ evidence) → claims, scores     audits run                 audits/
    publish    folder → commit and tag on a Hub           recapdata publish          recapdata/publishing/
    diff       two versions → what changed                recapdata diff             recapdata/versions/
    load       version → images with captions             recapdata.load             recapdata/dataset/loading.py
    tune       human captions → a captioner               recaptrain captioner       recaptrain/captioner/run.py
    train      version + mixture → a diffusion pipeline   recaptrain diffusion       recaptrain/diffusion/run.py

Imports go one way: recapdata ← audits ← recaptrain.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recapdata.dataset.loading import load
    from recapdata.dataset.target import open_dataset
    from recapdata.versions.difference import diff

__all__ = ["diff", "load", "open_dataset"]
__version__ = "0.1.0"

_API = {
    "diff": "recapdata.versions.difference",
    "load": "recapdata.dataset.loading",
    "open_dataset": "recapdata.dataset.target",
}


def __getattr__(name: str) -> Any:
    """The Python API, imported when it is first used, so that `import recapdata` stays light."""
    if name not in _API:
        raise AttributeError(f"module 'recapdata' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_API[name]), name)
