"""Assignments by words."""

import pytest

from tasks.configuration import edits
from tasks.errors import SettingsError


@pytest.mark.parametrize(
    ("word", "strategy", "assigned"),
    [
        ("orderbook_skew.levels=10", "orderbook_skew", {"levels": 10}),
        ("orderbook_skew.gate.min_confidence=0.7", "orderbook_skew", {"gate.min_confidence": 0.7}),
        ("orderbook_skew.levels=", "orderbook_skew", {"levels": None}),
        ("mine:Boom.name=a.b=c:d", "mine:Boom", {"name": "a.b=c:d"}),
        ("my.package.module:Boom.gate.killed=true", "my.package.module:Boom", {"gate.killed": True}),
    ],
)
def test_a_change_names_a_strategy_a_parameter_and_a_value(word, strategy, assigned):
    assert edits.assignment(word) == (strategy, assigned)


@pytest.mark.parametrize("word", ["foo", "foo=1", "orderbook_skew.levels", "=1", ".x=1", "a.=1", "", "my.mod:Boom=1"])
def test_a_word_that_is_no_change_is_told_what_one_looks_like(word):
    with pytest.raises(SettingsError) as raised:
        edits.assignment(word)
    assert str(raised.value) == f"--set {word}: not STRATEGY.NAME=VALUE, such as orderbook_skew.levels=10"
