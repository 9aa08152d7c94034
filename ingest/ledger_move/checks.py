"""What has to be so before anything is moved: each fault is one line that says what to do."""

from collections import Counter
from typing import Any

from redis.exceptions import ResponseError

from ingest.lanes.layout import StoredLayout, place
from ingest.ledger_move.parties import Parties
from ingest.relay import GROUP
from tasks.errors import LedgerError
from tasks.ledger import MOVING
from tasks.ledger.entry_id import NONE, EntryId
from tasks.settings.values import MAX_SHARDS

#: What processes that still have the old settings may write to a server that is no ledger any more, or not yet.
_LEFT_BEHIND = ("starts:", "workers")
#: What they write without an epoch as well. Only where an earlier move has left its mark it is nothing but that: no shard
#: can have begun there since. It becomes part of the new ledger.
_LEFT_SINCE = frozenset({"counters", "deadletters", "configurations"})


async def check_servers(parties: Parties) -> None:
    """Raise LedgerError where two names mean one database, and what Redis raises."""
    plan, found = parties.plan, dict[tuple[str, str], str]()
    for name, count in (Counter(plan.old) + Counter(dict.fromkeys(plan.new, 0))).items():
        if count > 1:
            raise LedgerError(f"--from names {name} twice")
    for name in plan.servers:
        about: Any = await parties[name].info("server")
        database = (about["run_id"], name.rpartition("/")[2])
        if other := found.get(database):
            raise LedgerError(f"{other} and {name} are one database of a Redis: write its address in one way")
        found[database] = name


async def check_stopped(parties: Parties) -> None:
    """Raise LedgerError where somebody leads a shard."""
    leases = [parties.keys.lease(number) for number in range(MAX_SHARDS)]
    for server in parties.plan.servers:
        if not await parties[server].exists(*leases):
            continue
        for number, lease in enumerate(leases):
            if await parties[server].exists(lease):
                raise LedgerError(f"shard {number} runs ({lease} on {server}): stop all shards, and what stands by")


def check_first(parties: Parties) -> None:
    """Raise LedgerError where the first ledger becomes that of another shard: its signals could not stay there."""
    first = parties.plan.old[0]
    if first in parties.plan.new and parties.plan.first != first:
        raise LedgerError(
            f"{first} has what belongs to no shard: it stays the first of LEDGER_URLS, or is none of them"
        )


def check_layouts(parties: Parties, layouts: list[StoredLayout]) -> None:
    """Raise LedgerError where the old servers are others than those of the ledger."""
    old = parties.plan.old
    if not any(layout.shards for layout in layouts):
        raise LedgerError(f"there is no ledger of {parties.keys.namespace} on {' '.join(old)}: nothing can be moved")
    for number, (server, layout) in enumerate(zip(old, layouts, strict=True)):
        expected = StoredLayout(len(old), {}, ledger=number, ledgers=len(old)) if len(old) > 1 else StoredLayout(1, {})
        if layout.shards and place(layout) != place(expected):
            raise LedgerError(
                f"{server} holds {place(layout)}, and --from says {place(expected)}: give all ledgers there are, in the "
                "order of their shards"
            )


async def check_empty(parties: Parties) -> None:
    """Raise LedgerError where a server that is to become a ledger holds something."""
    for server in parties.plan.joining:
        # Ended at that point, the move has written these; an earlier one has left the layout.
        harmless = {"moving"}
        if await parties[server].get(parties.keys.layout) == MOVING:
            harmless |= {"layout", *_LEFT_SINCE}
        for key in await parties.key_names(server):
            suffix = parties.suffix(key)
            if suffix not in harmless and not suffix.startswith(_LEFT_BEHIND):
                raise LedgerError(
                    f"{server} is no ledger yet, and holds {key}: remove what it holds of {parties.keys.namespace}, or "
                    "name another one"
                )


async def check_relayed(parties: Parties) -> None:
    """Raise LedgerError where a stream of signals is to be merged that not everybody has read to its end."""
    for server in parties.plan.merged:
        about = await _about(parties, server)
        if about is None:
            continue
        groups: Any = await parties[server].xinfo_groups(parties.keys.signals)
        relay = next((group for group in groups if group["name"] == GROUP.encode()), None)
        last = EntryId.parse(about["last-generated-id"].decode())
        if about["length"] and (
            not relay or relay["pending"] or EntryId.parse(relay["last-delivered-id"].decode()) < last
        ):
            raise LedgerError(
                f"{server} has signals that NATS does not have yet: start all shards as they were, and stop them again, "
                "the first one last"
            )
        await _check_delivered(parties, server, last)


async def check_deliveries(parties: Parties) -> None:
    """Raise LedgerError where a delivery runs: where it stands changes."""
    for lease in await parties.key_names(parties.plan.old[0], "delivery:*:lease"):
        raise LedgerError(f"a delivery of signals runs ({lease} on {parties.plan.old[0]}): stop all of them")


async def _check_delivered(parties: Parties, server: str, last: EntryId) -> None:
    first, at = parties.plan.old[0], parties.plan.old.index(server)
    for key in await parties.key_names(first, "delivery:*"):
        position: Any = await parties.done(parties[first].hget(key, "position"))
        # One for each ledger.
        if last > EntryId.parse("".join((position or b"").decode().split()[at : at + 1]) or NONE):
            name = key.rpartition(":")[2]
            raise LedgerError(
                f"the delivery {name} has not sent all signals of {server}: let it, or `./run tasks deliver forget {name}`"
            )


async def _about(parties: Parties, server: str) -> Any:
    """Return what Redis says of a stream of signals; None: there is none."""
    try:
        return await parties[server].xinfo_stream(parties.keys.signals)
    except ResponseError as error:
        if "no such key" not in str(error):
            raise
        return None
