"""The options of `audits run`, `audits report` and `audits view`."""

from dataclasses import dataclass
from pathlib import Path

from recapdata.options import check_options, option


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditOptions:
    """What of a dataset is audited, by what, and where the results go."""

    captions: tuple[str, ...] = option(
        (),
        metavar="SET",
        help="A caption set to audit; may be given again. All of them if not given.",
        repeated=True,
    )
    clip: str | None = option(
        None,
        metavar="MODEL",
        help="Score with this CLIP model: embedded, a folder, hf-hub:user/name@revision (of open_clip or "
        "transformers), or ARCHITECTURE:WEIGHTS such as ViT-B-32:laion2b_s34b_b79k; one that reads long texts judges long captions whole.",
    )
    clip_scores: tuple[str, ...] = option(
        ("caption", "hessel", "sentences", "margin"),
        metavar="LIST",
        help="Which CLIP scores: the whole caption, CLIPScore as Hessel et al., per sentence, and the margin over "
        "lies (the caption with one color, count, position or object exchanged: up to four more texts each).",
    )
    prompts: str | None = option(
        None,
        metavar="FILE|SET",
        help="Say how far the captions are from these prompts (train–inference skew): a file, one prompt a line, or a "
        "caption set. Needs --clip.",
    )
    evidence: tuple[str, ...] = option(
        (),
        metavar="LIST",
        help="Judge claims by this evidence, the most trusted first, commas between: annotations, detector:MODEL@REVISION "
        "(any detection model of transformers; detector:FILE.onnx, of the YOLO family; detector:package.module:function; each "
        "with its thresholds, as in :threshold=0.3:counting=0.9:nms=0.7:doubt=0.1), colors (by the pixels of what those "
        "before it saw; colors:MODEL by a CLIP model), ocr (words in the picture), or code of your own (package.module:function\\[:ARG]).",
    )
    out: Path | None = option(
        None,
        metavar="DIR",
        help="Where the results go; TARGET/audits if not given. Needed for a published version.",
        outcome=False,
    )
    pipeline: str | None = option(
        None, help="A spaCy pipeline by name or path; the project's own if not given."
    )
    engine: str = option(
        "local",
        metavar="local|ray",
        help="Where it runs: on this machine, or on the Ray cluster that this machine belongs to.",
        outcome=False,
    )
    workers: int | None = option(
        None,
        minimum=1,
        help="Processes, or actors on Ray; all cores if not given. Results do not depend on it.",
        outcome=False,
    )

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportOptions:
    """Which audit a page shows, and which of its rows."""

    audit: Path | None = option(
        None,
        metavar="DIR",
        help="Where `audits run --out` put the audit; TARGET's own if not given.",
    )
    worst: int = option(6, minimum=0, help="Rows shown of each set that have most wrong.")
    random: int = option(12, minimum=0, help="Rows shown that are drawn by chance.")
    seed: int = option(0, minimum=0, help="Draws other rows by chance.")

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongOptions:
    """Which captions are looked through for wrong claims."""

    captions: tuple[str, ...] = option(
        (),
        metavar="SET",
        help="A caption set; may be given again. All that were audited if not given.",
        repeated=True,
    )
    audit: Path | None = option(
        None,
        metavar="DIR",
        help="Where `audits run --out` put the audit; TARGET's own if not given.",
    )

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewOptions:
    """The FiftyOne dataset to build, and the App that shows it."""

    no_app: bool = option(False, help="Build the FiftyOne dataset and leave it at that.")
    port: int = option(5151, help="Port of the App, on this machine only.")
    name: str | None = option(
        None, help="Name of the FiftyOne dataset; one that tells target and revision if not given."
    )
    audit: Path | None = option(
        None,
        metavar="DIR",
        help="Where `audits run --out` put the audit; TARGET's own if not given.",
    )
    media: Path | None = option(
        None,
        metavar="DIR",
        help="Folder for the pictures; beside FiftyOne's own datasets if not given.",
    )
    exports: Path | None = option(
        None,
        metavar="DIR",
        help="Folder that the App exports files to; exports/ of the dataset folder if not given.",
    )
    clip: str | None = option(
        None,
        metavar="MODEL",
        help="Search pictures by text with this CLIP model; the one that the audit scored with if not given.",
    )

    def __post_init__(self) -> None:
        check_options(self)
