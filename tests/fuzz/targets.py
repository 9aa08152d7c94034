"""What the byte-level fuzzer throws bytes at: all that is read from others. Whatever a target raises is a fault.

A target takes any bytes; it lets the refusals pass that its caller expects, and checks what was understood.
"""

import difflib
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import NamedTuple

#: Where they are.
MODULES = ("tests.fuzz.to_messages", "tests.fuzz.to_files", "tests.fuzz.to_ledger")
#: What parsers stumble over; nested deeply enough for any of them.
NASTY = (
    b'{"a":' + b"[" * 3_000,
    b"\x91" * 3_000,
    b"a = " + b"[" * 2_000,
    b"9" * 4_500,
    b'"\\ud800"',
    b'"\xff"',
    b"1e999",
)


class Target(NamedTuple):
    """One of them."""

    run: Callable[[bytes], None]
    #: What it was made to read: where the fuzzer begins.
    seeds: Sequence[bytes]


TARGETS: dict[str, Target] = {}


def target(*seeds: bytes) -> Callable[[Callable[[bytes], None]], Callable[[bytes], None]]:
    """Make a function one of `TARGETS`."""

    def register(run: Callable[[bytes], None]) -> Callable[[bytes], None]:
        TARGETS[run.__name__] = Target(run, seeds)
        return run

    return register


def find(name: str) -> Target:
    """Import a target; a name may also be MODULE:TARGET. Raises ValueError: there is none."""
    module, _, called = name.rpartition(":")
    known = [module] if module else names()
    if module:
        import_module(module)
    if called not in TARGETS:
        close = difflib.get_close_matches(name, known, n=1)
        raise ValueError(
            f"there is no target {name!r}; " + (f"did you mean {close[0]}?" if close else ", ".join(known))
        )
    return TARGETS[called]


def names() -> list[str]:
    """Return the names of all."""
    for each in MODULES:
        import_module(each)
    return list(TARGETS)
