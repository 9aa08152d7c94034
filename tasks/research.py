"""Events, signals and bars of recordings as tables, for notebooks.

    from tasks import research

    trades = research.frame(research.events("recording.jsonl.gz", kinds=["trade"]))
    signals = research.frame(research.signals("recording.jsonl.gz", changes={"orderbook_skew": {"levels": 10}}))

The tables are pyarrow's, `frame` makes data frames of pandas of them; docs/research/tables.md describes the columns. Needs
what `pip install 'realtime-strategies[extras]'` installs, or in a checkout `requirements/extras.txt`.
"""

import warnings
from collections.abc import Collection, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks import configuration
from tasks.configuration import named_strategies
from tasks.events import KINDS, Kind
from tasks.export import arrow, event_columns
from tasks.export import bars as exported_bars
from tasks.export import events as exported_events
from tasks.export import signals as exported_signals
from tasks.export.rows import RecordingInput, RowSource
from tasks.optional import optional_module
from tasks.settings import frame_limits, load

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["bars", "events", "frame", "signals"]

AnyPath = str | PathLike[str]


def events(
    recordings: AnyPath | Sequence[AnyPath],
    *,
    kinds: Collection[Kind] = KINDS,
    symbols: Sequence[str] = (),
    levels: int = event_columns.DEFAULT_LEVELS,
    venue: str = "",
    salvage: bool = False,
) -> "pa.Table":
    """Return the events of recordings, merged by the time of receipt, in the order of the frames.

    `levels`, from 0 to 100, is how many levels of each book have columns; `symbols` are all if none is given. A
    single symbol, and `venue`, are also those of files that don't name theirs. `salvage` uses the readable part of a
    damaged recording. Raises RecordingError, SettingsError.
    """
    return _table(exported_events.source(_input(recordings, symbols, venue, salvage=salvage), kinds, levels))


def signals(
    recordings: AnyPath | Sequence[AnyPath],
    *,
    strategies_file: AnyPath | None = None,
    symbols: Sequence[str] = (),
    strategies: Sequence[str] = (),
    changes: Mapping[str, Mapping[str, Any]] | None = None,
    venue: str = "",
    salvage: bool = False,
) -> "pa.Table":
    """Return the signals of a backtest over recordings, by event time and id.

    `strategies_file` is by default that of the settings (STRATEGIES_FILE). `symbols` and `strategies` are all if none
    is given. `changes` holds values by strategy and parameter; `gate.X` is the gate's X. `venue` and `salvage` are as
    above. Raises RecordingError, SettingsError.
    """
    read = configuration.read(Path(strategies_file) if strategies_file else load().strategies_file)
    assigned = [(name, dict(values)) for name, values in (changes or {}).items()]
    chosen = named_strategies.narrowed(read, symbols, strategies, assigned)
    table = _table(exported_signals.source(_input(recordings, symbols, venue, salvage=salvage), chosen))
    return table.sort_by([("time", "ascending"), ("id", "ascending")])


def bars(
    recordings: AnyPath | Sequence[AnyPath],
    bar: str = "1m",
    *,
    kind: exported_bars.TradeKind = "trade",
    symbols: Sequence[str] = (),
    venue: str = "",
    salvage: bool = False,
) -> "pa.Table":
    """Return the bars of recorded trades, as strategies get them, in the order in which they close.

    `bar` is 1s to 1d, or such as 1000tick, 50volume, 1000000dollar; `kind` says of which trades. `symbols`,
    `venue` and `salvage` are as above. Raises RecordingError, SettingsError.
    """
    return _table(exported_bars.source(_input(recordings, symbols, venue, salvage=salvage), bar, kind))


def frame(table: "pa.Table") -> "pd.DataFrame":
    """Return a table as a data frame of pandas: whole numbers with empty cells are `Int64`, so that each stays exact.

    Raises SettingsError: pandas is not installed.
    """
    pandas = optional_module("pandas", "extras")
    made = table.to_pandas()
    for field in table.schema:
        if field.type == arrow.library().int64() and table[field.name].null_count:
            made[field.name] = table[field.name].to_pandas(types_mapper=lambda _: pandas.Int64Dtype())
    return made


def _input(
    recordings: AnyPath | Sequence[AnyPath], symbols: Sequence[str], venue: str, *, salvage: bool
) -> RecordingInput:
    paths = [recordings] if isinstance(recordings, str | PathLike) else recordings
    own = load()
    limits = frame_limits(own)
    return RecordingInput(list(map(Path, paths)), symbols, salvage, limits, venue, warn=_warn)


def _table(source: RowSource) -> "pa.Table":
    table = arrow.table(source)
    for finding in source.findings():
        _warn(finding)
    return table


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=4)  # of the notebook's own line
