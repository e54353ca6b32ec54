"""The recipe of the project's spaCy pipeline: a treebank in, `recapdata/weights/language` out.

    python -m recaptrain.embedded.language UD_ENGLISH_EWT_DIR OUT --more UD_FILES_DIR --wordnet WORDNET_DIR \\
        --captions FACTUAL_TRAIN.jsonl [--seed S]

Word vectors and the lemmatizer's tables are made of WordNet (`wordnet.py`). Three rounds: the first learns from the treebanks
with the caption-like variants of `treebank.py`, and parses captions that people drew scene graphs for; each later one goes on
with those where parse and graph agree (`agreement.py`) and with sentences of a caption grammar (`grammar.py`)
besides. The best step is chosen on EWT's dev split as it stands. OUT/pipeline is the finished pipeline in spaCy's own format.
About an hour on one core.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from recaptrain.embedded.language.agreement import agreeing_trees, caption_docs, mended, read_rows
from recaptrain.embedded.language.grammar import grammar_trees
from recaptrain.embedded.language.treebank import Tree, read_trees, to_doc, training_docs
from recaptrain.embedded.language.wordnet import WordNet, lemma_tables, word_vectors

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.pipeline import Lemmatizer

NAME = "recapdata"
VERSION = "2.0.0"
SOURCES = [
    {
        "name": "Universal Dependencies English EWT (train split, with caption-like variants of its trees)",
        "url": "https://github.com/UniversalDependencies/UD_English-EWT",
        "license": "CC BY-SA 4.0",
        "author": "Universal Dependencies contributors",
    },
    {
        "name": "Universal Dependencies English GUM (its documents under CC BY and CC BY-SA, and public-domain speeches)",
        "url": "https://github.com/UniversalDependencies/UD_English-GUM",
        "license": "CC BY 4.0, CC BY-SA 3.0",
        "author": "Amir Zeldes and contributors",
    },
    {
        "name": "Universal Dependencies English PUD",
        "url": "https://github.com/UniversalDependencies/UD_English-PUD",
        "license": "CC BY-SA 3.0",
        "author": "Universal Dependencies contributors",
    },
    {
        "name": "WordNet 3.0 (word vectors and the lemmatizer's tables)",
        "url": "https://wordnet.princeton.edu",
        "license": "WordNet License",
        "author": "Princeton University",
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


#: Steps of the first round, whose pipeline only has to parse captions for the next to learn from.
FIRST_STEPS = 3000
#: Later rounds go on at full batches, with a rate that falls to nothing: small first batches would undo the round before. A
#: third round parses the captions better than the second did and learns from more of them: on the gold captions positions
#: gained 0.1 and counts 1.0 points of F1, on FACTUAL's development half positions 0.3; a fourth was not tried.
LATER_STEPS = 3000
LATER_ROUNDS = 2
BATCH_WORDS = 1000
#: About a third of the words of a later round.
GRAMMAR_TREES = 30_000
TRAINED = ("tok2vec", "tagger", "morphologizer", "parser")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What a pipeline is trained on.

    Attributes:
        treebank: a folder with train.conllu and dev.conllu.
        more: further files of trees, all of them for training.
        wordnet: the folder of WordNet's database files, for word vectors and lemmas; None leaves both out.
        captions: JSON lines of captions with scene graphs; None leaves the later rounds out.
    """

    treebank: Path
    more: tuple[Path, ...] = ()
    wordnet: Path | None = None
    captions: Path | None = None


