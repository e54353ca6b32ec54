"""Arrow files that runs keep for themselves: memory-mapped as they are, and never unpacked.

Whoever gives away a run's folder or a cache may have put other files there. A compressed one, which nothing here writes, takes more memory than
its size says (see `recapdata.dataset.arrow_messages`).
"""

from pathlib import Path
from typing import TYPE_CHECKING

from recapdata.dataset.arrow_messages import FILE_START, is_compressed

if TYPE_CHECKING:
    import pyarrow as pa


def read_mapped(path: Path) -> "pa.Table":
    """A file's table, memory-mapped and checked.

    Raises:
        OSError, ValueError, ArrowException: it is damaged, is a link or no file, is compressed, or says that it has more rows or bytes than fit
            into it.
    """
    import pyarrow as pa

    if path.is_symlink() or not path.is_file():
        raise OSError("no file of this run")
    source = pa.memory_map(str(path))
    batches = pa.ipc.open_file(source).num_record_batches
    source.seek(len(FILE_START))
    # In their order in the file, and not where its footer says, which may be elsewhere.
    found = 0
    for message in pa.ipc.MessageReader.open_stream(source):
        if message.type == "record batch":
            found += 1
            if is_compressed(message.metadata.to_pybytes()):
                raise ValueError("it is compressed, which no file of a run is")
        elif message.type != "schema":
            raise ValueError(f"it holds a {message.type}, which no file of a run does")
    if found != batches:
        raise ValueError(f"it holds {found} batches, and its end says {batches}")
    source.seek(len(FILE_START))
    table = pa.ipc.open_stream(source).read_all()
    if max(table.nbytes, table.num_rows) > path.stat().st_size:
        raise ValueError("it says that it holds more than its size")
    table.validate(full=True)
    return table
