"""What a seed decides: the frames and when they come, how many processes there are, and what goes wrong when."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random

from tests.simulation import workload
from tests.simulation.servers.network import CALM, Weather

#: The feed and the faults take so long; then everything has to end.
FEED_S = 6.0
CALM_FROM_S = 9.0
LAST_FAULT_S = CALM_FROM_S * 0.8


@dataclass
class Fault:
    """Something that goes wrong at a moment."""

    at_s: float
    kind: str


#: What may go wrong, and how often compared with others.
KINDS = {
    "kill worker": 6,
    "kill ingest": 5,
    "kill worker in a run": 4,
    "freeze worker": 1,
    "freeze worker in a run": 5,
    "freeze ingest": 3,
    "cut redis": 3,
    "redis away": 2,
    "redis goes back": 3,
    "redis restarts": 2,
    "queue lost": 2,
    "tasks again": 3,
    "old tasks again": 3,
    "cut nats": 3,
    "nats away": 1,
    "lease lost": 2,
    "clock": 2,
    "one more worker": 1,
    "layout": 2,
    "layout in a run": 3,
    "deadly event": 2,
}
#: What people do meanwhile, and what gets lost that only matters then.
ACTIONS = {
    "set": 4,
    "kill": 2,
    "revive": 2,
    "pause": 1,
    "configurations lost": 3,
    "reset": 2,
    "reset in a run": 3,
    "stream loses its tail": 3,
}
#: How many seeds have clocks that step, and how many an event that ends every process that runs it.
STEPPED = 0.25
FATAL = 0.15
#: How many seeds have frames by partition, and by how many; before this one none has: they are known for what they found.
PARTITIONED = 0.25
PARTITIONED_FROM = 300_000_000_000
FRAME_PARTITIONS = 8
#: How many seeds have workers with a queue of their own each, which ingest knows of late; before this one none has.
OWN_QUEUES = 0.5
OWN_QUEUES_FROM = 400_000_000_000
#: Those after which ingest and workers need the real configuration.
RECONFIGURES = {"set", "kill", "revive", "pause", "configurations lost"}
#: What plain NATS loses frames by.
LOSES_FRAMES = {
    "kill ingest", "freeze ingest", "layout", "layout in a run", "cut nats", "nats away", "redis goes back", "redis away", "lease lost"
}  # fmt: skip


@dataclass
class Plan:
    """All that is decided before it begins."""

    is_stream: bool
    shards: int
    ingests: int
    workers: int
    partitions: int
    keeps_signals: bool
    #: Whether ingest knows how many workers there are; then lanes share tasks.
    counts_workers: bool
    weather: Weather
    frames: Sequence[tuple[str, bytes]]
    times_s: Sequence[float]
    faults: Sequence[Fault]
    calm_from_s: float = CALM_FROM_S
    #: By how many partitions frames are published, of which shards read their own; 0: by none.
    frame_partitions: int = 0
    #: Whether each worker has a queue of its own, too, and ingest learns late which workers there are. Else it always
    #: knows, if it counts them at all, and they have none.
    has_own_queues: bool = False

    @cached_property
    def is_complete(self) -> bool:
        """Whether every frame counts: a stream can be read again, and plain NATS reaches who is there all the time."""
        # Answers that are too slow make a leader lose its lease.
        loses = self.weather.slow_s >= 1 or any(fault.kind in LOSES_FRAMES for fault in self.faults)
        return self.is_stream or not loses

    @cached_property
    def is_reconfigured(self) -> bool:
        """Whether the configuration changes."""
        return any(fault.kind in RECONFIGURES for fault in self.faults)

    @cached_property
    def is_followed(self) -> bool:
        """Whether somebody has to follow the commits to know which signals are right: people act, or an event is fatal."""
        return self.is_fatal or any(fault.kind in ACTIONS for fault in self.faults)

    @cached_property
    def is_fatal(self) -> bool:
        """Whether an event ends every process that runs it."""
        return any(fault.kind == "fatal event" for fault in self.faults)

    @cached_property
    def knows_records(self) -> bool:
        """Whether records must hold the first events of the recording."""
        return self.is_complete and not any(fault.kind == "stream loses its tail" for fault in self.faults)

    @cached_property
    def knows_signals(self) -> bool:
        """Whether the recording alone says which signals are right."""
        return self.is_complete and not self.is_followed

    def __str__(self) -> str:
        """Return it in a line."""
        source = "stream" if self.is_stream else "core"
        return (
            f"{source}, {self.shards} shards with {self.ingests} ingests each, {self.workers} workers{self._with_queues}, "
            f"{self.partitions} partitions, {len(self.frames)} frames{self._by_partition}, signals "
            f"{'kept' if self.keeps_signals else 'plain'}, {len(self.faults)} faults, {self.weather}"
        )

    @property
    def _by_partition(self) -> str:
        return f" by {self.frame_partitions} partitions" if self.frame_partitions else ""

    @property
    def _with_queues(self) -> str:
        return " with queues of their own" if self.has_own_queues else ""

    @classmethod
    def of(cls, seed: int, random: Random, *, operated: bool) -> "Plan":
        """Return what a seed decides; `random` is the scheduler's.

        Not `operated`: people do nothing, and no event ends every process.
        """
        times_s = sorted(random.random() * FEED_S for _ in range(random.randrange(10, 60)))
        kinds, weights = list(KINDS), list(KINDS.values())
        chosen = random.choices(kinds, weights, k=random.randrange(9))
        # Of generators of their own: so older seeds stand for what they stood for.
        actions = _steps(Random(f"clocks of {seed}"))
        if operated:
            actions = [
                *_actions(Random(f"operators of {seed}")), *actions, *_fatal(Random(f"fatal events of {seed}"))
            ]  # fmt: skip
        is_bad = random.random() < 0.5
        return cls(
            is_stream=random.random() < 0.8,
            shards=random.choice([1, 1, 1, 2]),
            ingests=random.choice([1, 1, 2]),
            workers=random.randrange(1, 5),
            partitions=random.randrange(1, 4),
            keeps_signals=random.random() < 0.5,
            counts_workers=random.random() < 0.5,
            weather=_weather(random) if is_bad else CALM,
            frames=_frames(random, times_s),
            times_s=times_s,
            faults=sorted(
                [*(Fault(random.random() * LAST_FAULT_S, kind) for kind in chosen), *actions], key=lambda f: f.at_s
            ),
            frame_partitions=_frame_partitions(seed),
            has_own_queues=seed >= OWN_QUEUES_FROM and Random(f"queues of {seed}").random() < OWN_QUEUES,
        )


def _frame_partitions(seed: int) -> int:
    is_partitioned = seed >= PARTITIONED_FROM and Random(f"partitions of {seed}").random() < PARTITIONED
    return FRAME_PARTITIONS if is_partitioned else 0


def _actions(random: Random) -> list[Fault]:
    if random.random() < 0.5:
        return []
    chosen = random.choices(list(ACTIONS), list(ACTIONS.values()), k=random.randrange(1, 5))
    return [Fault(random.random() * LAST_FAULT_S, kind) for kind in chosen]


def _steps(random: Random) -> list[Fault]:
    if random.random() >= STEPPED:
        return []
    return [Fault(random.random() * LAST_FAULT_S, "clock steps") for _ in range(random.randrange(1, 4))]


def _fatal(random: Random) -> list[Fault]:
    return [Fault(random.random() * FEED_S, "fatal event")] if random.random() < FATAL else []


def _weather(random: Random) -> Weather:
    return Weather(
        lost_requests=random.choice([0, 0.02, 0.1]),
        lost_answers=random.choice([0.02, 0.05, 0.15]),
        slow=random.choice([0, 0.05, 0.3]),
        slow_s=random.choice([0.1, 1.0, 3.0]),
    )


def _frames(random: Random, times_s: Sequence[float]) -> list[tuple[str, bytes]]:
    symbols = workload.SYMBOLS[: random.randrange(1, len(workload.SYMBOLS) + 1)]
    ids = dict.fromkeys(symbols, 0)
    frames: list[tuple[str, bytes]] = []
    for at_s in times_s:
        symbol = random.choice(symbols)
        if frames and random.random() < 0.05:
            frames.append(random.choice(frames))
            continue
        ids[symbol] += random.choice([1, 1, 1, 2])
        frames.append(workload.frame(symbol, ids[symbol], at_s))
    return frames
