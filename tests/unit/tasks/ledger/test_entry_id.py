"""Several streams are paged as if they were one, by any cursor and in both directions."""

from bisect import insort
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.ledger import pager
from tasks.ledger.entry_id import EntryId, bound_in, by_ledger, is_id

_ids = st.tuples(st.integers(0, 3), st.integers(0, 2)).filter(any)
_ledgers = st.lists(st.sets(_ids), min_size=1, max_size=4)
_any_id = st.builds(EntryId, st.integers(0, 4), st.integers(0, 3), st.integers(0, 5))


class Stream:
    """A server with one stream, which takes bounds as Redis does."""

    def __init__(self, ids: set[tuple[int, int]]) -> None:
        self._ids: list[tuple[int, int]] = []
        for each in ids:
            insort(self._ids, each)

    def xrange(self, _: str, min: str, max: str, count: int) -> list[Any]:  # noqa: A002 as the client's
        return self._between(min, max)[:count]

    def xrevrange(self, _: str, max: str, min: str, count: int) -> list[Any]:  # noqa: A002 as the client's
        return self._between(min, max)[::-1][:count]

    def _between(self, first: str, last: str) -> list[Any]:
        assert last != "(0-0", "Redis refuses it"
        found = [each for each in self._ids if _is_behind(each, first, 0) and not _is_behind(each, last, 9, end=True)]
        return [(b"%d-%d" % each, {}) for each in found]


def _is_behind(entry: tuple[int, int], bound: str, default: int, *, end: bool = False) -> bool:
    """Return whether an entry is at a start or behind, or behind an end."""
    if bound in {"-", "+"}:
        return bound == "-"
    ms, _, seq = bound.removeprefix("(").partition("-")
    at = (int(ms), int(seq or default))
    return entry >= at if bound.startswith("(") == end else entry > at


def _all(ledgers: list[set[tuple[int, int]]]) -> list[EntryId]:
    return sorted(EntryId(*each, ledger) for ledger, ids in enumerate(ledgers) for each in ids)


def _read(ledgers: list[set[tuple[int, int]]], *bounds: str, **options: Any) -> list[str]:
    clients: Any = list(map(Stream, ledgers))
    return [name for name, _ in pager.entries(clients, "s", *bounds, **options)]


@given(_ledgers, st.integers(1, 4), st.integers(1, 4), st.booleans())
def test_pages_hold_each_entry_once_in_order(ledgers: list[Any], page: int, taken: int, backwards: bool):  # noqa: FBT001 drawn
    found: list[str] = []
    while True:
        beyond = f"({found[-1]}" if found else "+" if backwards else "-"
        bounds = ("-", beyond) if backwards else (beyond, "+")
        new = _read(ledgers, *bounds, page=page, backwards=backwards)[:taken]
        found += new
        if not new:
            break
    wanted = list(map(str, _all(ledgers)))
    assert found == (wanted[::-1] if backwards else wanted)


@given(_ledgers, _any_id, _any_id, st.booleans(), st.booleans(), st.booleans())
def test_any_bounds_hold_what_is_between_them(
    ledgers: list[Any],
    start: EntryId,
    end: EntryId,
    without_start: bool,  # noqa: FBT001 drawn
    without_end: bool,  # noqa: FBT001 drawn
    backwards: bool,  # noqa: FBT001 drawn
):
    if (end.ms, end.seq, without_end) == (0, 0, True):
        without_end = False  # Redis has no end before the first id, and no entry has this one
    bounds = "(" * without_start + str(start), "(" * without_end + str(end)
    wanted = [
        str(each)
        for each in _all(ledgers)
        if (each > start if without_start else each >= start) and (each < end if without_end else each <= end)
    ]
    found = _read(ledgers, *bounds, page=2, backwards=backwards)
    assert found == (wanted[::-1] if backwards else wanted)


@given(_ledgers, st.integers(0, 4))
def test_a_time_is_a_bound_of_every_ledger(ledgers: list[Any], at_ms: int):
    wanted = _all(ledgers)
    assert _read(ledgers, "-", str(at_ms)) == [str(each) for each in wanted if each.ms <= at_ms]
    assert _read(ledgers, f"{at_ms}-0") == [str(each) for each in wanted if each.ms >= at_ms]


@given(_any_id)
def test_an_id_is_read_as_it_was_written(entry: EntryId):
    assert EntryId.parse(str(entry)) == entry


@pytest.mark.parametrize("bound", ["-", "+", "5", "5-3", "(5-3", "(0-0", "0-0"])
def test_of_one_ledger_bounds_and_ids_are_those_of_redis(bound: str):
    assert [bound_in(bound, 0, is_start=is_start) for is_start in (True, False)] == [bound, bound]
    assert str(EntryId(5, 3)) == "5-3"


@pytest.mark.parametrize("text", ["", "5", "-", "5-3.0", "5-3.", "5-3.100", "(5-3", "5-3.1 ", "x-1"])
def test_what_is_no_id_is_refused(text: str):
    assert not is_id(text)
    with pytest.raises(ValueError, match="no id of an entry"):
        EntryId.parse(text)


def test_ids_go_to_the_ledgers_that_hold_them():
    assert by_ledger(["5-3", "5-3.1", "6-0", "7-0.12"]) == {0: ["5-3", "6-0"], 1: ["5-3"], 12: ["7-0"]}
