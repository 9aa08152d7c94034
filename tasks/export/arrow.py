"""Tables as Arrow has them. pyarrow is an optional dependency: it is imported here, when a table is made."""

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from tasks.export.columns import ColumnType
from tasks.export.rows import RowSource
from tasks.optional import optional_module

if TYPE_CHECKING:
    import pyarrow as pa

#: Rows that are held as objects at a time: a book of 100 levels is about 30 kB.
BATCH_ROWS = 2_048
#: Before each name in a schema's metadata.
PREFIX = "realtime_strategies."


def library(module: str = "pyarrow") -> Any:
    """Import pyarrow, or a module of it. Raises SettingsError when it is not installed."""
    return optional_module(module, "extras")


def schema(source: RowSource) -> "pa.Schema":
    """Return the schema of a table, with its metadata. Raises SettingsError: no pyarrow."""
    arrow = library()
    types: dict[ColumnType, Any] = {
        "string": arrow.string(),
        "int64": arrow.int64(),
        "float64": arrow.float64(),
        "bool": arrow.bool_(),
        "time_us": arrow.timestamp("us", tz="UTC"),
        "time_ns": arrow.timestamp("ns", tz="UTC"),
    }
    fields = [arrow.field(column.name, types[column.type]) for column in source.schema.columns]
    return arrow.schema(fields, {f"{PREFIX}{name}": value for name, value in source.metadata.items()})


def batches(source: RowSource) -> Iterator["pa.RecordBatch"]:
    """Yield the rows, `BATCH_ROWS` at a time. Raises SettingsError: no pyarrow; RecordingError."""
    arrow, fields = library(), schema(source)
    while rows := list(islice(source.rows, BATCH_ROWS)):
        cells = zip(source.schema.columns, fields.types, strict=True)
        arrays = [arrow.array([column.cell(row) for row in rows], of_type) for column, of_type in cells]
        yield arrow.record_batch(arrays, schema=fields)


def table(source: RowSource) -> "pa.Table":
    """Return the whole table, in memory. Raises SettingsError: no pyarrow; RecordingError."""
    return library().Table.from_batches(batches(source), schema(source))
