import json

from ingest.page.market import MAX_SYMBOLS
from ingest.page.marks import MARKS_KEPT, NAME_CHARACTERS, Mark, Marks


def mark(name: str, action: str = "buy") -> Mark:
    return Mark(name, "iceberg", action, 2.5, 1_000)


def names(marks: Marks, symbol: str) -> list[str]:
    return [name for name, *_ in json.loads(bytes(marks.packed("spot", symbol)))]


def test_a_mark_is_told_as_a_list():
    marks = Marks()
    marks.add("spot", "BTCUSDT", mark("a", "sell"))
    assert json.loads(bytes(marks.packed("spot", "BTCUSDT"))) == [["a", "iceberg", "sell", 2.5, 1_000]]
    assert json.loads(bytes(marks.packed("usdm", "BTCUSDT"))) == []


def test_each_symbol_keeps_its_last_ones_whatever_others_have():
    marks = Marks()
    marks.add("spot", "ADAUSDT", mark("a"))
    for number in range(MARKS_KEPT + 3):
        marks.add("spot", "BTCUSDT", mark(str(number)))
    assert names(marks, "BTCUSDT") == [str(number) for number in range(3, MARKS_KEPT + 3)]
    assert names(marks, "ADAUSDT") == ["a"]


def test_the_symbol_that_had_none_for_longest_goes():
    marks = Marks()
    for number in range(MAX_SYMBOLS):
        marks.add("spot", f"S{number}", mark("a"))
    marks.add("spot", "S0", mark("b"))
    marks.add("spot", "new", mark("c"))
    assert [names(marks, symbol) for symbol in ("S0", "S1", "S2", "new")] == [["a", "b"], [], ["a"], ["c"]]


def test_a_signal_with_long_names_has_no_mark():
    marks = Marks()
    for more in range(2):
        marks.add("spot", "A", mark("x" * (NAME_CHARACTERS - len("spotAicebergbuy") + more)))
    assert len(names(marks, "A")) == 1
