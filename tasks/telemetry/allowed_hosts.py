"""Which names a request may call this machine by."""

import re
import socket
from collections.abc import Iterable
from ipaddress import ip_address

_PORT = re.compile(r":\d*$")


class AllowedHosts:
    """Tells our names from foreign ones.

    A page of another site can have its own name point at this machine, and then read what is served here as if it were
    its own (DNS rebinding). The Host header still says the foreign name. An address or a loopback name can't be bent so.
    """

    def __init__(self, patterns: Iterable[str] = (), own_name: str = "") -> None:
        """Allow loopback names and IP addresses, `own_name` (default: this machine's), and each of `patterns`."""
        patterns = [each.lower() for each in patterns if each]
        self._all = "*" in patterns
        self._names = {"localhost", (own_name or socket.gethostname()).lower()} | set(patterns)
        self._suffixes = (".localhost", *(each[1:] for each in patterns if each.startswith("*.")))

    def allow(self, host: str) -> bool:
        """Return whether a Host header, with or without a port, is one of ours."""
        name = _PORT.sub("", host.strip().lower()).removesuffix(".")
        return self._all or name in self._names or name.endswith(self._suffixes) or _is_address(name.strip("[]"))


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
