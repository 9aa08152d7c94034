"""A dead letter for people. What others wrote is shown without what a terminal would obey."""

from collections.abc import Iterator

import msgspec

from tasks.errors import UNREADABLE
from tasks.ledger.dead_letters import StoredLetter
from tasks.ops.dead_letter_facts import event
from tasks.protocol.utc_time import utc
from tasks.telemetry.terminal import one_line, printable


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


def _readable(raw: bytes) -> str:
    try:
        return msgspec.json.format(raw, indent=2).decode()
    except UNREADABLE:
        return raw.decode(errors="backslashreplace")
