"""Strategies that end the process they run in: which strategy, on which event, and the consequences. Pure.

While a strategy works on an event, its process notes that in a file (`run_note`). The watcher of the process
(`run_watch`) writes a strike into the ledger when it ends there:

    it hung, crashed or exited     the strategy did it: the event is its error at once
    it was killed, nobody knows    by anybody, or by the kernel because the strategy took all memory: only after
    by whom                        `MAX_STRIKES` such ends on the same event is it the strategy's error

The next run of the batch passes over what is the strategy's error, with a dead letter; all other strategies are given
the event. A second event of a strategy within `WINDOW_S` stops the strategy, in every batch that was sent under the
same configuration, and ingest switches it off by an audited change.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from tasks.errors import UNREADABLE
from tasks.protocol.batches import Batch
from tasks.protocol.counters import read_count

MAX_STRIKES = 4
WINDOW_S = 600
#: The exit status of a process that has no memory left, which is nobody's fault.
NO_MEMORY_STATUS = 86
#: Begins the notice of a strike.
NOTICE = "strike"
#: The field of a strike: the event's source and sequence, the strategy.
_STRIKES = re.compile(rb"strike\|([^|]*)@(\d{1,19})\|(.*)", re.DOTALL)

Answer = Literal["late", "struck", "given_up", "stopped"]


class RunningBatch(msgspec.Struct, frozen=True, array_like=True):
    """The batch that a process is running, and its strategies, in their order."""

    pool: str
    partition: int
    shard: int
    epoch: str
    #: Where the lane stood; empty before its first commit.
    prev: str
    source: str
    configuration: str
    strategies: tuple[str, ...]

    @classmethod
    def of(cls, batch: Batch[Any], strategies: Sequence[str]) -> "RunningBatch":
        """Return the description of a batch that is about to be run."""
        return cls(
            batch.pool, batch.partition, batch.shard, str(batch.epoch), str(batch.prev or ""), batch.to.source,
            batch.configuration, tuple(strategies),
        )  # fmt: skip


class Strike(NamedTuple):
    """An end of a process that is attributed to a strategy and an event."""

    batch: RunningBatch
    strategy: str
    #: Of the event, in its source.
    seq: int
    #: How many strikes it is worth.
    weight: int
    #: For a person: `hung for 20 s`.
    why: str

    @property
    def event(self) -> str:
        """The event's place, for the ledger."""
        return f"{self.batch.source}@{self.seq}"

    @property
    def field(self) -> str:
        """The field that counts it, beside the starts of the lane's batches."""
        return f"strike|{self.event}|{self.strategy}"

    @property
    def notice(self) -> str:
        """The beginning of its notice; the ledger's answer follows."""
        batch = self.batch
        return f"{NOTICE}|{batch.pool}|{batch.partition}|{batch.epoch}|"


class StrikeNotice(NamedTuple):
    """A parsed notice of a strike."""

    pool: str
    partition: int
    epoch: str
    answer: str

    @classmethod
    def parse(cls, text: str) -> "StrikeNotice":
        """Read a notice. Raises ValueError on anything else."""
        name, pool, partition, epoch, answer = text.split("|")
        if name != NOTICE:
            raise ValueError(f"not a strike: {text!r}")
        return cls(pool, int(partition), epoch, answer)


class LastStrike(msgspec.Struct, frozen=True):
    """The last strike of a strategy in a pool, at `at_s` (unix seconds, Redis's clock), and whether it was stopped."""

    event: str
    at_s: float
    stopped: bool
    why: str


class ExcludedEvents(NamedTuple):
    """Events and strategies that are excluded from a run because earlier runs ended on them."""

    #: Strategies that are stopped.
    strategies: frozenset[str] = frozenset()
    #: Strategy and the event's position, and what happened.
    events: frozenset[tuple[str, int]] = frozenset()


NOTHING = ExcludedEvents()


def strikes_field(configuration: str) -> str:
    """Return the field of a pool that holds the last strikes under a configuration."""
    return f"ended:{configuration}"


def read_last_strikes(packed: bytes | None) -> Mapping[str, LastStrike]:
    """Return the last strikes in such a field, by strategy; nothing where it can't be read."""
    try:
        return msgspec.json.decode(packed, type=dict[str, LastStrike]) if packed else {}
    except UNREADABLE:
        return {}


def find_excluded(source: str, starts: Sequence[bytes], ended: bytes | None) -> ExcludedEvents:
    """Return what is excluded from a run; `starts` is the reply of HGETALL of the lane's starts, flat."""
    events = frozenset(_excluded(source, starts))
    stopped = frozenset(name for name, each in read_last_strikes(ended).items() if each.stopped)
    return ExcludedEvents(stopped, events) if stopped or events else NOTHING


def _excluded(source: str, starts: Sequence[bytes]) -> Iterator[tuple[str, int]]:
    for field, count in zip(starts[::2], starts[1::2], strict=True):
        if (strikes := _STRIKES.fullmatch(field)) and (read_count(count) or 0) >= MAX_STRIKES:
            of, seq, strategy = (part.decode(errors="replace") for part in strikes.groups())
            if of == source:
                yield strategy, int(seq)
