"""Captioners: images in, captions out, batch first; one protocol, and a table of those that can be named.

One from outside is a function `CaptionerOptions -> Captioner`, named by a dotted path (`--captioner mypackage.mine:open_captioner`)
or by an entry point of the group `recapdata.captioners`; CONTRIBUTING shows the smallest.

A captioner has two halves. `prepare` turns pictures into what the model takes; it needs no model and is run on other cores, so
it can be pickled. `caption` is the model's half. Both are pure: the same pictures and keys give the same captions, whatever
was captioned before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from PIL.Image import Image

from recapdata.captioners.template import STYLES as STYLES
from recapdata.captioners.template import parse_template
from recapdata.errors import CaptionerNotFound, OptionError
from recapdata.models.open_clip import CONFIG as OPEN_CLIP_CONFIG
from recapdata.records import Caption, Provenance
from recapdata.registry import Registry

CAPTIONERS = {
    "coca": "recapdata.captioners.coca:open_coca",
    "embedded": "recapdata.captioners.vlm:open_embedded",
    "server": "recapdata.captioners.server:open_server",
    "vlm": "recapdata.captioners.vlm:open_vlm",
}
"""Name → opener. On the command line `NAME`, `NAME:MODEL`, a bare model id or folder, which means
`vlm:MODEL` (`coca:MODEL` for a folder in open_clip's format), or a bare address, which means `server:ADDRESS`."""
REGISTRY = Registry(kind="captioner", table=CAPTIONERS, group="recapdata.captioners", error=CaptionerNotFound)


class OutOfMemory(Exception):
    """The batch did not fit; a smaller one may."""


class CaptioningFailed(Exception):
    """The model refused the batch; its text is `Type: message`. With one image in the batch it is that image's error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionerOptions:
    """What a user may ask of any captioner.

    Attributes:
        model: model id or folder; None for a captioner that brings its own.
        revision: branch, tag or commit; the default branch where None.
        style: `short`, `long`, or the text of a prompt, which may name columns in braces (see `template`).
        seed: of the sampling noise; without sampling it is not used.
        temperature: 0 takes the most probable token each time.
        top_p: sample only from the smallest set of tokens that holds this much probability.
        max_tokens: most tokens of one caption; the style's own bound where None.
        candidates: captions sampled per image, of which one is chosen (see `choice`).
    """

    model: str | None = None
    revision: str | None = None
    style: str = "short"
    seed: int = 0
    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int | None = None
    candidates: int = 1

    def __post_init__(self) -> None:
        if not self.style.strip():
            raise OptionError("--style is empty; give short, long, or the text of a prompt")
        if self.temperature < 0:
            raise OptionError(f"--temperature must be 0 (no sampling) or above, not {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise OptionError(f"--top-p must be above 0 and at most 1, not {self.top_p}")
        if self.top_p < 1 and not self.temperature:
            raise OptionError("--top-p only does something when sampling; add --temperature, for example 1.0")
        if self.max_tokens is not None and self.max_tokens < 1:
            raise OptionError(f"--max-tokens must be at least 1, not {self.max_tokens}")
        if self.candidates < 1:
            raise OptionError(f"--candidates must be at least 1, not {self.candidates}")
        if self.candidates > 1 and not self.temperature:
            raise OptionError(
                f"--candidates {self.candidates} without sampling would all be the same; add --temperature, for example 0.7"
            )


class Preparer(Protocol):
    """The half of a captioner that runs beside the model, on other cores; picklable.

    One whose pictures are made small may say in an attribute `detail: int | None` how many pixels of each side it can make use of;
    large JPEGs are then decoded at a part of their size.
    """

    def __call__(self, images: Sequence[Image]) -> Any:
        """What `Captioner.caption` takes for these RGB images; itself picklable.

        Raises:
            CaptioningFailed: they cannot be prepared; alone, an image that raises this fails for good.
        """


@runtime_checkable
class PromptedPreparer(Preparer, Protocol):
    """A preparer that can also put what is known of each image into its prompt (see `template`)."""

    def prompted(self, images: Sequence[Image], values: Sequence[Sequence[Any]]) -> Any:
        """As `__call__`, with what the template's columns hold for each image, in the template's order."""


class Captioner(Protocol):
    """Writes captions.

    Attributes:
        provenance: who writes and how, without batch size and date, which belong to the run.
        prepare: its half for other cores.
        batch_size: images per batch that suit it where the user says nothing.
        at_once: batches that it may be given at the same time, from several threads; 1 for a model in this process.
        device: where the model runs (`cpu`, `cuda`, …), for a person.
    """

    provenance: Provenance
    prepare: Preparer
    batch_size: int
    at_once: int
    device: str

    def load(self) -> None:
        """Load the model; called once, after the preparing processes have started."""

    def caption(self, prepared: Any, keys: Sequence[str]) -> list[Caption]:
        """One caption per key, in order.

        Raises:
            OutOfMemory: try again with fewer images.
            CaptioningFailed: the model refuses; with one image, that image has no caption.
        """


def parse_captioner(text: str) -> tuple[str, str | None]:
    """Name or dotted path of a captioner, and model, of what the user typed.

    Raises:
        CaptionerNotFound: a name before a colon that is not known.
    """
    if text in CAPTIONERS and not Path(text).is_dir():
        return text, None
    if text.startswith(("http://", "https://")):
        return "server", text
    if Path(text).exists() or (":" not in text and text not in REGISTRY.names()):
        return ("coca" if (Path(text) / OPEN_CLIP_CONFIG).is_file() else "vlm"), text
    return REGISTRY.split(text)


def open_captioner(name: str, options: CaptionerOptions) -> Captioner:
    """The captioner of a name or dotted path, its model's revision pinned but the model not loaded yet.

    Raises:
        CaptionerNotFound: no such name or model, or code from outside that opens no captioner.
        ModelNotSupported: the model is of a kind that cannot caption.
        OptionError: an option that this captioner cannot follow.
    """
    captioner: Captioner = REGISTRY.open(name, options, protocol=Captioner)
    provenance = captioner.provenance
    if name not in CAPTIONERS and not (
        isinstance(provenance, Provenance) and provenance.model and provenance.revision
    ):
        raise CaptionerNotFound(
            f"the captioner {name} does not say who writes: its provenance must be a recapdata.records.Provenance with model and "
            "revision, without which a set could not be resumed"
        )
    if template_columns(options.style) and not isinstance(captioner.prepare, PromptedPreparer):
        raise OptionError(
            f"--style {options.style}: the captioner {name} is not told anything of single pictures; leave out what stands in braces"
        )
    return captioner


def template_columns(style: str) -> tuple[str, ...]:
    """The columns and caption sets that a free prompt names in braces, each once.

    Raises:
        OptionError: braces that name nothing.
    """
    template = parse_template(style)
    return template.columns if template is not None else ()
