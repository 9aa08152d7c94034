"""Output of every command, whatever reads it: a terminal, a pipe, an encoding of the last century."""

import io
import sys


def accept_any_text() -> None:
    """Have standard output and error write characters outside their encoding as escapes, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def printable(text: str) -> str:
    """Return a text with everything escaped that is no letter, sign, space, tab or line break.

    What others wrote may hold what a terminal obeys: it moves the cursor, hides lines, or types for who reads them.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)


def one_line(text: str) -> str:
    """Return a text with line breaks escaped too, so that what others wrote can't pass for lines of ours."""
    return printable(text).replace("\n", "\\n")


def printable_json(text: str) -> str:
    """Return JSON that means the same, with everything escaped that is no letter, sign, space or line break."""
    return "".join(c if c.isprintable() or c in "\n\t" else _json_escape(c) for c in text)


def _json_escape(character: str) -> str:
    units = character.encode("utf-16-be", errors="surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
