"""`./run tasks state` where it changes more than one strategy: warm starts, and the end of symbols that are gone.

`tasks.cli.main` uses it, beside `tasks.cli.states`. It knows the operations and the backtest.
"""

__all__ = ["prune", "seed"]
