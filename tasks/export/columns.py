"""What a table is: its columns, and how the cell of each is read from a row's object. Pure.

Installations read files by the names of columns: append new ones, never rename one, and raise `SCHEMA_VERSION` for a
change that a reader has to know of.
"""

from collections.abc import Callable
from operator import attrgetter
from typing import Any, Literal, NamedTuple

SCHEMA_VERSION = "1"
#: A `time_us` is a moment in microseconds, which is what pandas, polars and DuckDB work with unless told otherwise: in
#: another unit it has to be converted before it is joined.
ColumnType = Literal["string", "int64", "float64", "bool", "time_us", "time_ns"]


class Column(NamedTuple):
    """One column of a table."""

    name: str
    type: ColumnType
    what: str
    #: Returns the cell of a row's object; None is an empty one.
    cell: Callable[[Any], Any]


class TableSchema(NamedTuple):
    """The columns of a table, in their order."""

    name: str
    columns: tuple[Column, ...]


def column(name: str, of_type: ColumnType, what: str, attribute: str = "") -> Column:
    """Return a column of an attribute of the row's object, by default that of the same name."""
    return Column(name, of_type, what, attrgetter(attribute or name))


def moment(name: str, what: str, attribute: str) -> Column:
    """Return a column of an attribute in unix milliseconds, which may be None."""
    time_ms = attrgetter(attribute)

    def time_us(row: Any) -> int | None:
        found: int | None = time_ms(row)
        return None if found is None else found * 1_000

    return Column(name, "time_us", what, time_us)
