"""`./run tasks shadow`: compares strategies with their shadows, and changes which of them emits.

`tasks.cli.main` uses it: it adds the commands to the others.
"""

__all__ = ["commands", "format_differences"]
