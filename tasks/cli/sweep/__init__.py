"""`./run tasks sweep`: many parameter sets over recordings, on workers or in processes of this machine.

Only the command line uses it. It knows sweeps, and how commands print.
"""

__all__ = ["commands", "display", "execution", "page_content", "preparation", "session", "table_files"]
