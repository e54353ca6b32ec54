"""Claims accuracy, the project's own: what the audit says of a prompt's claims against the picture, by kind of claim.

    claims          supported / (supported + contradicted), over the claims of all kinds
    claims-KIND     the same over objects, counts, colors, sizes, positions and texts
    claims-known    the share of claims that could be judged at all

The prompt is taken for the caption of its picture: claims by `audits.extraction`, evidence by `audits.evidence` (the detector, colors
by pixels, and `--reader` where it is given), verdicts by `audits.grounding`. What the evidence cannot decide is unknown and counts
neither way; a claim is contradicted only where no ordinary reading of its words fits.

It is the audit's precision with picture and text exchanged, so that a caption set and the pictures of a model trained on it are
measured by one rule. It errs on the side of the prompt: hedged, vague and unseen things are unknown, so that the figure is higher than
a count of everything that was asked for and is not there would be; read it beside `claims-known`. It cannot see what the
detector has no class for, style, mood, actions, nor what is in the picture and was not asked for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from PIL import Image

from audits.grounding.verdicts import ground, grounding_identity
from recapdata.errors import OptionError
from recapdata.records import CLAIM_KINDS, VERDICTS
from recaptrain.evaluation.metrics import Statistic
from recaptrain.evaluation.seen import SeenEvidence, open_sources
from recaptrain.evaluation.stated import nouns, read_prompts, reading_identity
from recaptrain.evaluation.sums import flat, mean

if TYPE_CHECKING:
    from recaptrain.evaluation.pictures import Picture, Pictures
    from recaptrain.evaluation.settings import EvaluateSettings

VERSION = 1
SCHEMA = pa.schema(
    [
        ("kinds", pa.list_(pa.string())),
        ("verdicts", pa.list_(pa.string())),
        ("texts", pa.list_(pa.string())),
        ("evidence", pa.list_(pa.string())),
    ]
)
"""Of a picture the claims of its prompt: kind, verdict, words, and what the verdict rests on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimsAccuracy:
    """Claims accuracy; made by `open_claims`."""

    seen: SeenEvidence
    identity: Mapping[str, Any]
    name: str = "claims"
    schema: pa.Schema = SCHEMA
    batch_size: int = 32

    def measure(
        self, pictures: "Sequence[Picture]", images: Sequence[Image.Image]
    ) -> list[Mapping[str, Any] | None]:
        """A row for each picture whose prompt makes a claim."""
        contexts = read_prompts([picture.prompt for picture in pictures])
        wanted = [place for place, context in enumerate(contexts) if context.claims]
        evidence = self.seen.collect(
            [images[place] for place in wanted], [nouns(contexts[place]) for place in wanted]
        )
        rows: list[Mapping[str, Any] | None] = [None] * len(pictures)
        for place, own in zip(wanted, evidence, strict=True):
            context = contexts[place]
            judged = ground(context.claims, own, context.caption).claims
            rows[place] = {
                "kinds": [claim.kind for claim in judged],
                "verdicts": [claim.verdict for claim in judged],
                "texts": [context.caption[slice(*claim.span)] for claim in judged],
                "evidence": [claim.evidence for claim in judged],
            }
        return rows

    def figures(self, rows: pa.Table) -> list[Statistic]:
        """The share supported of what could be judged, over all and by kind, and the share that could be judged."""
        places, (kinds, verdicts) = flat(rows, "kinds", "verdicts")
        supported = [None if verdict == "unknown" else verdict == "supported" for verdict in verdicts]
        figures = [_share("claims", supported, places)]
        for kind in CLAIM_KINDS:
            own = [value if each == kind else None for value, each in zip(supported, kinds, strict=True)]
            figures.append(_share(f"claims-{kind}", own, places))
        known = [verdict != "unknown" for verdict in verdicts]
        counts = ", ".join(f"{verdicts.count(verdict):,} {verdict}" for verdict in VERDICTS)
        return [
            *(each for each in figures if each.n),
            Statistic(
                name="claims-known",
                better=None,
                unit="%",
                n=rows.num_rows,
                value=mean(known, places, scale=100),
                note=f"{counts}",
            ),
        ]


def _share(name: str, supported: Sequence[bool | None], places: Any) -> Statistic:
    n = len({place for place, each in zip(places.tolist(), supported, strict=True) if each is not None})
    return Statistic(name=name, better="higher", unit="%", n=n, value=mean(supported, places, scale=100))


def open_claims(settings: "EvaluateSettings", pictures: "Pictures") -> ClaimsAccuracy:
    """Open the sources of evidence.

    Raises:
        OptionError: neither a detector nor a reader is named.
    """
    if settings.detector is None and settings.reader is None:
        raise OptionError("claims needs evidence: give --detector, --reader or both")
    names = ["colors"] if settings.detector is not None else []
    seen = open_sources(settings, [*names, *filter(None, [settings.reader])])
    identity = {
        "rules": VERSION,
        "evidence": seen.identity,
        "claims": reading_identity(),
        "grounding": grounding_identity(),
    }
    return ClaimsAccuracy(seen=seen, identity=identity, batch_size=settings.batch_size)
