"""Which moment a number or a text means, whatever unit a publisher chose. Pure.

A number's size tells its unit: from September 2001 to 2262 a unix time in seconds has 10 digits, in milliseconds 13, in
microseconds 16, in nanoseconds 19. What lies outside of these years in every unit is no plausible time of a market.
"""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

#: 2001-09-09 and 2262-04-11, unix nanoseconds; the last one that 63 bits hold.
FIRST_NS, LAST_NS = 10**18, 2**63 - 1
#: The same in milliseconds.
FIRST_MS, LAST_MS = FIRST_NS // 10**6, LAST_NS // 10**6
#: Nanoseconds in a unit, for the units that a unix time comes in.
_UNITS_NS = (1, 10**3, 10**6, 10**9)
_NUMBER = re.compile(r"[0-9]{10,19}(\.[0-9]{1,9})?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def unix_ns(value: Any) -> int | None:
    """Return the unix nanoseconds that a number or a text means; None: it is no time, or none between 2001 and 2262.

    An integer or a float is a unix time in s, ms, µs or ns; a text is one of these, or ISO 8601 (UTC without a zone).
    """
    if type(value) is int and FIRST_NS <= value <= LAST_NS:
        return value
    if isinstance(value, str):
        # Digits alone first: 2012121212345 is a time in milliseconds, and to ISO 8601 a quarter to twelve at night.
        is_number = value[4:5] != "-" and _NUMBER.fullmatch(value)
        return _of_number(Decimal(value)) if is_number else _of_iso(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # A float's shortest decimal is what was written.
    return _of_number(value if isinstance(value, int) else Decimal(repr(value)))


def _of_number(number: int | Decimal) -> int | None:
    if isinstance(number, Decimal) and not number.is_finite():
        return None
    for unit_ns in _UNITS_NS:
        if FIRST_NS <= number * unit_ns <= LAST_NS:
            return int(number * unit_ns)
    return None


def _of_iso(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text)
        since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH
    except (ValueError, OverflowError):
        return None
    # Whole numbers, not a float of seconds: what is recorded of it is the same to the microsecond.
    ns = ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1000
    return ns if FIRST_NS <= ns <= LAST_NS else None
