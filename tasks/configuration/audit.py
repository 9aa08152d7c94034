"""Which configuration each record ran under, from which event on: the input of `backtest --audit`. Pure."""

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping

import msgspec

from tasks.configuration.model import Configuration
from tasks.errors import LedgerError
from tasks.events import AnyEvent, Kind, Venue
from tasks.protocol.records import is_possible
from tasks.protocol.utc_time import utc


class AuditLine(msgspec.Struct, frozen=True):
    """One line of the audit stream: the first event of a record under a configuration."""

    config_version: str
    pool: str
    venue: Venue
    symbol: str
    kind: Kind
    id: int
    time_ms: int


read_line = msgspec.json.Decoder(AuditLine).decode
RecordKey = tuple[str, Venue, str, Kind]


class Audit:
    """A run's configurations, in the order in which each record met them."""

    def __init__(self, lines: Iterable[bytes], configurations: Mapping[str, Configuration]) -> None:
        """Take the audit stream's lines. Raises LedgerError when they name a configuration that is not there."""
        self.configurations = configurations
        self._turns: dict[RecordKey, deque[AuditLine]] = defaultdict(deque)
        self._now: dict[RecordKey, str] = {}
        for line in map(read_line, lines):
            if line.config_version not in configurations:
                raise LedgerError(f"the audit names configuration {line.config_version}, which is not in the ledger")
            self._turns[line.pool, line.venue, line.symbol, line.kind].append(line)

    def version(self, pool: str, event: AnyEvent) -> str:
        """Return the configuration under which `event` ran; call it with every event, in order.

        Raises LedgerError for an event that the run did not see, and when the recording lacks the run's beginning, or
        an event with which a configuration began.
        """
        key = (pool, event.venue, event.symbol, event.kind)
        turns = self._turns[key]
        if turns and turns[0].id == event.id and turns[0].time_ms == event.time_ms:
            self._now[key] = turns.popleft().config_version
        elif key not in self._now:
            raise LedgerError(_missing(pool, event, turns[0] if turns else None))
        elif (
            turns
            and event.id > turns[0].id
            and event.time_ms > turns[0].time_ms
            and is_possible(event, turns[0].id, turns[0].time_ms)
        ):
            # An id that is impossibly far says nothing: the run may have refused it.
            raise LedgerError(_left_out(event, turns[0]))
        return self._now[key]


def _missing(pool: str, event: AnyEvent, first: AuditLine | None) -> str:
    """Return what is missing where a record begins with an event that is not the first one of the audited run."""
    what = f"{event.venue} {event.symbol} {event.kind}"
    if first is None:
        return f"the audited run had no {what} in pool {pool}"
    ours, theirs = (f"{each.id} of {utc(each.time_ms)}" for each in (event, first))
    if (event.time_ms, event.id) > (first.time_ms, first.id):
        between = "what is between is missing"
        return f"the recording begins in mid-run: {what} with {ours}, the audited run with {theirs}; {between}"
    return f"the audited run did not see {what} {ours}: it began with {theirs}"


def _left_out(event: AnyEvent, turn: AuditLine) -> str:
    """Return which event a recording goes past that was the first one under a configuration."""
    return (
        f"the recording lacks {event.venue} {event.symbol} {event.kind} {turn.id} of {utc(turn.time_ms)}, with which "
        f"configuration {turn.config_version} began in pool {turn.pool}; it has {event.id} of {utc(event.time_ms)}"
    )
