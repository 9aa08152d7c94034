import pytest

from tasks.bars.spec import BarSpec, parse_all


@pytest.mark.parametrize(
    ("text", "measure", "size"),
    [
        *((f"{n}s", "time", n * 1_000) for n in (1, 5, 15, 30)),
        *((f"{n}m", "time", n * 60_000) for n in (1, 3, 5, 15, 30)),
        *((f"{n}h", "time", n * 3_600_000) for n in (1, 2, 4, 6, 8, 12, 24)),
        ("1d", "time", 86_400_000),
        ("1000tick", "tick", 1_000),
        ("50volume", "volume", 50),
        ("0.25volume", "volume", 0.25),
        ("1000000dollar", "dollar", 1_000_000),
    ],
)
def test_a_text_asks_for_a_bar(text: str, measure: str, size: float):
    assert BarSpec.parse(text) == BarSpec(text, measure, size)  # type: ignore[arg-type]  # a parameter


@pytest.mark.parametrize(
    "text", ["", "m", "1", "1w", "1M", "-1m", "1 m", "1e3tick", "1minute", "\u06f1m", "1m\n", None, 1]
)
def test_a_text_that_asks_for_none_is_told_what_bars_there_are(text: str):
    with pytest.raises(ValueError, match="is no bar; bars are a number and s, m, h, d, tick, volume or dollar: 1m"):
        BarSpec.parse(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("7s", "'7s' is no bar: 7s does not divide a day"),
        ("2d", "'2d' is no bar: 2d does not divide a day"),
        ("0m", "'0m' is no bar: it must be above zero"),
        ("0.0volume", "'0.0volume' is no bar: it must be above zero"),
        ("1.5m", "'1.5m' is no bar: m takes a whole number"),
        ("1.5tick", "'1.5tick' is no bar: tick takes a whole number"),
    ],
)
def test_a_bar_that_can_not_be_is_refused_with_the_reason(text: str, said: str):
    with pytest.raises(ValueError, match=said) as raised:
        BarSpec.parse(text)
    assert str(raised.value) == said


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ("1m", r"bars is '1m'; it must be a tuple of texts, such as \('1m',\)"),
        (5, "bars is 5; it must be a tuple"),
        (("1m", "1m"), "'1m' and '1m' are the same bar"),
        (("60s", "1m"), "'60s' and '1m' are the same bar: ask for it once"),
        (("1m", 5), "5 is no bar"),
    ],
)
def test_what_a_strategy_asks_for_is_a_tuple_of_different_bars(texts: object, said: str):
    with pytest.raises(ValueError, match=said):
        parse_all(texts)


def test_a_strategy_may_ask_for_several_in_its_own_order():
    assert [each.text for each in parse_all(["1h", "1m", "60tick", "60volume"])] == ["1h", "1m", "60tick", "60volume"]
