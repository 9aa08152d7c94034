"""Times as a person reads them."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime.fromtimestamp(0, UTC)


def utc(at_ms: int) -> str:
    """Return a time in UTC to the second: 2024-08-09 00:00:00. Raises OverflowError: it is none."""
    return f"{_EPOCH + timedelta(milliseconds=at_ms):%Y-%m-%d %H:%M:%S}"
