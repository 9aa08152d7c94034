"""Rows of a sweep as CSV and Parquet files: a column for each parameter, then the figures."""

import csv
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tasks.errors import SettingsError
from tasks.export import arrow, files
from tasks.export.columns import Column, ColumnType, TableSchema, column
from tasks.export.rows import RowSource
from tasks.sweep.figures import SweepRow
from tasks.version import VERSION

#: Before the name of a parameter, so that it can't be that of a figure.
PREFIX = "parameter."
_TYPES: dict[type, ColumnType] = {bool: "bool", int: "int64", float: "float64", str: "string"}
#: As text they look alike in every format.
_WORDS = ("error", "recording", "venue", "symbol")
_COUNTS = ("signals", "positions", "open")


def schema(rows: Sequence[SweepRow], sample: str) -> TableSchema:
    """Return the columns of rows: those of every parameter that any of them has; `sample` says what the figures are of."""
    kind = type(rows[0]) if rows else SweepRow
    names = dict.fromkeys(name for row in rows for name in row.parameters)
    columns = [Column("sample", "string", "what the figures are of", lambda _: sample)]
    columns += [Column("strategy", "string", "as the strategies file names it", lambda row: row.strategy)]
    columns += [Column(f"{PREFIX}{name}", *_parameter(rows, name)) for name in names]
    figures = [field.name for field in msgspec.structs.fields(kind) if field.name not in {"strategy", "parameters"}]
    columns += [column(name, _figure_type(name), name) for name in figures]
    return TableSchema("sweep", tuple(columns))


def _figure_type(name: str) -> ColumnType:
    return "string" if name in _WORDS else "int64" if name in _COUNTS else "float64"


def _parameter(rows: Iterable[SweepRow], name: str) -> tuple[ColumnType, str, Callable[[SweepRow], Any]]:
    """Return type, meaning and cell of a parameter's column: of values of several types it holds text."""
    kinds = {type(row.parameters[name]) for row in rows if row.parameters.get(name) is not None}
    of_type: ColumnType = "string"
    if len(kinds) == 1:
        of_type = _TYPES.get(kinds.pop(), "string")
    elif kinds == {int, float}:
        of_type = "float64"

    def cell(row: SweepRow) -> Any:
        value = row.parameters.get(name)
        return value if value is None or of_type != "string" or isinstance(value, str) else _text(value)

    return of_type, "value of the parameter; empty: the strategy has none, or that of the strategies file", cell


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def write_csv(path: Path, rows: Sequence[SweepRow], sample: str) -> None:
    """Write rows as CSV, UTF-8 with a head; whole or not at all. Raises SettingsError: it can't be written."""
    written = schema(rows, sample).columns
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as file:
            out = csv.writer(file, lineterminator="\n")
            out.writerow([each.name for each in written])
            out.writerows([each.cell(row) for each in written] for row in rows)
        part.replace(path)
    except OSError as error:
        raise SettingsError(f"can't write {path}: {error.strerror or error}") from None


def require_writable(path: Path) -> None:
    """Raise SettingsError where a file of this name can't be made: no such folder, or not one to write in."""
    if path.is_dir():
        raise SettingsError(f"can't write {path}: it is a folder")
    folder = path.parent
    if not folder.is_dir():
        raise SettingsError(f"can't write {path}: there is no folder {folder}")
    if not os.access(folder, os.W_OK):
        raise SettingsError(f"can't write {path}: the folder {folder} can't be written to")


def require(path: Path) -> None:
    """Raise SettingsError for what would keep `write_parquet` from writing: another suffix, no pyarrow."""
    if path.suffix != ".parquet":
        raise SettingsError(f"--parquet {path}: the name must end in .parquet")
    arrow.library("pyarrow.parquet")


def write_parquet(path: Path, rows: Sequence[SweepRow], sample: str) -> None:
    """Write rows as Parquet. Raises SettingsError: no pyarrow, or it can't be written."""
    metadata = {"table": "sweep", "program_version": VERSION}
    files.write(path, RowSource(schema(rows, sample), iter(rows), metadata, list), force=True)
