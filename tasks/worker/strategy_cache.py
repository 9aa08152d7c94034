"""The strategies of the configurations that a process has met last."""

import time
from collections.abc import Callable, Sequence

from tasks.clients.redis_client import FAILED
from tasks.configuration import Configuration, registry
from tasks.configuration.bound_strategy import BoundStrategy
from tasks.errors import LedgerError
from tasks.ledger import Ledger
from tasks.ledger.known_configurations import CONFIGURATIONS_KEPT

#: How often it is looked whether the ledger still has them: who starts now has to read them there.
RESTORE_S = 10.0
#: So much later where it failed.
FAILED_RESTORES_S = 50.0


class StrategyCache:
    """The strategies of the configurations that this process used last."""

    def __init__(self, restore_s: float = RESTORE_S, now_s: Callable[[], float] = time.monotonic) -> None:
        self._known: dict[str, dict[str, tuple[BoundStrategy, ...]]] = {}
        self._restore_s, self._now_s = restore_s, now_s
        self._restored_s = now_s()

    def find(self, ledger: Ledger, version: str, pool: str) -> Sequence[BoundStrategy]:
        """Return a pool's strategies. Raises LedgerError: the ledger does not hold this configuration.

        Now and then, write those back that the ledger has lost.
        """
        if version not in self._known:
            packed = ledger.configuration(version)
            if packed is None:
                raise LedgerError(f"the ledger has lost the configuration {version} ({ledger.keys.configurations})")
            configuration = Configuration.parse_as(version, packed)
            self._known[version] = registry.running(configuration)
            ledger.known.remember(configuration)
            if len(self._known) > CONFIGURATIONS_KEPT:
                del self._known[next(iter(self._known))]
        if pool not in self._known[version]:
            raise LedgerError(f"the configuration {version} has no pool {pool!r}")
        self._restore(ledger)
        return self._known[version][pool]

    def _restore(self, ledger: Ledger) -> None:
        now_s = self._now_s()
        if now_s - self._restored_s >= self._restore_s:
            self._restored_s = now_s
            try:
                ledger.known.restore()
            except FAILED:
                # A worker that may not write them is no worse off: ingest may. One that hangs is not waited for so often.
                self._restored_s = self._now_s() + FAILED_RESTORES_S
