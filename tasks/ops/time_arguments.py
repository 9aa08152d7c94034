"""Times as options take them: so long ago, or a moment. Pure."""

import re
from datetime import UTC, datetime

from tasks.errors import SettingsError

_UNITS_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def length_ms(text: str, option: str) -> int:
    """Return the milliseconds of `10m` (s, m, h, d). Raises SettingsError, which names the option."""
    if not (length := re.fullmatch(r"(\d{1,9})([smhd])", text)):
        raise SettingsError(f"{option} takes 90s, 10m, 2h or 30d, not {text!r}")
    return int(length[1]) * _UNITS_MS[length[2]]


def since_ms(text: str, now_ms: int, option: str = "--since") -> int:
    """Return the unix milliseconds of `10m` (s, m, h, d: so long before `now_ms`) or of an ISO 8601 time.

    A time without a zone is UTC. `option` is named in the error. Raises SettingsError.
    """
    if ago := re.fullmatch(r"(\d{1,9})([smhd])", text):
        return max(0, now_ms - int(ago[1]) * _UNITS_MS[ago[2]])
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise SettingsError(f"{option} takes 90s, 10m, 2h, 1d or a time like 2026-01-31T12:00, not {text!r}") from None
    return max(0, int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1_000))
