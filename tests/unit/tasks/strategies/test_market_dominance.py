"""market_dominance: BTC's share of the momentum of a basket."""

import msgspec
import pytest

from tasks.events import Trade
from tasks.strategies.market_dominance import MarketDominance, MarketDominanceState
from tests.support.events import TIME_MS, actions, feed, play, trade

BTC, ETH, BNB = "BTCUSDT", "ETHUSDT", "BNBUSDT"


def at(seconds: float, symbol: str, price: float) -> Trade:
    return trade(price, symbol=symbol, time_ms=TIME_MS + round(seconds * 1000))


START = [at(0, ETH, 100), at(0, BNB, 100), at(0, BTC, 100)]


def dominance(*prices: tuple[str, float]) -> float:
    """Return the dominance after these prices, an hour after all stood at 100."""
    strategy, state = MarketDominance.create({}), MarketDominanceState()
    for event in (*START, *(at(3600, symbol, price) for symbol, price in prices)):
        feed(strategy, event, state)
    return state.dominance[-1]


@pytest.mark.parametrize(
    ("prices", "expected"),
    [
        ([(BTC, 100)], 30 + 50 / 3),  # all at 10
        ([(BTC, 110)], 30 + 50 * 20 / 40),
        ([(BTC, 105), (ETH, 95), (BNB, 100)], 30 + 50 * 15 / 30),
        ([(ETH, 80), (BNB, 91)], 30 + 50 * 10 / 11),  # ETH: max(0, 10 - 20)
        ([(BTC, 90)], 30.0),
    ],
)
def test_dominance_is_btcs_share_of_the_momentum(prices, expected):
    assert dominance(*prices) == pytest.approx(expected)


def test_it_is_silent_until_all_three_have_traded():
    assert not any(actions(MarketDominance.create({}), [at(0, BTC, 100), at(0, ETH, 100), at(60, BTC, 500)]))


def test_it_is_silent_while_all_momenta_are_zero():
    fallen = [at(1, BTC, 80), at(1, ETH, 80), at(1, BNB, 80), at(1, BTC, 85)]
    # BTC at 0 beside the others at 10 is a sell; then the others fall too, and there is nothing to share.
    assert actions(MarketDominance.create({}), [*START, *fallen])[3:] == ["sell", "", "", ""]


@pytest.mark.parametrize(
    ("price", "said"),
    [
        # 46.67 + 5 = 51.67 takes a share of 0.4333: momentum 15.294 beside 10 and 10.
        (105.29, ""),
        (105.30, "buy"),
        # 41.67 takes 0.2333: 6.087
        (96.09, ""),
        (96.08, "sell"),
    ],
)
def test_a_change_of_five_within_the_window_is_enough(price, said):
    assert actions(MarketDominance.create({}), [*START, at(10, BTC, price)])[-1] == said


#: No jump is enough, so that only the level counts: 70 takes four fifths, such as 10 beside 1.2 and 1.2.
LEVEL_ONLY = {"jump": 49}


@pytest.mark.parametrize(
    ("events", "said"),
    [
        pytest.param([at(130, ETH, 91), at(130, BNB, 91)], ["", "buy"], id="10/12: 71.7, from 46.7 two minutes ago"),
        pytest.param([at(10, ETH, 91), at(10, BNB, 91)], ["", ""], id="two minutes are not yet over"),
        pytest.param(
            [at(1, ETH, 91), at(1, BNB, 91), at(61, BTC, 100), at(190, BTC, 99.9)],
            [""] * 4,
            id="71.6 after 71.7 is not rising",
        ),
        pytest.param([at(130, BTC, 93)], ["sell"], id="3/23: 36.5, from 46.7 two minutes ago"),
        pytest.param([at(10, BTC, 93)], [""], id="two minutes are not yet over, falling"),
        pytest.param(
            [at(3600, BTC, 100), at(10, BTC, 100), at(70, ETH, 91), at(70, BNB, 91), at(130, BNB, 90.9)],
            [""] * 4 + ["buy"],
            id="two minutes after a clock that was an hour ahead was set right",
        ),
    ],
)
def test_a_level_is_enough_when_it_is_beyond_that_of_two_minutes_ago(events, said):
    assert actions(MarketDominance.create(LEVEL_ONLY), [*START, *events])[3:] == said


def test_the_signal_is_for_btc_at_its_last_price_whatever_traded():
    *_, (signal,) = play(MarketDominance.create({}), [*START, at(5, BTC, 101), at(10, ETH, 90)])
    assert (signal.symbol, signal.action, signal.price, signal.current_price) == (BTC, "buy", 101, 101)
    assert signal.confidence == 0.80
    assert signal.indicators["dominance"] == pytest.approx(30 + 50 * 11 / 21)


def test_what_left_the_window_no_longer_counts():
    # 96 s in 96 steps of a second: the rise of BTC at 10 s is in the window until 106 s.
    strategy, state = MarketDominance.create({"window_s": 96}), MarketDominanceState()
    for event in (*START, at(10, BTC, 120)):
        feed(strategy, event, state)
    shares = []
    for seconds in (90, 105, 107):
        feed(strategy, at(seconds, ETH, 100), state)
        shares.append(state.dominance[-1])
    assert shares == pytest.approx([30 + 50 * 30 / 50, 30 + 50 * 30 / 50, 30 + 50 / 3])


@pytest.mark.parametrize("seconds", [97, -97])
def test_a_hole_or_a_step_back_of_more_than_a_window_restarts_everything(seconds):
    strategy, state = MarketDominance.create({"window_s": 96}), MarketDominanceState()
    for event in (*START, at(seconds, BTC, 200)):
        feed(strategy, event, state)
    assert state.prices == {BTC: [200, 200], ETH: [100, 100], BNB: [100, 100]}


def test_symbols_outside_of_the_basket_are_ignored():
    strategy, state = MarketDominance.create({}), MarketDominanceState()
    assert feed(strategy, at(0, "XRPUSDT", 1), state) == []
    assert state == MarketDominanceState()


def test_a_full_window_of_three_symbols_packs_into_4_kib():
    strategy, state = MarketDominance.create({}), MarketDominanceState()
    for number in range(3 * 200):
        feed(strategy, at(number * 300, (BTC, ETH, BNB)[number % 3], 100.1 + number / 1000), state)
    assert [len(prices) for prices in state.prices.values()] == [97] * 3
    assert len(msgspec.msgpack.encode(state)) <= 4096
    assert strategy.params.min_signal_interval_s == 4 * 3600
