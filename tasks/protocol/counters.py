"""The counters of a pipeline, in code and in the ledger. Pure.

A counter has a name and may have a label: how many frames were skipped, of which kind. The ledger holds each in a field
of one hash: `frames`, `skipped:kline`. Only this module knows how such a field is written.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Literal, NamedTuple, cast

CounterName = Literal[
    # Ingest, of frames: frames = events + skipped + refused.
    "frames",
    "events",
    "skipped",  # by kind
    "refused",  # by reason
    "slow_consumer",
    # Ingest, of events in lanes.
    "dropped",  # by reason
    "batches_sent",
    "resends",
    "committed",
    "latency",  # by bucket: see `tasks.telemetry.latency`
    "redis_went_back",
    # Ingest, of signals and dead letters.
    "relayed",
    "unpublishable",
    "letters_lost",
    # Ingest and workers: signals that were held back.
    "held",  # by reason
    # Workers.
    "batches",
    "fenced",
    "applied",
    "repeats",
    "gaps",
    "implausible",  # events whose ids no later ones confirmed
    "condemned",
    "signals",  # by strategy
    "shadowed",  # signals of versions that do not emit, by version
    "errors",  # by strategy
    "positions",  # closed by the paper account, by strategy
    "entries_refused",  # by queue; of those that are kept as dead letters
    "unfilled",  # signals that became no order of the paper account, or only in part; by reason
    "strategy_held",  # signals that the gate held back, by strategy and reason
    "strategy_events",  # events that were given to a strategy and timed, by strategy
    "strategy_ns",  # nanoseconds that it took for these, by strategy
]


#: The label of `entries_refused` for what came by no queue of the worker, such as the remote control.
OTHER_QUEUES = "other"
#: What Redis adds to, and does not overflow by that.
_COUNT = re.compile(rb"0|[1-9]\d{0,17}")


def read_count(stored: bytes | None) -> int | None:
    """Return a count that is stored; None: it is not, or it is no number that can be added to, so none of ours."""
    return int(stored) if stored is not None and _COUNT.fullmatch(stored) else None


class CounterKey(NamedTuple):
    """Identifies one counter: its name and label."""

    name: CounterName
    #: None: this counter has no labels.
    label: str | None = None

    @property
    def field(self) -> str:
        """The counter's field in the ledger."""
        return self.name if self.label is None else f"{self.name}:{self.label}"

    @classmethod
    def parse(cls, field: str) -> "CounterKey":
        """Undo `field`. The name may be one that only another release counts."""
        name, colon, label = field.partition(":")
        return cls(cast("CounterName", name), label if colon else None)


def held_label(strategy: str, reason: str) -> str:
    """Return the label of `strategy_held`."""
    return f"{strategy}:{reason}"


def strategy_and_reason(label: str) -> tuple[str, str]:
    """Undo `held_label`. The name of a strategy may hold colons, a reason none."""
    strategy, _, reason = label.rpartition(":")
    return strategy, reason


#: Made once, because every frame is counted; the others when they are first needed.
FRAMES, EVENTS = CounterKey("frames"), CounterKey("events")
_key = lru_cache(maxsize=1_024)(CounterKey)


class Counts(Counter[CounterKey]):
    """The values of counters."""

    @classmethod
    def read(cls, fields: Mapping[bytes, bytes]) -> "Counts":
        """Return the counts stored in the ledger; what is no number of 64 bits was not written by us, and is left out."""
        return cls(
            {
                CounterKey.parse(field.decode(errors="replace")): int(count)
                for field, count in fields.items()
                if count.isdigit() and len(count) < 20
            }
        )

    @classmethod
    def sum_of(cls, counts: Iterable["Counts"]) -> "Counts":
        """Return the sums."""
        found = cls()
        for each in counts:
            found.update(each)
        return found

    def add(self, name: CounterName, label: str | None = None, *, by: int = 1) -> None:
        """Count, with a label where the counter has one."""
        self[_key(name, label)] += by

    def of(self, name: CounterName, label: str | None = None) -> int:
        """Return one count."""
        return self[_key(name, label)]

    def by_label(self, name: CounterName) -> dict[str, int]:
        """Return the counts of one name by their labels, sorted."""
        found = {key.label: count for key, count in self.items() if key.name == name and key.label is not None}
        return dict(sorted(found.items()))

    def stored(self) -> dict[str, int]:
        """Return the counts by their fields in the ledger, without those that are 0."""
        return {key.field: count for key, count in self.items() if count}
