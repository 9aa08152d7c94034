"""Which streams can be asked for, on which market, and at which address."""

import pytest

from ingest.feeds.stream_plan import FORMS, Market, choose
from tasks.errors import SettingsError
from tasks.events import KINDS
from tasks.frames.model import parse_stream
from tasks.settings import Settings

FUTURES = "depth20,trade,aggTrade,bookTicker,kline_1m,markPrice,forceOrder"
SPOT = "depth20,trade,aggTrade,bookTicker,kline_1m"


def asked(market: Market, symbol: str, streams: str | None = None) -> dict[str, str]:
    """Return by stream, without its symbol, the path of the address that it comes from."""
    found = choose(market, streams).subscribed([symbol])
    return {
        name.removeprefix(f"{symbol.lower()}@"): getattr(Settings(), setting).partition("binance")[2]
        for setting, name in found
    }


def test_by_default_books_and_trades_are_asked_for():
    assert list(asked("usdm", "BTCUSDT")) == ["depth20@100ms", "trade"]


def test_usdm_streams_come_from_the_address_that_pushes_them():
    public, market = ".com/public/stream", ".com/market/stream"
    assert asked("usdm", "BTCUSDT", FUTURES) == {
        "depth20@100ms": public,
        "trade": public,
        "aggTrade": market,
        "bookTicker": public,
        "kline_1m": market,
        "markPrice": market,
        "forceOrder": market,
    }


def test_spot_and_coinm_have_one_address_each():
    assert set(asked("spot", "BTCUSDT", SPOT).values()) == {".vision/stream"}
    assert set(asked("coinm", "BTCUSD_PERP", FUTURES).values()) == {".com/stream"}


@pytest.mark.parametrize("market", ["spot", "usdm", "coinm"])
def test_each_form_is_read_as_its_kind(market: Market):
    assert {form.kind for form in FORMS} == set(KINDS)
    for form in FORMS:
        name = {"depth": "depth20", "kline": "kline_1M"}.get(form.kind, form.names.partition(",")[0])
        stream = parse_stream(f"btcusdt@{name}")
        assert stream is not None
        assert stream.kind == form.kind
        if market in form.addresses:
            assert choose(market, name).names == (name,)


@pytest.mark.parametrize(
    ("market", "streams", "said"),
    [
        ("spot", "ticker", "Binance has no stream 'ticker' on spot; --streams takes depth5, "),
        ("spot", "agg_trade", "Binance has no stream 'agg_trade' on spot (did you mean aggTrade?); "),
        ("spot", "depth20,", "Binance has no stream '' on spot; "),
        ("spot", "depth20@100ms", "Binance has no stream 'depth20@100ms' on spot (did you mean depth20?); "),
        ("spot", "btcusdt@aggTrade", "Binance has no stream 'btcusdt@aggTrade' on spot (did you mean aggTrade?); "),
        ("usdm", "liquidations", "Binance has no stream 'liquidations' on usdm (did you mean forceOrder?); "),
        ("usdm", "kline_2m", "Binance has no stream 'kline_2m' on usdm (did you mean kline_1m?); "),
        ("spot", "markPrice", "markPrice is of futures only, not of spot; --streams takes depth5, "),
        ("spot", "forceOrder", "forceOrder is of futures only, not of spot; "),
        ("coinm", "kline_1s", "kline_1s is of spot only, not of coinm; "),
        ("usdm", "markPrice,markPrice@1s", "markPrice and markPrice@1s are the same kind of events: name one of them"),
        ("usdm", "depth5,depth20", "depth5 and depth20 are the same kind of events: name one of them"),
        ("usdm", "depth50", "--levels takes 5, 10, 20 with --books top, not 50; --books diff has more"),
    ],
)
def test_what_cant_be_asked_for_is_one_line(market: Market, streams: str, said: str):
    with pytest.raises(SettingsError) as refused:
        choose(market, streams)
    assert str(refused.value).startswith(said)
    assert "\n" not in str(refused.value)


def test_the_refusal_names_only_what_there_is():
    with pytest.raises(SettingsError) as refused:
        choose("spot", "x")
    assert "markPrice" not in str(refused.value)


@pytest.mark.parametrize(
    ("market", "streams", "source", "levels", "said"),
    [
        ("spot", "trade", "diff", None, "--books and --levels are about books: add depth20 to --streams"),
        ("spot", "trade", "top", 20, "--books and --levels are about books: add depth20 to --streams"),
        ("spot", "depth20", "diff", 50, "--levels 50 and depth20 among --streams contradict each other"),
        ("coinm", None, "diff", None, "--books diff is for spot and USD-M futures; COIN-M futures have --books top"),
    ],
)
def test_books_that_contradict_the_streams_are_refused(market, streams, source, levels, said):
    with pytest.raises(SettingsError) as refused:
        choose(market, streams, source, levels)
    assert str(refused.value) == said


def test_books_of_diffs_may_stand_among_the_streams():
    assert choose("usdm", "depth50,aggTrade", "diff").books == choose("usdm", None, "diff", 50).books
    assert [name for _, name in choose("usdm", "depth50,aggTrade", "diff").subscribed(["BTCUSDT"])] == [
        "btcusdt@depth@100ms",
        "btcusdt@aggTrade",
    ]


def test_candles_of_several_intervals_are_asked_for_together():
    assert list(asked("spot", "BTCUSDT", "kline_1s,kline_1m,kline_1m")) == ["kline_1s", "kline_1m"]


@pytest.mark.parametrize(
    ("symbol", "meant"),
    [
        ("btc/usdt", "BTCUSDT"),
        ("BTC USDT", "BTCUSDT"),
        ("btcusdt@trade", "BTCUSDT"),
        ("BTCUSDT,ETHUSDT", "BTCUSDT ETHUSDT"),
    ],
)
def test_what_is_no_symbol_is_answered_with_the_ones_meant(symbol, meant):
    with pytest.raises(SettingsError) as refused:
        choose("spot").check([symbol])
    assert str(refused.value).endswith(f" is not a symbol; did you mean {meant}?")


@pytest.mark.parametrize("symbol", ["BTC/USDT", "BTC USDT", "B", "", "btcusdt@trade", "x" * 41])
def test_what_cannot_be_a_symbol_is_refused_at_once(symbol):
    with pytest.raises(SettingsError, match="is not a symbol"):
        choose("spot").check([symbol])


@pytest.mark.parametrize(
    ("market", "symbol", "said"),
    [
        ("spot", "btcusd_perp", "BTCUSD_PERP is of COIN-M futures: --venue coinm"),
        ("usdm", "BTCUSD_240927", "BTCUSD_240927 is of COIN-M futures: --venue coinm"),
        ("coinm", "BTC-261226-100000-C", "BTC-261226-100000-C is of the options market, which is not served"),
        ("coinm", "BTCUSDT", "BTCUSDT is not of COIN-M futures, whose symbols are like BTCUSD_PERP"),
    ],
)
def test_a_symbol_of_another_market_is_refused_by_name(market: Market, symbol: str, said: str):
    with pytest.raises(SettingsError) as refused:
        choose(market).check([symbol])
    assert str(refused.value) == said


def test_symbols_are_taken_in_any_case_and_once():
    assert choose("spot").check(["btcusdt", "ETHUSDT", "BTCUSDT"]) == ["BTCUSDT", "ETHUSDT"]
    assert choose("coinm").check(["btcusd_perp"]) == ["BTCUSD_PERP"]
