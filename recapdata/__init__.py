"""recapdata makes versioned, recaptioned image–text datasets, and can say who wrote each caption and how good it is.

The stages, in the order in which a dataset passes them:

    stage      input → output                             command                    file
    ingest     raw pairs → records in a dataset folder    recapdata ingest           recapdata/ingestion/
    remove     keys, sets → a folder without them         recapdata remove           recapdata/dataset/removal.py
    import     a column → a caption set                   recapdata import-captions  recapdata/caption_sets/importing.py
    recaption  records → a caption set                    recapdata recaption        recapdata/recaptioning/
    merge      caption sets → one of them                 recapdata merge-captions   recapdata/recaptioning/merging.py
    audit      captions (+ evidence) → claims, scores     audits run                 audits/
    publish    folder → commit and tag on a Hub           recapdata publish          recapdata/publishing/
    diff       two versions → what changed                recapdata diff             recapdata/versions/
    load       version → images with captions             recapdata.load             recapdata/loading/load.py
    tune       human captions → a captioner               recaptrain captioner       recaptrain/captioner/run.py
    train      version + mixture → a diffusion pipeline   recaptrain diffusion       recaptrain/diffusion/run.py

In Python: `ingest`, `import_captions`, `recaption`, `merge_captions`, `publish`, `diff`, `remove` (api.py), `load`, `open_dataset` and `Mixture`;
`import audits` and `import recaptrain` have the others.

Imports go one way: recapdata ← audits ← recaptrain.
"""

from typing import TYPE_CHECKING

from recapdata.lazy import lazy_names

if TYPE_CHECKING:
    from recapdata.api import diff, import_captions, ingest, merge_captions, publish, recaption, remove
    from recapdata.caption_sets.mixture import Mixture
    from recapdata.dataset.target import open_dataset
    from recapdata.loading.load import load

__all__ = [
    "Mixture",
    "diff",
    "import_captions",
    "ingest",
    "load",
    "merge_captions",
    "open_dataset",
    "publish",
    "recaption",
    "remove",
]
__version__ = "0.1.0"

_COMMANDS = ["diff", "import_captions", "ingest", "merge_captions", "publish", "recaption", "remove"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        **dict.fromkeys(_COMMANDS, "recapdata.api"),
        "Mixture": "recapdata.caption_sets.mixture",
        "load": "recapdata.loading.load",
        "open_dataset": "recapdata.dataset.target",
    },
)
