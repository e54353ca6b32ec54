"""The options of `recapdata ingest`."""

from dataclasses import dataclass

from recapdata.options import above, at_most, check_options, option
from recapdata.records import MAX_PIXELS, MOST_PIXELS


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestOptions:
    """Bounds of an ingest.

    A shard is also closed after ten times as many items as `shard_rows`, whatever became of them. `allow_private` opens the proxies
    that the environment names as well, since nobody knows where a proxy connects to.
    """

    shard_bytes: int = option(
        400 * 2**20, metavar="BYTES", minimum=1, help="Image bytes after which a shard is closed."
    )
    shard_rows: int = option(100_000, metavar="N", minimum=1, help="Records after which a shard is closed.")
    max_pixels: int = option(
        MAX_PIXELS,
        metavar="N",
        minimum=1,
        check=at_most(MOST_PIXELS),
        help="More pixels than this are a decompression bomb (Pillow's limit); a higher limit is kept in the dataset and holds "
        "wherever its pictures are decoded.",
    )
    max_bytes: int = option(32 * 2**20, metavar="BYTES", minimum=1, help="A larger image file is not read.")
    keep_blank: bool = option(False, help="A blank caption is no failure: the image comes in without it.")
    last_dot: bool = option(
        False,
        help="wds: a key ends at the last dot of a file's name, as in photo.v1.jpg; WebDataset's rule is the first.",
    )
    connections: int = option(16, metavar="N", minimum=1, help="urls: downloads at once.")
    timeout: float = option(
        30.0, metavar="SECONDS", help="urls: time for one download with its redirects.", check=above(0)
    )
    retries: int = option(
        2, metavar="N", minimum=0, help="urls: further tries of what may pass, with growing waits."
    )
    allow_private: bool = option(
        False, help="urls: also fetch from private, loopback and link-local addresses."
    )

    def __post_init__(self) -> None:
        check_options(self)
