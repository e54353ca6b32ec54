"""The options of `recapdata publish`."""

from dataclasses import dataclass

from recapdata.options import check_options, option


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishOptions:
    """Which version is published, and how; an existing repository keeps its visibility."""

    version: str = option(metavar="X.Y.Z", help="The version; its tag will be vX.Y.Z.")
    license: str | None = option(
        None, help="The Hub's identifier, such as cc-by-4.0, or other:NAME,URL; kept for later versions."
    )
    public: bool = option(False, help="Make a new repository public.")
    allow_regression: bool = option(False, help="Publish although the audit got worse.")
    yes: bool = option(False, help="Do it. Without: show the plan and exit with 2.", outcome=False)

    def __post_init__(self) -> None:
        check_options(self)
