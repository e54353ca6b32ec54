"""The models of the drawn world that travel with the package, one folder per kind, each made by a recipe of recaptrain.

They are addressed by the name `embedded`. A folder of weights has no commit, so its revision is a hash of what it holds.
"""

import hashlib
import os
from importlib.resources import files
from pathlib import Path

from recapdata.errors import CaptionerNotFound

RUN = "training"
"""The folder inside a trained model's that holds checkpoints, logs and prepared data; it is never pushed."""
EMBEDDED_MODELS = Path(str(files(__name__)))
KINDS = ("captioner", "captioner-base", "clip", "diffusion", "language")


def embedded_path(kind: str) -> Path:
    """Folder of the embedded model of a kind (one of `KINDS`).

    Raises:
        CaptionerNotFound: this installation does not carry it.
    """
    if kind not in KINDS:
        raise CaptionerNotFound(f"no embedded model {kind!r}; there are {', '.join(KINDS)}")
    path = EMBEDDED_MODELS / kind
    if not path.is_dir() or not any(path.iterdir()):
        raise CaptionerNotFound(
            f"the embedded {kind} model is not in this installation ({path} is empty); install recapdata again, or "
            "make it with its recipe in recaptrain/embedded"
        )
    return path


def content_revision(path: Path) -> str:
    """The revision of a local model folder: `sha256:` and a hash over the names and bytes of its files.

    Documentation (`*.md`), hidden files and the run that made it (`RUN`) decide no output and are left out; so is everything
    about the folder's place and time, so that a copy has the same revision.
    """
    total = hashlib.sha256()
    for file in sorted(each for each in path.rglob("*") if each.is_file()):
        name = file.relative_to(path)
        if (
            name.parts[0] == RUN
            or file.suffix == ".md"
            or any(part.startswith((".", "__")) for part in name.parts)
        ):
            continue
        with open(file, "rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        total.update(os.fsencode(f"{name.as_posix()}\0{digest}\n"))
    return f"sha256:{total.hexdigest()}"
