"""The engine: strategies run over a batch of events, from their states to new states, signals and records.

Pure: the same code runs in workers and in the backtest. It knows the configuration, the protocol and what strategies are
made of, and never where states are kept.
"""

from tasks.engine.engine import BatchRun, Conditions, Place, fields

__all__ = [
    "BatchRun",
    "Conditions",
    "Place",
    "engine",
    "fatal_errors",
    "fields",
    "gate_history",
    "signal_message",
    "strategy_run",
]
