"""The recipe of the project's spaCy pipeline: a treebank in, `recapdata/weights/language` out.

    python -m recaptrain.embedded.language UD_ENGLISH_EWT_DIR OUT --captions FACTUAL_TRAIN.jsonl [--seed S]

Two rounds. The first learns from the treebank's train split with the caption-like variants of `treebank.py`, and parses
captions that people drew scene graphs for; the second goes on with those where both agree (`agreement.py`) besides.
The best step is chosen on the treebank's dev split as it stands. OUT/pipeline is the finished pipeline in spaCy's own format.
"""

from __future__ import annotations

import argparse
import json
import random
from importlib.resources import files
from pathlib import Path

from recaptrain.embedded.agreement import agreeing_trees, caption_docs, mended, read_rows
from recaptrain.embedded.treebank import Tree, read_trees, to_doc, training_docs

NAME = "recapdata"
VERSION = "1.1.0"
SOURCES = [
    {
        "name": "Universal Dependencies English EWT (train split, with caption-like variants of its trees)",
        "url": "https://github.com/UniversalDependencies/UD_English-EWT",
        "license": "CC BY-SA 4.0",
        "author": "Universal Dependencies contributors",
    },
    {
        "name": "FACTUAL scene graphs (train split: captions whose graph and first parse agree)",
        "url": "https://github.com/zhuang-li/FactualSceneGraph",
        "license": "MIT",
        "author": "Zhuang Li et al.",
    },
]
#: What the finished pipeline's meta.json says of itself: the components' accuracy on the dev split, as measured.
REPORTED = ("tag_acc", "pos_acc", "morph_acc", "dep_uas", "dep_las", "lemma_acc", "sents_f", "token_acc")


#: Steps of the first pipeline, whose only task is to parse captions for the second to learn from.
FIRST_STEPS = 3000
#: The second goes on at full batches, with a rate that falls to nothing: small first batches would undo the first round.
#: The weights that travel with the project are its checkpoint of step 1,250, where the training was ended.
SECOND_STEPS = 2500
BATCH_WORDS = 1000
#: What the second round goes on from. Not the lemmatizer: loaded from disk, spaCy 3.8's does not know its own labels when it
#: is trained further (`tree2label` is not saved), and unlearns everything.
CONTINUED = ("tok2vec", "tagger", "morphologizer", "parser")


def write_corpora(
    treebank: Path, out: Path, *, seed: int, captions: list[Tree] | None = None
) -> tuple[Path, Path]:
    """Writes the training and dev documents as spaCy DocBins and returns their paths."""
    import spacy
    from spacy.tokens import DocBin

    out.mkdir(parents=True, exist_ok=True)
    vocab = spacy.blank("en").vocab
    train = training_docs(read_trees(treebank / "train.conllu"), vocab, seed=seed)
    train.extend(caption_docs(captions or [], vocab, seed=seed))
    random.Random(seed).shuffle(train)
    sentences = read_trees(treebank / "dev.conllu")
    dev = [to_doc(sentences[start : start + 10], vocab) for start in range(0, len(sentences), 10)]
    paths = (out / "train.spacy", out / "dev.spacy")
    for path, docs in zip(paths, (train, dev), strict=True):
        DocBin(docs=docs, store_user_data=False).to_disk(path)
    return paths


def train_pipeline(
    treebank: Path, out: Path, *, captions: Path | None = None, seed: int = 0, steps: int | None = None
) -> Path:
    """Trains from the treebank folder and returns the finished pipeline's folder.

    Args:
        treebank: a folder with train.conllu and dev.conllu.
        out: gets first/ and second/ (corpora and spaCy's checkpoints) and pipeline/.
        captions: JSON lines of captions with scene graphs; None leaves the second round out.
        steps: at most so many steps in the last round (default: the configuration's, or `SECOND_STEPS`).
    """
    if captions is None:
        return finish(
            train_round(treebank, out / "first", seed=seed, steps=steps), out / "pipeline", captions=False
        )
    first = train_round(treebank, out / "first", seed=seed, steps=FIRST_STEPS)
    return second_round(treebank, out, first, captions, seed=seed, steps=steps)


def second_round(
    treebank: Path, out: Path, first: Path, captions: Path, *, seed: int = 0, steps: int | None = None
) -> Path:
    """Goes on from a first pipeline with the captions on whose scene graphs it agrees with people."""
    import spacy

    trees = mended(agreeing_trees(spacy.load(first), read_rows(captions)))
    second = train_round(treebank, out / "second", seed=seed, steps=steps, captions=trees, start=first)
    return finish(second, out / "pipeline", captions=True)


