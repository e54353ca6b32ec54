"""The functions of `import audits`: what the commands do, for a notebook or a program."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, overload

from recapdata.extras import naming_extras

if TYPE_CHECKING:
    from spacy.language import Language

    from audits.contradicted import WrongSummary
    from audits.fiftyone.dataset import ViewSummary
    from audits.reporting import ReportSummary
    from audits.results import Audit, Difference
    from recapdata.dataset.target import Target
    from recapdata.records import Claim


@overload
def claims(  # type: ignore[overload-overlap]  # a str is iterable, and is taken for a text
    captions: str, *, pipeline: str | None = None, processes: int = 1
) -> "list[Claim]": ...
@overload
def claims(
    captions: Iterable[str], *, pipeline: str | None = None, processes: int = 1
) -> "list[list[Claim]]": ...
@naming_extras()
def claims(
    captions: str | Iterable[str], *, pipeline: str | None = None, processes: int = 1
) -> "list[Claim] | list[list[Claim]]":
    """Extract the checkable claims of a caption, or of many.

    Args:
        captions: a text, or texts.
        pipeline: a spaCy pipeline by name or folder; the project's own where None. It stays loaded for the next call.
        processes: processes that parse.

    Returns:
        The claims of the text in the order of their spans, or such a list for each text.

    Raises:
        PipelineNotFound: no spaCy pipeline of that name is installed.
        ModelNotSupported: the pipeline parses no dependencies of a known label scheme.
        InputError: a caption is longer than the pipeline takes.

    Example:
        >>> import audits
        >>> for claim in audits.claims("Two red apples on a table."):
        ...     print(claim)
        Claim(kind='count', span=(0, 14), object='apple', count=2)
        Claim(kind='color', span=(4, 14), object='apple', color='red')
        Claim(kind='object', span=(8, 14), object='apple')
        Claim(kind='position', span=(8, 25), object='table', subject='apple', relation='on')
        Claim(kind='object', span=(20, 25), object='table')
    """
    from audits.extraction import claims as extract

    texts = [captions] if isinstance(captions, str) else captions
    extracted = list(extract(texts, pipeline=_pipeline(pipeline), processes=processes))
    return extracted[0] if isinstance(captions, str) else extracted


@lru_cache(maxsize=1)
def _pipeline(name: str | None) -> "Language":
    from audits.language.pipeline import load_pipeline

    return load_pipeline(name)


@naming_extras()
def run(
    target: "str | Path | Target",
    *,
    captions: Sequence[str] = (),
    clip: str | None = None,
    clip_scores: Sequence[str] = ("caption", "hessel", "sentences", "margin"),
    prompts: str | None = None,
    evidence: Sequence[str] = (),
    out: str | Path | None = None,
    pipeline: str | None = None,
    engine: str = "local",
    workers: int | None = None,
) -> "Audit":
    """Audit caption sets: claims, coverage, hygiene, CLIP scores, and whether the claims are true.

    What is finished and still fresh is not computed again, so this also opens an audit that `audits run` has made.

    Args:
        target: a dataset folder, or `user/name@revision`.
        captions: the caption sets; all of them where empty.
        clip: score with this CLIP model: `embedded`, a folder, `hf-hub:user/name@revision`, or `ARCHITECTURE:WEIGHTS`.
        clip_scores: which scores: the whole caption, CLIPScore (Hessel et al. 2021), the weakest sentence, and the margin over
            counterfactual captions.
        prompts: a file of prompts, or a caption set, whose distance from the captions is measured; needs `clip`.
        evidence: judge claims by this evidence, the most trusted first: `annotations`, `detector:MODEL`, `colors`, `ocr`.
        out: folder of the results; `audits` in the dataset folder where None, required for a published version.
        pipeline: a spaCy pipeline by name or folder; the project's own where None.
        engine: `local`, or `ray` for the cluster that this machine belongs to.
        workers: processes, or actors on Ray; all cores where None. The results do not depend on it.

    Returns:
        The audit, with pandas tables of its figures, captions and claims.

    Raises:
        CaptionSetNotFound: no such caption set, or the dataset has none.
        OptionError: a value that cannot be used, or no place for the results of a published version.
        ClusterError: there is no Ray cluster, or its nodes do not see the dataset.

    Example:
        >>> import audits
        >>> audit = audits.run("drawn", captions=["human"], evidence=["annotations"])
        >>> figures = audit.figures.set_index(["set", "figure"])
        >>> print(figures.loc[("human", "object precision"), "value"])
        1.0
        >>> print(audit.claims.query("verdict == 'supported'")["kind"].nunique() > 3)
        True
    """
    given = locals()
    from audits.options import AuditOptions
    from audits.results import Audit
    from audits.runner.run import run as run_audit
    from recapdata.dataset.target import open_dataset
    from recapdata.options import gather, values

    opened = open_dataset(target)
    summary = run_audit(opened, **values(gather(AuditOptions, given)))
    return Audit(summary=summary, target=opened, out=Path(summary.out))


@naming_extras()
def compare(
    target: "str | Path | Target",
    other: "str | Path | Target",
    set_b: str | None = None,
    *,
    sets: str | Sequence[str] = (),
    audits: tuple[str | Path | None, str | Path | None] = (None, None),
    rows: int = 20,
) -> "Difference":
    """Compare two audited caption sets, `compare(TARGET, SET_A, SET_B)`, or two versions or folders, `compare(A, B)`.

    Args:
        target: a dataset folder, or `user/name@revision`.
        other: the first caption set; the second version or folder where there is no `set_b`.
        set_b: the second caption set.
        sets: of two versions only these caption sets, or this one; all that both have where empty.
        audits: where `audits run --out` put either audit; the targets' own where None.
        rows: how many rows that changed most for the worse are listed, and how many for the better.

    Returns:
        The difference, with pandas tables of its figures and of the rows that changed most.

    Raises:
        CaptionSetNotFound: a target has no set of that name.
        AuditNotFound: a set was not audited, or its captions have changed since.
        OptionError: `sets` beside two caption sets.

    Example:
        >>> import audits
        >>> difference = audits.compare("drawn", "alt", "human")
        >>> difference.figures.set_index("figure").loc["color coverage", "verdict"]
        'better'
    """
    from audits.comparison import compare as compare_sets
    from audits.comparison import compare_versions
    from audits.results import Difference
    from recapdata.errors import OptionError

    folders = tuple(None if folder is None else Path(folder) for folder in audits)
    if set_b is None:
        sets = (sets,) if isinstance(sets, str) else sets
        return Difference(compare_versions(target, other, sets=sets, audits=folders, rows=rows))  # type: ignore[arg-type]
    if sets:
        raise OptionError(
            f"sets={sets!r} chooses among those of two versions; {other} and {set_b} are named already"
        )
    return Difference(compare_sets(target, str(other), set_b=set_b, audits=folders, rows=rows))  # type: ignore[arg-type]


@naming_extras()
def report(
    target: "str | Path | Target",
    out: str | Path,
    *,
    audit: str | Path | None = None,
    worst: int = 6,
    random: int = 12,
    seed: int = 0,
) -> "ReportSummary":
    """Write an audit as one HTML page: figures, plots, and pictures with their captions marked by verdict.

    Args:
        target: a dataset folder, or `user/name@revision`.
        out: the page to write.
        audit: where `audits run --out` put the audit; the target's own where None.
        worst: rows of each set with the most contradicted claims.
        random: rows drawn by chance.
        seed: draws other rows by chance.

    Raises:
        AuditNotFound: no caption set has an audit that can be shown.
        OptionError: `out` is a folder.

    Example:
        >>> import audits
        >>> audits.report("drawn", "report.html").sets
        ['alt', 'human']
    """
    from audits.reporting import write_report

    folder = None if audit is None else Path(audit)
    return write_report(target, Path(out), audits=folder, worst=worst, random=random, seed=seed)


@naming_extras()
def wrong(
    target: "str | Path | Target",
    out: str | Path,
    *,
    captions: Sequence[str] = (),
    audit: str | Path | None = None,
) -> "WrongSummary":
    """Write the captions with a contradicted claim as a CSV table, with the file's name and what is wrong.

    Columns: key, source, set, caption, contradicted, wrong, left_out, flags. `Audit.wrong` has the same rows as a DataFrame.

    Args:
        target: a dataset folder, or `user/name@revision`.
        out: the table to write.
        captions: the caption sets; all that were audited where empty.
        audit: where `audits run --out` put the audit; the target's own where None.

    Raises:
        CaptionSetNotFound: no such caption set.
        AuditNotFound: a set that was named was not audited, or none was.
        OptionError: `out` is a folder.

    Example:
        >>> import audits
        >>> audits.wrong("drawn", "wrong.csv").rows
        {'alt': 1, 'human': 0}
    """
    given = locals()
    from audits.contradicted import write_wrong
    from audits.options import WrongOptions
    from recapdata.options import gather

    options = gather(WrongOptions, given)
    return write_wrong(target, Path(out), sets=options.captions, audits=options.audit)


@naming_extras()
def view(
    target: "str | Path | Target",
    *,
    no_app: bool = False,
    port: int = 5151,
    name: str | None = None,
    audit: str | Path | None = None,
    media: str | Path | None = None,
    exports: str | Path | None = None,
    clip: str | None = None,
) -> "ViewSummary":
    """Show a dataset in FiftyOne: pictures, captions, annotations, claims and scores.

    The FiftyOne dataset is kept, and brought up to date by the next call. The App runs until it is interrupted.

    Args:
        target: a dataset folder, or `user/name@revision`.
        no_app: build the FiftyOne dataset alone; open it with `fiftyone.load_dataset(summary.name)`.
        port: port of the App, on this machine only.
        name: name of the FiftyOne dataset; one made of target and revision where None.
        audit: where `audits run --out` put the audit; the target's own where None.
        media: folder for the pictures; beside FiftyOne's own datasets where None.
        exports: folder that the App exports files to; `exports` of the dataset folder where None.
        clip: search pictures by text with this CLIP model; the one that the audit scored with where None.

    Raises:
        DatasetExists: a FiftyOne dataset of that name shows something else.
        OptionError: a name that the App cannot open, or a port that is taken.

    Example:
        >>> import audits
        >>> audits.view("drawn", no_app=True).fields
        {'alt': 'alt', 'human': 'human'}
    """
    given = locals()
    from audits.fiftyone.app import check_port, open_app
    from audits.fiftyone.dataset import build
    from audits.options import ViewOptions
    from recapdata.options import gather

    options = gather(ViewOptions, given)
    if not no_app:
        check_port(port)
    summary = build(target, name=name, audits=options.audit, media=options.media, clip=clip)
    if not no_app:
        open_app(summary.name, port=port, media=summary.media, exports=options.exports)
    return summary
