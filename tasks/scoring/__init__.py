"""Scores signals by the price after them: one definition for the backtest, the strategies' page and the live pipeline.

Pure. The backtest and ingest use it; it knows events.
"""

__all__ = ["forward_returns", "live_returns", "prices", "signal_statistics", "strategy_returns"]
