"""The answer to `why`, for people: sections that are whole in a pipe too."""

from collections.abc import Iterable
from typing import Any

import msgspec
from rich.text import Text

from tasks.cli import command_line, format_signals
from tasks.cli.command_line import Console
from tasks.protocol.utc_time import utc, utc_iso_ms
from tasks.telemetry.terminal import one_line
from tasks.why.answer import GOOD, Answer, ConfigurationAnswer, DecisionAnswer, GateAnswer
from tasks.why.numbers import DecisionNumber

#: Of a longer value of the state, for example a list of prices, the beginning is shown; `--json` has all of it.
_MAX_CHARS = 100
_STATUS = {"sent": "sent", "held": "held back: {}", "written": "in the file", "unknown": "stored nowhere"}


def show(console: Console, answer: Answer) -> None:
    """Print everything that is known."""
    _show_signal(console, answer)
    for note in answer.notes:
        _line(console, f"  {note}", "yellow")
    _section(
        console,
        "differences",
        ((each.field, f"{_value(each.stored)} stored, {_value(each.derived)} now") for each in answer.differences),
    )
    if answer.decision:
        _show_decision(console, answer.decision)
    _section(console, "configuration", _configuration(answer.configuration))


def _show_signal(console: Console, answer: Answer) -> None:
    status = _STATUS[answer.status].format(answer.held)
    if answer.signal is not None:
        signal = format_signals.decode(answer.signal)
        _line(console, f"{format_signals.plain(signal).rstrip()}", "bold")
    _line(console, f"{answer.id}  {status}")
    colour = "green" if answer.verdict in GOOD else "red"
    source = f" ({answer.source})" if answer.source else ""
    _line(console, f"{answer.says}{source}", colour)


def _show_decision(console: Console, decision: DecisionAnswer) -> None:
    _section(console, "event", [(_when(decision.event), _event(decision.event))])
    _section(console, "raised", [("", error) for error in decision.errors])
    _section(console, "decision", ((each.name, _number(each)) for each in decision.numbers))
    _section(console, "gate", _gate(decision.gate))
    _section(console, "parameters", ((name, _value(value)) for name, value in decision.parameters.items()))
    warm = f", {decision.warmup:,} needed for a signal" if decision.warmup else ""
    head = f"state before the event, after {decision.seen:,} others{warm}"
    _section(console, head, ((name, _value(value)) for name, value in decision.state_before.items()))
    changed = ((_when(each.event), f"{_event(each.event)}  {_changes(each.changed)}") for each in decision.recent)
    _section(console, "the last events that changed it", changed)


def _section(console: Console, head: str, rows: Iterable[tuple[str, str]]) -> None:
    rows = list(rows)
    if not rows:
        return
    _line(console, f"\n{head}", "bold")
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        _line(console, f"  {name:<{width}}  {text}".rstrip())


def _line(console: Console, text: str, style: str = "") -> None:
    command_line.print_line(console, Text(one_line(text), style))


def _number(number: DecisionNumber) -> str:
    if number.threshold is None:
        return f"{number.value:.6g}"
    return f"{number.value:.6g} {number.sign} {number.threshold:.6g}{'' if number.met else ': no'}"


def _gate(gate: GateAnswer) -> Iterable[tuple[str, str]]:
    said = {"passed": "passed", "held": f"held back: {gate.reason}", "not_asked": "not asked: there was no signal"}
    yield "said", said[gate.said]
    yield from ((name, _value(value)) for name, value in gate.rules.items())
    since_s = gate.since_last_signal_s
    yield "last of this symbol and action", "none before" if since_s is None else f"{since_s:,.3f} s before"
    yield "signals of the symbol in the hour", str(gate.signals_this_hour)


def _configuration(configuration: ConfigurationAnswer) -> Iterable[tuple[str, str]]:
    where = "" if configuration.known_from == "ledger" else " of the strategies file"
    yield "version", f"{configuration.version}{where}"
    if configuration.at_ms is not None:
        yield "since", utc(configuration.at_ms)
        yield "by", configuration.author
        yield "why", configuration.reason
    yield from (("set at run time", value) for value in configuration.at_run_time)


def _when(event: dict[str, Any]) -> str:
    return utc_iso_ms(event["time_ms"])


def _event(event: dict[str, Any]) -> str:
    """Return what an event is, in short: a book by its best prices."""
    number = f" {event['id']}" if event["id"] >= 0 else ""
    head = f"{event['venue']} {event['symbol']} {event['kind']}{number}"
    if event["kind"] == "depth":
        (bid, bid_quantity), (ask, ask_quantity) = event["bids"][0], event["asks"][0]
        return f"{head}  {bid_quantity:g} at {bid:.10g} / {ask_quantity:g} at {ask:.10g}"
    left_out = {"kind", "venue", "symbol", "id", "time_ms"}
    return f"{head}  {', '.join(f'{name} {_value(value)}' for name, value in event.items() if name not in left_out)}"


def _changes(changed: dict[str, tuple[Any, Any]]) -> str:
    return ", ".join(
        f"{name} {_value(old)} → {_value(new)}" if _is_plain(old) and _is_plain(new) else name
        for name, (old, new) in changed.items()
    )


def _is_plain(value: Any) -> bool:
    return not isinstance(value, list | tuple | dict)


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, str):
        return value
    text = msgspec.json.encode(value).decode()
    if len(text) <= _MAX_CHARS:
        return text
    count = f" … {len(value):,} in all" if isinstance(value, list | tuple | dict) else " …"
    return f"{text[:_MAX_CHARS]}{count}"
