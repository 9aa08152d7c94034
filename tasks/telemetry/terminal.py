"""Output of every command, whatever reads it: a terminal, a pipe, an encoding of the last century."""

import io
import sys


def accept_any_text() -> None:
    """Have standard output and error write characters outside their encoding as escapes, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
