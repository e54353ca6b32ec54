"""The spaCy pipeline that captions are read with: which one, its identity, and its label scheme.

Claims are read from Universal Dependencies. Pipelines of spaCy's own English releases are labelled with ClearNLP's
scheme; `audits.extraction.tree` converts their trees, with the tables of this module.
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from recapdata.errors import ModelNotSupported, PipelineNotFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spacy.language import Language

Scheme = Literal["ud", "clearnlp"]

#: Labels that only one of the two schemes has; one of them tells the scheme.
UD_ONLY = frozenset(
    {"obj", "obl", "nsubj:pass", "acl:relcl", "aux:pass", "nmod:poss", "flat", "iobj", "obl:agent", "fixed"}
)
CLEARNLP_ONLY = frozenset(
    [
        "pobj",
        "dobj",
        "prep",
        "nsubjpass",
        "attr",
        "acomp",
        "relcl",
        "poss",
        "auxpass",
        "agent",
        "prt",
        "npadvmod",
        "dative",
        "oprd",
        "quantmod",
        "pcomp",
        "neg",
    ]
)

#: ClearNLP label -> the UD label of the same relation, where only the name differs. Prepositions, copulas and
#: coordination stand differently in the tree and are moved by `audits.extraction.tree`.
CLEARNLP_TO_UD = {
    "nsubjpass": "nsubj:pass",
    "csubjpass": "csubj:pass",
    "dobj": "obj",
    "dative": "iobj",
    "relcl": "acl:relcl",
    "auxpass": "aux:pass",
    "poss": "nmod:poss",
    "prt": "compound:prt",
    "npadvmod": "obl:unmarked",
    "quantmod": "advmod",
    "neg": "advmod",
    "predet": "det:predet",
    "preconj": "cc:preconj",
    "oprd": "xcomp",
    "intj": "discourse",
    "nmod": "compound",
}

#: Components that claims do not need; left out when a pipeline is loaded, which saves their time.
UNUSED = (
    "ner",
    "entity_linker",
    "entity_ruler",
    "textcat",
    "textcat_multilabel",
    "senter",
    "coref",
    "span_resolver",
)

SHIPPED = "weights/language"


def load_pipeline(name: str | None = None) -> Language:
    """Loads the pipeline of a name, or the project's own.

    Args:
        name: an installed spaCy package ("en_core_web_sm"), a folder that `Language.to_disk` wrote, or None for the
            pipeline that travels with the project.

    Raises:
        PipelineNotFound: nothing of that name is installed, or the folder holds no pipeline.
        ModelNotSupported: the pipeline parses no dependencies, or with labels of neither known scheme.
    """
    import spacy

    if name is None:
        with as_file(files("recapdata").joinpath(SHIPPED)) as folder:
            return _checked(_load(spacy, str(folder)), str(folder))
    return _checked(_load(spacy, name), name)


def _load(spacy: object, name: str) -> Language:
    try:
        return spacy.load(name, exclude=list(UNUSED))  # type: ignore[attr-defined]
    except OSError as error:
        raise PipelineNotFound(
            f"No spaCy pipeline {name!r}: it is neither an installed package nor a folder with a pipeline in it; "
            f"install it (python -m spacy download {Path(name).name}) or leave the option out for the project's own."
        ) from error


def _checked(nlp: Language, name: str) -> Language:
    if pipeline_scheme(nlp) is None:
        raise ModelNotSupported(
            f"The spaCy pipeline {name!r} gives no dependencies of a known scheme (its components: "
            f"{', '.join(nlp.pipe_names) or 'none'}); claims need a parser with Universal Dependencies or ClearNLP labels."
        )
    return nlp


@contextmanager
def numpy_products(nlp: Language) -> Iterator[None]:
    """Run a pipeline's matrix products through NumPy while the context lasts, not through Thinc's BLIS.

    BLIS takes its generic kernels on many processors, and then half of a pipeline's time. The sums are the same up to the last
    digits of single precision.
    """
    from thinc.api import Model, NumpyOps

    products = NumpyOps(use_blis=False)
    models = [model for _, pipe in nlp.pipeline if isinstance(model := getattr(pipe, "model", None), Model)]
    nodes = [node for model in models for node in model.walk() if isinstance(node.ops, NumpyOps)]
    before = [node.ops for node in nodes]
    for node in nodes:
        node.ops = products
    try:
        yield
    finally:
        for node, ops in zip(nodes, before, strict=True):
            node.ops = ops


def scheme_of(labels: Iterable[str]) -> Scheme | None:
    """The scheme that dependency labels belong to; None where they belong to neither.

    Labels that both schemes have ("amod", "det") tell nothing: a caption of only those reads the same in either.
    """
    known = {label.split("||")[-1] for label in labels}
    if known & CLEARNLP_ONLY:
        return "clearnlp"
    return "ud" if known & UD_ONLY else None


def pipeline_scheme(nlp: Language) -> Scheme | None:
    """The label scheme of a pipeline's parser."""
    return scheme_of(label for pipe in nlp.pipe_names for label in nlp.pipe_labels.get(pipe, ()))


def identity(nlp: Language) -> str:
    """What an audit calls the pipeline: `en_recapdata@1.0.0+sha256:0123456789ab`.

    The hash is over the files it was loaded from, so that two trainings of one version do not pass for each other;
    a pipeline made in memory has none.
    """
    name = f"{nlp.meta['lang']}_{nlp.meta['name']}@{nlp.meta['version']}"
    folder = nlp.path
    return name if folder is None else f"{name}+sha256:{content_hash(Path(folder))[:12]}"


def content_hash(folder: Path) -> str:
    """SHA-256 over the names and bytes of a pipeline's files, in the order of their names.

    What is written for people (`README.md`, licenses) and the figures in `meta.json` decide no claim and are left out.
    """
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not _is_documentation(path) and "__pycache__" not in path.parts:
            digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _is_documentation(path: Path) -> bool:
    return path.suffix == ".md" or path.name.startswith("LICENSE") or path.name == "meta.json"
