"""The simulator: a seeded market in the exchange's exact bytes, with the distributions of recorded ones. Pure.

`simulate` and the recording that comes with the project are made by it.
"""

__all__ = ["book", "market", "profiles"]
