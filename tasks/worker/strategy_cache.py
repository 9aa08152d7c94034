"""The strategies of the configurations that a process has met last."""

from collections.abc import Sequence

from tasks.configuration import Configuration, registry
from tasks.configuration.bound_strategy import BoundStrategy
from tasks.errors import LedgerError
from tasks.ledger import Ledger

#: Batches of more configurations are in flight only if somebody changes it many times a second.
CONFIGURATIONS_KEPT = 8


class StrategyCache:
    """The strategies of the configurations that this process used last."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, tuple[BoundStrategy, ...]]] = {}

    def find(self, ledger: Ledger, version: str, pool: str) -> Sequence[BoundStrategy]:
        """Return a pool's strategies. Raises LedgerError: the ledger does not hold this configuration."""
        if version not in self._known:
            packed = ledger.configuration(version)
            if packed is None:
                raise LedgerError(f"the ledger holds no configuration {version}")
            self._known[version] = registry.running(Configuration.parse(packed))
            if len(self._known) > CONFIGURATIONS_KEPT:
                del self._known[next(iter(self._known))]
        if pool not in self._known[version]:
            raise LedgerError(f"the configuration {version} has no pool {pool!r}")
        return self._known[version][pool]
