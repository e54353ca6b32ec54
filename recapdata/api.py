"""The functions of `import recapdata` that do what the commands do, for a notebook or a program."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

from recapdata.extras import naming_extras

if TYPE_CHECKING:
    from recapdata.caption_sets.importing import ImportSummary
    from recapdata.dataset.removal import RemoveSummary
    from recapdata.ingestion import IngestSummary
    from recapdata.publishing import PublishPlan, PublishSummary
    from recapdata.recaptioning import RecaptionSummary
    from recapdata.recaptioning.merging import MergeSummary
    from recapdata.versions.difference import DiffSummary


@naming_extras()
def ingest(
    source: str | Path,
    directory: str | Path,
    *,
    append: bool = False,
    shard_bytes: int = 400 * 2**20,
    shard_rows: int = 100_000,
    max_pixels: int = 89_478_485,
    max_bytes: int = 32 * 2**20,
    keep_blank: bool = False,
    last_dot: bool = False,
    connections: int = 16,
    timeout: float = 30.0,
    retries: int = 2,
    allow_private: bool = False,
) -> "IngestSummary":
    """Bring images and what came with them into a dataset folder; the same call goes on after an interruption.

    Args:
        source: a folder, `hf:user/name[@revision]`, `wds:GLOB`, `coco:DIR`, `urls:FILE.parquet` or
            `scenes:N[,seed=S][,human=M][,objects=K][,words=no][,sizes=large]`.
        directory: the dataset folder.
        append: add to a dataset that holds other sources.
        shard_bytes: image bytes after which a shard is closed.
        shard_rows: records after which a shard is closed.
        max_pixels: width × height above which a picture is taken for a decompression bomb.
        max_bytes: size above which an image file is not read.
        keep_blank: an image with a blank caption becomes a record without it, and not a failure.
        last_dot: `wds:`: a key ends at the last dot of a file's name (`photo.v1.jpg`), and not at the first.
        connections: downloads at once (`urls:`).
        timeout: seconds for one download with its redirects (`urls:`).
        retries: further tries of a download that may succeed later (`urls:`).
        allow_private: also download from private, loopback and link-local addresses (`urls:`).

    Returns:
        The counts: items = records + duplicates + failures + removed.

    Raises:
        SourceNotFound: there is no such source; no folder is left behind.
        SourceError: the source cannot be read as what it claims to be, or has changed since an interrupted run.
        DatasetExists: the folder holds another source, and `append` is not set.
        NotADataset: the folder holds other files.
        DatasetBusy: another process writes to the folder.

    Example:
        >>> import recapdata
        >>> recapdata.ingest("scenes:6,human=2", "six-scenes").counts.records
        6
    """
    given = locals()
    from recapdata.ingestion import ingest as run_ingest
    from recapdata.ingestion.options import IngestOptions
    from recapdata.options import gather

    options = gather(IngestOptions, given)
    return run_ingest(str(source), directory, append=append, options=options)


@naming_extras()
def import_captions(
    directory: str | Path,
    set_name: str,
    column: str,
    *,
    writer: Literal["human", "web", "import"] | None = None,
    overwrite: bool = False,
) -> "ImportSummary":
    """Make a caption set of a column that came along; the same call completes it after an append.

    Args:
        directory: the dataset folder.
        set_name: name of the caption set, such as `alt`.
        column: a column of text, or `NAME[i]` for the i-th text (from 0) of a column of lists.
        writer: who wrote it; where None guessed from the names: alt… is the web's, human… people's.
        overwrite: replace a set of that name that was made otherwise.

    Raises:
        ColumnNotFound: no such column came along.
        OptionError: the column holds no text, or an index is missing or too many.
        CaptionSetExists: the set was made otherwise, and `overwrite` is not set.
        DatasetBusy: another process writes to the folder.

    Example:
        >>> import recapdata
        >>> recapdata.import_captions("drawn", "web", "alt_text").captions
        24
    """
    from recapdata.caption_sets.importing import import_captions as run_import

    return run_import(directory, set_name, column, writer=writer, overwrite=overwrite)


@naming_extras()
def recaption(
    directory: str | Path,
    set_name: str,
    *,
    captioner: str,
    revision: str | None = None,
    style: str = "short",
    batch_size: int | None = None,
    temperature: float = 0.0,
    top_p: float = 1.0,
    seed: int = 0,
    max_tokens: int | None = None,
    candidates: int = 1,
    limit: int | None = None,
    keys: str | Path | None = None,
    where: str | None = None,
    fill: str | None = None,
    retry_failed: bool = False,
    overwrite: bool = False,
    engine: str = "local",
    workers: int | None = None,
    actors: int | None = None,
    gpus_per_actor: float | None = None,
) -> "RecaptionSummary":
    """Caption every image with a model, into a caption set of its own; the same call goes on after an interruption.

    Args:
        directory: the dataset folder.
        set_name: name of the caption set, such as `recap-short`.
        captioner: `embedded`; the id or folder of any image-text-to-text model of transformers; `coca:MODEL`, a CoCa of
            open_clip; the address of an OpenAI-compatible server, `http://HOST/v1#MODEL`; or `package.module:function`.
        revision: branch, tag or commit of the model, which is pinned to the commit.
        style: `short`, `long`, or the text of a prompt, in which `{alt_text}` stands for a column or caption set.
        batch_size: images at once; where None 32, of a large model on a CPU 16.
        temperature: sample at this temperature; 0 does not sample.
        top_p: sample from this much of the probability.
        seed: seed of the sampling.
        max_tokens: most tokens of a caption; where None 64 for short, 256 otherwise.
        candidates: captions sampled of each image, of which the one that the others agree with most is kept.
        limit: a pilot of so many images, a sample over all shards.
        keys: a text file of keys, one a line: only those records.
        where: only what an audit says this of, such as `"alt: contradicted > 0 and clip_score < 20"`.
        fill: of what is not chosen take the captions of this set; where None the set that `where` speaks of; "none" leaves gaps.
        retry_failed: caption again what failed, and nothing else.
        overwrite: replace the set where it was made with other settings.
        engine: `local`, or `ray` for the cluster that this machine belongs to.
        workers: processes that read and decode; the captions do not depend on it.
        actors: copies of the model on Ray; where None as many as the GPUs hold, or one a node.
        gpus_per_actor: what a copy takes of a GPU on Ray; where None 1 if there are GPUs.

    Returns:
        The counts: records = captions + failures + lacking (not captioned yet).

    Raises:
        CaptionSetExists: the set was made with other settings, and `overwrite` is not set.
        CaptionerNotFound: no captioner of that name, or no model of that id and revision.
        ModelNotSupported: the model cannot caption.
        OptionError: a value that cannot be used.
        DatasetBusy: another process writes to the folder.

    Example:
        >>> import recapdata
        >>> summary = recapdata.recaption("drawn", "recap-short", captioner="embedded", limit=4)
        >>> summary.captions, summary.provenance.style
        (4, 'short')
    """
    given = locals()
    from recapdata.captioners import CaptionerOptions
    from recapdata.options import gather
    from recapdata.recaptioning import recaption as run_recaption
    from recapdata.recaptioning.options import RunOptions

    options, run = gather(CaptionerOptions, given), gather(RunOptions, given)
    return run_recaption(directory, set_name, captioner=captioner, options=options, run=run)


@naming_extras()
def merge_captions(
    directory: str | Path,
    set_name: str,
    sets: str | Iterable[str],
    *,
    fewest_contradictions: bool = False,
    overwrite: bool = False,
) -> "MergeSummary":
    """Make a caption set that takes each caption from one of several sets; the same call brings it up to date.

    Args:
        directory: the dataset folder.
        set_name: name of the caption set to make.
        sets: the sets to take captions from, the preferred one first; they need not be whole.
        fewest_contradictions: take the caption of which the audit contradicts the fewest claims; among equals the first.
        overwrite: replace a set of that name that was made otherwise.

    Returns:
        The counts: records = captions + failures (no set has a caption), and captions by the set whose words they are.

    Raises:
        CaptionSetNotFound: there is no such set.
        CaptionSetExists: the set was made otherwise, and `overwrite` is not set.
        AuditNotFound: the audit of a set is missing, or of other captions.
        OptionError: a set is named twice, or is the one to be made.
        DatasetBusy: another process writes to the folder.

    Example:
        >>> import recapdata
        >>> recapdata.merge_captions("drawn", "best", ["human", "alt"]).origins
        {'human': 24}
    """
    from recapdata.recaptioning.merging import merge_captions as run_merge

    return run_merge(
        directory,
        set_name,
        (sets,) if isinstance(sets, str) else tuple(sets),
        fewest_contradictions=fewest_contradictions,
        overwrite=overwrite,
    )


@overload
def publish(
    directory: str | Path,
    repo_id: str,
    *,
    version: str,
    license: str | None = None,
    public: bool = False,
    allow_regression: bool = False,
    yes: Literal[False] = False,
) -> "PublishPlan": ...
@overload
def publish(
    directory: str | Path,
    repo_id: str,
    *,
    version: str,
    license: str | None = None,
    public: bool = False,
    allow_regression: bool = False,
    yes: Literal[True],
) -> "PublishSummary": ...
@naming_extras()
def publish(
    directory: str | Path,
    repo_id: str,
    *,
    version: str,
    license: str | None = None,
    public: bool = False,
    allow_regression: bool = False,
    yes: bool = False,
) -> "PublishPlan | PublishSummary":
    """Publish a dataset folder as a version, a commit and a tag on the Hub; without `yes` show the plan.

    Args:
        directory: the dataset folder.
        repo_id: the dataset repository, `user/name`.
        version: `X.Y.Z`; the tag is `vX.Y.Z`.
        license: the Hub's identifier, such as `cc-by-4.0`, or `other:NAME,URL`; the manifest's where None.
        public: make a new repository public; an existing one keeps its visibility.
        allow_regression: publish although the audit got worse.
        yes: do it. Else nothing is sent or changed.

    Returns:
        The plan; with `yes` the published version.

    Raises:
        NotADataset: the folder holds no dataset.
        CaptionSetNotFound: a caption set is not finished.
        VersionError: a version that exists, is malformed, or is too small for what changed.
        NothingToPublish: the folder equals the latest version.
        PublishRefused: no valid license, a regression of the audit, or too little disk.
        HubError: no token, the Hub cannot be reached, or it refuses.

    Example:
        >>> import recapdata
        >>> plan = recapdata.publish("drawn", "me/new-scenes", version="1.0.0", license="cc0-1.0")
        >>> plan.exists, plan.private, plan.send_bytes < 200_000
        (False, True, True)
        >>> recapdata.publish("drawn", "me/new-scenes", version="1.0.0", license="cc0-1.0", yes=True).tag
        'v1.0.0'
    """
    from recapdata.publishing import plan_publication
    from recapdata.publishing import publish as carry_out

    plan = plan_publication(
        directory,
        repo_id,
        version=version,
        license=license,
        public=public,
        allow_regression=allow_regression,
    )
    return carry_out(plan) if yes else plan


@naming_extras()
def diff(before: str | Path, after: str | Path) -> "DiffSummary":
    """Compare two datasets, each a folder or `user/name[@revision]`: rows, columns, captions, audit figures.

    No image is downloaded.

    Args:
        before: a dataset folder, or `user/name@revision`.
        after: what it is compared with.

    Raises:
        SourceNotFound, NotADataset, HubError: one of them cannot be opened.
        CaptionSetNotFound: a caption set of a folder is not finished.

    Example:
        >>> import recapdata
        >>> difference = recapdata.diff("me/drawn@v1.0.0", "me/drawn@v1.1.0")
        >>> difference.changes.level, difference.changes.phrases()
        ('minor', ['caption set human added'])
    """
    from recapdata.versions.difference import diff as compare

    return compare(str(before), str(after))


@naming_extras()
def remove(
    directory: str | Path, *, keys: str | Path | None = None, captions: str | Iterable[str] = ()
) -> "RemoveSummary":
    """Take records out of a dataset folder and of all later ingests, or take out whole caption sets.

    Args:
        directory: the dataset folder.
        keys: a text file of the records' keys, one a line.
        captions: names of caption sets, or of one, which leave with their audits.

    Raises:
        NotADataset: there is no dataset in the folder.
        InputError: the file cannot be read, or a line is no key.
        CaptionSetNotFound: no such caption set.
        OptionError: nothing is named, or a set that stays is made of one that is to go.
        DatasetBusy: another process writes to the folder.

    Example:
        >>> import recapdata
        >>> from pathlib import Path
        >>> rows = recapdata.load("drawn", sets=[])
        >>> _ = Path("opted-out.txt").write_text("\\n".join(rows["key"][:2]))
        >>> recapdata.remove("drawn", keys="opted-out.txt").dataset.records
        22
    """
    from recapdata.dataset.removal import remove as run_remove

    return run_remove(directory, keys, captions=(captions,) if isinstance(captions, str) else tuple(captions))
