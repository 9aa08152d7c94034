"""Up to where each partition's frames are counted, when another layout begins: each was another shard's before.

In the ledger it is `SOURCE@N,N,...`, a number for each partition.
"""

from collections.abc import Mapping, Sequence

from ingest.counters import Counted
from ingest.lanes.layout import Layout
from ingest.ledger.stored_shard import StoredShard
from tasks.events import Position
from tasks.ledger import damaged, read_position
from tasks.protocol.routing import MAX_PARTITIONS


def parse(stored: bytes | None, where: str, source: str) -> Sequence[int]:
    """Return the numbers that were stored; none if they are of another source. Raises LedgerError: it is no such text."""
    if not stored:
        return ()
    try:
        its_source, numbers = stored.decode().rsplit("@", 1)
        found = [int(number) for number in numbers.split(",", MAX_PARTITIONS)]
    except ValueError:
        raise damaged(stored, "a number for each partition", where) from None
    return found if its_source == source else ()


def under_new_layout(layout: Layout, before: bytes, shards: Mapping[int, StoredShard], start: Position | None) -> str:
    """Return the text for all shards of a new layout that begins at `start`; empty: none is needed.

    Raises LedgerError: something else stands there.
    """
    total = layout.frame_partitions
    if start is None or not total or not layout.is_new(before):
        return ""
    return by_partition(total, layout.counting_before(before), shards, start)


def by_partition(total: int, owners: Sequence[int], shards: Mapping[int, StoredShard], start: Position) -> str:
    """Return the text for `total` partitions; before, partition `q` was counted by number `q` of the `owners`.

    Raises LedgerError, as `under_new_layout`.
    """
    known = {number: _of_shard(shard, start.source) for number, shard in shards.items()}
    numbers = (_up_to(partition, known, owners) for partition in range(total))
    return f"{start.source}@{','.join(map(str, numbers))}"


def of_claim(answer: Sequence[bytes], key: str, start: Position | None) -> Counted:
    """Return up to where a shard's frames are counted when it begins at `start`, from the first of `claim.lua`'s answer.

    Raises LedgerError: something else stands there.
    """
    counted, stored = read_position(answer[0], f"{key} counted"), answer[1]
    if start is None:
        return Counted()
    seq = counted.seq if counted and counted.source == start.source else 0
    return Counted(seq, parse(stored, f"{key} counted_of", start.source))


def _of_shard(shard: StoredShard, source: str) -> Counted:
    counted = next((each for each in shard.reached() if each.source == source), None)
    return Counted(counted.seq if counted else 0, parse(shard.counted_of, f"{shard.key} counted_of", source))


def _up_to(partition: int, known: Mapping[int, Counted], owners: Sequence[int]) -> int:
    """Return up to where a partition's frames are counted: by the shard that did so before, one of `owners`."""
    counted = known.get(owners[partition % len(owners)], Counted()) if owners else Counted()
    by_partition = counted.by_partition[partition] if partition < len(counted.by_partition) else 0
    return max(counted.seq, by_partition)
