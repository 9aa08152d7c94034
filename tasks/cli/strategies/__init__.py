"""`./run tasks strategies`: lists, describes and checks strategies, and changes what is in force.

Only the command line uses it: `tasks.cli.commands` names its commands. It knows the registry, the conformance suite and the ledger.
"""

__all__ = ["commands", "history", "live_configuration", "new", "strategy_tables"]
