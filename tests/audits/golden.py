"""Golden outputs of the audit's rule sets on a few hundred captions: what the declared versions (`audits.rules`) give.

    python -m tests.audits.golden                       what has changed under which version
    python -m tests.audits.golden --write               write the outputs again, after the versions were raised
    python -m tests.audits.golden --write --parse       the same, and parse the captions again, after the pipeline was trained

Captions are parsed once and their parses kept beside them, so that outputs depend on rules alone, and not on a model or on how a
machine rounds. Each rule set is held against the golden outputs of those it builds on: a change of the claims does not show in the
verdicts, which are given to the claims of before.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from fnmatch import fnmatch
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from zlib import crc32

import numpy as np
import yaml
from PIL import Image, ImageDraw
from pycocotools.mask import encode
from spacy.lang.en import English
from spacy.language import Language
from spacy.tokens import Doc

from audits.clip.counterfactuals import Counterfactual, counterfactuals
from audits.clip.scorer import PLAIN_PARTS
from audits.clip.scores import Cosines, margins, score
from audits.clip.skew import Cloud, frechet
from audits.evidence import Evidence, Observation, Record, Scope, color_clip
from audits.evidence.annotations import Annotations
from audits.evidence.colors import Pixels
from audits.evidence.detections import Thresholds, keep, valid
from audits.evidence.detector import Detections
from audits.evidence.ocr import SCOPE, SURE
from audits.extraction import claims as read_claims
from audits.grounding.verdicts import ground
from audits.language.pipeline import load_pipeline
from audits.lexicon import load_lexicon
from audits.rules import VERSIONS
from audits.text import read_form
from audits.text.coverage import caption_figures
from audits.text.duplicates import Fingerprints
from audits.text.hygiene import flags, habits
from audits.text.names import Names, retained
from recapdata.models.sources import ModelSource
from recapdata.records import Claim

FOLDER = Path(__file__).parent / "fixtures" / "golden"
CAPTIONS, PARSES, OUTPUTS, SETS = "captions.jsonl", "parses.jsonl", "outputs.jsonl", "rule_sets.json"
COMMAND = "python -m tests.audits.golden --write"
SIZE = (640, 480)
TABLES: Mapping[str, tuple[str, ...]] = {
    "claims": ("extraction/*.yaml", "extraction/*.txt"),
    "form": (),
    "grounding": ("lexicon*.yaml", "grounding/*.yaml"),
    "retention": ("text/names*.yaml",),
    "counterfactual": ("clip/counterfactual*.yaml",),
}
"""Where the tables of rule sets lie: their values, which captions cannot all exercise, count as outputs."""
INPUTS: Mapping[str, tuple[str, ...]] = {
    "claims": ("form",),
    "grounding": ("annotations", "detector", "ocr"),
    "retention": ("form",),
}
"""Rule sets whose outputs are inputs of another's, beside the claims: where these have changed, that other is not judged."""
COLUMNS = ("words", "spaces", "lemmas", "tags", "pos", "heads", "deps")
SHOWN = 3

Row = Mapping[str, Any]


