"""Keeps the results of units, and how far unfinished blocks are, in one SQLite file.

What is in it survives the end of the process at any time; several sweeps may use it at once.
"""

import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from tasks.errors import UNREADABLE, SettingsError
from tasks.sweep.block import Block
from tasks.sweep.figures import UnitResult
from tasks.sweep.slice_run import BlockState

FILE = "results.sqlite"
#: What was not used for so long is removed.
KEPT_S = 30 * 86_400
_SCHEMA = """
CREATE TABLE IF NOT EXISTS results (id TEXT PRIMARY KEY, result BLOB NOT NULL, used_s INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS begun
    (block TEXT PRIMARY KEY, units TEXT NOT NULL, state BLOB NOT NULL, used_s INTEGER NOT NULL) WITHOUT ROWID;
"""
#: SQLite takes so many parameters in one statement, at least.
_AT_ONCE = 900

_pack = msgspec.msgpack.Encoder().encode
_result = msgspec.msgpack.Decoder(UnitResult).decode
_state = msgspec.msgpack.Decoder(BlockState).decode


class ResultStore:
    """Results by unit id, and states of blocks that are begun."""

    def __init__(self, directory: Path) -> None:
        """Open or make the file in a directory. Raises SettingsError: it can't be used."""
        self._path = directory / FILE
        with self._told():
            directory.mkdir(parents=True, exist_ok=True)
            self._file = sqlite3.connect(self._path, timeout=30.0, isolation_level=None)
            self._file.execute("PRAGMA journal_mode=WAL")
            self._file.execute("PRAGMA synchronous=NORMAL")
            self._file.executescript(_SCHEMA)
            oldest_s = int(time.time()) - KEPT_S
            for table in ("results", "begun"):
                self._file.execute(f"DELETE FROM {table} WHERE used_s < ?", (oldest_s,))  # noqa: S608 of two constants

    def results(self, ids: Sequence[str]) -> dict[str, UnitResult]:
        """Return what is kept of these units, by id. Raises SettingsError."""
        found: dict[str, UnitResult] = {}
        with self._told():
            for start in range(0, len(ids), _AT_ONCE):
                some = ids[start : start + _AT_ONCE]
                marks = ",".join("?" * len(some))
                for id_, packed in self._file.execute(
                    f"SELECT id, result FROM results WHERE id IN ({marks})",  # noqa: S608 question marks only
                    some,
                ):
                    try:
                        found[id_] = _result(packed)
                    except UNREADABLE:
                        continue  # Of another release: it is computed again.
        return found

    def begun(self) -> list[tuple[str, ...]]:
        """Return the ids of the units of each unfinished block. Raises SettingsError."""
        with self._told():
            return [tuple(units.split()) for (units,) in self._file.execute("SELECT units FROM begun ORDER BY block")]

    def state(self, block: Block) -> BlockState | None:
        """Return how far an unfinished block is; None: not begun. Raises SettingsError."""
        with self._told():
            row = self._file.execute("SELECT state FROM begun WHERE block = ?", (block.key,)).fetchone()
        try:
            return _state(row[0]) if row else None
        except UNREADABLE:
            return None

    def put_state(self, block: Block, state: BlockState) -> None:
        """Keep how far a block is. Raises SettingsError."""
        units = " ".join(unit.id for unit in block.units)
        with self._told():
            self._file.execute(
                "INSERT OR REPLACE INTO begun VALUES (?, ?, ?, ?)", (block.key, units, _pack(state), int(time.time()))
            )

    def finish(self, block: Block, results: Mapping[str, UnitResult]) -> None:
        """Keep the results of a block's units; its state is forgotten. Raises SettingsError."""
        now_s = int(time.time())
        with self._told():
            self._file.execute("BEGIN IMMEDIATE")
            self._file.executemany(
                "INSERT OR REPLACE INTO results VALUES (?, ?, ?)",
                [(id_, _pack(result), now_s) for id_, result in results.items()],
            )
            self._file.execute("DELETE FROM begun WHERE block = ?", (block.key,))
            self._file.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            raise SettingsError(f"results can't be kept in {self._path}: {error}") from None
