"""Reads from the ledger which symbols there are, for the cap on new ones: at a start, and while some are refused."""

import structlog
from redis.exceptions import ResponseError

from ingest.lanes.symbol_cap import SymbolCap
from ingest.ledger import IngestLedger
from tasks.clients.redis_client import reason
from tasks.protocol.routing import Router

log = structlog.get_logger()


class KnownSymbols:
    """The cap of this process, which counts what the ledger holds."""

    def __init__(self, ledger: IngestLedger, router: Router, most: int) -> None:
        """Take how many symbols there may be; 0: any number."""
        self._ledger, self._most = ledger, most
        self._pools = [pool.name for pool in router.pools]
        self.cap = SymbolCap(most, router.wants)

    async def load(self) -> bool:
        """Read the ledger; return True. Raises what Redis raises when it is unavailable."""
        try:
            if self._most:
                self.cap.load(await self._ledger.symbols(self._pools))
        except ResponseError as error:
            # Its rights may be those of an earlier release, which did not ask for them.
            log.warning("Redis does not tell which symbols there are: only new ones count", why=reason(error))
        return True

    async def poll(self) -> None:
        """While symbols are refused, see whether others were removed. Raises as `load`."""
        if self.cap.is_reached:
            await self.load()