def write_corpora(
    sources: Sources, out: Path, *, seed: int, captions: list[Tree] | None = None, grammar: int = 0
) -> tuple[Path, Path]:
    """Writes the training and dev documents as spaCy DocBins and returns their paths.

    Args:
        captions: trees of captions to learn from besides.
        grammar: sentences of the caption grammar to learn from besides.
    """
    import spacy
    from spacy.tokens import DocBin

    out.mkdir(parents=True, exist_ok=True)
    vocab = spacy.blank("en").vocab
    trees = [tree for path in (sources.treebank / "train.conllu", *sources.more) for tree in read_trees(path)]
    train = training_docs(trees, vocab, seed=seed)
    train.extend(caption_docs(captions or [], vocab, seed=seed))
    if grammar:
        train.extend(caption_docs(list(grammar_trees(grammar, seed=seed)), vocab, seed=seed, alone=0.5))
    random.Random(seed).shuffle(train)
    sentences = read_trees(sources.treebank / "dev.conllu")
    dev = [to_doc(sentences[start : start + 10], vocab) for start in range(0, len(sentences), 10)]
    paths = (out / "train.spacy", out / "dev.spacy")
    for path, docs in zip(paths, (train, dev), strict=True):
        DocBin(docs=docs, store_user_data=False).to_disk(path)
    return paths


def train_pipeline(sources: Sources, out: Path, *, seed: int = 0, steps: int | None = None) -> Path:
    """Trains a pipeline and returns its folder.

    Args:
        out: gets a folder for each round (corpora and spaCy's checkpoints), and the finished pipeline/.
        steps: at most so many steps in each round (default: `FIRST_STEPS`, then `LATER_STEPS`).
    """
    first = train_round(sources, out / "first", seed=seed, steps=steps or FIRST_STEPS)
    if sources.captions is None:
        return finish(first, out / "pipeline", sources)
    checkpoint = first
    for number in range(LATER_ROUNDS):
        folder = out / f"round-{number + 2}"
        finished = later_round(sources, folder, checkpoint, seed=seed + number, steps=steps)
        checkpoint = folder / "training" / "model-best"
    shutil.copytree(finished, out / "pipeline", dirs_exist_ok=True)
    return out / "pipeline"


def later_round(
    sources: Sources,
    out: Path,
    start: Path,
    *,
    seed: int = 0,
    steps: int | None = None,
    grammar: int = GRAMMAR_TREES,
) -> Path:
    """Goes on from a pipeline with the grammar's sentences, and the captions on whose scene graphs it agrees with people.

    Returns:
        The folder of the finished pipeline.
    """
    import spacy

    assert sources.captions is not None
    nlp = spacy.load(start)
    if "lemmatizer" not in nlp.pipe_names:
        nlp = with_lemmatizer(nlp, sources)
    trees = mended(agreeing_trees(nlp, read_rows(sources.captions)))
    best = train_round(
        sources,
        out / "training",
        seed=seed,
        steps=steps or LATER_STEPS,
        captions=trees,
        grammar=grammar,
        start=start,
    )
    return finish(best, out / "pipeline", sources)


def train_round(
    sources: Sources,
    out: Path,
    *,
    seed: int,
    steps: int,
    captions: list[Tree] | None = None,
    grammar: int = 0,
    start: Path | None = None,
) -> Path:
    """One `spacy train`; returns the folder of its best checkpoint.

    Args:
        start: a pipeline whose weights to go on from; None starts from the seed.
    """
    from spacy.cli.train import train
    from spacy.util import load_config

    train_path, dev_path = write_corpora(
        sources, out / "corpus", seed=seed, captions=captions, grammar=grammar
    )
    config = load_config(Path(__file__).with_name("pipeline.cfg"))
    config["paths"]["train"], config["paths"]["dev"] = str(train_path), str(dev_path)
    config["system"]["seed"] = seed
    config["training"]["max_steps"] = steps
    if start is not None:
        config["paths"]["vectors"] = str(start)
        config["training"]["batcher"]["size"] = BATCH_WORDS
        config["training"]["eval_frequency"] = 500
        config["training"]["optimizer"]["learn_rate"] = {
            "@schedules": "warmup_linear.v1",
            "warmup_steps": 100,
            "initial_rate": 0.001,
            "total_steps": steps,
        }
        for name in TRAINED:
            config["components"][name] = {"source": str(start)}
    elif sources.wordnet is not None:
        config["paths"]["vectors"] = str(_write_vectors(sources.wordnet, out / "vectors"))
    else:
        config["components"]["tok2vec"]["model"]["embed"]["include_static_vectors"] = False
    config.to_disk(out / "config.cfg")
    train(out / "config.cfg", out)
    return out / "model-best"


