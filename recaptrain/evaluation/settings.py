"""Options of `recaptrain evaluate`."""

from dataclasses import dataclass
from typing import Literal

from recapdata.options import at_least, check_options, nonempty, option

PromptKind = Literal["original", "read"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateSettings:
    """What is measured, with which models."""

    metrics: tuple[str, ...] = option(
        ("clipscore",), help="Metrics, separated by commas.", metavar="METRIC,METRIC…", check=nonempty
    )
    reference: str | None = option(
        None,
        help="Real images, for FID and its kind: a dataset folder, user/name[@revision], or a folder of images.".replace(
            "[", r"\["
        ),
    )
    detector: str | None = option(
        None,
        help="Detector of objects, as audits run takes it: user/name, a folder, FILE.onnx, or a dotted path.",
        metavar="MODEL",
    )
    reader: str | None = option(
        None,
        help="What reads words in pictures: ocr, or a source of evidence by its dotted path; claims reads none unless it is given.",
        metavar="NAME",
        shown="ocr",
    )
    clip: str = option("embedded", help="CLIP model.", metavar="MODEL")
    features: str | None = option(
        None,
        help="What makes features of images, for FID and KID: inception[:FILE], inception-clean[:FILE], dinov2[:MODEL], clip:MODEL, embedded, "
        "or a dotted path.".replace("[", r"\["),
        metavar="MODEL",
        shown="inception",
    )
    preference: str | None = option(
        None,
        help="CLIP model tuned on people's choices, for the metric preference, such as PickScore.",
        metavar="MODEL",
    )
    vlm: str | None = option(None, help="Vision-language model that answers questions.", metavar="MODEL")
    prompts: PromptKind = option(
        "original",
        help="What pictures are measured against: original, what a person asked for, or read, what the model was given.",
    )
    shuffle: bool = option(
        False, help="Give each picture the prompt of another, as a control: figures of fit fall to chance."
    )
    report: str | None = option(
        None,
        help="Write one HTML page: table, curves over checkpoints, and the same prompts side by side.",
        metavar="PAGE.html",
        outcome=False,
    )
    seed: int = option(0, help="Of the bootstrap and of whatever a metric draws.", check=at_least(0))
    batch_size: int = option(32, help="Pictures at once.", check=at_least(1), outcome=False)
    out: str = option(
        "evaluation",
        help="Folder for rows and figures; what was measured there is not measured again.",
        outcome=False,
    )

    def __post_init__(self) -> None:
        check_options(self)