class Golden:
    """The captions and what is kept of them in a folder.

    Attributes:
        captions: rows with id and caption, and where there are any alt text, annotations, detections and readings.
        parses: by text its columns; `known` are the words of alt texts that the pipeline was trained on.
        outputs: by id the outputs of each rule set; `sets` the outputs of those that read no caption, the tables and the versions.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        self.captions: list[Row] = _lines(folder / CAPTIONS)
        found = _lines(folder / PARSES)
        self.known: list[str] = found[0]["known"] if found else []
        self.parses: dict[str, Row] = {row["text"]: row for row in found[1:]}
        self.outputs: dict[str, Row] = {row["id"]: row for row in _lines(folder / OUTPUTS)}
        path = folder / SETS
        self.sets: Row = json.loads(path.read_text()) if path.is_file() else {"versions": {}, "sets": {}}

    def claims(self, row: Row) -> list[Claim]:
        """The golden claims of a caption."""
        return [_claim(values) for values in (self.outputs.get(row["id"]) or {}).get("claims") or ()]


# --- the outputs ---------------------------------------------------------------------------------------------------------


def outputs(golden: Golden) -> dict[str, dict[str, Any]]:
    """By rule set, by caption (or by what else it was asked), what the rules give now, as JSON has it."""
    by_caption = {
        "claims": _claims(golden),
        "retention": _retention(golden),
        **{name: {row["id"]: of(golden, row) for row in golden.captions} for name, of in _BY_CAPTION.items()},
    }
    others = {name: of() for name, of in _OTHERS.items()}
    found: dict[str, dict[str, Any]] = {**by_caption, **others}
    # Captions are said twice, as they are and with another blank, so that some are repeated.
    repeated = [text for row in golden.captions for text in (row["caption"], f"{row['caption']} ")]
    found["hygiene"] = {**found["hygiene"], "habits": _rounded(asdict(habits(repeated[:100])))}
    found["detector"] = {**found["detector"], "scores": _detected_scores()}
    for name, patterns in TABLES.items():
        found[name] = {**found[name], "tables": _tables(patterns)}
    return cast("dict[str, dict[str, Any]]", json.loads(json.dumps(found)))


def _claims(golden: Golden) -> dict[str, Any]:
    """The claims of the captions whose text has a parse."""
    nlp = _Stored(golden.parses)
    found = list(read_claims([row["caption"] for row in golden.captions], pipeline=nlp))
    return {
        row["id"]: [claim.to_dict() for claim in claims] if text in golden.parses else None
        for row, claims, text in zip(golden.captions, found, nlp.asked, strict=True)
    }


def _form(golden: Golden, row: Row) -> Any:
    form = read_form(row["caption"])
    text = None if form.text == row["caption"] else form.text
    return {"text": text, "kind": form.kind, "language": form.language, "flags": form.flags}


def _coverage(golden: Golden, row: Row) -> Any:
    found = caption_figures(row["caption"], golden.claims(row))
    return [found.words, found.clip_tokens]


def _hygiene(golden: Golden, row: Row) -> Any:
    return [flag for flag in flags(row["caption"]) if flag not in read_form(row["caption"]).flags]


def _counterfactual(golden: Golden, row: Row) -> Any:
    return [lie.text(row["caption"]) for lie in _counterfactuals(golden, row)]


def _counterfactuals(golden: Golden, row: Row) -> list[Counterfactual]:
    return counterfactuals(hashlib.sha256(row["id"].encode()).hexdigest(), row["caption"], golden.claims(row))


def _scores(golden: Golden, row: Row) -> Any:
    """Scores and margins by a model whose cosine is a hash of the text, and which reads forty words."""
    clip = SimpleNamespace(parts=PLAIN_PARTS, overflows=lambda text: len(text.split()) > 40)
    cosines = cast("Cosines", _HashedCosines(clip))
    (plain,) = score(cosines, [row["caption"]], [0])
    (margin,) = margins(cosines, [row["caption"]], [0], [_counterfactuals(golden, row)])
    return _rounded(asdict(plain) | asdict(margin))


class _HashedCosines:
    def __init__(self, clip: Any) -> None:
        self.clip = clip

    def __call__(self, pairs: Sequence[tuple[int, str]]) -> list[float]:
        return [crc32(text.encode()) / 2**31 - 1 for _, text in pairs]


def _grounding(golden: Golden, row: Row) -> Any:
    evidence = [each for of in (_annotated, _detected, _readings) if (each := of(golden, row)) is not None]
    if not evidence:
        return None
    found = ground(golden.claims(row), evidence, row["caption"])
    scores = {name: value for name, value in found.scores().items() if value}
    return {"verdicts": [[claim.verdict, claim.evidence] for claim in found.claims], "scores": scores}


def _annotated(golden: Golden, row: Row) -> Evidence | None:
    if "annotations" not in row:
        return None
    objects = [
        dict.fromkeys(("category", "color", "size", "text", "mask")) | each for each in row["annotations"]
    ]
    coco = load_lexicon().vocabularies[0]
    used = {
        each["category"]
        for other in golden.captions
        for each in other.get("annotations", ())
        if each.get("category")
    }
    # As in a dataset annotated with COCO's classes, or with a vocabulary of its own.
    closed = all(each["category"] in coco for each in objects if each["category"])
    scope = Scope(
        classes=coco if closed else frozenset(used), attributes=frozenset({"color", "size", "text"})
    )
    source = Annotations(scope=scope, hashes={}, columns=())
    values = {"objects": objects, "width": SIZE[0], "height": SIZE[1], "crowds": row.get("crowds")}
    return source.collect([Record(values=values)])[0]


def _annotations(golden: Golden, row: Row) -> Any:
    found = _annotated(golden, row)
    return found and [[*_objects(found.objects), sorted(found.uncounted)], len(found.scope.classes)]


def _detected(golden: Golden, row: Row) -> Evidence | None:
    if "detections" not in row:
        return None
    source = Detections(
        source=ModelSource(name="golden", location="", revision="1"),
        thresholds=Thresholds(),
        defaults=Thresholds(),
        classes=tuple(sorted(load_lexicon().vocabularies[0])),
    )
    found = [_seen(each) for each in row["detections"]]
    return source.evidence(Image.new("1", SIZE), found, frozenset())


def _detector(golden: Golden, row: Row) -> Any:
    found = _detected(golden, row)
    if found is None:
        return None
    doubtful = _objects(found.doubtful)
    return [
        _objects(found.objects),
        doubtful,
        sorted(found.uncounted),
        found.counting,
        len(found.scope.classes),
    ]


def _detected_scores() -> dict[str, Any]:
    """Boxes of every score apart and in pairs that overlap more and more; more than are counted; and some that are no boxes."""
    scores = [step / 20 for step in range(1, 20)]
    apart = [_box(30 * number, 0, score, "dog") for number, score in enumerate(scores)]
    pairs = [
        _box(40 * (number // 2) + number % 2 * number, 100, 0.9 - number / 50, "cat") for number in range(12)
    ]
    many = [_box(30 * number, 200, 0.5, "bird") for number in range(18)]
    none = [
        replace(apart[0], bbox=bbox, category="cow", score=0.9)
        for bbox in (
            (0.0, 0.0, 0.0, 5.0),
            (700.0, 0.0, 9.0, 9.0),
            (630.0, 470.0, 20.0, 20.0),
            (float("nan"), 0.0, 9.0, 9.0),
        )
    ]
    kept = keep(valid([*apart, *pairs, *many, *none], *SIZE), Thresholds())
    return {
        "objects": _objects(kept.objects),
        "doubtful": _objects(kept.doubtful),
        "uncounted": sorted(kept.uncounted),
    }


def _box(x: float, y: float, score: float, category: str) -> Observation:
    return Observation(bbox=(float(x), float(y), 25.0, 25.0), category=category, score=score, area=625.0)


def _readings(golden: Golden, row: Row) -> Evidence | None:
    if "readings" not in row:
        return None
    objects = tuple(_seen(each) for each in row["readings"])
    return Evidence(source="ocr", scope=SCOPE, objects=objects, width=SIZE[0], height=SIZE[1], counting=SURE)


def _seen(values: Row) -> Observation:
    x, y, width, height = map(float, values["bbox"])
    return Observation(
        bbox=(x, y, width, height),
        category=values.get("category"),
        text=values.get("text"),
        area=width * height,
        score=values.get("score"),
    )


def _objects(found: Sequence[Observation]) -> list[Any]:
    return [
        [each.category, each.bbox, each.area, each.colors, each.size, each.text, each.score] for each in found
    ]


def _retention(golden: Golden) -> dict[str, Any]:
    """The names of the alt texts, and which of them the captions keep."""
    names = Names(_Stored(golden.parses))
    names._known = frozenset(golden.known)
    rows = [row for row in golden.captions if "alt" in row]
    found = names.find([row["alt"] for row in rows])
    return {
        row["id"]: {"names": each, "lost": retained(row["caption"], each).entities_lost}
        for row, each in zip(rows, found, strict=True)
    }


def _copies() -> dict[str, Any]:
    """Captions said one to nine times, every other time in capitals and with another blank."""
    said = [
        f"  {text.upper()}" if time % 2 else text
        for number in range(1, 10)
        for time in range(number)
        for text in (f"a dog number {number}",)
    ]
    asked = [f"a dog number {number}" for number in range(1, 10)]
    with Fingerprints() as prints:
        prints.add(said)
        repeats = prints.repeats()
    copies = repeats.copies(asked)
    return {
        text: [times, repeats.flagged(["loop"], times)] for text, times in zip(asked, copies, strict=True)
    }


def _skew() -> dict[str, Any]:
    one, other = Cloud(), Cloud()
    one.add(np.array([[1, 0], [0, 1], [-1, 0], [0, -1]], np.float32))
    other.add(np.array([[3, 0], [0, 2], [-1, 0], [1, -2]], np.float32))
    return _rounded({"apart": frechet(one, other), "same": abs(frechet(one, one))})


COLORS = (
    (200, 30, 30), (230, 120, 20), (240, 220, 40), (40, 150, 60), (30, 60, 200), (120, 40, 160), (250, 150, 190),
    (110, 70, 40), (10, 10, 10), (128, 128, 128), (245, 245, 245), (90, 20, 30), (0, 128, 128), (210, 190, 150),
    (60, 70, 90), (180, 180, 60),
)  # fmt: skip


def _picture() -> tuple[Image.Image, list[Observation]]:
    """Boxes of one color, of two, and on a background like them."""
    picture = Image.new("RGB", SIZE, (236, 236, 232))
    draw = ImageDraw.Draw(picture)
    objects = []
    for number, color in enumerate(COLORS):
        x, y = 20 + 150 * (number % 4), 20 + 110 * (number // 4)
        draw.rectangle((x, y, x + 99, y + 79), fill=color)
        share = 10 * (number % 5)
        draw.rectangle((x, y, x + share, y + 79), fill=COLORS[(number + 5) % len(COLORS)])
        objects.append(Observation(bbox=(x, y, 100, 80), category="box", area=8000))
    disc = Image.new("1", SIZE)
    ImageDraw.Draw(disc).ellipse((20, 20, 119, 99), fill=1)
    mask = encode(np.asfortranarray(np.asarray(disc, np.uint8)))
    covered = {"size": [SIZE[1], SIZE[0]], "counts": mask["counts"].decode()}
    masked = Observation(bbox=(20, 20, 100, 80), category="box", area=6300, mask=covered)
    return picture, [*objects, masked, Observation(bbox=(2, 2, 16, 16), category="box", area=256)]


def _colors() -> dict[str, Any]:
    named = Pixels().name(*_picture())
    return {
        str(number): [each.colors, sorted(each.near_colors), each.sure] for number, each in enumerate(named)
    }


def _clip_colors() -> dict[str, Any]:
    picture, objects = _picture()
    likely = [[0.9 - step / 10, step / 20, *[0.05] * 9] for step in range(9)]
    named = [color_clip.with_likely_colors(objects[0], np.array(each)) for each in likely]
    return {
        "prompts": color_clip.PROMPTS,
        "crops": [
            hashlib.sha256(color_clip.crop(picture, each).tobytes()).hexdigest() for each in objects[-4:]
        ],
        "named": [[each.colors, sorted(each.near_colors), each.sure] for each in named],
    }


def _ocr() -> dict[str, Any]:
    return {"sure": SURE, "scope": [sorted(SCOPE.kinds), sorted(SCOPE.attributes), SCOPE.complete]}


_BY_CAPTION: Mapping[str, Callable[[Golden, Row], Any]] = {
    "form": _form,
    "coverage": _coverage,
    "hygiene": _hygiene,
    "counterfactual": _counterfactual,
    "scores": _scores,
    "annotations": _annotations,
    "detector": _detector,
    "grounding": _grounding,
}
_OTHERS: Mapping[str, Callable[[], dict[str, Any]]] = {
    "copies": _copies,
    "skew": _skew,
    "colors": _colors,
    "clip_colors": _clip_colors,
    "ocr": _ocr,
}


def _tables(patterns: Sequence[str]) -> str:
    """A hash of the values in tables, in any order of files, without comments."""
    home = Path(str(files("audits")))
    digests = []
    for path in home.rglob("*"):
        if any(fnmatch(path.relative_to(home).as_posix(), pattern) for pattern in patterns):
            content: Any = path.read_text(encoding="utf8")
            if path.suffix == ".yaml":
                values = yaml.safe_load(content)
            else:
                values = [line for line in content.splitlines() if line and not line.startswith("#")]
            digests.append(
                hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()
            )
    return hashlib.sha256("".join(sorted(digests)).encode()).hexdigest()[:16]


def _rounded(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: round(each, 4) if isinstance(each, float) else each for name, each in values.items()}


def _claim(values: Row) -> Claim:
    return Claim(**{**values, "span": tuple(values["span"])})


# --- stored parses -------------------------------------------------------------------------------------------------------


class _Stored(English):  # type: ignore[misc]
    """English with the trees that a trained pipeline made of some texts; of another text it makes nothing.

    Attributes:
        parses: by text its columns.
        asked: the texts that were given, in order.
    """

    def __init__(self, parses: Mapping[str, Row]) -> None:
        super().__init__()
        self.parses = parses
        self.asked: list[str] = []

    def make_doc(self, text: str) -> Doc:
        """The words of a text; their annotations come with `pipe`, since sentences may be marked before."""
        row = self.parses.get(text)
        return Doc(self.vocab) if row is None else Doc(self.vocab, row["words"], row["spaces"])

    def pipe(self, texts: Any, **options: Any) -> Iterator[Doc]:
        """The docs of texts, or of docs that `make_doc` gave."""
        for each in texts:
            text = each if isinstance(each, str) else each.text
            self.asked.append(text)
            row = self.parses.get(text)
            yield Doc(self.vocab) if row is None else Doc(self.vocab, **{name: row[name] for name in COLUMNS})


def _columns(text: str, doc: Doc) -> Row:
    """The columns of a parsed text; its sentences are those that its heads make."""
    values = [
        (tok.text, bool(tok.whitespace_), tok.lemma_, tok.tag_, tok.pos_, tok.head.i, tok.dep_) for tok in doc
    ]
    return {"text": text, **{name: [each[place] for each in values] for place, name in enumerate(COLUMNS)}}


def parse(golden: Golden, *, again: bool) -> Iterator[Row]:
    """The parses of all texts, by the project's own pipeline where there is none yet, or `again`."""
    nlp = load_pipeline()
    captions = [row["caption"] for row in golden.captions]
    known = {} if again else golden.parses
    recorder = _Recorder(nlp, known)
    list(read_claims(captions, pipeline=cast("Language", recorder)))
    names = Names(nlp)
    names._nlp = cast("Language", recorder)
    alts = [row["alt"] for row in golden.captions if "alt" in row]
    names.find(alts)
    words = {word.strip(".,:|!'’").lower() for text in [*alts, *captions] for word in text.split()}
    yield {"known": sorted(word for word in words if word in names._known)}
    yield from recorder.found.values()


