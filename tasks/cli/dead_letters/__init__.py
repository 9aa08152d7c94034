"""`./run tasks deadletters`: lists, shows, retries and removes what could not be used.

Only the command line uses it: `tasks.cli.commands` names its commands. It knows the ledger, and the operations.
"""

__all__ = ["commands", "retry", "selection"]
