"""The command line, `./run tasks`: a module for each group of commands, and how things are shown.

`tasks.__main__` uses it. The command lines of ingest, the demo and the benchmarks use its `command_line`, and the
demo its lines of signals. It knows everything below.
"""

__all__ = [
    "aligned_lines",
    "backtest",
    "command_line",
    "commands",
    "config",
    "dead_letters",
    "deliver",
    "doctor",
    "entry_listing",
    "export",
    "files",
    "format_dead_letters",
    "format_paper",
    "format_positions",
    "format_signals",
    "format_states",
    "format_why",
    "lazy_commands",
    "main",
    "name_completion",
    "positions",
    "schema",
    "shadow",
    "signals",
    "state",
    "strategies",
    "sweep",
    "why",
]
