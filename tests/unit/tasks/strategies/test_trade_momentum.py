"""trade_momentum: 0.4 tanh(z) + 0.3 size + 0.3 flow."""

from collections.abc import Sequence
from math import e, exp, log, sqrt, tanh

import pytest
from hypothesis import given

from tasks.events import Trade
from tasks.strategies.trade_momentum import TradeMomentum, TradeMomentumState
from tests.support.events import TIME_MS, actions, feed, play, trade, trades

#: Two trades of window, a half-life of one trade (weight 1/2), and a threshold that everything passes.
SMALL = {"window": 2, "half_life": 1, "threshold": 1e-9}


def terms(events: Sequence[Trade], params: dict[str, float] | None = None) -> dict[str, float]:
    """Return the indicators at the last trade, as if the trades before had said nothing."""
    strategy, state = TradeMomentum.create(SMALL | (params or {})), TradeMomentumState()
    *before, last = events
    for event in before:
        feed(strategy, event, state)
    state.side = 0
    (signal,) = feed(strategy, last, state)
    return signal.indicators


def after(seconds: float, quantity: float = 1.0, taker: str = "buy") -> Trade:
    return trade(100.0, quantity, taker=taker, time_ms=TIME_MS + round(seconds * 1000))


@pytest.mark.parametrize(
    ("prices", "trend"),
    [
        # The window is not full: two trades before are needed.
        ([1, 2], 0),
        # One return, ln(e/1) = 1: it is its own mean, sd 0.
        ([1, 1, e], 0),
        # Returns 1, 1, 2: mean 1, then weight max(1/2, 1/3) = 1/2, surprise 1: mean 1.5, variance 1/2 (0 + 1/2) = 1/4;
        # z = 2/sqrt(1/4) = 4.
        ([1, 1, e, e, e**3], tanh(4)),
        # Returns 1, 1, 2, -1: surprise -2.5; variance 1/2 (1/4 + 1/2 * 6.25) = 1.6875; z = -1/sqrt(1.6875).
        ([1, 1, e, e, e**3, 1], tanh(-1 / sqrt(1.6875))),
        # A market that never moved.
        ([7] * 9, 0),
    ],
)
def test_trend_is_the_return_over_the_window_in_units_of_its_own_deviation(prices, trend):
    assert terms([trade(price) for price in prices])["trend"] == pytest.approx(trend)


def test_the_first_returns_weigh_equally():
    # Returns 1, 2, 3 with a half-life of 100: mean 2, variance 2/3; z = 3/sqrt(2/3). Log prices 0, 0, 1, 2, 4.
    prices = [exp(power) for power in (0, 0, 1, 2, 4)]
    assert terms([trade(price) for price in prices], {"half_life": 100})["trend"] == pytest.approx(
        tanh(3 / sqrt(2 / 3))
    )


@pytest.mark.parametrize(
    ("quantities", "taker", "size"),
    [
        ([4], "buy", 1),  # a first trade is its own mean
        ([4, 1], "buy", 0.25),  # 1/4
        ([4, 1], "sell", -0.25),
        ([9, 2, 4, 1], "buy", 1 / 3),  # mean of 2 and 4 is 3; the 9 has left the window
        ([2, 4, 30], "sell", -1),  # 30/3 = 10, at most 1
    ],
)
def test_size_is_the_signed_quantity_over_the_mean_before(quantities, taker, size):
    *before, last = quantities
    events = [*(trade(quantity=quantity) for quantity in before), trade(quantity=last, taker=taker)]
    assert terms(events)["size"] == pytest.approx(size)


@pytest.mark.parametrize(
    ("events", "flow"),
    [
        pytest.param([after(0, 3), after(0.5, 1, "sell")], 0.5, id="(3-1)/(3+1)"),
        pytest.param([after(0, 5), after(29.9, 1, "sell")], 4 / 6, id="29.9 s later still counts"),
        pytest.param([after(0.9, 5), after(30.0, 1, "sell")], -1, id="whole seconds: 30 - 0 is out"),
        pytest.param([after(0, 5), after(20, 3), after(30, 1, "sell")], 0.5, id="only the old bucket leaves"),
        pytest.param([after(10, 2), after(8, 1), after(39, 3, "sell")], 0.0, id="8 s after 10 s counts as of 10 s"),
        pytest.param([after(100, 5), after(71, 1, "sell")], 4 / 6, id="29 s back is still the same flow"),
        pytest.param([after(100, 5), after(70, 1, "sell")], -1, id="30 s back starts again"),
    ],
)
def test_flow_is_the_balance_of_taker_volume_over_the_last_30_seconds(events, flow):
    # A last trade too small to be heard keeps the score off zero, so that there is a signal to look at.
    assert terms([*events, trade(101, 1e-12, time_ms=events[-1].time_ms)])["flow"] == pytest.approx(flow, abs=1e-9)


