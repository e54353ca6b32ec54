"""GenEval (Ghosh et al. 2023): six tasks, each picture right or wrong by what a detector finds in it.

    single_object  two_object  counting  colors  position  color_attr        the overall score is the mean of their six means

The benchmark's own fields say what a picture must hold (`include`: class, count, color, position) and must not (`exclude`). An object
is there from a score above 0.3, in the task counting above 0.9, sixteen of a class at most. As many objects of a class as are asked for
are looked at, the surest first: each must have the color, and lie in the stated direction of each of the other class: the
offset of the centers, less 0.1 of the summed extents, makes up more than half of their distance along the axis.

    geneval, geneval-TASK          as the original: the color is the likeliest of ten by CLIP on the crop, as `--clip` names it (there: ViT-L/14)
    geneval-fixed, …/colors, …     the color is the audit's, by the object's pixels without the background; a picture whose object is of no
                                   clear color counts neither as right nor as wrong

Deviations. A detector of transformers, or any other, for Mask2Former of mmdet, which cannot be installed any more; without its masks CLIP sees
the background in the crop. Classes are matched by the audit's lexicon ("computer mouse" is COCO's "mouse"); a picture of a class that
the detector does not know is not judged, where the original finds it wrong.

What it cannot see: anything beyond eighty classes, ten colors and four directions, how good the picture looks, and objects that the detector does
not recognize as drawn. Its detector's mistakes have grown as generators got better (GenEval 2, 2025).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from PIL import Image

from audits.evidence import Evidence, Observation
from audits.evidence.color_names import NAMES
from audits.grounding.spatial import related
from audits.lexicon import meaning
from recaptrain.evaluation.detected import score_of
from recaptrain.evaluation.metrics import Statistic
from recaptrain.evaluation.seen import Detector, SeenEvidence, open_detections, open_sources
from recaptrain.evaluation.sums import mean, mean_of_groups

if TYPE_CHECKING:
    from audits.evidence.color_clip import ClipNamer
    from recaptrain.evaluation.pictures import Picture, Pictures
    from recaptrain.evaluation.settings import EvaluateSettings

VERSION = 1
THRESHOLD = 0.3
COUNTING = 0.9
MOST = 16
TASKS = ("single_object", "two_object", "counting", "colors", "position", "color_attr")
COLORED = ("colors", "color_attr")
ASKED = tuple(name for name in NAMES if name != "gray")
"""GenEval's ten colors."""
SCHEMA = pa.schema(
    [("task", pa.string()), ("correct", pa.bool_()), ("fixed", pa.bool_()), ("detected", pa.string())]
)
"""Of a picture its task, whether it is right by CLIP's colors and by the audit's (null: cannot tell), and what was found."""

