"""Finding a model of open_clip by name, and pinning what the name meant: the commit on the Hub, or a hash of the weights.

path/to/folder                  a folder in open_clip's format (open_clip_config.json, weights, tokenizer)
hf-hub:user/name[@revision]     a repository in that format; `user/name[@revision]` means the same
ViT-B-32:laion2b_s34b_b79k      an architecture of open_clip with the tag (or file) of its weights
"""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from recapdata.endpoint import endpoint, hub_errors
from recapdata.errors import ModelNotSupported, OptionError
from recapdata.models.building import building
from recapdata.models.opening import TRIED, check_sizes, opening, read_json
from recapdata.models.processors import MOST_SIDE
from recapdata.models.sources import (
    ModelSource,
    check_local_revision,
    file_revision,
    resolve_model,
    resolve_on_hub,
)

CONFIG = "open_clip_config.json"
HUB_PREFIX = "hf-hub:"
WEIGHTS = "open_clip_model.safetensors"
LEGACY_WEIGHTS = "open_clip_pytorch_model.bin"
WANTED = ["*.json", "*.txt", "*.model", WEIGHTS]
FORMS = "a folder, hf-hub:user/name[@revision], or ARCHITECTURE:WEIGHTS"
EXAMPLE = "ViT-B-32:laion2b_s34b_b79k"

_REPOSITORY = re.compile(r"(?P<id>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")
TOKENIZER_SETTINGS = (
    "add_bos_token", "add_eos_token", "add_prefix_space", "clean", "do_lower_case", "language", "legacy", "padding_side", "reduction_mask",
    "strip_sep_token", "use_fast",
)  # fmt: skip
"""What a configuration may set of its tokenizer: they become arguments of transformers, of which others run code and name files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenClipSource:
    """Where a model's files lie, once found: a folder in open_clip's format, or an architecture and a weights file.

    Attributes:
        tag: what open_clip knows of the weights of a tag: how they want to be shown pictures, whether they take QuickGELU.
    """

    name: str
    revision: str
    folder: Path | None = None
    architecture: str | None = None
    weights: str | None = None
    tag: Mapping[str, Any] = field(default_factory=dict)

    def load(self) -> tuple[Any, Callable[..., Any], Callable[..., Any]]:
        """Model, preprocessing of an image for inference, and tokenizer.

        Raises:
            ModelNotSupported: open_clip cannot build a model from these files.
        """
        return self.load_model(), self.preprocessing(), self.load_tokenizer()

    def load_model(self) -> Any:
        """The model on the CPU, in float32; see `load` for its errors."""
        import open_clip

        name = str(self.architecture)
        self.side()
        if self.folder is not None:
            name = f"local-dir:{self.folder}"
            check_sizes(self._source(), CONFIG)
        with self._opening(), building(self.name, self.folder or Path(str(self.weights))):
            return open_clip.create_model(
                name,
                pretrained=self.weights,
                force_quick_gelu=bool(self.tag.get("quick_gelu")),
                require_pretrained=True,
            )

    def side(self) -> int | tuple[int, int]:
        """Pixels of the pictures that the model sees: of both sides, or height and width.

        Raises:
            ModelNotSupported: more than any model sees, or no numbers.
        """
        side = self.model_config()["vision_cfg"].get("image_size", 224)
        sides = side if isinstance(side, list | tuple) and len(side) == 2 else [side]
        if not all(type(each) is int and 1 <= each <= MOST_SIDE for each in sides):
            raise ModelNotSupported(
                f"{self.name}: its pictures are of image_size {side!r}, not of 1 to {MOST_SIDE:,} pixels a side"
            )
        return sides[0] if len(sides) == 1 else (sides[0], sides[1])

    def preprocessing(self) -> Callable[..., Any]:
        """PIL image → tensor (3, height, width), as open_clip does it for inference; needs no weights and can be pickled."""
        from open_clip.transform import PreprocessCfg, image_transform_v2, merge_preprocess_dict

        with self._opening():
            given = self._config().get("preprocess_cfg", {}) if self.folder is not None else self.tag
            settings = merge_preprocess_dict(asdict(PreprocessCfg()), {**given, "size": self.side()})
            transform: Callable[..., Any] = image_transform_v2(PreprocessCfg(**settings), is_train=False)
        return transform

    def load_tokenizer(self) -> Callable[..., Any]:
        """The model's tokenizer; see `load` for its errors."""
        import open_clip

        with self._opening():
            if self.folder is None:
                tokenizer: Callable[..., Any] = open_clip.get_tokenizer(str(self.architecture))
            else:
                tokenizer = _tokenizer(self.folder, self.model_config()["text_cfg"])
            tokenizer([TRIED])
        return tokenizer

    def model_config(self) -> Mapping[str, Any]:
        """open_clip's `model_cfg`: sizes by part; `multimodal_cfg` among them makes it a CoCa.

        Raises:
            ModelNotSupported: the folder has none, or none of text and vision.
        """
        if self.folder is None:
            import open_clip

            built_in: Mapping[str, Any] | None = open_clip.get_model_config(str(self.architecture))
            return built_in or {}
        config = self._config().get("model_cfg")
        if not isinstance(config, dict):
            raise ModelNotSupported(f"{CONFIG} of {self.name!r} has no model_cfg")
        for part in ("vision_cfg", "text_cfg"):
            if not isinstance(config.get(part), dict):
                raise ModelNotSupported(f"{CONFIG} of {self.name!r} has no {part}")
        return config

    def _config(self) -> dict[str, Any]:
        return read_json(self._source(), CONFIG) or {}

    def _source(self) -> ModelSource:
        assert self.folder is not None
        return ModelSource(name=self.name, location=str(self.folder), revision=self.revision)

    def _opening(self) -> AbstractContextManager[None]:
        return opening(self.name, f"open_clip cannot load {self.name!r}")


