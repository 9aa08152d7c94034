"""The same work for every contender: the shipped strategies, called as one would call them without this project.

`Loop` keeps all states in memory. `Desk` works on one event whose states somebody else reads and writes. Neither runs on
`tasks.engine.MemoryLedger`: it packs states after each batch, which are single events here. That made `Loop` 2.6 times as
slow and `Desk` 1.1 times, and would make our speed-ups larger than they are.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from tasks import configuration, engine
from tasks.configuration import registry
from tasks.configuration.bound_strategy import BoundStrategy
from tasks.engine.strategy_run import StrategyRun
from tasks.events import AnyEvent
from tasks.fatal_errors import is_fatal
from tasks.frames import parse
from tasks.frames.model import FrameMetadata, RefusedFrame, SkippedFrame
from tasks.protocol import records
from tasks.protocol.digest import digest
from tasks.protocol.records import Record
from tasks.protocol.routing import Router
from tasks.settings import load
from tests.bench import account

SOURCE = "bench"


class Desk:
    """Configuration, routing and strategies of this process."""

    def __init__(self) -> None:
        # The account is ours alone: contenders are not to carry it.
        chosen = account.without(configuration.read(load().strategies_file))
        self.version = chosen.version
        self._router = Router(chosen.routes())
        self.strategies = registry.build(chosen)
        self._seq = 0

    def parse(self, raw: bytes, subject: str, now_ns: int) -> AnyEvent | None:
        """Validate the next frame; None when it is no event."""
        self._seq += 1
        outcome = parse(raw, FrameMetadata(subject, self._seq, now_ns))
        return None if isinstance(outcome, SkippedFrame | RefusedFrame) else outcome

    def pools(self, event: AnyEvent) -> tuple[str, ...]:
        """Return the pools that want the event."""
        return tuple(lane.pool for lane in self._router.lanes_of(event.venue, event.symbol, event.kind))

    def fields(self, event: AnyEvent) -> list[str]:
        """Return the names of what the event changes: records and states, each behind its pool."""
        return [
            f"{pool}/{name}" for pool in self.pools(event) for name in engine.fields((event,), self.strategies[pool])
        ]

    def run(self, event: AnyEvent, held: Mapping[str, bytes | None]) -> "Work":
        """Run the strategies of its pools on the event; `held` has what is stored under `fields`."""
        changed: dict[str, bytes] = {}
        signals: list[bytes] = []
        for pool in self.pools(event):
            own = {name.partition("/")[2]: value for name, value in held.items() if name.startswith(f"{pool}/")}
            outcome = engine.BatchRun(pool, SOURCE, self.strategies[pool], self.version, own).finish((event,))
            changed |= {f"{pool}/{name}": value for name, value in outcome.fields.items()}
            signals += outcome.signals
        return Work(changed, signals, len(self.pools(event)))


class Work(msgspec.Struct, frozen=True):
    """What one event came to."""

    changed: dict[str, bytes]
    signals: list[bytes]
    #: In how many pools it was worked on.
    pools: int


class Loop:
    """Everything in one process, nothing durable: what comes is worked on at once, and stays as live objects."""

    def __init__(self) -> None:
        self._desk = Desk()
        self._records: dict[tuple[str, str], Record] = {}
        self._runs: dict[tuple[str, str, str, str], StrategyRun] = {}
        self._signals: list[bytes] = []

    def take(self, raw: bytes, subject: str, now_ns: int) -> int:
        """Work on a frame; return in how many pools."""
        event = self._desk.parse(raw, subject, now_ns)
        pools = () if event is None else self._desk.pools(event)
        for pool in pools:
            self._give(pool, event)
        return len(pools)

    def _give(self, pool: str, event: Any) -> None:
        name = (pool, records.field(event))
        record = self._records.get(name)
        if record is None:
            record = self._records[name] = Record()
        given = record.admit(event, SOURCE, record.classify(event, SOURCE))
        record.chain(given)
        for each in given:
            for bound in self._desk.strategies[pool]:
                run = self._run(pool, each, bound)
                self._signals += run.apply(each).signals
                run._since.clear()  # it rebuilds nothing, so it needs to remember nothing

    def _run(self, pool: str, event: AnyEvent, bound: BoundStrategy) -> StrategyRun:
        symbol = event.symbol if bound.strategy.key == "symbol" else "all"
        key = (pool, event.venue, symbol, bound.name)
        run = self._runs.get(key)
        if run is None:
            run = self._runs[key] = StrategyRun(
                bound.for_symbol(event.symbol), bound.gate, None, self._desk.version, is_fatal
            )
        return run

    def verdict(self) -> "ContenderTotals":
        """Return what was done."""
        known = [(pool, field, record) for (pool, field), record in self._records.items()]
        return verdict(self._signals, known)


class ContenderTotals(msgspec.Struct, frozen=True):
    """What a contender has done, to be compared with what was to be done."""

    #: Events given to strategies, once for each pool.
    applied: int
    signals: int
    digest: str


def verdict(signals: list[bytes], records: Iterable[tuple[str, str, Record]]) -> ContenderTotals:
    """Sum up signals and records (pool, field, record)."""
    known = list(records)
    return ContenderTotals(sum(record.count for _, _, record in known), len(signals), digest(signals, known))
