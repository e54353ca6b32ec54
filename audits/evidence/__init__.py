"""Evidence is what is known of an image: one protocol, one table, and the data types that all sources give.

A new source is one module and one line in `SOURCES`. What a source cannot see is its `Scope`'s to say, so that a claim about
it stays unknown and is never called wrong.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from PIL import Image

from recapdata.dataset.target import Target
from recapdata.errors import OptionError
from recapdata.records import CLAIM_KINDS
from recapdata.registry import load_attribute

SOURCES: Mapping[str, str] = {
    "annotations": "audits.evidence.annotations:open_annotations",
    "detector": "audits.evidence.detector:open_detector",
    "colors": "audits.evidence.colors:open_colors",
    "ocr": "audits.evidence.ocr:open_ocr",
}
"""Evidence sources by name; each opens a target: `open(target, argument) -> EvidenceSource`.

The argument is what follows a colon after the name (`detector:facebook/detr-resnet-50`), None where nothing does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One thing that a source saw in an image; a field is None, or empty, where the source knows nothing of it.

    Attributes:
        bbox: [x, y, width, height] in pixels.
        category: its class, in lower case; None for what is only a written word.
        colors: its basic colors (keys of `colors` in the lexicon), the leading one first.
        near_colors: colors that it could be called as well, or shows a little of: no claim of them is wrong.
        mask: COCO's compressed run lengths.
        area: pixels that it covers, by its mask where it has one.
        score: the source's confidence from 0 to 1; None where a person says so.
    """

    bbox: tuple[float, float, float, float] | None = None
    category: str | None = None
    colors: tuple[str, ...] = ()
    near_colors: frozenset[str] = frozenset()
    size: str | None = None
    text: str | None = None
    mask: Mapping[str, Any] | None = None
    area: float | None = None
    score: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a source can see at all, over the whole dataset.

    Attributes:
        classes: classes whose absence from an image means that they are not there, unless there are doubtful boxes of them.
        asked: those of them that were looked for in this image only since a caption named them; what a set of captions
            leaves out is not measured by them.
        attributes: those of `color`, `size` and `text` that are known for what it sees.
        kinds: kinds of claims that it judges.
        complete: whether a text that it does not show is not there; a reader that may overlook one can only bear out.
    """

    classes: frozenset[str] = frozenset()
    asked: frozenset[str] = frozenset()
    attributes: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset(CLAIM_KINDS)
    complete: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What one source saw in one image of `width` × `height` pixels.

    Attributes:
        objects: what is taken to be there; of a detector, the boxes above its threshold, with their scores.
        uncounted: classes of which it saw more than it lists, a crowd say.
        counting: the score from which on an object is sure enough to be counted.
        doubtful: boxes at or below the threshold, down to the detector's lowest score (`Thresholds.doubt`). They support
            nothing, but a count or an absence that they could make up for is unknown.
        invalid: answers of a detector on this image that are no box (not finite, without area, outside the image) and were
            left out.
    """

    source: str
    scope: Scope
    objects: tuple[Seen, ...]
    width: int
    height: int
    uncounted: frozenset[str] = frozenset()
    counting: float = 0.0
    doubtful: tuple[Seen, ...] = ()
    invalid: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One record, as a source is shown it.

    Attributes:
        values: the columns that the source asked for.
        picture: the decoded image, upright and in RGB; None where no source looks at it, or it cannot be read.
        nouns: what the record's captions speak of.
        seen: what the sources named before saw.
    """

    values: Mapping[str, Any]
    picture: Image.Image | None = None
    nouns: frozenset[str] = frozenset()
    seen: tuple[Evidence, ...] = field(default=())


class EvidenceSource(Protocol):
    """One way to know what an image shows. It is plain data: a model is loaded where it is first asked.

    Attributes:
        name: its name in `SOURCES`.
        columns: the columns of the target that `collect` needs; with `image` among them it is shown the picture.
    """

    @property
    def name(self) -> str: ...

    @property
    def columns(self) -> tuple[str, ...]: ...

    def identity(self, shard: int) -> str:
        """What the evidence of a shard depends on, without blanks: parameters, scope, and the content it is read from.

        What stands before the last plus names the source and its model, as the audit does; after it stand the version of the
        source's rules (`audits.rules`) and, after a dash, a hash of the rest: `colors+v1-0123456789abcdef`.
        """
        ...

    def collect(self, cases: Sequence[Case]) -> list[Evidence | None]:
        """The evidence of each case, None where the source knows nothing of it."""
        ...


def open_evidence(name: str, target: Target) -> EvidenceSource:
    """The source of that name, opened on a target.

    Args:
        name: a name of `SOURCES`, with what it is to work with after a colon.

    Raises:
        OptionError: no source of that name, or what follows it is of no use to it.
        MissingExtra: the source needs an optional part of the installation.
    """
    bare, colon, argument = name.partition(":")
    if bare not in SOURCES:
        raise OptionError(f"no evidence source {bare!r}; there are: {', '.join(SOURCES)}")
    source: EvidenceSource = load_attribute(SOURCES[bare])(target, argument if colon else None)
    return source