def _write_vectors(wordnet: Path, out: Path) -> Path:
    """A blank pipeline with the word vectors, as spaCy's training takes them."""
    import spacy

    nlp = spacy.blank("en")
    nlp.vocab.vectors = word_vectors(WordNet(wordnet))
    nlp.to_disk(out)
    return out


def with_lemmatizer(nlp: Language, sources: Sources) -> Language:
    """The pipeline with spaCy's rule lemmatizer on WordNet's tables at its end."""
    if sources.wordnet is not None:
        lemmatizer = cast("Lemmatizer", nlp.add_pipe("lemmatizer", config={"mode": "rule"}))
        lemmatizer.initialize(lookups=lemma_tables(WordNet(sources.wordnet)))
    return nlp


def finish(checkpoint: Path, out: Path, sources: Sources) -> Path:
    """Copies a checkpoint, with its lemmatizer and a meta.json that names sources, license and accuracy, and no local paths."""
    import spacy

    nlp = with_lemmatizer(spacy.load(checkpoint), sources)
    performance = nlp.meta.get("performance", {})
    nlp.config["paths"] = {"train": None, "dev": None, "vectors": None, "init_tok2vec": None}
    for corpus in ("train", "dev"):
        nlp.config["corpora"][corpus]["path"] = None
    nlp.meta["name"] = NAME
    nlp.meta["version"] = VERSION
    nlp.meta["description"] = (
        "English tagger, morphologizer, dependency parser and lemmatizer for reading image captions; "
        "word vectors from WordNet's lexicographer classes. Accuracy: UD English EWT dev split, raw text."
    )
    nlp.meta["author"] = "recapdata"
    nlp.meta["url"] = ""
    nlp.meta["license"] = "CC BY-SA 4.0"
    nlp.meta["spacy_version"] = ">=3.8.0,<3.9.0"
    nlp.meta["sources"] = [source for source in SOURCES if _used(source["name"], sources)]
    nlp.to_disk(out)
    meta_path = out / "meta.json"
    meta = json.loads(meta_path.read_text(encoding="utf8"))
    meta["performance"] = {key: round(performance[key], 4) for key in REPORTED if key in performance}
    meta_path.write_text(json.dumps(meta, indent=2) + "\n", encoding="utf8")
    (out / "LICENSE.txt").write_text(_license(meta["sources"]), encoding="utf8")
    return out


def _used(name: str, sources: Sources) -> bool:
    if "GUM" in name or "PUD" in name:
        return bool(sources.more)
    if "WordNet" in name:
        return sources.wordnet is not None
    return sources.captions is not None if "FACTUAL" in name else True


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
    parser.add_argument("--more", type=Path, default=None, help="folder of further .conllu files to train on")
    parser.add_argument("--wordnet", type=Path, default=None, help="folder of WordNet's database files")
    parser.add_argument(
        "--captions", type=Path, default=None, help="JSON lines of captions with scene graphs"
    )
    parser.add_argument(
        "--first", type=Path, default=None, help="a checkpoint to go on from with one later round"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--steps", type=int, default=None, help="at most so many steps (default: the recipe's)"
    )
    args = parser.parse_args()
    more = tuple(sorted(args.more.glob("*.conllu"))) if args.more is not None else ()
    sources = Sources(treebank=args.treebank, more=more, wordnet=args.wordnet, captions=args.captions)
    if args.first is not None:
        if args.captions is None:
            parser.error("--first goes on with --captions")
        later_round(sources, args.out, args.first, seed=args.seed, steps=args.steps)
    else:
        train_pipeline(sources, args.out, seed=args.seed, steps=args.steps)
