"""Which configuration each event of a lane ran under, also where the run's beginning is missing. Pure.

`tasks.configuration.audit` refuses such a run, because its digest would differ; here the answer says what is missing.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from contextlib import suppress

import msgspec

from tasks.configuration.audit import AuditLine
from tasks.errors import UNREADABLE
from tasks.events import AnyEvent, Kind
from tasks.protocol.utc_time import utc
from tasks.why.lane import StrategyLane

_decode = msgspec.json.Decoder(AuditLine).decode


class Timeline:
    """The versions of the configuration, by event."""

    def __init__(self, otherwise: str, lane: StrategyLane, lines: Iterable[bytes] = (), seeded: str = "") -> None:
        """Take the ledger's audit, oldest line first; events of which it says nothing ran under `otherwise`.

        `seeded` is the version under which states were computed that were put in before the run; empty: none were.
        """
        self._otherwise, self._seeded = otherwise, seeded
        self._turns: dict[tuple[str, Kind], deque[AuditLine]] = defaultdict(deque)
        self._now: dict[tuple[str, Kind], str] = {}
        #: What the source lacks of the run's beginning, a line for each record.
        self.missing: list[str] = []
        for line in _of_lane(lines, lane):
            self._turns[line.symbol, line.kind].append(line)

    def version(self, event: AnyEvent) -> str | None:
        """Return the configuration of an event; None: the run began after it, with an empty state.

        Call it with every event of the lane, in order.
        """
        key = (event.symbol, event.kind)
        turns = self._turns.get(key)
        if turns is None:
            return self._otherwise
        if key not in self._now:
            if _is_ahead(turns[0], event):
                return self._seeded or None
            self._now[key] = turns[0].config_version
            if not _is_first(turns[0], event):
                self.missing.append(_describe(turns[0], event))
        while turns and (_is_first(turns[0], event) or _is_behind(turns[0], event)):
            self._now[key] = turns.popleft().config_version
        return self._now[key]


def ran_under(lines: Iterable[bytes]) -> set[str]:
    """Return every version that the audit names."""
    return {line.config_version for line in _read(lines)}


def _read(lines: Iterable[bytes]) -> Iterator[AuditLine]:
    for packed in lines:
        with suppress(*UNREADABLE):
            yield _decode(packed)


def _of_lane(lines: Iterable[bytes], lane: StrategyLane) -> Iterator[AuditLine]:
    for line in _read(lines):
        if (line.pool, line.venue) == (lane.pool.name, lane.venue) and lane.symbol in {"", line.symbol}:
            yield line


def _is_first(line: AuditLine, event: AnyEvent) -> bool:
    return (line.id, line.time_ms) == (event.id, event.time_ms)


def _is_ahead(line: AuditLine, event: AnyEvent) -> bool:
    return line.id > event.id and line.time_ms >= event.time_ms


def _is_behind(line: AuditLine, event: AnyEvent) -> bool:
    return line.id < event.id and line.time_ms <= event.time_ms


def _describe(line: AuditLine, event: AnyEvent) -> str:
    what = f"{event.venue} {event.symbol} {event.kind}"
    return (
        f"the run began with {what} {line.id} of {utc(line.time_ms)}, the source with {event.id} of "
        f"{utc(event.time_ms)}: what the state held before that is not known"
    )
