"""Tables as files: Parquet, Arrow (IPC) and CSV, by the file's suffix; whole or not there at all."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from tasks.errors import SettingsError
from tasks.export import arrow
from tasks.export.rows import RowSource

if TYPE_CHECKING:
    import pyarrow as pa

#: Of a row group, before it is encoded: readers, and this writer, hold one in memory as a whole.
ROW_GROUP_BYTES = 32 * 1024 * 1024
#: Writes a batch.
Write = Callable[["pa.RecordBatch"], None]


class WrittenFile(NamedTuple):
    """A table that was written."""

    rows: int
    size_bytes: int


def write(path: Path, source: RowSource, *, force: bool = False) -> WrittenFile:
    """Write a table in the format of the path's suffix; nobody sees a file of that name before it is whole.

    Raises SettingsError: no such format, no pyarrow, the file is there and not to be replaced (`force`), or it can't be
    written; and what reading the rows raises, RecordingError.
    """
    opened = _format(path)
    fields = arrow.schema(source)
    _refuse_existing(path, force=force)
    rows = 0
    try:
        with _replacing(path) as file:
            with opened(file, fields) as add:
                for batch in arrow.batches(source):
                    add(batch)
                    rows += batch.num_rows
            _refuse_existing(path, force=force)  # Somebody else may have been faster.
    except OSError as error:
        raise SettingsError(f"can't write {path}: {error.strerror or error}") from None
    return WrittenFile(rows, path.stat().st_size)


@contextmanager
def _parquet(file: BinaryIO, fields: "pa.Schema") -> Iterator[Write]:
    """Gather batches into row groups: one a batch would be too small to read quickly."""
    make_table, parquet = arrow.library().Table.from_batches, arrow.library("pyarrow.parquet")
    waiting: list[pa.RecordBatch] = []
    with parquet.ParquetWriter(file, fields, compression="zstd") as writer:

        def flush() -> None:
            writer.write_table(make_table(waiting, fields))
            waiting.clear()

        def add(batch: "pa.RecordBatch") -> None:
            waiting.append(batch)
            if sum(each.nbytes for each in waiting) >= ROW_GROUP_BYTES:
                flush()

        yield add
        if waiting:
            flush()


@contextmanager
def _arrow(file: BinaryIO, fields: "pa.Schema") -> Iterator[Write]:
    with arrow.library("pyarrow.ipc").new_file(file, fields) as writer:
        yield writer.write_batch


@contextmanager
def _csv(file: BinaryIO, fields: "pa.Schema") -> Iterator[Write]:
    with arrow.library("pyarrow.csv").CSVWriter(file, fields) as writer:
        yield writer.write_batch


Format = Callable[[BinaryIO, Any], AbstractContextManager[Write]]
_FORMATS: dict[str, Format] = {".parquet": _parquet, ".arrow": _arrow, ".csv": _csv}
#: Suffixes of the files that can be written.
SUFFIXES: Iterable[str] = tuple(_FORMATS)


def _format(path: Path) -> Format:
    found = _FORMATS.get(path.suffix.lower())
    if found is None:
        raise SettingsError(f"{path}: the suffix says the format, and is one of {', '.join(SUFFIXES)}")
    return found


def _refuse_existing(path: Path, *, force: bool) -> None:
    if path.exists() and not force:
        raise SettingsError(f"{path} is there already; --force replaces it")


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file that takes the place of `path` once it is written without an error; else it is removed."""
    part = path.with_name(f".{path.name}.{token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
