"""The built-in strategies, one file each; `registry` knows them by name.

The registry uses them, by name. They know events and what strategies are made of, and nothing else; anybody's own
strategy is like one of them.
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
