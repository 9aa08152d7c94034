"""The simulated market: exact shapes, honest ids, and numbers like the recorded ones."""

import itertools
import json
import re
from collections import defaultdict
from random import Random

import numpy as np
import pytest

from ingest.feeds.simulator.market import SimulatedFrame, SimulatedMarket
from ingest.feeds.simulator.profiles import DEFAULT_SYMBOLS, QuantileTable, instrument, symbols
from tasks import frames
from tasks.events import Depth, Trade
from tasks.frames import model
from tests.data import SPOT, USDM
from tests.support.servers.exchange import recorded

START_NS = 1_763_793_009 * 10**9


def simulated(
    count: int, venue="spot", *, names=DEFAULT_SYMBOLS, seed=1, first_id=1000, start_ns=START_NS, rate=None
) -> list[SimulatedFrame]:
    market = SimulatedMarket(
        [instrument(name, venue) for name in names], venue, seed=seed, first_id=first_id, start_ns=start_ns, rate=rate
    )
    return list(itertools.islice(market.frames(), count))


def parsed(made: list[SimulatedFrame]) -> list[Depth | Trade]:
    found = [frames.parse(frame.raw, model.FrameMetadata(f"binance.{frame.stream}", 1, 1)) for frame in made]
    assert all(isinstance(event, Depth | Trade) for event in found), next(
        e for e in found if not isinstance(e, Depth | Trade)
    )
    return [event for event in found if isinstance(event, Depth | Trade)]


def shape(raw: str | bytes) -> str:
    """What is left of a frame without its numbers: names, their order, types, decimals."""
    document = json.loads(raw)
    document.pop("received_at", None)
    for side in ("bids", "asks", "b", "a"):
        if side in document["data"]:
            document["data"][side] = document["data"][side][:1]
    text = re.sub(r"\.\d+", lambda found: "." + "0" * (len(found[0]) - 1), json.dumps(document))
    text = text.replace("true", "false")
    return re.sub(r"(?<![\w.@])\d+(?![\w@])", "1", text)


@pytest.mark.parametrize("venue", ["spot", "usdm"])
def test_every_simulated_frame_is_an_event_of_its_venue(venue):
    made = simulated(10_000, venue, names=symbols(30))

    events = parsed(made)

    assert {event.venue for event in events} == {venue}
    assert {event.symbol for event in events} == set(symbols(30))
    assert all(len(event.bids) == len(event.asks) == 20 for event in events if isinstance(event, Depth))


@pytest.mark.parametrize(("venue", "name"), [("spot", SPOT), ("usdm", USDM)])
def test_simulated_btc_and_eth_frames_have_the_format_of_recorded_ones(venue, name, recordings):
    """Fields and their order, types and decimals are the same."""
    real = {shape(raw) for raw in recorded(recordings / name, 500, venue)}
    made = {shape(frame.raw) for frame in simulated(500, venue, names=("BTCUSDT", "ETHUSDT"))}

    assert made == real


def test_the_same_seed_and_start_give_the_same_bytes():
    assert simulated(3000) == simulated(3000)


def test_another_start_changes_nothing_but_the_times():
    def timeless(made: list[SimulatedFrame], start_ns: int) -> list[tuple[object, ...]]:
        return [
            (event.symbol, event.id, event.bids if isinstance(event, Depth) else event.price, frame.at_ns - start_ns)
            for event, frame in zip(parsed(made), made, strict=True)
        ]

    later_ns = START_NS + 86_400 * 10**9

    assert timeless(simulated(3000), START_NS) == timeless(simulated(3000, start_ns=later_ns), later_ns)


def test_another_seed_gives_another_market():
    first, second = (
        [event.id for event in parsed(simulated(500, seed=seed)) if event.kind == "depth"] for seed in (1, 2)
    )

    assert first != second


@pytest.mark.parametrize("first_id", [1000, None])
def test_trade_ids_have_no_gap_and_book_ids_rise(first_id):
    ids = defaultdict(list)
    for event in parsed(simulated(10_000, first_id=first_id)):
        ids[event.symbol, event.kind].append(event.id)

    for (_, kind), found in ids.items():
        steps = {later - earlier for earlier, later in itertools.pairwise(found)}
        assert steps == {1} if kind == "trade" else min(steps) > 0


