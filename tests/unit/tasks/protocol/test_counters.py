"""How a counter is called, in code and in the ledger."""

import re
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tasks.protocol.counters
from tasks.protocol.counters import CounterKey, CounterName, Counts, read_count

ROOT = Path(__file__).parents[4]
NAMES = get_args(CounterName)


@given(st.sampled_from(NAMES), st.none() | st.text())
def test_a_key_comes_back_from_its_field(name: Any, label: str | None):
    assert CounterKey.parse(CounterKey(name, label).field) == CounterKey(name, label)


@given(st.text())
def test_every_field_comes_back_from_its_key(field: str):
    assert CounterKey.parse(field).field == field


@pytest.mark.parametrize(
    ("key", "field"),
    [
        (CounterKey("frames"), "frames"),
        (CounterKey("skipped", "trade:INSURANCE_FUND"), "skipped:trade:INSURANCE_FUND"),
        (CounterKey("held", "stale"), "held:stale"),
        (CounterKey("latency", "160"), "latency:160"),
        (CounterKey("errors", ""), "errors:"),
    ],
)
def test_the_stored_form_is_that_of_every_release(key: CounterKey, field: str):
    assert (key.field, CounterKey.parse(field)) == (field, key)


def test_counts_are_found_by_name_and_label():
    counts = Counts()
    counts.add("frames", by=3)
    counts.add("skipped", "kline")
    counts.add("skipped", "ack", by=2)
    assert (counts.of("frames"), counts.of("skipped", "ack"), counts.of("skipped"), counts.of("events")) == (3, 2, 0, 0)
    assert list(counts.by_label("skipped").items()) == [("ack", 2), ("kline", 1)]
    assert counts.by_label("frames") == {}


def test_what_is_stored_is_read_again_without_zeros():
    counts = Counts({CounterKey("gaps"): 0, CounterKey("frames"): 2, CounterKey("held", "stale"): 1})
    stored = counts.stored()
    assert stored == {"frames": 2, "held:stale": 1}
    assert Counts.read({field.encode(): b"%d" % count for field, count in stored.items()}) == +counts


@pytest.mark.parametrize("count", [b"many", b"", b"1.5", b"9" * 5_000])
def test_a_stored_count_that_is_no_number_is_left_out(count: bytes):
    assert Counts.read({b"frames": b"7", b"errors:\xff": count}) == {CounterKey("frames"): 7}


@pytest.mark.parametrize(
    ("stored", "read"),
    [
        (b"0", 0),
        (b"999999999999999999", 10**18 - 1),
        *((odd, None) for odd in (None, b"", b"many", b"-1", b"07", b"1.5", b"9" * 19, b"9" * 5_000, b"7\n")),
    ],
)
def test_a_count_that_cannot_be_added_to_is_none(stored: bytes | None, read: int | None):
    assert read_count(stored) == read


def test_no_other_module_builds_or_parses_the_field_of_a_counter():
    own, named = Path(tasks.protocol.counters.__file__), "|".join(NAMES)
    written = re.compile(rf"""["'`]({named}):(?! )""")
    taken_apart = re.compile(r"""partition\(b?":"|["'`]\$?\{(name|counter|kind|key)\}:""")
    for file in (file for top in ("tasks", "ingest", "compose") for file in (ROOT / top).rglob("*")):
        if file != own and file.suffix in {".py", ".js"}:
            source = file.read_text()
            assert not written.search(source), file
            assert "protocol.counters import" not in source or not taken_apart.search(source), file
