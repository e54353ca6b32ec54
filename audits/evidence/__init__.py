"""Evidence of what an image shows: the protocol and table of sources, and the data types that they return.

A new source is one module and one line in `SOURCES`; one from outside is a function of the same arguments, named by a dotted
path (`--evidence mypackage.mine:open_evidence`) or by an entry point of the group `audits.evidence`. Its `Scope` says what it can
observe: a claim about anything else stays unknown and is never contradicted.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from PIL import Image

from recapdata.dataset.target import Target
from recapdata.errors import OptionError
from recapdata.records import CLAIM_KINDS
from recapdata.registry import Registry

SOURCES: Mapping[str, str] = {
    "annotations": "audits.evidence.annotations:open_annotations",
    "detector": "audits.evidence.detector:open_detector",
    "colors": "audits.evidence.colors:open_colors",
    "ocr": "audits.evidence.ocr:open_ocr",
}
"""Evidence sources by name; each opens a target: `open(target, argument) -> EvidenceSource`.

The argument is what follows a colon after the name (`detector:facebook/detr-resnet-50`), None where nothing does."""
REGISTRY = Registry(kind="evidence source", table=SOURCES, group="audits.evidence")
_IDENTITY = re.compile(r"\S+\+v\d+(-[0-9a-f]+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One object or text that a source observed in an image; a field is None, or empty, where the source does not know it.

    Attributes:
        bbox: [x, y, width, height] in pixels.
        category: its class, in lower case; None for a written word.
        colors: its basic colors (keys of `colors` in the lexicon), the leading one first.
        near_colors: colors that it could be called as well, or shows a little of: no claim of them is contradicted.
        sure: whether its first color is sure and stands out, so that a caption that leaves it out misses it.
        mask: COCO's compressed run lengths.
        area: in pixels, of its mask where it has one.
        score: the source's confidence from 0 to 1; None for a person's annotation.
    """

    bbox: tuple[float, float, float, float] | None = None
    category: str | None = None
    colors: tuple[str, ...] = ()
    near_colors: frozenset[str] = frozenset()
    sure: bool = True
    size: str | None = None
    text: str | None = None
    mask: Mapping[str, Any] | None = None
    area: float | None = None
    score: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a source can observe at all, over the whole dataset.

    Attributes:
        classes: classes whose absence from an image means that they are not there, unless there are doubtful boxes of them.
        prompted: those of them that a zero-shot model was prompted with only since a caption of this image names them; recall
            leaves them out.
        attributes: those of `color`, `size` and `text` that it knows of its objects.
        kinds: kinds of claims that it judges.
        complete: whether a text that it does not list is absent; a reader that may overlook texts can only support one.
    """

    classes: frozenset[str] = frozenset()
    prompted: frozenset[str] = frozenset()
    attributes: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset(CLAIM_KINDS)
    complete: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The observations of one source in one image of `width` × `height` pixels.

    Attributes:
        objects: what is taken to be there; of a detector, the boxes above its threshold, with their scores.
        uncounted: classes of which there are more than it lists, such as a crowd.
        unplaced: classes of which there are objects without a box: nobody can say how many there are, where, or of what look, so
            that no claim about them is contradicted.
        unidentified: number of objects of unknown class: any claim may be about them, so that none is contradicted.
        counting: the score from which on an object is counted.
        doubtful: boxes at or below the threshold, down to the detector's lowest score (`Thresholds.doubt`). They support
            nothing, but leave a count or an absence unknown that they could explain.
        invalid: number of a detector's boxes left out since they are not finite, without area, or outside the image.
    """

    source: str
    scope: Scope
    objects: tuple[Observation, ...]
    width: int
    height: int
    uncounted: frozenset[str] = frozenset()
    unplaced: frozenset[str] = frozenset()
    unidentified: int = 0
    counting: float = 0.0
    doubtful: tuple[Observation, ...] = ()
    invalid: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One record of the dataset, as the sources of evidence get it.

    Attributes:
        key: the SHA-256 of the image's bytes.
        values: the columns that the source names in `columns`.
        picture: the decoded image, upright and in RGB; None where the source does not need it, or it cannot be decoded.
        nouns: the objects that the record's captions name.
        evidence: of the sources named before this one.
    """

    values: Mapping[str, Any]
    key: str = ""
    picture: Image.Image | None = None
    nouns: frozenset[str] = frozenset()
    evidence: tuple[Evidence, ...] = ()


class EvidenceSource(Protocol):
    """A source of evidence, as plain data that can be pickled: a model is loaded by the first `collect` of a process.

    Attributes:
        name: its name in `SOURCES`, or any other word.
        columns: the columns of the target that `collect` needs; with `image` among them it gets the decoded picture.
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

    def collect(self, records: Sequence[Record]) -> list[Evidence | None]:
        """The evidence of each record, None where the source knows nothing of it."""
        ...


def open_evidence(name: str, target: Target | None) -> EvidenceSource:
    """The source of that name, opened on a target.

    Args:
        name: a name of `SOURCES` or of an entry point, or a dotted path, with what it is to work with after a colon.
        target: None for pictures that are of no dataset, such as generated ones, of which nothing is annotated.

    Raises:
        OptionError: no source of that name, or what follows it is of no use to it; code from outside that opens no source.
        MissingExtra: the source needs an optional part of the installation.
    """
    bare, argument = REGISTRY.split(name)
    source: EvidenceSource = REGISTRY.open(bare, target, argument, protocol=EvidenceSource)
    if bare not in SOURCES and (shards := [0] if target is None else target.shards()):
        identity = source.identity(shards[0])
        if not _IDENTITY.fullmatch(identity):
            raise OptionError(
                f"{name}: its identity must name source, model and version without blanks, as in {name}+v1 or "
                f"{name}+v1-0123456789abcdef, and is {identity!r}"
            )
    return source