class _Recorder:
    """A trained pipeline, with what it makes of every text it is given."""

    def __init__(self, nlp: Language, known: Mapping[str, Row]) -> None:
        self._nlp = nlp
        self._known = known
        self.found: dict[str, Row] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._nlp, name)

    def pipe(self, texts: Any, **options: Any) -> Iterator[Doc]:
        asked = list(texts)
        names = [each if isinstance(each, str) else each.text for each in asked]
        for text, doc in zip(names, self._nlp.pipe(asked, **options), strict=True):
            self.found.setdefault(text, self._known.get(text) or _columns(text, doc))
            yield doc


# --- what has changed ----------------------------------------------------------------------------------------------------


def problems(golden: Golden, versions: Mapping[str, int] = VERSIONS) -> list[str]:
    """A sentence for each rule set that gives other outputs than its version did, or has another version; what to type."""
    found = []
    now = outputs(golden)
    changed = {name: _changed(golden, name, each) for name, each in now.items()}
    for name, version in versions.items():
        was = golden.sets["versions"].get(name)
        if name not in now:
            found.append(f"{name}: tests/audits/golden.py asks for no outputs of it")
        elif was is None or version > was:
            found.append(f"{name}: version {version} has no golden outputs yet; run: {COMMAND}")
        elif version < was:
            found.append(
                f"{name}: version {version} in audits/rules.py is below {was}, which is golden; versions only rise"
            )
        elif changed[name] and not any(changed.get(each) for each in INPUTS.get(name, ())):
            found.append(
                f"{name}: {len(changed[name])} outputs have changed and its version has not; if that is meant, raise "
                f'"{name}" to {version + 1} in audits/rules.py and run: {COMMAND}\n'
                + "\n".join(changed[name][:SHOWN])
            )
    gone = [name for name in golden.sets["versions"] if name not in versions]
    return [*found, *(f"{name}: is golden, but not in audits/rules.py; run: {COMMAND}" for name in gone)]


