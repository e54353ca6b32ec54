"""Metrics: rows of pictures, and figures as functions of how often each row counts; one protocol, and a table of those that can be named.

A metric from outside is a function of the same arguments as those in the table, named by a dotted path or by an entry point of the group
`recaptrain.metrics`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

from numpy.typing import NDArray
from PIL import Image

from recapdata.registry import Registry
from recaptrain.evaluation.pictures import Picture, Pictures

if TYPE_CHECKING:
    import pyarrow as pa

    from recaptrain.evaluation.settings import EvaluateSettings

METRICS = {
    "fid": "recaptrain.evaluation.distributions:open_fid",
    "ofid": "recaptrain.evaluation.object_fid:open_ofid",
    "kid": "recaptrain.evaluation.distributions:open_kid",
    "cmmd": "recaptrain.evaluation.distributions:open_cmmd",
    "fd-dinov2": "recaptrain.evaluation.distributions:open_fd_dinov2",
    "clipscore": "recaptrain.evaluation.clip_score:open_clip_score",
    "preference": "recaptrain.evaluation.preference:open_preference",
    "soa": "recaptrain.evaluation.soa:open_soa",
    "ca": "recaptrain.evaluation.counting:open_ca",
    "pa": "recaptrain.evaluation.positional:open_pa",
    "rp": "recaptrain.evaluation.retrieval:open_rp",
    "numeracy": "recaptrain.evaluation.numeracy:open_numeracy",
    "spatial": "recaptrain.evaluation.spatial:open_spatial",
    "dsg": "recaptrain.evaluation.dsg:open_dsg",
    "bvqa": "recaptrain.evaluation.bvqa:open_bvqa",
    "geneval": "recaptrain.evaluation.geneval:open_geneval",
    "claims": "recaptrain.evaluation.claims:open_claims",
    "ocr": "recaptrain.evaluation.ocr:open_ocr_accuracy",
    "diversity": "recaptrain.evaluation.diversity:open_diversity",
}
"""Metrics by name; each opens: `open(settings: EvaluateSettings, pictures: Pictures) -> Metric`."""
REGISTRY = Registry(kind="metric", table=METRICS, group="recaptrain.metrics")


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistic:
    """A figure as a function of how often each row counts.

    Attributes:
        name: `soa-c`, `fid`, …
        n: rows that it rests on.
        value: weights (rows,) → the figure, NaN where it has none; all ones give the figure itself.
        better: which way is better; None where neither is.
        unit: what is shown behind the value: `%` or nothing.
        values: weights (repetitions, rows) → figures (repetitions,), where one pass over the rows serves many repetitions.
        replicates: of the bootstrap; fewer where a value is dear.
        least: the value below which none can lie, and no interval reaches; None where there is none.
        centered: whether repetitions are moved so that their mean is the figure: of one that resampling makes larger by itself, such as KID
            and the spread of bins. A single prompt has none.
        note: a flaw or a deviation that a reader of the figure must know.
    """

    name: str
    n: int
    value: Callable[[NDArray[Any]], float]
    values: Callable[[NDArray[Any]], NDArray[Any]] | None = None
    better: Literal["higher", "lower"] | None = "higher"
    unit: str = ""
    replicates: int = 1000
    least: float | None = None
    centered: bool = False
    note: str = ""


def without_pictures(statistic: Statistic) -> Statistic:
    """A statistic whose figure is made: a centered one, which says nothing of a single prompt, lets go of all that it was worked out from."""
    if not statistic.centered:
        return statistic
    return replace(statistic, value=lambda weights: float("nan"), values=None)


class Metric(Protocol):
    """Measures pictures one by one, then sums rows up into figures.

    Attributes:
        name: in `METRICS`.
        identity: everything that its rows rest on, as JSON: version of its rules, models with their revisions, thresholds. Rows of the same
            pictures and identity are not measured again, and figures of two runs are compared where it is the same.
        rows_name, rows_identity: optional, of a metric whose rows others share, as FID and KID share features: what the rows are kept
            as, and what they rest on, less what only figures rest on, such as a reference.
        schema: of a row.
        batch_size: pictures that are measured at once.
    """

    @property
    def name(self) -> str: ...

    @property
    def identity(self) -> Mapping[str, Any]: ...

    @property
    def schema(self) -> "pa.Schema": ...

    @property
    def batch_size(self) -> int: ...

    def measure(
        self, pictures: Sequence[Picture], images: Sequence[Image.Image]
    ) -> "Sequence[Mapping[str, Any] | None]":
        """A row of each picture; None for one that the metric has nothing to say of (its prompt names no class, no position)."""
        ...

    def figures(self, rows: "pa.Table") -> Sequence[Statistic]:
        """The figures of rows of `schema`, less those that are None."""
        ...


def rows_name(metric: Metric) -> str:
    """What a metric's rows are kept as."""
    return str(getattr(metric, "rows_name", metric.name))


def rows_identity(metric: Metric) -> Mapping[str, Any]:
    """What a metric's rows rest on."""
    found: Mapping[str, Any] = getattr(metric, "rows_identity", metric.identity)
    return found


def open_metric(name: str, settings: "EvaluateSettings", pictures: Pictures) -> Metric:
    """The metric of a name or dotted path, its models found and pinned.

    Raises:
        OptionError: no such metric, or an option that it needs is missing.
        CaptionerNotFound, ModelNotSupported: of a model that it is to use.
        MissingExtra: it needs an optional part of the installation.
    """
    metric: Metric = REGISTRY.open(name, settings, pictures, protocol=Metric)
    return metric
