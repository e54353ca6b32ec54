"""The source `urls:FILE.parquet`: a column of image bytes, or of URLs to download; the other columns come along.

The image column is one of binary values or of `datasets`' image structs; a row without bytes falls back on its URL. Downloads
run several at once, and their items come in the order of the rows. An address that several rows have is fetched once; what differs
in those rows becomes a list.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa

from recapdata.errors import SourceError, SourceNotFound
from recapdata.ingestion.columns import bytes_column, plan_columns
from recapdata.ingestion.gathering import Gathering, listed_type, together
from recapdata.ingestion.source import IngestOptions, failed, stamp_of
from recapdata.ingestion.tables import Row, doubled_columns, open_parquet, parquet_types, read_parquet
from recapdata.ingestion.threads import map_in_threads
from recapdata.records import Item

URL_NAMES = ("url", "image_url", "img_url", "image_link", "imageurl", "link", "uri", "src")
FOOTER = 2**16


class Urls:
    """The rows of a Parquet file. Without a column of bytes or URLs it is one item: the failure that says so."""

    def __init__(self, path: Path, options: IngestOptions) -> None:
        self._path = path
        self._options = options
        with open_parquet(path) as file:
            types = parquet_types(file)
            rows = file.metadata.num_rows
        self._bytes = bytes_column(types)
        self._url = _named(types, URL_NAMES, pa.string())
        self._names = list(types)
        self._rows = Gathering()
        self._lists = self._gather() if self._bytes is None and self._url is not None else set()
        self._types = types
        pictures, repeated = self._rows.repeated
        leave = [name for name in (self._bytes, self._url if self._bytes is None else None) if name]
        self._columns = plan_columns(
            {name: listed_type(kind) if name in self._lists else kind for name, kind in types.items()},
            leave=leave,
        )
        self.name = f"urls:{path.name}"
        self.stamp = stamp_of([str(path.stat().st_size), _footer(path), *(["once"] if pictures else [])])
        self.labels = False
        self.columns = self._columns.types
        self.captions = self._columns.captions
        self.total: int | None = rows - (repeated - pictures) if self._bytes or self._url else 1

    def items(self, start: int) -> Iterator[Item]:
        """Rows from number `start` on; those of one address are one item."""
        if self._bytes is None and self._url is None:
            if start == 0:
                yield self._missing_column()
            return
        if self._url is None:
            yield from (self._item(row, self._content(row)) for row in self._read(start))
        else:
            yield from self._download(start)

    def notes(self) -> list[str]:
        """Which rows were brought together, and which columns have one name."""
        notes = self._rows.note("addresses", self._lists)
        for name, times in doubled_columns(self._path).items():
            notes.append(
                f"the file names column {name!r} {times} times; each came along, the others with a number"
            )
        return notes

    def _gather(self) -> set[str]:
        """Find the addresses that stand in several rows; returns the columns that become lists."""
        assert self._url is not None
        for row in read_parquet(self._path, columns=[self._url]):
            if row.problem is None and (url := self._address(row)):
                self._rows.count(url, row.number)
        if not self._rows.repeated[0]:
            return set()
        for row in read_parquet(self._path):
            if row.problem is None and (url := self._address(row)):
                self._rows.keep(url, row.number, row.values)
        return self._rows.varying() - {self._url}

    def _read(self, start: int) -> Iterator[Row]:
        """Rows from item `start` on, with the values of later rows of their address; those are left out."""
        if not self._rows.repeated[0]:
            yield from read_parquet(self._path, start)
            return
        position = 0
        for row in read_parquet(self._path):
            rows = self._rows.rows(self._address(row), row.number) if row.problem is None else []
            if rows is None:
                continue
            if position >= start:
                values = together(rows or [row.values], self._lists, self._types)
                yield row if row.problem is not None else Row(row.number, values)
            position += 1

    def _address(self, row: Row) -> str:
        return (row.values.get(self._url) or "").strip() if self._url is not None else ""

    def _download(self, start: int) -> Iterator[Item]:
        """Fetch what has no bytes, as many at once as there are connections, in the order of the rows."""
        from recapdata.ingestion.download import Downloader

        connections = self._options.connections
        with closing(Downloader(self._options)) as downloader:

            def download(row: Row) -> Item:
                return self._item(row, self._content(row), downloader)

            rows = self._read(start)
            with closing(map_in_threads(download, rows, threads=connections, ahead=2 * connections)) as items:
                yield from items

    def _content(self, row: Row) -> bytes | None:
        value = row.values.get(self._bytes) if self._bytes is not None else None
        return value.get("bytes") if isinstance(value, Mapping) else value

    def _item(self, row: Row, content: bytes | None, downloader: Any = None) -> Item:
        where = f"{self._path.name}#{row.number}"
        if row.problem is not None:
            return failed(where, "BrokenRow", f"the row {row.problem}")
        url = self._address(row)
        source = url or where
        if content is None:
            if downloader is None or not url:
                column = self._url if self._bytes is None else self._bytes
                return failed(where, "MissingImage", f"nothing in column {column!r}")
            content = self._fetch(url, downloader)
            if isinstance(content, Item):
                return content
        return self._columns.item(source, content, row.values)

    def _fetch(self, url: str, downloader: Any) -> Any:
        from recapdata.ingestion.download import Refused

        try:
            return downloader.fetch(url)
        except Refused as refused:
            return failed(url, refused.error, refused.message)

    def _missing_column(self) -> Item:
        return failed(
            self._path.name,
            "MissingColumn",
            f"no column of image bytes, and none of URLs (looked for {', '.join(URL_NAMES[:4])}, …); its columns are: "
            + ", ".join(self._names),
        )


def open_urls(argument: str, options: IngestOptions) -> Urls:
    """The source of a Parquet file's path.

    Raises:
        SourceNotFound: there is no such file.
        SourceError: it is no Parquet file, or has no rows.
    """
    path = Path(argument).expanduser()
    if not path.is_file():
        raise SourceNotFound(f"urls:{argument}: there is no such file")
    urls = Urls(path, options)
    if not urls.total:
        raise SourceError(f"urls:{argument}: the file has no rows")
    return urls


def _named(types: Mapping[str, pa.DataType], names: tuple[str, ...], kind: pa.DataType) -> str | None:
    return next(
        (name for wanted in names for name, each in types.items() if name.lower() == wanted and each == kind),
        None,
    )


def _footer(path: Path) -> str:
    """The end of a file, where Parquet keeps the statistics of all its pages."""
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - FOOTER), os.SEEK_SET)
        return file.read().hex()