def _changed(golden: Golden, name: str, now: Mapping[str, Any]) -> list[str]:
    """What differs from the golden outputs of a rule set, a line or two each."""
    captions = {row["id"]: row["caption"] for row in golden.captions}
    by_set = golden.sets["sets"].get(name, {})
    found = []
    for key, value in now.items():
        before = golden.outputs.get(key, {}).get(name) if key in captions else by_set.get(key)
        if before != value:
            found.append(f"  {key} {captions.get(key, '')[:80]!r}\n    was {_difference(before, value)}")
    return found


def _difference(before: Any, now: Any) -> str:
    if isinstance(before, list) and isinstance(now, list):
        before, now = (
            [each for each in before if each not in now],
            [each for each in now if each not in before],
        )
    return (
        f"{json.dumps(before, ensure_ascii=False)[:300]}\n    is  {json.dumps(now, ensure_ascii=False)[:300]}"
    )


def write(golden: Golden, folder: Path = FOLDER, *, again: bool = False) -> None:
    """Parse what has no parse yet (all `again`), and make the outputs of today golden."""
    _write(folder / PARSES, parse(golden, again=again))
    fresh = Golden(folder)
    claims = _claims(fresh)
    fresh.outputs = {row["id"]: {"claims": claims[row["id"]]} for row in fresh.captions}
    now = outputs(fresh)
    captions = {row["id"] for row in fresh.captions}
    rows = [
        {"id": key, **{name: each[key] for name, each in now.items() if each.get(key) is not None}}
        for key in sorted(captions)
    ]
    _write(folder / OUTPUTS, rows)
    sets = {
        name: {key: value for key, value in each.items() if key not in captions} for name, each in now.items()
    }
    content = {"versions": dict(VERSIONS), "sets": {name: each for name, each in sets.items() if each}}
    (folder / SETS).write_text(json.dumps(content, indent=1) + "\n")


def _lines(path: Path) -> list[Row]:
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf8").split("\n") if line]


def _write(path: Path, rows: Any) -> None:
    content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text(content, encoding="utf8")


def main(words: Sequence[str]) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.audits.golden", description=__doc__.split("\n")[0])
    parser.add_argument("--write", action="store_true", help="make the outputs of today golden")
    parser.add_argument(
        "--parse", action="store_true", help="parse all captions again by the project's own pipeline"
    )
    parser.add_argument(
        "--unreleased",
        action="store_true",
        help="write outputs that changed under a version no release has had yet",
    )
    options = parser.parse_args(words)
    golden = Golden()
    found = problems(golden)
    unraised = [each for each in found if COMMAND in each and "raise" in each]
    sys.stdout.write(("\n".join(found) or "the outputs are those of the declared versions") + "\n")
    if not options.write:
        return int(bool(found))
    if unraised and not options.unreleased:
        sys.stdout.write(
            "nothing was written: raise the versions first (--unreleased if no release has them)\n"
        )
        return 1
    write(golden, again=options.parse)
    sys.stdout.write(f"{len(golden.captions)} captions → {FOLDER}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
