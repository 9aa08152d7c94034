"""The backtest: recordings through the same routing, records and engine as live, in this process or in several.

Also what it shows: the HTML page, the strategies' page. Only the commands use it. It knows the engine, the
configuration, frames and scoring, and no server.
"""

from tasks.backtest.backtest import Backtest, BacktestPart, BacktestResult, run

__all__ = [
    "Backtest",
    "BacktestPart",
    "BacktestResult",
    "backtest",
    "charts",
    "html_document",
    "html_report",
    "html_table",
    "paper_charts",
    "paper_section",
    "paper_statistics",
    "parallel",
    "performance",
    "run",
    "shadow_report",
    "strategies_page",
    "symbol_shard",
]
