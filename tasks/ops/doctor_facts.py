"""The facts that the doctor queries and evaluates."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from tasks.configuration.overlay import Overlay
from tasks.ledger.heartbeats import LiveWorker
from tasks.protocol.findings import Finding
from tasks.protocol.ingest_status import IngestStatus


class RedisFacts(msgspec.Struct, frozen=True):
    """State of one Redis server."""

    #: Which of ours it serves: broker, results, ledger, or `ledger of shard 1` where each shard has one.
    roles: tuple[str, ...]
    #: Without a password.
    url: str
    #: Why it can't be asked; empty when it can.
    unavailable: str = ""
    round_trip_ms: float = 0.0
    #: The reply of INFO, and of CONFIG GET save (None: refused, or not asked because of appendonly).
    info: Mapping[str, Any] = {}
    save: str | None = None
    #: How far this machine's clock is ahead of its.
    clock_ahead_s: float | None = None
    #: What it refused to tell, in its own words.
    refused: tuple[str, ...] = ()
    #: What LEDGER_DURABILITY asks of it.
    durability: str = "memory"

    @property
    def is_ledger(self) -> bool:
        """Whether it is the ledger, or that of a shard."""
        return any(role.startswith("ledger") for role in self.roles)


class QueueFacts(msgspec.Struct, frozen=True):
    """Tasks waiting in the queues."""

    #: By pool.
    waiting: Mapping[str, int]
    #: Tasks of other names among the oldest entries, and entries that are no Celery messages, by pool.
    foreign: Mapping[str, int]
    unreadable: Mapping[str, int]
    #: Tasks in Celery's default queue, which no worker of ours listens to.
    astray: int = 0


class MisplacedLedger(msgspec.Struct, frozen=True):
    """A Redis that holds the ledger of another shard than it is said to be the ledger of."""

    #: Without a password.
    url: str
    #: Whose it should be; None: there is one ledger of all shards.
    wanted: int | None
    #: Whose it is, and of how many shards; of 0: of all.
    shard: int
    shards: int


class LedgerFacts(msgspec.Struct, frozen=True):
    """Contents of the ledger."""

    #: Epoch by shard; empty for a shard that never ran.
    epochs: Mapping[int, str]
    #: How many lanes have a position, by pool.
    lanes: Mapping[str, int]
    #: In force, and that of the strategies file when ingest last read it; empty: none yet.
    version: str
    file_version: str
    deadletters: int
    #: Age of the newest.
    deadletter_age_s: float | None
    workers: Sequence[LiveWorker]
    #: What was set at run time.
    overlay: Overlay = ()
    #: Versions in use whose content can't be read in the ledger.
    lost: tuple[str, ...] = ()
    misplaced: tuple[MisplacedLedger, ...] = ()


class NatsFacts(msgspec.Struct, frozen=True):
    """State of NATS, and of ingest behind it."""

    url: str
    unavailable: str = ""
    version: str = ""
    jetstream: bool = False
    max_payload: int = 0
    #: What each shard of ingest answered; none when none did.
    ingest: tuple[IngestStatus, ...] = ()


class PortFacts(msgspec.Struct, frozen=True):
    """State of one of our ports on this machine."""

    #: The setting that names it.
    setting: str
    address: str
    #: ours: answers /ready as our processes do; other: something else does.
    held_by: Literal["ours", "other", "nobody", "any"]
    #: Parts that /ready reports as failed, and its findings: of ingest only.
    unwell: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
