"""Tables of events, signals and bars, made from recordings: as Parquet, Arrow or CSV files, and in memory for notebooks.

Only the commands and `tasks.research` use it. It knows the backtest, the configuration and frames, and no server;
pyarrow is imported when a table is made.
"""

from tasks.export.columns import Column, TableSchema
from tasks.export.rows import RowSource

__all__ = [
    "Column",
    "RowSource",
    "TableSchema",
    "arrow",
    "bar_columns",
    "bars",
    "columns",
    "event_columns",
    "events",
    "files",
    "rows",
    "signal_columns",
    "signals",
]
