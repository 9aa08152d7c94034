"""The command line, `python -m tasks`: a module for each group of commands, and how things are shown.

Nothing but `tasks.__main__`, and commands elsewhere by `command_line`, uses it; it knows everything below.
"""

__all__ = [
    "backtest",
    "command_line",
    "dead_letters",
    "doctor",
    "format_dead_letters",
    "format_signals",
    "format_states",
    "history",
    "live_configuration",
    "main",
    "signals",
    "states",
    "strategies",
    "time_arguments",
]
