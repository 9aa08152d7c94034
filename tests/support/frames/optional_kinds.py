"""Binance's frames of kinds that are read where a pool takes them; the payloads are the exchange's examples."""

from typing import Any

from tasks.events import Kind
from tests.support.frames.wire import enveloped

AGG_TRADE: dict[str, Any] = {
    "e": "aggTrade", "E": 1672515782136, "s": "BTCUSDT", "a": 12345, "p": "0.001", "q": "100", "f": 100, "l": 105,
    "T": 1672515782136, "m": True,
}  # fmt: skip
SPOT_TICKER: dict[str, Any] = {"u": 400900217, "s": "BNBUSDT", "b": "25.35", "B": "31.21", "a": "25.37", "A": "40.66"}
KLINE: dict[str, Any] = {
    "e": "kline", "E": 1672515782136, "s": "BTCUSDT",
    "k": {
        "t": 1672515720000, "T": 1672515779999, "s": "BTCUSDT", "i": "1m", "f": 100, "L": 200, "o": "0.0010",
        "c": "0.0020", "h": "0.0025", "l": "0.0009", "v": "1000", "n": 100, "x": True, "q": "1.0000", "V": "500",
        "Q": "0.500", "B": "123456",
    },
}  # fmt: skip
MARK_PRICE: dict[str, Any] = {
    "e": "markPriceUpdate", "E": 1562305380000, "s": "BTCUSDT", "p": "11794.15", "i": "11784.62", "P": "11784.25",
    "r": "0.00038167", "T": 1562306400000,
}  # fmt: skip
LIQUIDATION: dict[str, Any] = {
    "e": "forceOrder", "E": 1568014460893,
    "o": {
        "s": "BTCUSDT", "S": "SELL", "o": "LIMIT", "f": "IOC", "q": "0.014", "p": "9910", "ap": "9911", "X": "FILLED",
        "l": "0.002", "z": "0.012", "T": 1568014460893,
    },
}  # fmt: skip
FRAMES: dict[Kind, bytes] = {
    "agg_trade": enveloped("btcusdt@aggTrade", AGG_TRADE),
    "book_ticker": enveloped("bnbusdt@bookTicker", SPOT_TICKER, received_at=1672515782136000000),
    "kline": enveloped("btcusdt@kline_1m", KLINE, venue="spot"),
    "mark_price": enveloped("btcusdt@markPrice@1s", MARK_PRICE),
    "liquidation": enveloped("btcusdt@forceOrder", LIQUIDATION),
}
