"""History: files of market data, read as the lines of a recording, in time order.

The backtest, the replay and the commands use it. It knows frames, and no server.
"""

__all__ = [
    "diff_books",
    "id_ranges",
    "input_options",
    "input_report",
    "line_source",
    "neutral_rows",
    "npz",
    "packed",
    "recording",
    "recording_line",
    "recordings",
    "row_frames",
    "tardis",
    "time_order",
    "vision",
]
