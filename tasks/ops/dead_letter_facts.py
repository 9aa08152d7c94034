"""A dead letter for programs: everything, as JSON takes it."""

import base64
from typing import Any

from tasks.events import AnyEvent
from tasks.ledger.dead_letters import StoredLetter
from tasks.protocol.utc_time import utc_iso


def facts(letter: StoredLetter) -> dict[str, Any]:
    """Return everything, for JSON. `raw` is text if it is UTF-8, else base64, according to `raw_encoding`."""
    about = letter.letter
    head = {"id": letter.id, "at": utc_iso(letter.at_ms), "reason": about.reason, "detail": about.detail}
    more: dict[str, Any] = {"refusal": about.refusal, "subject": about.subject, "pool": about.pool}
    more |= {"strategy": about.author, "symbol": about.symbol}
    found = head | {name: value for name, value in more.items() if value}
    if about.raw:
        text = _text(about.raw)
        found["raw"] = base64.b64encode(about.raw).decode() if text is None else text
        found |= {"raw_encoding": "base64" if text is None else "utf-8", "raw_is_cut": about.is_cut}
    return found | ({"event": event(about.event)} if about.event else {})


def event(of: AnyEvent) -> dict[str, Any]:
    """Return an event with the names of its fields."""
    return {"kind": of.kind} | {name: getattr(of, name) for name in type(of).__struct_fields__}


def _text(raw: bytes) -> str | None:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None