def train_round(
    treebank: Path,
    out: Path,
    *,
    seed: int,
    steps: int | None = None,
    captions: list[Tree] | None = None,
    start: Path | None = None,
) -> Path:
    """One `spacy train`; returns the folder of its best checkpoint.

    Args:
        start: a pipeline whose weights to go on from; None starts from the seed.
    """
    from spacy.cli.train import train
    from spacy.util import load_config

    train_path, dev_path = write_corpora(treebank, out / "corpus", seed=seed, captions=captions)
    config = load_config(Path(str(files("recaptrain.embedded").joinpath("language.cfg"))))
    config["paths"]["train"], config["paths"]["dev"] = str(train_path), str(dev_path)
    config["system"]["seed"] = seed
    if steps is not None:
        config["training"]["max_steps"] = steps
    if start is not None:
        config = config.interpolate()  # the lemmatizer's width is read off a section that is now elsewhere
        config["training"]["batcher"]["size"] = BATCH_WORDS
        config["training"]["eval_frequency"] = 250
        config["training"]["max_steps"] = steps or SECOND_STEPS
        config["training"]["optimizer"]["learn_rate"] = {
            "@schedules": "warmup_linear.v1",
            "warmup_steps": 100,
            "initial_rate": 0.001,
            "total_steps": steps or SECOND_STEPS,
        }
        for name in CONTINUED:
            config["components"][name] = {"source": str(start)}
    config.to_disk(out / "config.cfg")
    train(out / "config.cfg", out)
    return out / "model-best"


def finish(checkpoint: Path, out: Path, *, captions: bool, notes: str = "") -> Path:
    """Copies a checkpoint with a meta.json that names sources, license and measured accuracy, and no local paths.

    Args:
        captions: whether the second round's captions were among the training text.
        notes: what else is to be known of this training, for the meta.json.
    """
    import spacy

    nlp = spacy.load(checkpoint)
    performance = nlp.meta.get("performance", {})
    nlp.config["paths"] = {"train": None, "dev": None, "vectors": None, "init_tok2vec": None}
    for corpus in ("train", "dev"):
        nlp.config["corpora"][corpus]["path"] = None
    nlp.meta["name"] = NAME
    nlp.meta["version"] = VERSION
    nlp.meta["description"] = (
        "English tagger, morphologizer, dependency parser and lemmatizer for reading image captions; "
        "no static vectors. Accuracy: UD English EWT dev split, raw text."
    )
    if notes:
        nlp.meta["notes"] = notes
    nlp.meta["author"] = "recapdata"
    nlp.meta["url"] = ""
    nlp.meta["license"] = "CC BY-SA 4.0"
    nlp.meta["spacy_version"] = ">=3.8.0,<3.9.0"
    nlp.meta["sources"] = SOURCES if captions else SOURCES[:1]
    nlp.to_disk(out)
    meta_path = out / "meta.json"
    meta = json.loads(meta_path.read_text(encoding="utf8"))
    meta["performance"] = {key: round(performance[key], 4) for key in REPORTED if key in performance}
    meta_path.write_text(json.dumps(meta, indent=2) + "\n", encoding="utf8")
    (out / "LICENSE.txt").write_text(_license(meta["sources"]), encoding="utf8")
    return out


def _license(sources: list[dict[str, str]]) -> str:
    lines = [
        "This spaCy pipeline is licensed under the Creative Commons Attribution-ShareAlike 4.0 International License",
        "(CC BY-SA 4.0, https://creativecommons.org/licenses/by-sa/4.0/), because the treebank it was trained on is.",
        "",
        "Trained on:",
        *(
            f"- {source['name']}, {source['author']}, {source['license']}, {source['url']}"
            for source in sources
        ),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("treebank", type=Path, help="folder with train.conllu and dev.conllu")
    parser.add_argument("out", type=Path, help="folder for corpora, checkpoints and the finished pipeline")
    parser.add_argument(
        "--captions", type=Path, default=None, help="JSON lines of captions with scene graphs"
    )
    parser.add_argument("--first", type=Path, default=None, help="a finished first round to go on from")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--steps", type=int, default=None, help="at most so many steps (default: the configuration's)"
    )
    args = parser.parse_args()
    if args.first is not None:
        if args.captions is None:
            parser.error("--first goes on with --captions")
        second_round(args.treebank, args.out, args.first, args.captions, seed=args.seed, steps=args.steps)
    else:
        train_pipeline(args.treebank, args.out, captions=args.captions, seed=args.seed, steps=args.steps)


if __name__ == "__main__":
    main()
