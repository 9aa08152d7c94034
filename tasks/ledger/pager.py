"""A stream of Redis, read page by page, so that its length does not matter; of several ledgers as if it were one."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import merge
from typing import Any

import redis

from tasks.ledger.entry_id import EntryId, bound_in, name_of

#: Its id, which `tasks.ledger.entry_id` explains, and its fields.
Entry = tuple[str, Mapping[bytes, bytes]]
#: A bound of all entries, or one for each ledger, as that one takes it.
Bound = str | Sequence[str]
#: Entries read at a time.
PAGE = 1_000


def entries(
    clients: Sequence[redis.Redis],
    stream: str,
    start: Bound = "-",
    end: Bound = "+",
    *,
    page: int = PAGE,
    backwards: bool = False,
) -> Iterator[Entry]:
    """Return (id, fields) of each entry of all ledgers from `start` to `end`, both included; oldest first, or newest first.

    `page` entries are read at a time, of each ledger.
    """
    return merged(parts(clients, stream, start, end, page=page, backwards=backwards), backwards=backwards)


def merged(of_ledgers: Iterable[Iterator[Entry]], *, backwards: bool = False) -> Iterator[Entry]:
    """Return the entries of all ledgers in their order; the first one of each is read before any is yielded."""
    return merge(*of_ledgers, key=_order, reverse=backwards)


def parts(
    clients: Sequence[redis.Redis],
    stream: str,
    start: Bound = "-",
    end: Bound = "+",
    *,
    page: int = PAGE,
    backwards: bool = False,
) -> list[Iterator[Entry]]:
    """Return what `entries` does, of each ledger by itself."""
    bounds = [
        (_bound(start, ledger, is_start=True), _bound(end, ledger, is_start=False)) for ledger in range(len(clients))
    ]
    return [
        _part(client, stream, ledger, *bounds[ledger], page, backwards=backwards)
        for ledger, client in enumerate(clients)
    ]


def _bound(bound: Bound, ledger: int, *, is_start: bool) -> str:
    return bound_in(bound, ledger, is_start=is_start) if isinstance(bound, str) else bound[ledger]


def _order(entry: Entry) -> EntryId:
    return EntryId.parse(entry[0])


def _part(
    client: redis.Redis, stream: str, ledger: int, start: str, end: str, page: int, *, backwards: bool
) -> Iterator[Entry]:
    """Yield the entries of one ledger."""
    while True:
        found: Any = (
            client.xrevrange(stream, max=end, min=start, count=page)
            if backwards
            else client.xrange(stream, min=start, max=end, count=page)
        )
        for name, fields in found:
            yield name_of(name.decode(), ledger), fields
        if len(found) < page:
            return
        beyond = f"({found[-1][0].decode()}"
        start, end = (start, beyond) if backwards else (beyond, end)
