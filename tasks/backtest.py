"""The backtest: the same routing, records, engine and codec over recordings, in this process, without servers."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from tasks import engine, outbox, recordings, records, registry
from tasks.audit import Audit
from tasks.batches import MAX_BATCH_EVENTS, pack_event, unpack_event
from tasks.configuration import Configuration
from tasks.events import AnyEvent
from tasks.frames import Arrival, Refused, Skipped, parse
from tasks.routing import LaneId, Router

SOURCE = "backtest"


class Result(msgspec.Struct):
    """What a backtest came to. Same words as `Summary`."""

    frames: int
    events: int
    skipped: dict[str, int]
    refused: dict[str, int]
    repeats: int
    errors: dict[str, int]
    signals: dict[str, int]
    seconds: float
    digest: str


class Backtest:
    """A ledger in memory and the lanes before it."""

    def __init__(
        self, configuration: Configuration, batch_events: int = MAX_BATCH_EVENTS, audit: Audit | None = None
    ) -> None:
        """Run under `configuration`, in batches of `batch_events`; the size never changes what comes out.

        With `audit`, each event runs under the configuration of the audited run. Raises SettingsError.
        """
        self._router = Router(configuration.routes())
        self._audit = audit
        self._version = configuration.version
        chosen = {self._version: configuration} | dict(audit.configurations if audit else {})
        self._strategies = {version: registry.build(each) for version, each in chosen.items()}
        self._batch_events = batch_events
        self._lanes: dict[LaneId, list[msgspec.Raw]] = defaultdict(list)
        self._versions: dict[LaneId, str] = {}
        self._held: dict[str, dict[str, bytes]] = {pool.name: {} for pool in self._router.pools}
        self._counts: Counter[str] = Counter()
        #: The contract's JSON, in no particular order between lanes.
        self.signals: list[bytes] = []
        self.letters: list[bytes] = []

    def run(self, lines: Iterable[recordings.Line], progress: Callable[[], None] = lambda: None) -> Result:
        """Take every line; `progress` is called once for each. Raises RecordingError."""
        started_s = time.perf_counter()
        for seq, line in enumerate(lines, start=1):
            self._take(parse(line.raw, Arrival(line.stream, seq, line.received_at_ns)))
            progress()
        for lane in list(self._lanes):
            self._flush(lane)
        return Result(
            frames=self._counts["frames"],
            events=self._counts["events"],
            skipped=self._labelled("skipped"),
            refused=self._labelled("refused"),
            repeats=self._counts["repeats"],
            errors=self._labelled("errors"),
            signals=self._labelled("signals"),
            seconds=round(time.perf_counter() - started_s, 3),
            digest=self.digest(),
        )

    def _take(self, outcome: AnyEvent | Skipped | Refused) -> None:
        self._counts["frames"] += 1
        if isinstance(outcome, Skipped):
            self._counts[f"skipped:{outcome.kind}"] += 1
        elif isinstance(outcome, Refused):
            self._counts[f"refused:{outcome.reason}"] += 1
        else:
            self._counts["events"] += 1
            for lane in self._router.lanes_of(outcome.venue, outcome.symbol, outcome.kind):
                self._put(lane, outcome)

    def _put(self, lane: LaneId, event: AnyEvent) -> None:
        version = self._audit.version(lane.pool, event) if self._audit else self._version
        if self._versions.get(lane) != version:
            self._flush(lane)
            self._versions[lane] = version
        self._lanes[lane].append(pack_event(event))
        if len(self._lanes[lane]) >= self._batch_events:
            self._flush(lane)

    def _flush(self, lane: LaneId) -> None:
        events = [unpack_event(packed) for packed in self._lanes[lane]]
        if not events:
            return
        self._lanes[lane].clear()
        version = self._versions[lane]
        strategies, held = self._strategies[version][lane.pool], self._held[lane.pool]
        wanted = {name: held.get(name) for name in engine.fields(events, strategies)}
        outcome = engine.Run(lane.pool, SOURCE, strategies, version, wanted).finish(events)
        held.update(outcome.fields)
        self.signals += outcome.signals
        self.letters += outcome.letters
        self._counts.update(outcome.counts)

    def digest(self) -> str:
        """Give the digest; equal to the live pipeline's over the same frames."""
        stands = (
            (pool, name, records.unpack(packed))
            for pool, held in self._held.items()
            for name, packed in held.items()
            if name.startswith("record:")
        )
        return outbox.digest(self.signals, stands)

    def _labelled(self, name: str) -> dict[str, int]:
        prefix = f"{name}:"
        return {key.removeprefix(prefix): n for key, n in sorted(self._counts.items()) if key.startswith(prefix) and n}


def run(paths: list[Path], configuration: Configuration) -> Result:
    """Run over recordings, merged by when they were received."""
    return Backtest(configuration).run(recordings.merge(paths))
