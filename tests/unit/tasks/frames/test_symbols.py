import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.frames.symbols import meant, spellings, symbol_of, token


@pytest.mark.parametrize("symbol", ["BTCUSDT", "BTCUSD_PERP", "BTC-261226-100000-C", "币安人生USDT", "ETHUSDT_240927"])
def test_a_symbol_of_letters_digits_and_dashes_is_spelled_as_it_is(symbol):
    assert token(symbol) == symbol


@pytest.mark.parametrize(
    ("symbol", "encoded"),
    [
        ("BTC/USD", "BTC%2FUSD"),
        ("BTC/USDT:USDT", "BTC%2FUSDT%3AUSDT"),
        ("a.b", "a%2Eb"),
        ("x>*", "x%3E%2A"),
        ("%", "%25"),
    ],
)
def test_other_characters_are_percent_encoded(symbol, encoded):
    assert token(symbol) == encoded


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_a_token_breaks_neither_subjects_nor_keys_and_can_be_undone(symbol):
    encoded = token(symbol)
    assert re.fullmatch(r"[\w%-]+", encoded)
    assert symbol_of(encoded) == symbol


@pytest.mark.parametrize(
    ("typed", "known", "expected"),
    [
        ("btcusdt", {"BTCUSDT"}, "BTCUSDT"),
        ("btcusdt", {"BTCUSDT", "btcusdt"}, "btcusdt"),
        ("btc/usd", {"BTC/USD"}, "BTC/USD"),
        ("btcusdt", {}, "BTCUSDT"),
        ("ethusdt_240927", {}, "ETHUSDT_240927"),
        ("btcusd_perp", {}, "BTCUSD_PERP"),
        ("btc_jpy", {}, "btc_jpy"),
        ("a.b", {"A"}, "a.b"),
    ],
)
def test_a_symbol_is_the_one_typed_or_else_that_in_upper_case(typed, known, expected):
    assert meant(typed, known) == expected


def test_what_is_typed_may_be_meant_in_upper_case_too():
    assert spellings("a.b") == {"a.b", "A.B"}
    assert spellings("BTC/USD") == {"BTC/USD"}
