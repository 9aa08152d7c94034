"""Keys of the ledger that somebody else has written, as something of another type."""

from collections.abc import Iterable, Iterator

from ingest.ledger import IngestLedger
from tasks.ledger import key_types
from tasks.protocol.findings import Finding


class ForeignKeys:
    """The keys that are of another type than they must be."""

    def __init__(self, ledger: IngestLedger, shard: int, pools: Iterable[str]) -> None:
        self._ledger = ledger
        typed = key_types.typed_keys(ledger.keys, [shard], pools)
        # That one it neither needs nor may read.
        self._typed = [each for each in typed if each.key != ledger.keys.resets]
        self._found: list[Finding] = []

    async def ask(self) -> None:
        """Look at every key, in one round trip. Raises what Redis raises while it is unavailable."""
        async with self._ledger.client.pipeline(transaction=False) as pipe:
            key_types.queue_probes(pipe, self._typed)
            answers = await pipe.execute(raise_on_error=False)
        self._found = list(key_types.findings(self._typed, answers))

    def findings(self) -> Iterator[Finding]:
        """Yield a fault for each of these keys, as they were when last looked at."""
        yield from self._found
