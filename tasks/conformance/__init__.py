"""Conformance: whether a strategy keeps what the runner's promises ask of it, tried on any class.

Used by `./run tasks strategies check`. It knows the engine and what strategies are made of, and no server.
"""

__all__ = ["source_lint", "suite", "synthetic_market"]
