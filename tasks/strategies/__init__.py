"""The built-in strategies, one file each; `registry` knows them by name.

The registry uses them, by name. They import events and the base classes of strategies, and nothing else of the
project. A strategy of your own is written in the same way.
"""

__all__ = [
    "depth_pressure",
    "iceberg",
    "market_dominance",
    "orderbook_skew",
    "price_velocity",
    "spread_liquidity",
    "trade_momentum",
]
