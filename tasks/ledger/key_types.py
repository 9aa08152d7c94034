"""Keys of the ledger that hold something of another type: somebody else wrote them, and what needs them is refused.

Redis's refusal does not say which key it is about. Keys of one lane are left out: the scripts name those themselves.
So is a lease that does not run out as ours do: nobody would ever lead.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from redis.exceptions import ResponseError

from tasks.ledger.keys import LedgerKeys
from tasks.protocol.findings import Finding

#: A lease that runs out later is none of ours: those last seconds.
LONGEST_LEASE_S = 60.0
#: What PTTL answers for a key that stays.
_NO_EXPIRY = -1
_BEGINS_EMPTY = "what it held is lost, unless a backup has it, and it begins empty"


class TypedKey(NamedTuple):
    """A key, the type that it must have (or `expiry`: it runs out soon), and what follows once it is moved away."""

    key: str
    kind: str
    afterwards: str

    @property
    def probe(self) -> tuple[str, ...]:
        """A command that is refused if the key is of another type, and reads next to nothing."""
        return {
            "hash": ("HGET", self.key, ""),
            "stream": ("XLEN", self.key),
            "string": ("GET", self.key),
            "expiry": ("PTTL", self.key),
        }[self.kind]

    def wrong(self, answer: object) -> str:
        """Return what is wrong with the key by the answer to its probe; nothing where that is well, or a right lacks."""
        if isinstance(answer, ResponseError) and "WRONGTYPE" in str(answer):
            return f"is no {self.kind}: Redis refuses what needs it"
        if self.kind == "expiry" and isinstance(answer, int) and is_endless(answer):
            return "does not run out as a lease of ours does: somebody else wrote it, and no ingest can lead"
        return ""


def is_endless(left_ms: int) -> bool:
    """Return whether a lease with this answer to PTTL is none that an ingest wrote."""
    return left_ms == _NO_EXPIRY or left_ms > LONGEST_LEASE_S * 1_000


def typed_keys(keys: LedgerKeys, shards: Iterable[int], pools: Iterable[str]) -> list[TypedKey]:
    """Return the keys of the ledger, for these shards and pools."""
    found = [
        TypedKey(keys.layout, "string", "ingest writes it again at its next start"),
        TypedKey(keys.counters, "hash", "sums begin at 0"),
        TypedKey(keys.configuration, "hash", "ingest writes it again"),
        TypedKey(keys.configurations, "hash", "ingest writes those in use again"),
        TypedKey(keys.workers, "hash", "workers write it again"),
    ]
    for number in shards:
        found += [TypedKey(keys.lease(number), kind, "who leads takes it again") for kind in ("string", "expiry")]
        found.append(TypedKey(keys.shard(number), "hash", "ingest goes on where its lanes stand"))
    found += [TypedKey(keys.pool(name), "hash", f"states: {_BEGINS_EMPTY}") for name in pools]
    streams = keys.signals, keys.held, keys.shadowed, keys.positions, keys.deadletters, keys.audit, keys.resets
    return found + [TypedKey(stream, "stream", _BEGINS_EMPTY) for stream in (*streams, keys.history)]


class Probed(Protocol):
    """What can be asked for with one command."""

    @property
    def probe(self) -> tuple[str | int, ...]:
        """The command."""


def queue_probes(pipe: Any, asked: Iterable[Probed]) -> None:
    """Put a probe of each key into a pipeline of redis-py, to be executed with `raise_on_error=False`."""
    for each in asked:
        pipe.execute_command(*each.probe)


def findings(typed: Sequence[TypedKey], answers: Sequence[object]) -> Iterator[Finding]:
    """Yield a fault for each key that is not as it must be; `answers` are those to the probes."""
    told = set[str]()
    for each, answer in zip(typed, answers, strict=True):
        if each.key not in told and (says := each.wrong(answer)):
            told.add(each.key)
            do = f"find who writes there, and `RENAME {each.key} {each.key}:foreign`; {each.afterwards}"
            yield Finding("fault", f"key {each.key}", says, do, "redis_refuses")
