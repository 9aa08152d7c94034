"""The engine: strategies run over a batch of events, from their states to new states, signals and records.

Pure: the same code runs in workers and in the backtest. They, the conformance suite and commands use it; ingest may
not. It knows the configuration, the protocol and what strategies are made of, and neither Redis nor any other place
outside this process.
"""

from tasks.engine.engine import BatchRun, RunOptions, RunProgress, fields
from tasks.engine.memory_ledger import MemoryLedger

__all__ = [
    "BatchRun",
    "MemoryLedger",
    "RunOptions",
    "RunProgress",
    "bar_feed",
    "engine",
    "fields",
    "gate_history",
    "memory_ledger",
    "paper_run",
    "signal_message",
    "strategy_run",
]
