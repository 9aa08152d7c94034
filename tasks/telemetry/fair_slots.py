"""A bounded number of places, shared out among clients."""

from collections.abc import Iterator
from ipaddress import IPv6Address, ip_address
from typing import Generic, TypeVar

Holder = TypeVar("Holder")
#: Of an IPv6 address, this many bits tell clients apart: who has one address has all that share them.
_IPV6_CLIENT_BITS = 64


def client_of(address: str) -> str:
    """Return what tells the client of a connection from others: its IPv4 address, or its IPv6 network."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(ip, IPv6Address):
        return str(ip)
    if ip.ipv4_mapped:
        return str(ip.ipv4_mapped)
    return f"{int(ip) >> (128 - _IPV6_CLIENT_BITS):x}::"


class FairSlots(Generic[Holder]):
    """Who holds a place, oldest first, by client."""

    def __init__(self, bound: int) -> None:
        """Have `bound` places."""
        self._bound = bound
        self._held: dict[str, dict[Holder, None]] = {}
        self._clients: dict[Holder, str] = {}

    def __len__(self) -> int:
        return len(self._clients)

    def __iter__(self) -> Iterator[Holder]:
        return iter(self._clients)

    @property
    def full(self) -> bool:
        """Whether the next one has to wait, or to take another's place."""
        return len(self._clients) >= self._bound

    def add(self, holder: Holder, client: str) -> None:
        """Give it a place, whether one is free or not."""
        self._clients[holder] = client
        self._held.setdefault(client, {})[holder] = None

    def remove(self, holder: Holder) -> None:
        """Take its place back, if it has one."""
        client = self._clients.pop(holder, None)
        if client is None:
            return
        del self._held[client][holder]
        if not self._held[client]:
            del self._held[client]

    def of_busiest(self) -> list[Holder]:
        """Return what the client with the most places holds, oldest first."""
        return max(map(list, self._held.values()), key=len, default=[])

    def to_yield(self, client: str) -> Holder | None:
        """Return whose place `client` may take while all are taken: the oldest of a client that has two more or above."""
        busiest = self.of_busiest()
        return busiest[0] if len(busiest) > len(self._held.get(client, ())) + 1 else None