def find_model(name: str, revision: str | None = None) -> OpenClipSource:
    """Find a model by name and pin it; downloads what is not here yet.

    Args:
        revision: branch, tag or commit on the Hub, which may stand in the name as well.

    Raises:
        ModelNotSupported: the name has none of the forms, or what it names is not an open_clip model.
        OptionError: files on this machine stand at another content hash than `revision`, or the name says another one.
        CaptionerNotFound: no such repository.
        HubError: no such revision, or the Hub cannot be reached.
    """
    if Path(name).is_dir():
        return in_folder(Path(name), Path(name).resolve().name, revision)
    repository = _REPOSITORY.fullmatch(name.removeprefix(HUB_PREFIX))
    if repository is not None:
        if repository["revision"] and revision not in (None, repository["revision"]):
            raise OptionError(f"--revision {revision}: {name} names another revision; give one of the two")
        return _from_hub(repository["id"], repository["revision"] or revision)
    architecture, colon, weights = name.partition(":")
    if colon and weights:
        return _built_in(name, architecture, weights, revision)
    raise ModelNotSupported(f"no open_clip model {name!r}; a model is {FORMS} such as {EXAMPLE}")


def in_folder(folder: Path, name: str, revision: str | None = None) -> OpenClipSource:
    """The model of a local folder, under a name; see `find_model` for the errors."""
    _check(folder, str(folder))
    return OpenClipSource(
        name=name, revision=resolve_model(str(folder), kind="clip", revision=revision).revision, folder=folder
    )


def _from_hub(repo_id: str, revision: str | None) -> OpenClipSource:
    from huggingface_hub import snapshot_download

    where = f"{repo_id}@{revision}" if revision else repo_id
    commit = resolve_on_hub(repo_id, revision).revision
    with hub_errors(where):
        folder = Path(snapshot_download(repo_id, revision=commit, endpoint=endpoint(), allow_patterns=WANTED))
        _check(folder, where)
        if not (folder / WEIGHTS).exists():
            _first_of([LEGACY_WEIGHTS], repo_id, commit)
    return OpenClipSource(name=repo_id, revision=commit, folder=folder)


def _built_in(name: str, architecture: str, weights: str, revision: str | None) -> OpenClipSource:
    import open_clip
    from open_clip.pretrained import get_pretrained_cfg, list_pretrained_tags_by_model

    if architecture not in open_clip.list_models():
        raise ModelNotSupported(
            f"open_clip has no architecture {architecture!r}; a model is {FORMS} such as {EXAMPLE}"
        )
    tag: Mapping[str, Any] = {}
    if Path(weights).is_file():
        file, found = weights, file_revision(Path(weights))
        check_local_revision(name, found, revision)
    else:
        tags = list_pretrained_tags_by_model(architecture)
        if weights not in tags:
            raise ModelNotSupported(
                f"{weights!r} is neither a file nor a tag of {architecture} ({', '.join(tags) or 'it has none'})"
            )
        tag = get_pretrained_cfg(architecture, weights)
        file, found = _tagged(name, tag, revision)
    return OpenClipSource(name=name, revision=found, architecture=architecture, weights=file, tag=tag)


def _tagged(name: str, tag: Mapping[str, Any], revision: str | None) -> tuple[str, str]:
    """The weights file of a tag, and the commit on the Hub or, for the few that lie elsewhere, the content hash it stands at."""
    from open_clip.pretrained import download_pretrained

    repo_id, _, filename = tag.get("hf_hub", "").rpartition("/")
    if not repo_id:
        file = download_pretrained(dict(tag))
        found = file_revision(Path(file))
        check_local_revision(name, found, revision)
        return file, found
    commit = resolve_on_hub(repo_id, revision).revision
    with hub_errors(f"{name} ({repo_id} at {commit})"):
        files = (
            [str(Path(filename).with_suffix(".safetensors")), filename]
            if filename
            else [WEIGHTS, LEGACY_WEIGHTS]
        )
        return _first_of(files, repo_id, commit), commit


def _first_of(files: Sequence[str], repo_id: str, commit: str) -> str:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    for file in files:
        try:
            return hf_hub_download(repo_id, file, revision=commit, endpoint=endpoint())
        except EntryNotFoundError:
            continue
    raise ModelNotSupported(f"{repo_id} at {commit} holds no weights ({' or '.join(files)})")


def _check(folder: Path, where: str) -> None:
    if not (folder / CONFIG).is_file():
        raise ModelNotSupported(f"{where} is not a model in open_clip's format (no {CONFIG})")


def _tokenizer(folder: Path, text: Mapping[str, Any]) -> Callable[..., Any]:
    """The tokenizer of a folder; where the folder only names one on the Hub, that one.

    Raises:
        ModelNotSupported: the folder asks for more than a tokenizer's own settings, such as code of its repository.
    """
    import open_clip

    given = text.get("tokenizer_kwargs") or {}
    if unknown := [name for name in given if name not in TOKENIZER_SETTINGS]:
        raise ModelNotSupported(
            f"{CONFIG} of {folder.name} gives its tokenizer {', '.join(map(str, unknown))}; {', '.join(TOKENIZER_SETTINGS)} are expected"
        )
    named = text.get("hf_tokenizer_name")
    if named and not (folder / "tokenizer_config.json").is_file():
        from open_clip.tokenizer import HFTokenizer

        return HFTokenizer(
            named,
            context_length=text.get("context_length", open_clip.tokenizer.DEFAULT_CONTEXT_LENGTH),
            tokenizer_mode=text.get("tokenizer_mode"),
            **given,
        )
    tokenizer: Callable[..., Any] = open_clip.get_tokenizer(f"local-dir:{folder}")
    return tokenizer
