"""Backtests, compared in turn: of one strategy with another framework, and of all of them with the compiled form."""
