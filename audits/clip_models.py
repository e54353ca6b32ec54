"""Finding a CLIP model by name, and pinning what the name meant: the commit on the Hub, or a hash of the weights.

embedded                        the project's own small model of the drawn world
path/to/folder                  a folder in open_clip's format (open_clip_config.json, weights, tokenizer)
hf-hub:user/name[@revision]     a repository in that format; `user/name[@revision]` means the same
ViT-B-32:laion2b_s34b_b79k      an architecture of open_clip with the tag (or file) of its weights
"""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recapdata.endpoint import endpoint, hub_api, hub_errors
from recapdata.errors import ModelNotSupported

CONFIG = "open_clip_config.json"
HUB_PREFIX = "hf-hub:"
WEIGHTS = "open_clip_model.safetensors"
WANTED = ["*.json", "*.txt", "*.model", WEIGHTS]
LEGACY_WEIGHTS = "open_clip_pytorch_model.bin"
FORMS = "embedded, a folder, hf-hub:user/name[@revision], or ARCHITECTURE:WEIGHTS such as ViT-B-32:laion2b_s34b_b79k"

_REPOSITORY = re.compile(r"(?P<id>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")
_SNAPSHOT = re.compile(r"/snapshots/([0-9a-f]{40})/")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipSource:
    """Where a model's files lie, once found: a folder in open_clip's format, or an architecture and a weights file."""

    name: str
    revision: str
    folder: Path | None = None
    architecture: str | None = None
    weights: str | None = None

    def load(self) -> tuple[Any, Callable[..., Any], Callable[..., Any]]:
        """Model, preprocessing of an image for inference, and tokenizer.

        Raises:
            ModelNotSupported: open_clip cannot build a model from these files.
        """
        import open_clip

        try:
            if self.folder is not None:
                model, _, pixels = open_clip.create_model_and_transforms(
                    f"local-dir:{self.folder}", require_pretrained=True
                )
                return model, pixels, _tokenizer(self.folder)
            model, _, pixels = open_clip.create_model_and_transforms(
                self.architecture, pretrained=self.weights, require_pretrained=True
            )
            return model, pixels, open_clip.get_tokenizer(self.architecture)
        except (RuntimeError, ValueError, OSError, TypeError, KeyError) as error:
            first = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ModelNotSupported(f"open_clip cannot load {self.name!r}: {first}") from error


def resolve(name: str) -> ClipSource:
    """Find a model by name and pin it; downloads what is not here yet.

    Raises:
        ModelNotSupported: the name has none of the forms, or what it names is not an open_clip model.
        HubError: no such repository or revision, or the Hub cannot be reached.
    """
    if name == "embedded":
        from recapdata.weights import content_revision, embedded_path

        folder = embedded_path("clip")
        return ClipSource(name=name, revision=content_revision(folder), folder=folder)
    if Path(name).is_dir():
        from recapdata.weights import content_revision

        folder = _checked(Path(name), name)
        return ClipSource(name=folder.resolve().name, revision=content_revision(folder), folder=folder)
    repository = _REPOSITORY.fullmatch(name.removeprefix(HUB_PREFIX))
    if repository is not None:
        return _from_hub(repository["id"], repository["revision"])
    architecture, colon, weights = name.partition(":")
    if colon and weights:
        return _built_in(name, architecture, weights)
    raise ModelNotSupported(f"no CLIP model {name!r}; a model is {FORMS}")


def _from_hub(repo_id: str, revision: str | None) -> ClipSource:
    from huggingface_hub import hf_hub_download, snapshot_download

    where = f"{repo_id}@{revision}" if revision else repo_id
    with hub_errors(where):
        commit = hub_api().model_info(repo_id, revision=revision).sha
        folder = Path(snapshot_download(repo_id, revision=commit, endpoint=endpoint(), allow_patterns=WANTED))
        if not (folder / WEIGHTS).exists():
            hf_hub_download(repo_id, LEGACY_WEIGHTS, revision=commit, endpoint=endpoint())
    return ClipSource(name=repo_id, revision=str(commit), folder=_checked(folder, where))


def _built_in(name: str, architecture: str, weights: str) -> ClipSource:
    import open_clip
    from open_clip.pretrained import download_pretrained, get_pretrained_cfg, list_pretrained_tags_by_model

    if architecture not in open_clip.list_models():
        raise ModelNotSupported(f"open_clip has no architecture {architecture!r}; a model is {FORMS}")
    file = weights
    if not Path(weights).is_file():
        tags = list_pretrained_tags_by_model(architecture)
        if weights not in tags:
            raise ModelNotSupported(
                f"{weights!r} is neither a file nor a tag of {architecture} ({', '.join(tags) or 'it has none'})"
            )
        with hub_errors(name):
            file = download_pretrained(get_pretrained_cfg(architecture, weights))
    commit = _SNAPSHOT.search(str(file))
    revision = commit[1] if commit else _file_hash(Path(file))
    return ClipSource(name=name, revision=revision, architecture=architecture, weights=weights)


def _checked(folder: Path, where: str) -> Path:
    if not (folder / CONFIG).is_file():
        raise ModelNotSupported(f"{where} is not a model in open_clip's format (no {CONFIG})")
    return folder


def _tokenizer(folder: Path) -> Callable[..., Any]:
    """The tokenizer of a folder; where the folder only names one on the Hub, that one."""
    import open_clip

    text = json.loads((folder / CONFIG).read_text(encoding="utf8"))["model_cfg"]["text_cfg"]
    named = text.get("hf_tokenizer_name")
    if named and not (folder / "tokenizer_config.json").is_file():
        from open_clip.tokenizer import HFTokenizer

        return HFTokenizer(
            named,
            context_length=text.get("context_length", open_clip.tokenizer.DEFAULT_CONTEXT_LENGTH),
            tokenizer_mode=text.get("tokenizer_mode"),
            **text.get("tokenizer_kwargs", {}),
        )
    tokenizer: Callable[..., Any] = open_clip.get_tokenizer(f"local-dir:{folder}")
    return tokenizer


def _file_hash(path: Path) -> str:
    with open(path, "rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
