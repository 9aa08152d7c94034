"""`./run tasks shadow`: compares strategies with their shadows, and changes which of them emits.

Only the command line uses it: `tasks.cli.commands` names its commands.
"""

__all__ = ["commands", "format_differences"]
