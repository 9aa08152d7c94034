"""Targets with a fault: the proof that the fuzzer finds what it looks for. `python -m tests.fuzz tests.fuzz.planted:raises`."""

from tests.fuzz.targets import target

_kept: list[bytes] = []


@target(b"{}")
def raises(raw: bytes) -> None:
    """Raise for one word that nobody finds but letter by letter, by the branches that each of them opens."""
    if raw[:1] == b"d" and raw[1:2] == b"e" and raw[2:3] == b"p" and raw[3:4] == b"t" and raw[4:5] == b"h":
        raise LookupError("found")


@target(b"{}")
def hangs(raw: bytes) -> None:
    """Never come back from what begins with an x."""
    while raw[:1] == b"x":
        pass


@target(b"{}")
def grows(raw: bytes) -> None:
    """Keep what it was given, and more."""
    _kept.append(raw * 1_000)