def test_without_a_seed_the_ids_rise_from_one_run_to_the_next():
    # Given a run of market time at 20 times its pace, and a second run that starts where the first one ended.
    first = simulated(10_000, first_id=None, rate=2500)
    second = simulated(10_000, first_id=None, rate=2500, start_ns=first[-1].at_ns + 1_000_000, seed=2)

    highest: dict[tuple[str, str], int] = {}
    lowest: dict[tuple[str, str], int] = {}
    for event in parsed(first):
        highest[event.symbol, event.kind] = event.id
    for event in parsed(second):
        lowest.setdefault((event.symbol, event.kind), event.id)

    assert all(lowest[key] > highest[key] for key in highest.keys() & lowest.keys())


@pytest.mark.parametrize("rate", [50, 1000, 20_000])
def test_the_rate_that_was_asked_for_is_met_on_average(rate):
    made = simulated(30_000, rate=rate)

    assert len(made) / ((made[-1].at_ns - START_NS) / 1e9) == pytest.approx(rate, rel=0.15)


def test_frames_come_in_the_order_of_their_time():
    times = [frame.at_ns for frame in simulated(10_000, rate=5000)]

    assert times == sorted(times)


def test_trades_of_one_taker_order_share_time_and_side_and_walk_the_book():
    orders = [
        list(group)
        for _, group in itertools.groupby(
            (event for event in parsed(simulated(10_000, names=("BTCUSDT",))) if isinstance(event, Trade)),
            key=lambda trade: (trade.time_ms, trade.side),
        )
    ]
    longest = max(orders, key=len)
    prices = [trade.price * longest[0].side for trade in longest]

    assert len(longest) > 20
    assert prices[0] < prices[-1]


def test_market_makers_of_a_thin_market_leave_and_come_back():
    books = [event for event in parsed(simulated(30_000, names=("CHRUSDT", "ALICEUSDT"))) if isinstance(event, Depth)]

    for name in ("CHRUSDT", "ALICEUSDT"):
        spreads = [book.spread_bps for book in books if book.symbol == name]
        ordinary = float(np.median(spreads))
        wide = [spread > 2.5 * ordinary and spread > 10 for spread in spreads]
        assert 0.05 < sum(wide) / len(wide) < 0.6
        assert sum(before != after for before, after in itertools.pairwise(wide)) >= 4


def test_prices_stay_near_their_start_however_long_the_market_runs():
    events = parsed(simulated(30_000, names=("SOLUSDT",)))

    # It starts at 152.
    assert all(130 < event.price < 178 for event in events if isinstance(event, Trade))


@pytest.mark.parametrize("venue", ["spot", "usdm"])
def test_spreads_sizes_and_arrival_times_are_close_to_the_recorded_ones(venue, recordings):
    from tests import report_simulator as report  # noqa: PLC0415 it draws, which is slow to import

    sources = {"recorded": report.recorded(venue, recordings), "simulated": report.simulated(venue, seconds=200)}
    for (title, kind, measure, is_logarithmic), name in itertools.product(report.PANELS, report.SYMBOLS):
        real, made = (np.quantile(measure(found[f"{name} {kind}"]), [0.5, 0.9]) for found in sources.values())
        if is_logarithmic:
            # Half to twice, at the median and at the ninth decile.
            assert np.all(np.abs(np.log2(made / real)) < 1), (title, name, real, made)
        else:
            assert np.all(np.abs(made - real) < 0.35), (title, name, real, made)


def test_a_table_gives_back_its_quantiles():
    table = QuantileTable(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
    rng = Random(1)

    drawn = [table.draw(rng) for _ in range(50_000)]

    # The median of a standard normal number is 0, its upper quartile 0.6745.
    assert table.at(0) == pytest.approx(16, rel=0.01)
    assert table.at(0.6745) == pytest.approx(32, rel=0.01)
    assert np.quantile(drawn, 0.9) == pytest.approx(64, rel=0.1)
    assert np.mean(drawn) == pytest.approx(table.mean, rel=0.05)
