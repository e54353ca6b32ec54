"""Ingest: from raw pictures and what came with them to the records of a dataset folder.

    source.py     what a source is, and the table of kinds
    folder.py coco.py hub.py webdataset.py urls.py drawn.py     one kind each
    columns.py tables.py    a source's own columns as those of records; rows of CSV, JSON lines and Parquet
    images.py     is this really a picture, whole and of a sane size
    annotations.py   objects held against their picture
    shards.py     a shard and its ledgers, written together
    run.py        source → checked items → shards; resumable

Every item of a source becomes exactly one row: a record, a duplicate, a failure, or removed. What had to be left out of a record,
such as a box that is none, is a row of the ledger of notes.
"""

from typing import TYPE_CHECKING

from recapdata.ingestion.options import IngestOptions
from recapdata.lazy import lazy_names

if TYPE_CHECKING:
    from recapdata.ingestion.run import ingest
    from recapdata.ingestion.source import SOURCES, Source, open_source
    from recapdata.ingestion.summary import IngestSummary

__all__ = ["SOURCES", "IngestOptions", "IngestSummary", "Source", "ingest", "open_source"]
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        **dict.fromkeys(["SOURCES", "Source", "open_source"], f"{__name__}.source"),
        "IngestSummary": f"{__name__}.summary",
        "ingest": f"{__name__}.run",
    },
)
