"""What the price did after signals, as the pipeline runs: the same as the backtest says, from bounded memory."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tasks.backtest import Backtest, performance
from tasks.configuration import read
from tasks.events import AnyEvent
from tasks.history import recordings
from tasks.scoring import live_returns, strategy_returns
from tasks.scoring.forward_returns import HORIZONS_S, forward_bps, read_signals
from tasks.scoring.live_returns import KEPT, MAX_KEPT, MAX_STRATEGIES, MAX_SYMBOLS, MAX_WAITING, LiveReturns
from tasks.scoring.prices import PriceHistory
from tasks.scoring.signal_statistics import describe
from tasks.settings import Settings
from tests.support.events import TIME_MS, book, trade

SYMBOLS = ("BTCUSDT", "ETHUSDT")


def signal(event: AnyEvent, action: str = "buy", **changes: Any) -> bytes:
    trigger = {"venue": event.venue, "symbol": event.symbol, "kind": event.kind}
    fields = {"strategy": "skew", "symbol": event.symbol, "action": action, "confidence": 0.5, "current_price": 1.0}
    fields |= {"rationale": "", "event_time_ms": event.time_ms, "trigger": trigger}
    return msgspec.json.encode(fields | changes)


def market(seconds: int, per_s: int = 20) -> list[AnyEvent]:
    """Return books and trades of two symbols, of which trades have a clock that is late."""
    dice, mids = random.Random(7), dict.fromkeys(SYMBOLS, 100.0)
    events: list[AnyEvent] = []
    for number in range(1, seconds * per_s):
        symbol, time_ms = dice.choice(SYMBOLS), TIME_MS + number * 1_000 // per_s
        mids[symbol] *= 1 + dice.gauss(0, 1e-4)
        mid = mids[symbol]
        if dice.random() < 0.5:
            events.append(book([(mid - 1, 1.0)], [(mid + 1, 1.0)], symbol=symbol, time_ms=time_ms, seq=number))
        else:
            events.append(trade(mid, symbol=symbol, time_ms=time_ms - 700, seq=number, id=number))
    return events


def play(scored: LiveReturns, events: Sequence[AnyEvent], signals: dict[int, bytes], late: int = 5) -> None:
    """Let events and signals come, each signal `late` events after its own, and a tick every 20 events."""
    for number, event in enumerate(events):
        scored.observe(event)
        if packed := signals.get(number - late):
            scored.signal(packed)
        if number % 20 == 0:
            scored.tick()


def batch(events: Iterable[AnyEvent], signals: Iterable[bytes]) -> list[list[float]]:
    """Return the returns by horizon as a backtest computes them."""
    history = PriceHistory()
    for event in events:
        history.observe(event)
    return [forward_bps(history.series, read_signals(signals), horizon_s) for horizon_s in HORIZONS_S]


@pytest.fixture
def warm() -> LiveReturns:
    """Scores in which both symbols have had a signal."""
    scored = LiveReturns()
    for symbol in SYMBOLS:
        scored.signal(signal(book(symbol=symbol), strategy="first"))
    return scored


def test_live_returns_equal_those_of_a_backtest(warm: LiveReturns):
    events, dice = market(300), random.Random(3)
    signals = {
        number: signal(events[number], dice.choice(["buy", "sell"])) for number in dice.sample(range(100, 4_500), 150)
    }
    play(warm, events, signals)
    [_, skew] = warm.found
    expected = [describe(sorted(values)) for values in batch(events, signals.values())]
    assert [each and each.signals for each in skew.returns] == [150, 150, 150]
    assert [each and pytest.approx(each) for each in expected] == [each and tuple(each) for each in skew.returns]
    assert skew.signals == 150


def test_live_returns_of_the_recording_equal_those_of_its_backtest(warm: LiveReturns, recording: Path):
    """But for the first signal of each symbol: here all have had one."""
    market = PriceHistory()
    backtest = Backtest(read(Settings().strategies_file), market=market)
    backtest.work(recordings.read(recording))
    events, rows = performance.events(recording), read_signals(backtest.ledger.signals)
    last = {(each.venue, each.symbol, each.kind, each.time_ms): number for number, each in enumerate(events)}
    due = defaultdict[int, list[bytes]](list)
    for packed, row in zip(backtest.ledger.signals, rows, strict=True):
        due[last[row.trigger.venue, row.trigger.symbol, row.trigger.kind, row.event_time_ms] + 20].append(packed)
    for each in {(each.venue, each.symbol): each for each in events}.values():
        warm.signal(signal(each, strategy="first"))
    for number, event in enumerate(events):
        warm.observe(event)
        for packed in due[number]:
            warm.signal(packed)
        if number % 100 == 0:
            warm.tick()
    warm.tick()
    live = {found.strategy: found.returns for found in warm.found if found.strategy != "first"}
    expected = {found.strategy: found.returns for found in strategy_returns.score(rows, market.series)}
    assert len(expected) >= 4
    assert live.keys() == expected.keys()
    for strategy, returns in expected.items():
        assert [each and pytest.approx(each) for each in returns] == [each and tuple(each) for each in live[strategy]]


def test_a_signal_of_another_symbol_than_its_trigger_is_scored_by_its_own(warm: LiveReturns):
    events = market(120)
    number = next(at for at in range(200, 300) if events[at].symbol == "BTCUSDT")
    packed = signal(events[number], symbol="ETHUSDT")
    play(warm, events, {number: packed})
    assert warm.found[1].returns == tuple(describe(values) for values in batch(events, [packed]))


def test_the_first_signal_of_a_symbol_is_counted_and_not_scored():
    scored, events = LiveReturns(), market(120)
    play(scored, events, {200: signal(events[200])})
    assert [(each.signals, each.returns) for each in scored.found] == [(1, (None, None, None))]


def test_a_horizon_is_scored_when_a_later_price_has_come_and_not_before(warm: LiveReturns):
    events = market(120)
    play(warm, events[:321], {200: signal(events[200])})
    assert [each and each.signals for each in warm.found[1].returns] == [1, None, None]
    play(warm, events[321:], {})
    assert [each and each.signals for each in warm.found[1].returns] == [1, 1, 1]


def test_a_signal_that_comes_too_late_is_not_scored(warm: LiveReturns):
    events = market(300)
    play(warm, events, {200: signal(events[200])}, late=20 * KEPT)
    assert warm.found[1].returns == (None, None, None)


@pytest.mark.parametrize("packed", [b"", b"{}", b"[]", signal(book(), "hold"), signal(book(), "close")])
def test_what_is_no_signal_or_has_no_direction_is_left_out(packed: bytes):
    scored = LiveReturns()
    scored.signal(packed)
    scored.tick()
    assert list(scored.found) == []


def test_what_was_found_is_another_object_only_when_it_has_changed(warm: LiveReturns):
    warm.tick()
    before = warm.found
    warm.tick()
    assert warm.found is before
    warm.signal(signal(book()))
    warm.tick()
    assert warm.found is not before


def test_after_a_restart_nothing_of_before_is_compared_with(warm: LiveReturns):
    events = market(120)
    play(warm, events[:300], {200: signal(events[200])})
    warm.restart()
    play(warm, [msgspec.structs.replace(event, seq=number) for number, event in enumerate(events[300:])], {})
    assert [each and each.signals for each in warm.found[1].returns] == [1, None, None]


def kept(scored: LiveReturns) -> Counter[str]:
    """Return how many prices are held by symbol."""
    counts: Counter[str] = Counter()
    for (_, symbol, _), series in scored._history.kept.items():
        counts[symbol] += len(series.times_ms)
    return counts


def test_prices_are_kept_only_of_symbols_that_had_a_signal(warm: LiveReturns):
    play(warm, [*market(60), *(book(symbol="SOLUSDT", seq=number) for number in range(1_200, 1_300))], {})
    assert set(kept(warm)) == set(SYMBOLS)


def test_without_waiting_signals_few_prices_are_kept(warm: LiveReturns):
    play(warm, market(600), {})
    warm.tick()
    assert max(kept(warm).values()) <= 2 * KEPT


def test_prices_of_a_symbol_that_a_signal_waits_for_are_bounded(warm: LiveReturns):
    warm.observe(trade(seq=1))
    for number in range(2, MAX_KEPT + 500):
        warm.observe(trade(seq=number, time_ms=TIME_MS + number // 1_000))
        if number == 10:
            warm.signal(signal(trade(time_ms=TIME_MS)))
    warm.tick()
    assert kept(warm)["BTCUSDT"] <= MAX_KEPT


def test_signals_symbols_and_strategies_are_bounded():
    scored = LiveReturns()
    for number in range(MAX_WAITING + 100):
        event = trade(symbol=f"S{number}")
        scored.signal(signal(event, strategy=f"strategy{number}" if number > MAX_STRATEGIES else "skew"))
        scored.observe(event)
    assert len(scored._waiting) <= MAX_WAITING
    scored.tick()
    assert len(scored.found) <= MAX_STRATEGIES
    assert len(scored._watched) <= live_returns.MAX_SYMBOLS == MAX_SYMBOLS
    assert len(kept(scored)) <= MAX_SYMBOLS
