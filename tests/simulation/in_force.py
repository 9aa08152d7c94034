"""Which configurations were in force, in their order, and what runs under which."""

from tasks.configuration import Configuration
from tasks.ledger import LedgerKeys
from tests.simulation.invariants import Violation
from tests.simulation.servers.redis_server import RedisServer


class ConfigurationsInForce:
    """Watches the configuration in force. No record goes back to one that was replaced."""

    def __init__(self, server: RedisServer, keys: LedgerKeys, always: str) -> None:
        """`always`: the version that is in force without being written down; empty: there is none."""
        self._server = server
        self._chosen, self._all = keys.configuration.encode(), keys.configurations.encode()
        self._known: dict[str, Configuration] = {}
        #: Their names in the ledger.
        self._noted = set[bytes]()
        #: The versions in their order; one may come again.
        self._order = [always] if always else []
        #: By pool and field: the place in that order under which it was changed last.
        self._used: dict[str, int] = {}

    @property
    def version(self) -> str:
        """The version in force; empty while the ledger has none."""
        found: bytes = self._server.data.get(self._chosen, {}).get(b"version", b"")
        return found.decode()

    def note_changes(self) -> None:
        """Note what is in force now."""
        version = self.version
        if version and (not self._order or self._order[-1] != version):
            self._order.append(version)
        held = self._server.data.get(self._all, {})
        for name in held.keys() - self._noted:
            self._known[name.decode()] = Configuration.parse_as(name.decode(), held[name])
            self._noted.add(name)

    def configuration(self, version: str) -> Configuration:
        """Return a configuration that the ledger has held."""
        return self._known[version]

    def used(self, what: str, version: str) -> None:
        """Note that something was changed under a version. Raises Violation: another one had replaced it."""
        before = self._used.get(what, 0)
        later = [at for at, each in enumerate(self._order) if each == version and at >= before]
        if not later:
            raise Violation(f"{what} goes back to configuration {version}, in force were {', '.join(self._order)}")
        self._used[what] = later[0]

    def forget(self) -> None:
        """Redis went back in time, and with it what is in force."""
        self._used.clear()
