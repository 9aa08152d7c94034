"""Bytes and texts that nobody meant to send, and the decorator that throws them at something."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

#: Examples of each claim, in the suite and in its long form.
QUICK, LONG = 100, 3_000

#: What parsers stumble over: closing and opening, ends of numbers, what is no text, and msgpack's markers.
_NASTY = [
    b"", b"\x00", b"\xff", b"\xc1", b"\xdd\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\x91" * 2_000, b"\xcf" + b"\xff" * 8, b"\xed\xa0\x80",
    b"\n", b'"', b"\\u0000", b"\\ud800", b"[", b"[" * 2_000, b"{", b"]", b"null", b"NaN", b"Infinity", b"-1", b"1e999",
    b"9" * 30, b"9" * 5_000, b"1" + b"0" * 400,
]  # fmt: skip
JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=10), inner, max_size=5),
    max_leaves=20,
)


@st.composite
def damaged(draw: st.DrawFn, whole: Sequence[bytes]) -> bytes:
    """Return one of `whole` with up to four pieces cut out, doubled, or replaced."""
    raw = draw(st.sampled_from(whole))
    for _ in range(draw(st.integers(1, 4))):
        at, end = sorted(draw(st.tuples(*[st.integers(0, len(raw))] * 2)))
        instead = draw(st.sampled_from(_NASTY) | st.binary(max_size=8) | st.just(2 * raw[at:end][:1_000]))
        raw = raw[:at] + instead + raw[end if draw(st.booleans()) else at + 1 :]
    return raw


def any_bytes(*whole: bytes) -> st.SearchStrategy[bytes]:
    """Return anything, most of it damaged from `whole`."""
    return damaged(whole) | damaged(whole) | st.binary(max_size=300)


def refused(kinds: type[Exception], call: Callable[[], object]) -> str:
    """Make a call that may raise one of `kinds`; return what the refusal says, or nothing."""
    try:
        call()
    except kinds as error:
        return str(error)
    return ""


def thrown(**arguments: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], Callable[[int], None]]:
    """Make a claim about `arguments` a test, with few examples and, marked slow, with many."""

    def decorate(claim: Callable[..., None]) -> Callable[[int], None]:
        @pytest.mark.parametrize(
            "examples", [QUICK, pytest.param(LONG, marks=[pytest.mark.slow, pytest.mark.timeout(900)])]
        )
        def test(examples: int) -> None:
            few = settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
            few(given(**arguments)(claim))()

        test.__name__ = claim.__name__
        return test

    return decorate
