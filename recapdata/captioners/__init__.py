"""Captioners: images in, captions out, batch first; one protocol, and a table of those that can be named.

One from outside is a function `CaptionerOptions -> Captioner`, named by a dotted path (`--captioner mypackage.mine:open_captioner`)
or by an entry point of the group `recapdata.captioners`; CONTRIBUTING shows the smallest.

A captioner has two halves. `prepare` turns pictures into what the model takes; it needs no model and is run on other cores, so
it can be pickled. `caption` is the model's half. Both are pure: the same pictures and keys give the same captions, whatever
was captioned before.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from recapdata.captioners.template import STYLES as STYLES
from recapdata.captioners.template import parse_template
from recapdata.errors import CaptionerNotFound, OptionError
from recapdata.options import at_least, check_options, option
from recapdata.registry import Registry
from recapdata.suggestions import did_you_mean

if TYPE_CHECKING:
    from PIL.Image import Image

    from recapdata.records import Caption, Provenance

CAPTIONERS = {
    "coca": "recapdata.captioners.coca:open_coca",
    "embedded": "recapdata.captioners.vlm:open_embedded",
    "server": "recapdata.captioners.server:open_server",
    "vlm": "recapdata.captioners.vlm:open_vlm",
}
"""Name → opener. On the command line `NAME`, `NAME:MODEL`, a bare model id or folder, which means
`vlm:MODEL` (`coca:MODEL` for a folder in open_clip's format), or a bare address, which means `server:ADDRESS`."""
REGISTRY = Registry(kind="captioner", table=CAPTIONERS, group="recapdata.captioners", error=CaptionerNotFound)


CODE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")
"""A path to code that lacks its colon."""


class OutOfMemory(Exception):
    """The batch did not fit; a smaller one may."""


class CaptioningFailed(Exception):
    """The model refused the batch; its text is `Type: message`. With one image in the batch it is that image's error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionerOptions:
    """What a user may ask of any captioner.

    Attributes:
        model: model id or folder, of what the user typed for `--captioner`; None for a captioner that brings its own.
    """

    model: str | None = None
    revision: str | None = option(
        None, help="Branch, tag or commit of the model; it is pinned to the commit."
    )
    style: str = option(
        "short",
        metavar="short|long|TEXT",
        help="Kind of caption, or the text of a prompt, in which {alt_text} stands for a column or caption set.",
        check=lambda text: None if text.strip() else "give short, long, or the text of a prompt",
    )
    temperature: float = option(0.0, help="Sample at this temperature; 0 does not sample.", check=at_least(0))
    top_p: float = option(
        1.0,
        help="Sample from this much of the probability.",
        check=lambda share: None if 0 < share <= 1 else "it must be above 0 and at most 1",
    )
    seed: int = option(0, help="Seed of the sampling.")
    max_tokens: int | None = option(
        None, help="Most tokens of a caption; by itself 64 for short, 256 otherwise.", check=at_least(1)
    )
    candidates: int = option(
        1,
        help="Sample so many captions of each image and keep the one the others agree with most.",
        check=at_least(1),
    )

    def __post_init__(self) -> None:
        check_options(self)
        if self.top_p < 1 and not self.temperature:
            raise OptionError("--top-p only does something when sampling; add --temperature, for example 1.0")
        if self.candidates > 1 and not self.temperature:
            raise OptionError(
                f"--candidates {self.candidates} without sampling would all be the same; add --temperature, for example 0.7"
            )


class Preparer(Protocol):
    """The half of a captioner that runs beside the model, on other cores; picklable.

    One whose pictures are made small may say in an attribute `detail: int | None` how many pixels of each side it can make use of;
    large JPEGs are then decoded at a part of their size.
    """

    def __call__(self, images: "Sequence[Image]") -> Any:
        """What `Captioner.caption` takes for these RGB images; itself picklable.

        Raises:
            CaptioningFailed: they cannot be prepared; alone, an image that raises this fails for good.
        """


@runtime_checkable
class PromptedPreparer(Preparer, Protocol):
    """A preparer that can also put what is known of each image into its prompt (see `template`)."""

    def prompted(self, images: "Sequence[Image]", values: Sequence[Sequence[Any]]) -> Any:
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

    provenance: "Provenance"
    prepare: Preparer
    batch_size: int
    at_once: int
    device: str

    def load(self) -> None:
        """Load the model; called once, after the preparing processes have started."""

    def caption(self, prepared: Any, keys: Sequence[str]) -> "list[Caption]":
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
    if not Path(text).exists() and not set(text) & set("/:") and text not in REGISTRY.names():
        meant = did_you_mean(text, REGISTRY.names())
        if not meant and CODE.fullmatch(text):
            module, _, attribute = text.rpartition(".")
            meant = f" (code of your own is package.module:function: did you mean {module}:{attribute}?)"
        if meant:
            raise CaptionerNotFound(
                f"--captioner {text}: there is no such folder and no such captioner{meant}; there are "
                f"{', '.join(REGISTRY.names())}, models by id (user/name) or folder, and servers by address"
            )
    if Path(text).exists() or (":" not in text and text not in REGISTRY.names()):
        from recapdata.models.open_clip import CONFIG

        return ("coca" if (Path(text) / CONFIG).is_file() else "vlm"), text
    return REGISTRY.split(text)


def open_captioner(name: str, options: CaptionerOptions) -> Captioner:
    """The captioner of a name or dotted path, its model's revision pinned but the model not loaded yet.

    Raises:
        CaptionerNotFound: no such name or model, or code from outside that opens no captioner.
        ModelNotSupported: the model is of a kind that cannot caption.
        OptionError: an option that this captioner cannot follow.
    """
    captioner: Captioner = REGISTRY.open(name, options, protocol=Captioner)
    if name not in CAPTIONERS:
        from recapdata.records import Provenance

        provenance = captioner.provenance
        if not isinstance(provenance, Provenance) or not (provenance.model and provenance.revision):
            raise CaptionerNotFound(
                f"the captioner {name} does not say who writes: its provenance must be a recapdata.records.Provenance with "
                "model and revision, without which a set could not be resumed"
            )
    if template_columns(options.style) and not isinstance(captioner.prepare, PromptedPreparer):
        raise OptionError(
            f"--style {options.style}: the captioner {name} takes no values of columns; leave out what stands in braces"
        )
    return captioner


def check_style(style: str) -> None:
    """Refuse a mistyped style, which a model would be given as its prompt.

    Raises:
        OptionError: one word that names no style.
    """
    if style not in STYLES and re.fullmatch(r"[A-Za-z]{2,}", style.strip()):
        raise OptionError(
            f"--style {style}: there is no style of that name{did_you_mean(style, STYLES)}; there are {', '.join(STYLES)}, and a "
            "prompt has more than a word"
        )


def template_columns(style: str) -> tuple[str, ...]:
    """The columns and caption sets that a free prompt names in braces, each once.

    Raises:
        OptionError: braces that name nothing.
    """
    template = parse_template(style)
    return template.columns if template is not None else ()
