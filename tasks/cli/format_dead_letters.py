"""A dead letter for people and for programs. What others wrote is shown without what a terminal would obey."""

import base64
from collections.abc import Iterator
from typing import Any

import msgspec

from tasks.errors import UNREADABLE
from tasks.events import AnyEvent
from tasks.ledger.dead_letters import StoredLetter
from tasks.protocol.utc_time import utc, utc_iso
from tasks.telemetry.terminal import one_line, printable


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


def line(letter: StoredLetter) -> str:
    """Return one line: when, id, reason, what it is about, the last words of why."""
    about = letter.letter
    named = (about.pool, about.author, about.symbol) if about.event or not about.subject else (about.subject,)
    last = one_line((about.detail.strip().splitlines() or [""])[-1])
    what = one_line(" ".join(filter(None, named)))
    return f"{utc(letter.at_ms)}  {letter.id:<17}  {one_line(about.refusal or about.reason):<15}  {what:<30}  {last}"


def whole(letter: StoredLetter) -> Iterator[str]:
    """Yield the lines that say everything."""
    about = letter.letter
    named = {"id": letter.id, "when": f"{utc(letter.at_ms)} UTC", "reason": about.reason, "refusal": about.refusal}
    named |= {"subject": about.subject, "pool": about.pool, "strategy": about.author, "symbol": about.symbol}
    rows = {name: one_line(value) for name, value in named.items() if value}
    if about.event:
        rows |= {name: one_line(str(value)) for name, value in event(about.event).items() if name != "symbol"}
    width = max(map(len, rows))
    yield from (f"{name:<{width}}  {value}" for name, value in rows.items())
    if about.raw:
        cut = ", the first of more" if about.is_cut else ""
        yield f"\nraw, {len(about.raw):,} bytes{cut}:\n{printable(_readable(about.raw))}"
    if about.detail:
        yield f"\nwhy:\n{printable(about.detail.strip())}"


def _text(raw: bytes) -> str | None:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def _readable(raw: bytes) -> str:
    try:
        return msgspec.json.format(raw, indent=2).decode()
    except UNREADABLE:
        return raw.decode(errors="backslashreplace")