Colored = Callable[[Sequence[Observation], str], Sequence[bool | None]]
"""Objects and a color → whether each has it; None where nobody can tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenEval:
    """GenEval's tasks; made by `open_geneval`.

    Attributes:
        colored: the detector with the audit's colors behind it.
        namer: names colors by CLIP.
    """

    detector: Detector
    colored: SeenEvidence
    namer: "ClipNamer"
    identity: Mapping[str, Any]
    name: str = "geneval"
    schema: pa.Schema = SCHEMA
    batch_size: int = 32

    def measure(
        self, pictures: "Sequence[Picture]", images: Sequence[Image.Image]
    ) -> list[Mapping[str, Any] | None]:
        """A row for each picture of a prompt of GenEval whose classes the detector knows."""
        rows: list[Mapping[str, Any] | None] = [None] * len(pictures)
        wanted = [place for place, each in enumerate(pictures) if self._judged(each.fields)]
        evidence = self.colored.collect(
            [images[place] for place in wanted],
            [frozenset(_classes(pictures[place].fields)) for place in wanted],
        )
        for place, seen in zip(wanted, evidence, strict=True):
            rows[place] = self._row(pictures[place].fields, images[place], seen)
        return rows

    def figures(self, rows: pa.Table) -> list[Statistic]:
        """The overall score and that of each task, as the original and `fixed`."""
        tasks = rows.column("task").to_pylist()
        correct, fixed = (rows.column(name).to_pylist() for name in ("correct", "fixed"))
        there = [task for task in TASKS if task in tasks]
        note = f"of the tasks {', '.join(there)} alone" if len(there) < len(TASKS) else ""
        figures = [
            _overall("geneval", correct, tasks, note),
            *(_task(f"geneval-{task}", correct, tasks, task) for task in there),
            _overall("geneval-fixed", fixed, tasks, ""),
            *(_task(f"geneval-fixed-{task}", fixed, tasks, task) for task in there if task in COLORED),
        ]
        return [each for each in figures if each.n]

    def _judged(self, fields: Mapping[str, Any]) -> bool:
        """Whether these are the fields of a prompt of GenEval, of classes that the detector knows."""
        return is_geneval(fields) and all(
            meaning(name, self.detector.classes).supporting for name in _classes(fields)
        )

    def _row(self, fields: Mapping[str, Any], image: Image.Image, seen: Sequence[Evidence]) -> dict[str, Any]:
        evidence, *others = seen
        threshold = COUNTING if fields["tag"] == "counting" else THRESHOLD
        objects = {
            name: surest(evidence, meaning(name, self.detector.classes).supporting, threshold)
            for name in _classes(fields)
        }
        named = [one for each in others for one in each.objects]
        return {
            "task": fields["tag"],
            "correct": judge(fields, objects, evidence, self._by_clip(image)),
            "fixed": judge(fields, objects, evidence, _by_audit(named)),
            "detected": ", ".join(f"{name} {len(own)}" for name, own in objects.items()),
        }

    def _by_clip(self, image: Image.Image) -> Colored:
        """The likeliest of ten colors by CLIP on the crop."""

        def colored(objects: Sequence[Observation], color: str) -> list[bool | None]:
            places = [NAMES.index(name) for name in ASKED]
            likely = self.namer.likelihoods(image, objects)
            return [ASKED[int(each[places].argmax())] == color for each in likely]

        return colored


def is_geneval(fields: Mapping[str, Any]) -> bool:
    """Whether these are the fields of a prompt of GenEval, in the form of its file."""
    required = [*(fields.get("include") or []), *(fields.get("exclude") or [])]
    return (
        fields.get("tag") in TASKS
        and bool(fields.get("include"))
        and all(
            isinstance(each, Mapping)
            and isinstance(each.get("class"), str)
            and isinstance(each.get("count"), int)
            for each in required
        )
    )


def judge(
    fields: Mapping[str, Any],
    objects: Mapping[str, Sequence[Observation]],
    evidence: Evidence,
    colored: Colored,
) -> bool | None:
    """Whether a picture holds what a prompt of GenEval asks for; None where a color that decides it cannot be told.

    Args:
        fields: `include` and `exclude` of the benchmark's file; a position refers to an earlier entry by its number.
        objects: by class the detections, the surest first.
    """
    verdicts: list[bool | None] = []
    groups: list[Sequence[Observation]] = []
    for required in fields["include"]:
        found = objects.get(required["class"], ())[: required["count"]]
        enough = len(found) >= required["count"]
        right = _enough(found, required, colored) if enough and "color" in required else enough
        placed = True
        if "position" in required and right:
            relation, other = required["position"]
            target = groups[other] if other < len(groups) else ()
            placed = bool(target) and all(
                related(one, each, relation, evidence) is True for one in found for each in target
            )
        verdicts += [right, placed]
        groups.append(found if right is not False and placed else ())
    for excluded in fields.get("exclude") or ():
        verdicts.append(len(objects.get(excluded["class"], ())) < excluded["count"])
    return False if False in verdicts else None if None in verdicts else True


def _enough(found: Sequence[Observation], required: Mapping[str, Any], colored: Colored) -> bool | None:
    """Whether as many of the objects as are asked for have the color; None where that may be."""
    verdicts = colored(found, required["color"])
    sure = sum(each is True for each in verdicts)
    unclear = sum(each is None for each in verdicts)
    return True if sure >= required["count"] else None if sure + unclear >= required["count"] else False


def surest(evidence: Evidence, classes: frozenset[str], threshold: float) -> list[Observation]:
    """The boxed objects of some classes above a score, the surest first."""
    objects = [
        each
        for each in evidence.objects
        if each.bbox and each.category in classes and score_of(each) > threshold
    ]
    return sorted(objects, key=score_of, reverse=True)[:MOST]


def _by_audit(named: Sequence[Observation]) -> Colored:
    """The audit's colors of the objects, which it knows by box and class."""
    known = {(one.bbox, one.category): one for one in named}

    def colored(objects: Sequence[Observation], color: str) -> list[bool | None]:
        verdicts: list[bool | None] = []
        for each in objects:
            one = known.get((each.bbox, each.category))
            unclear = one is None or not one.colors or color in one.near_colors
            verdicts.append(True if one and color in one.colors else None if unclear else False)
        return verdicts

    return colored


def _classes(fields: Mapping[str, Any]) -> list[str]:
    """The classes that a prompt asks for or excludes, each once."""
    required = [*(fields.get("include") or ()), *(fields.get("exclude") or ())]
    return list(dict.fromkeys(each["class"] for each in required))


def _overall(name: str, correct: Sequence[bool | None], tasks: Sequence[str], note: str) -> Statistic:
    n = sum(each is not None for each in correct)
    value = mean_of_groups(correct, tasks, scale=100)
    return Statistic(name=name, better="higher", unit="%", n=n, value=value, note=note)


def _task(name: str, correct: Sequence[bool | None], tasks: Sequence[str], task: str) -> Statistic:
    own = [each if other == task else None for each, other in zip(correct, tasks, strict=True)]
    n = sum(each is not None for each in own)
    return Statistic(name=name, better="higher", unit="%", n=n, value=mean(own, scale=100))


def open_geneval(settings: "EvaluateSettings", pictures: "Pictures") -> GenEval:
    """Open the detector and find the CLIP model.

    Raises:
        OptionError: no detector is named.
    """
    from audits.evidence.color_clip import open_namer

    detector = open_detections(settings, "geneval")
    colored = open_sources(settings, ["colors"])
    namer = open_namer(settings.clip)
    identity = {
        "rules": VERSION,
        "evidence": colored.identity,
        "clip": namer.model,
        "threshold": THRESHOLD,
        "counting": COUNTING,
    }
    return GenEval(
        detector=detector, colored=colored, namer=namer, identity=identity, batch_size=settings.batch_size
    )
