"""`./run tasks deliver`: takes signals to receivers, and shows where each delivery stands.

Only the command line uses it: `tasks.cli.commands` names its commands. It knows deliveries and the ledger.
"""

__all__ = ["commands", "standing"]
