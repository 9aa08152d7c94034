"""Bars of trades: what a strategy asks for by `bars = ("1m", "1000tick")`, built from trades in their order.

Pure, and no more than trades are needed. Strategies, the engine, the registry, the conformance suite and whoever
exports bars of a recording use it.
"""

from tasks.bars.bar import Bar, OpenBar
from tasks.bars.builder import BarBuilder, bars
from tasks.bars.spec import BarSpec

__all__ = ["Bar", "BarBuilder", "BarSpec", "OpenBar", "bar", "bars", "builder", "spec"]
