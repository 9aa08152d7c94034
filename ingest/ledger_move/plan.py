"""What goes where when the ledger moves to other servers. Pure."""

from collections.abc import Iterable
from typing import Any

import msgspec

from tasks.frames.symbols import symbol_of
from tasks.ledger.keys import RESETS
from tasks.protocol.routing import Pool, partition
from tasks.protocol.strikes import strikes_field
from tasks.settings.redis_url import RedisAddress

#: Fields of a pool that each ledger has: how often states were reset, and which strategies ended their process.
_EVERYWHERE = (RESETS, strikes_field(""))
#: Keys that only the first ledger has, beside `api:*` and `delivery:*`.
_OF_NO_SHARD = frozenset({"configuration", "configuration:history", "workers"})
_OF_SYMBOLS = frozenset({"record", "state", "paper"})


def server_name(url: str) -> str:
    """Return what a ledger's server is called here: where it is, without a login. Raises ValueError, which has none either."""
    address = RedisAddress.parse(url)
    place = address.path or ",".join(f"{host}:{port}" for host, port in address.hosts)
    return f"{place}/{address.database}"


class MovePlan(msgspec.Struct, frozen=True):
    """From which servers to which, and under which layout; servers by their `server_name`, in the order of their shards."""

    old: tuple[str, ...]
    new: tuple[str, ...]
    #: How many shards there will be: as many as new servers, or any number with one.
    shards: int
    #: By how many partitions frames are published then; 0: by none.
    frames: int
    #: How many lanes each pool has then, and which pools are keyed by `all`.
    lanes: dict[str, int]
    shared: tuple[str, ...]

    @classmethod
    def of(cls, old: Iterable[str], new: Iterable[str], shards: int, frames: int, pools: Iterable[Pool]) -> "MovePlan":
        """Return the plan for URLs of servers and the pools of the configuration. Raises ValueError, as `server_name`."""
        pools = tuple(pools)
        lanes = {pool.name: len(pool.lanes) for pool in pools}
        shared = tuple(pool.name for pool in pools if pool.key == "all")
        return cls(tuple(map(server_name, old)), tuple(map(server_name, new)), shards, frames, lanes, shared)

    def __str__(self) -> str:
        """Return it for a person: from where to where."""
        return f"from {' '.join(self.old)} to {' '.join(self.new)}"

    @property
    def servers(self) -> tuple[str, ...]:
        """Every server, once."""
        return tuple(dict.fromkeys(self.old + self.new))

    @property
    def first(self) -> str:
        """The server that will have what belongs to no shard."""
        return self.new[0]

    @property
    def moves_first(self) -> bool:
        """Whether another server has that now."""
        return self.old[0] != self.first

    @property
    def leaving(self) -> tuple[str, ...]:
        """The servers that will be no ledger any more."""
        return tuple(name for name in self.old if name not in self.new)

    @property
    def joining(self) -> tuple[str, ...]:
        """The servers that are no ledger yet."""
        return tuple(name for name in self.new if name not in self.old)

    @property
    def merged(self) -> tuple[str, ...]:
        """The servers whose streams become one, that of the first; none: each keeps its own."""
        return (self.first, *self.leaving) if self.leaving else ()

    def shards_on(self, server: str) -> tuple[int, ...]:
        """Return the shards whose ledger a server will be."""
        return tuple(number for number in range(self.shards) if self.server_of(number) == server)

    def server_of(self, shard: int) -> str:
        """Return the server that will be the ledger of a shard."""
        return self.new[shard % len(self.new)]

    def homes(self, pool: str, field: str) -> tuple[str, ...]:
        """Return the servers that will have a field of a pool; none: of lanes, which is written again."""
        word, _, rest = field.partition(":")
        if word in {"lane", "frame"}:
            return ()
        if field.startswith(_EVERYWHERE):
            return self.new
        if word not in _OF_SYMBOLS or pool in self.shared or rest.count(":") < 2:
            return (self.first,)
        venue, symbol, _ = rest.split(":", 2)
        return (self.server_of(partition(venue, symbol_of(symbol), self.shards)),)

    def keeps_key(self, server: str, suffix: str) -> bool:
        """Return whether a server keeps a key in the end, which is `suffix` behind the namespace."""
        if suffix == "layout":
            # Where the ledger was, what stands for it keeps a start with the old settings away.
            return True
        if server in self.leaving or suffix.startswith(("starts:", "moving:")):
            return False
        word, _, number = suffix.partition(":")
        if word in {"shard", "lease"}:
            return number.isdecimal() and int(number) in self.shards_on(server)
        return server == self.first or not (suffix in _OF_NO_SHARD or word in {"api", "delivery"})

    def keeps(self, server: str, pool: str, field: str, start: str) -> bool:
        """Return whether a server keeps a field of a pool in the end; `start` is where lanes begin, if anywhere."""
        word, _, number = field.partition(":")
        if word == "lane" and start and number.isdecimal() and int(number) < self.lanes.get(pool, 0):
            return self.server_of(int(number) % self.shards) == server
        return server in self.homes(pool, field)

    def delivery(self, position: str, passed: str, end: tuple[str, int] | None) -> dict[str, str]:
        """Return where a delivery of signals stands then, of whose values there is one for each old server.

        `end` is that of the merged stream, which it has read; None: there is none.
        """
        ids, counts = (
            dict(zip(self.old, position.split(), strict=False)),
            dict(zip(self.old, passed.split(), strict=False)),
        )
        if end:
            ids[self.first], counts[self.first] = end[0], str(end[1])
        return {
            "position": " ".join(ids.get(server, "0-0") for server in self.new),
            "passed": " ".join(counts.get(server, "0") for server in self.new),
        }


class NewShards(msgspec.Struct, frozen=True):
    """What each new shard's key will hold, as text; empty: no such field."""

    #: Where reading begins.
    frontier: str = ""
    #: Up to where frames are counted, and the same for each partition.
    counted: str = ""
    counted_of: str = ""
    #: A frame that was read.
    read: str = ""

    def fields(self) -> dict[str, str]:
        """Return the fields of the key."""
        found: dict[str, Any] = msgspec.structs.asdict(self)
        return {name: value for name, value in found.items() if value}


def symbol_in(field: str) -> str:
    """Return the venue and symbol that a field is of, as they stand in it; empty: of none."""
    words = field.split(":", 3)
    return ":".join(words[1:3]) if len(words) == 4 and words[0] in _OF_SYMBOLS else ""
