"""The recording that comes with the project: what it must be for the tests and the README that use it."""

import gzip
from collections import Counter

import pytest

from ingest.feeds.simulator.profiles import DEFAULT_SYMBOLS
from tasks import backtest, configuration
from tasks.events import AnyEvent
from tasks.frames import parse
from tasks.frames.model import FrameMetadata
from tasks.history.recordings import read
from tasks.settings import Settings
from tests.data import make_recording

MIB = 2**20


def test_its_script_makes_it_again_byte_for_byte(recording):
    assert gzip.decompress(recording.read_bytes()) == make_recording.content(), (
        "the simulator has changed: python -m tests.data.make_recording"
    )


def test_it_is_small_enough_to_live_in_the_repository(recording):
    assert recording.stat().st_size < 2 * MIB


def test_it_holds_books_and_trades_of_six_symbols_on_both_venues(recording):
    events: Counter[tuple[str, str, str]] = Counter()
    for line in read(recording):
        event = parse(line.raw, FrameMetadata(f"binance.{line.stream}", 1, line.received_at_ns))
        assert isinstance(event, AnyEvent)
        events[event.venue, event.kind, event.symbol] += 1
    assert {symbol for _, _, symbol in events} == set(DEFAULT_SYMBOLS)
    assert len(events) == 2 * 2 * len(DEFAULT_SYMBOLS), "each symbol's books and trades, spot and futures"


def test_nearly_every_strategy_gives_signals(recording):
    result = backtest.run([recording], configuration.read(Settings().strategies_file))
    assert result.events == result.frames > 20_000
    # What is missing wants 10 % in a day (market_dominance).
    assert len(result.signals) >= 5
    assert sum(result.signals.values()) == pytest.approx(160, abs=80)
