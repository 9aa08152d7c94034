"""`./run tasks state`: shows records and states, resets strategies, starts them warm, and removes idle symbols.

Only the command line uses it: `tasks.cli.commands` names its commands. It knows the ledger, the operations and the backtest.
"""

__all__ = ["commands", "prune", "seed"]
