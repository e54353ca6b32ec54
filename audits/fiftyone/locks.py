"""What one process at a time does to a FiftyOne dataset: a lock each, which goes with its process, however that ends."""

import hashlib
from pathlib import Path

from audits.fiftyone import require


def lock_file(name: str) -> Path:
    """The file by whose lock something is held; it lies beside the datasets' pictures."""
    folder = Path(require().config.default_dataset_dir) / "recapdata-locks"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / hashlib.sha256(name.encode()).hexdigest()
