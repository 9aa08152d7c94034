"""The simulator: a seeded market in the exchange's exact bytes, with the distributions of recorded ones. Pure.

The feed `simulate` uses it, and so does the script that makes the recording of the project.
"""

__all__ = ["book", "market", "profiles"]
