"""Times as a person reads them."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime.fromtimestamp(0, UTC)


def utc(at_ms: int) -> str:
    """Return a time in UTC to the second: 2024-08-09 00:00:00; beyond the year 9999 as it is: 10000000000000000."""
    try:
        return f"{_EPOCH + timedelta(milliseconds=at_ms):%Y-%m-%d %H:%M:%S}"
    except OverflowError:
        return str(at_ms)


def utc_iso(at_ms: int) -> str:
    """Return the same in ISO 8601: 2024-08-09T00:00:00Z."""
    date, _, time = utc(at_ms).partition(" ")
    return f"{date}T{time}Z" if time else date


def utc_iso_ms(at_ms: int) -> str:
    """Return a time in UTC in ISO 8601 to the millisecond, without the zone: 2024-08-09T00:00:00.000.

    Raises OverflowError: it is beyond the year 9999.
    """
    return (_EPOCH + timedelta(milliseconds=at_ms)).replace(tzinfo=None).isoformat(timespec="milliseconds")
