"""What a publisher may write for a time, and what it means."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.frames.timestamps import FIRST_NS, LAST_NS, unix_ns

WITHOUT_ZONE = st.datetimes(datetime(2001, 9, 10), datetime(2262, 4, 1))  # noqa: DTZ001 the zone is added or left out


@given(st.integers(FIRST_NS, LAST_NS), st.sampled_from([1, 10**3, 10**6, 10**9]))
def test_a_whole_number_means_the_same_moment_in_every_unit(ns, unit_ns):
    number = -(-ns // unit_ns)
    if number * unit_ns <= LAST_NS:
        assert unix_ns(number) == unix_ns(str(number)) == number * unit_ns


@given(WITHOUT_ZONE, st.integers(-12, 14))
def test_iso_8601_is_read_to_the_microsecond_in_any_zone(moment, hours):
    ns = ((moment - datetime(1970, 1, 1)) // timedelta(microseconds=1)) * 1000  # noqa: DTZ001 both are UTC
    utc = moment.replace(tzinfo=UTC)
    assert unix_ns(moment.isoformat()) == unix_ns(utc.isoformat()) == ns
    there = utc + timedelta(hours=hours)
    assert unix_ns(f"{there.replace(tzinfo=None).isoformat()}{hours:+03d}:00") == ns


@pytest.mark.parametrize(
    ("value", "ns"),
    [
        (1764000000.123, 1_764_000_000_123_000_000),
        (1764000000123.5, 1_764_000_000_123_500_000),
        ("1764000000.123456789", 1_764_000_000_123_456_789),
        ("2012121212345", 2_012_121_212_345_000_000),  # milliseconds, though ISO 8601 could be seen in it
        ("20251124T160000Z", 1_764_000_000_000_000_000),
    ],
)
def test_a_fraction_and_a_text_are_taken_as_they_were_written(value, ns):
    assert unix_ns(value) == ns


@pytest.mark.parametrize(
    "value",
    [
        *(0, 1, -1, -1764000000, 10**9 - 1, 10**10, 10**11, 10**13, 10**14, 10**16, 10**17, 2**63, 10**400),
        *(1.5, float("nan"), float("inf"), -1764000000.5, True, None, [], {}, b"1764000000"),
        *("", "5", "-1764000000", "+1764000000", " 1764000000", "1_764_000_000", "٣٣٣٣٣٣٣٣٣٣", "1e9", "nan"),
        *("yesterday", "1970-01-01", "2262-04-12", "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00"),
        "Mon, 24 Nov 2025 16:00:00 GMT",
    ],
)
def test_what_is_no_moment_of_a_market_is_none(value):
    assert unix_ns(value) is None


@given(st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers(), max_size=2))
def test_no_value_whatever_raises(value):
    ns = unix_ns(value)
    assert ns is None or FIRST_NS <= ns <= LAST_NS
