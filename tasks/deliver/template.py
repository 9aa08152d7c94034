"""Texts for people, made of a signal's fields: `{strategy}: {action} {symbol} at {price:.2f}`. Pure."""

import string
from collections.abc import Callable
from typing import Any

from tasks.deliver.signal_fields import SignalFields
from tasks.errors import SettingsError
from tasks.protocol.utc_time import utc_iso_ms

DEFAULT = "{action} {symbol} at {price:.8g} ({strategy}, confidence {confidence:.0%}), {time} UTC\n{rationale}"
#: What stands for a field that this signal does not have.
MISSING = "-"
_FIELDS = (
    "id", "strategy", "symbol", "action", "confidence", "price", "strength", "quantity", "stop_loss", "take_profit",
    "rationale",
)  # fmt: skip
NAMES = (*_FIELDS, "venue", "time")

Escape = Callable[[str], str]


class _Missing:
    def __format__(self, spec: str) -> str:
        return MISSING


class Template:
    """Text with names of fields in braces; nothing else of Python's format strings is read."""

    def __init__(self, text: str) -> None:
        """Raises SettingsError: it can't be used."""
        self._text = text
        example = SignalFields("id", "strategy", "SYMBOL", "buy", 0.5, 1.0, 0, "weak", 1.0, 1.0, 1.0, "why")
        try:
            parts = [(name, spec or "") for _, name, spec, how in string.Formatter().parse(text) if name is not None]
            unknown = [name for name, _ in parts if name not in NAMES]
            if unknown or any("{" in spec for _, spec in parts):
                raise SettingsError(
                    f"--template: {{{unknown[0] if unknown else '...:{'}}} is no field: {', '.join(NAMES)}"
                )
            self.render(example)
        except (ValueError, KeyError, IndexError) as error:
            raise SettingsError(f"--template can't be used: {error}") from None

    def render(self, signal: SignalFields, escape: Escape = str) -> str:
        """Return the text about a signal; what others wrote of it goes through `escape`."""
        values: dict[str, Any] = {name: getattr(signal, name) for name in _FIELDS}
        values |= {"venue": signal.metadata.get("venue", ""), "time": utc_iso_ms(signal.event_time_ms)}
        shown = {
            name: escape(value) if isinstance(value, str) else _Missing() if value is None else value
            for name, value in values.items()
        }
        return self._text.format_map(shown)


def shortened(text: str, limit: int) -> str:
    """Return a text of at most `limit` characters as Telegram and Discord count them, in UTF-16, cut with an ellipsis."""
    units = text.encode("utf-16-le", errors="replace")
    return text if len(units) <= 2 * limit else f"{units[: 2 * (limit - 1)].decode('utf-16-le', errors='ignore')}…"
