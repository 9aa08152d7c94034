import pytest

from tasks.protocol.utc_time import utc, utc_iso, utc_iso_ms


@pytest.mark.parametrize(
    ("at_ms", "shown", "iso"),
    [
        (0, "1970-01-01 00:00:00", "1970-01-01T00:00:00Z"),
        (1_723_161_600_999, "2024-08-09 00:00:00", "2024-08-09T00:00:00Z"),
        (-1, "1969-12-31 23:59:59", "1969-12-31T23:59:59Z"),
        (2**64 - 1, "18446744073709551615", "18446744073709551615"),
    ],
)
def test_a_time_is_shown_to_the_second_and_what_is_none_as_it_is(at_ms: int, shown: str, iso: str):
    assert (utc(at_ms), utc_iso(at_ms)) == (shown, iso)


@pytest.mark.parametrize(
    ("at_ms", "shown"), [(0, "1970-01-01T00:00:00.000"), (253_402_300_799_999, "9999-12-31T23:59:59.999")]
)
def test_a_time_is_shown_to_the_millisecond(at_ms: int, shown: str):
    assert utc_iso_ms(at_ms) == shown
