"""Collects the doctor's facts from the ledger, or from those of all shards. Changes nothing."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

import msgspec
import redis

from tasks.clients.redis_client import UNAVAILABLE
from tasks.configuration.stored import StoredConfiguration, kept_overlay
from tasks.errors import UNREADABLE
from tasks.ledger import LedgerKeys, heartbeats, key_types, lane_field, number_fields
from tasks.ledger.known_configurations import is_readable
from tasks.ops import doctor_probes
from tasks.ops.doctor_facts import LedgerFacts, MisplacedLedger
from tasks.protocol.findings import Finding
from tasks.protocol.routing import Pool
from tasks.settings import Settings, mask


class _Part(NamedTuple):
    """What one ledger holds of what belongs to shards."""

    #: By shard, and by pool.
    epochs: Mapping[int, str]
    lanes: Mapping[str, int]
    deadletters: int
    deadletter_age_s: float | None
    layout: bytes


class _Layout(msgspec.Struct):
    """The fields of a stored layout that are read."""

    shards: int = 0
    ledgers: int = 0
    ledger: int = 0


def ask_ledger(settings: Settings, pools: Sequence[Pool]) -> LedgerFacts:
    """Return the contents of the ledger. Raises what Redis raises.

    Of several, one that is unavailable is left out, except the first: it is told of as a server.
    """
    keys = LedgerKeys(settings.namespace)
    parts = dict(_parts(settings, keys, pools))
    with doctor_probes.client(settings, settings.ledger) as server:
        stored = StoredConfiguration.of(*server.hmget(keys.configuration, "version", "file", "overlay"))
        workers = heartbeats.read(server, keys)
        in_use = [version for version in dict.fromkeys((stored.version, stored.file)) if version]
        lost = [version for version in in_use if not is_readable(version, server.hget(keys.configurations, version))]
    ages = [part.deadletter_age_s for part in parts.values() if part.deadletter_age_s is not None]
    return LedgerFacts(
        {shard: epoch for part in parts.values() for shard, epoch in part.epochs.items()},
        {pool.name: sum(part.lanes[pool.name] for part in parts.values()) for pool in pools},
        stored.version,
        stored.file,
        sum(part.deadletters for part in parts.values()),
        min(ages, default=None),
        workers,
        kept_overlay(stored) or (),
        tuple(lost),
        tuple(_misplaced(settings, {number: part.layout for number, part in parts.items()})),
    )


def _shards(settings: Settings, number: int) -> Sequence[int]:
    """Return whose keys a ledger holds."""
    return [number] if len(settings.ledgers) > 1 else range(settings.shard.total)


def _parts(settings: Settings, keys: LedgerKeys, pools: Sequence[Pool]) -> Iterator[tuple[int, _Part]]:
    for number, url in enumerate(settings.ledgers):
        with suppress(*(UNAVAILABLE if number else ())), doctor_probes.client(settings, url) as server:
            yield number, _ask_part(server, keys, _shards(settings, number), pools)


def _ask_part(server: redis.Redis, keys: LedgerKeys, shards: Sequence[int], pools: Sequence[Pool]) -> _Part:
    with server.pipeline(transaction=False) as pipe:
        for shard in shards:
            pipe.hget(keys.shard(shard), "epoch")
        for pool in pools:
            pipe.hmget(keys.pool(pool.name), [lane_field(lane) for lane in pool.lanes])
        pipe.xlen(keys.deadletters)
        pipe.xrevrange(keys.deadletters, count=1)
        pipe.time()
        pipe.get(keys.layout)
        *held, letters, newest, (now_s, now_us), layout = pipe.execute()
    positions = zip((pool.name for pool in pools), held[len(shards) :], strict=True)
    written_ms = int(newest[0][0].partition(b"-")[0]) if newest else None
    return _Part(
        {shard: (epoch or b"").decode() for shard, epoch in zip(shards, held, strict=False)},
        {pool: sum(position is not None for position in its) for pool, its in positions},
        letters,
        None if written_ms is None else now_s + now_us / 1e6 - written_ms / 1_000,
        layout or b"",
    )


def _misplaced(settings: Settings, layouts: Mapping[int, bytes]) -> Iterator[MisplacedLedger]:
    count = len(settings.ledgers)
    for number, packed in layouts.items():
        # Of one that can't be read ingest tells.
        with suppress(*UNREADABLE):
            stored = msgspec.json.decode(packed or b"{}", type=_Layout)
            wanted = (count, number) if count > 1 else (0, 0)
            if stored.shards and (stored.ledgers, stored.ledger) != wanted:
                url = mask(settings.ledgers[number])
                yield MisplacedLedger(url, number if count > 1 else None, stored.ledger, stored.ledgers)


def ask_foreign_keys(settings: Settings, pools: Sequence[Pool]) -> list[Finding]:
    """Return what is found about keys and fields of the ledger that somebody else wrote. Raises what Redis raises.

    Of several, one that is unavailable is left out, except the first: it is told of as a server.
    """
    found: list[Finding] = []
    for number, url in enumerate(settings.ledgers):
        with suppress(*(UNAVAILABLE if number else ())), doctor_probes.client(settings, url) as server:
            own = _foreign_keys(server, LedgerKeys(settings.namespace), _shards(settings, number), pools)
            where = f" ({doctor_probes.ledger_name(settings, number)})" if len(settings.ledgers) > 1 else ""
            found += [msgspec.structs.replace(each, what=each.what + where) for each in own]
    return found


def _foreign_keys(
    server: redis.Redis, keys: LedgerKeys, shards: Sequence[int], pools: Sequence[Pool]
) -> Iterator[Finding]:
    names = [pool.name for pool in pools]
    typed = key_types.typed_keys(keys, shards, names)
    numbers = number_fields.number_fields(keys, names)
    with server.pipeline(transaction=False) as pipe:
        key_types.queue_probes(pipe, [*typed, *numbers])
        answers = pipe.execute(raise_on_error=False)
    yield from key_types.findings(typed, answers[: len(typed)])
    yield from number_fields.findings(numbers, answers[len(typed) :])
