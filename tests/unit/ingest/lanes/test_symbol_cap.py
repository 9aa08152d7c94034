"""A cap on symbols: those that are known go on, and those that are gone make room."""

from hypothesis import given
from hypothesis import strategies as st

from ingest.lanes.symbol_cap import CappedReader, SymbolCap
from tasks.events import AnyEvent, Event, Kind
from tasks.frames.encoder import frame
from tasks.frames.model import RefusedFrame
from tasks.frames.plausibility import DEFAULT_LIMITS
from tests.support.events import TIME_MS, book, trade


def of(symbol: str, venue: str = "spot") -> AnyEvent:
    return trade(symbol=symbol, venue=venue)


def takes_trades(_: str, kind: Kind) -> bool:
    return kind == "trade"


def admitted(cap: SymbolCap, *events: AnyEvent) -> list[bool]:
    return [cap.check(event) is None for event in events]


def test_known_symbols_go_on_when_there_is_no_room_for_new_ones():
    cap = SymbolCap(2, takes_trades)
    assert admitted(cap, of("A"), of("B"), of("C"), of("A"), of("B")) == [True, True, False, True, True]
    assert cap.check(of("C")) == RefusedFrame(
        "too_many_symbols", "spot C is new, and there are 2 symbols (INGEST_MAX_SYMBOLS)"
    )


def test_the_same_name_on_another_venue_counts_as_another_symbol():
    assert admitted(SymbolCap(1, takes_trades), of("A"), of("A", "usdm")) == [True, False]


def test_symbols_that_no_pool_takes_neither_count_nor_are_refused():
    cap = SymbolCap(1, takes_trades)
    assert admitted(cap, book(symbol="X"), of("A"), book(symbol="Y"), book(symbol="A")) == [True] * 4


def test_a_cap_of_zero_admits_all():
    cap = SymbolCap(0, takes_trades)
    assert admitted(cap, *(of(f"S{number}") for number in range(100))) == [True] * 100


def test_what_the_ledger_holds_counts_at_the_start():
    cap = SymbolCap(2, takes_trades)
    cap.load({("spot", "A"), ("spot", "B"), ("spot", "C")})
    assert admitted(cap, of("A"), of("B"), of("C"), of("D")) == [True, True, True, False]


def test_symbols_that_were_removed_from_the_ledger_make_room():
    """One whose first event is not committed yet, so that the ledger never had it, goes on."""
    cap = SymbolCap(2, takes_trades)
    cap.load({("spot", "A")})
    assert admitted(cap, of("B"), of("C")) == [True, False]
    cap.load(set())
    assert admitted(cap, of("B"), of("C"), of("A")) == [True, True, False]


@given(st.lists(st.sampled_from("ABCDEF"), max_size=20), st.integers(1, 4), st.data())
def test_what_is_read_again_after_a_crash_is_decided_as_before(names: list[str], most: int, data: st.DataObject):
    """All up to the frontier is committed, and any part of what comes after; from the frontier on, a stream is read again."""
    decided = admitted(SymbolCap(most, takes_trades), *map(of, names))
    frontier = data.draw(st.integers(0, len(names)))
    after = data.draw(st.lists(st.booleans(), min_size=len(names), max_size=len(names)))
    committed = {
        ("spot", name)
        for number, (name, is_admitted) in enumerate(zip(names, decided, strict=True))
        if is_admitted and (number < frontier or after[number])
    }
    restarted = SymbolCap(most, takes_trades)
    restarted.load(committed)
    assert admitted(restarted, *map(of, names[frontier:])) == decided[frontier:]


def test_a_reader_refuses_frames_above_the_cap_and_passes_on_all_else():
    reader = CappedReader(SymbolCap(1, takes_trades), DEFAULT_LIMITS, ())
    frames = frame(of("A")), frame(of("B")), b"{", frame(of("A"))
    read = [reader.read(raw, "binance.x", 1, TIME_MS * 10**6) for raw in frames]
    reasons = [each.reason if isinstance(each, RefusedFrame) else isinstance(each, Event) for each in read]
    assert reasons == [True, "too_many_symbols", "not_json", True]
