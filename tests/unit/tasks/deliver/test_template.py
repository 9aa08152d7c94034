"""Texts about signals."""

import pytest

from tasks.deliver.signal_fields import decode
from tasks.deliver.template import DEFAULT, Template, shortened
from tasks.errors import SettingsError
from tests.support.servers.receiver import identified


def text(template: str, escape=str, **fields: object) -> str:
    return Template(template).render(decode(identified(7, **fields)), escape)


def test_fields_stand_where_the_template_names_them():
    template = "{id} {strategy} {action} {symbol} {price:.2f} {confidence:.0%} {time} {venue}"
    rendered = text(template, metadata={"venue": "spot"})
    assert rendered == "7 orderbook_skew buy BTCUSDT 61675.50 95% 2024-08-09T00:03:13.500 spot"


def test_a_field_that_a_signal_does_not_have_is_a_dash():
    assert text("{stop_loss:.2f} {take_profit} [{venue}]", take_profit=2.5) == "- 2.5 []"


def test_braces_can_be_written():
    assert text("{{{symbol}}}") == "{BTCUSDT}"


def test_what_others_wrote_is_escaped_and_the_template_is_not():
    escaped = text("*{symbol}* {price:g} {rationale}", lambda said: f"<{said}>", rationale="*", price=2)
    assert escaped == "*<BTCUSDT>* 2 <*>"


@pytest.mark.parametrize(
    "template",
    [
        "{price.__class__}", "{metadata}", "{metadata[venue]}", "{0}", "{}", "{price", "price}", "{price:.{symbol}}",
        "{price:kg}", "{symbol:.2f}", "{nothing}",
    ],
)  # fmt: skip
def test_what_is_no_field_is_refused_before_anything_is_sent(template):
    with pytest.raises(SettingsError, match="--template"):
        Template(template)


def test_the_default_says_what_when_and_why():
    said = text(DEFAULT, rationale="because")
    assert said == "buy BTCUSDT at 61675.5 (orderbook_skew, confidence 95%), 2024-08-09T00:03:13.500 UTC\nbecause"


def test_a_long_text_is_cut():
    assert (shortened("abc", 3), shortened("abcd", 3)) == ("abc", "ab…")