def test_trades_that_go_back_and_forth_in_time_share_a_bucket():
    strategy, state = TradeMomentum.create({}), TradeMomentumState()
    for seconds in (10, 9, 10, 8, 10):
        feed(strategy, after(seconds), state)
    assert state.seconds == [TIME_MS // 1000 + 10]
    assert (state.bought, state.sold) == ([5.0], [0.0])


@pytest.mark.parametrize(("threshold", "said"), [(0.6, ""), (0.59, "buy")])
def test_a_score_at_the_threshold_is_not_above_it(threshold, said):
    # A first trade: trend 0, size 1, flow 1: 0.3 + 0.3 = 0.6.
    assert actions(TradeMomentum.create({"threshold": threshold}), [trade()]) == [said]


def test_the_score_weighs_trend_size_and_flow():
    # From above: trend tanh(4); quantities 1, 1, 1, 1, 2 over mean 1: size 1; flow (6 - 0)/6 = 1.
    events = [trade(price, quantity) for price, quantity in zip([1, 1, e, e, e**3], [1, 1, 1, 1, 2], strict=True)]
    *_, (signal,) = play(TradeMomentum.create(SMALL | {"threshold": 0.9}), events)
    score = 0.4 * tanh(4) + 0.3 + 0.3
    assert signal.indicators["score"] == pytest.approx(score)
    assert signal.action == "buy"
    assert signal.confidence == pytest.approx(0.65 + 0.30 * (score - 0.9) / 0.1)
    assert signal.price == signal.current_price == e**3


def test_selling_mirrors_buying():
    up = [trade(price, 1 + n % 3, time_ms=TIME_MS + n * 700) for n, price in enumerate([1, 1, e, e, e**3, e**2, e**5])]
    down = [trade(1 / up_.price, up_.quantity, taker="sell", time_ms=up_.time_ms) for up_ in up]
    strategy = TradeMomentum.create(SMALL | {"threshold": 0.5})
    bought, sold = actions(strategy, up), actions(strategy, down)
    assert "buy" in bought
    confidences = [[signal.confidence for signals in play(strategy, side) for signal in signals] for side in (up, down)]
    assert confidences[0] == pytest.approx(confidences[1])
    assert sold == [action.replace("buy", "sell") for action in bought]


def test_it_speaks_only_when_what_the_trades_say_changes():
    # Scores: size 1 and flow 1 make 0.6; the sell of 1 against 2 before has size -1, flow (2-1)/3: -0.2.
    events = [trade(), trade(), trade(quantity=1.0, taker="sell"), trade(), trade()]
    assert actions(TradeMomentum.create({"threshold": 0.15}), events) == ["buy", "", "sell", "buy", ""]


def test_a_market_with_a_constant_price_gives_no_signal_with_the_defaults():
    events = [trade(quantity=1 + number) for number in range(400)]
    assert not any(actions(TradeMomentum.create({}), events))


def test_warm_up_is_the_window_and_one_half_life():
    assert TradeMomentum.create({}).warmup == 250


@given(trades())
def test_every_score_equals_that_of_a_reference_that_recomputes_all(events):
    strategy, state = TradeMomentum.create(SMALL | {"window": 5, "half_life": 20}), TradeMomentumState()
    for number, event in enumerate(events):
        state.side = 0
        signals = feed(strategy, event, state)
        score = reference_score(events[: number + 1])
        assert (signals[0].indicators["score"] if signals else 0.0) == pytest.approx(score, abs=1e-6)


def reference_score(events: list[Trade]) -> float:
    """The score of the last trade: window 5, half-life 20, flow 30 s, straight from the definition."""
    last = events[-1]
    mean = variance = trend = 0.0
    for count, (new, old) in enumerate(zip(events[5:], events, strict=False), start=1):
        change, weight = log(new.price / old.price), max(1 - 0.5 ** (1 / 20), 1 / count)
        surprise = change - mean
        mean, variance = mean + weight * surprise, (1 - weight) * (variance + weight * surprise**2)
        trend = tanh(change / sqrt(variance)) if variance else 0.0
    quantities = [event.quantity for event in events[:-1][-5:]] or [last.quantity]
    size = last.side * min(1, last.quantity * len(quantities) / sum(quantities))
    flows: list[tuple[int, float]] = []
    for event in events:
        second, newest = event.time_ms // 1000, flows[-1][0] if flows else 0
        flows = [] if second <= newest - 30 else flows
        flows.append((max(second, newest) if flows else second, event.side * event.quantity))
    volumes = [volume for second, volume in flows if second > flows[-1][0] - 30]
    return 0.4 * trend + 0.3 * size + 0.3 * sum(volumes) / sum(map(abs, volumes))
