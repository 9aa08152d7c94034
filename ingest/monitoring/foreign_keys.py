"""Keys and fields of the ledger that somebody else has written, as something that they must not be."""

from collections.abc import Iterator, Sequence

from ingest.ledger import IngestLedger
from tasks.ledger import key_types, number_fields
from tasks.protocol.findings import Finding


class ForeignKeys:
    """The keys that are of another type than they must be, and the counting fields that hold no number."""

    def __init__(self, ledger: IngestLedger, shard: int, pools: Sequence[str]) -> None:
        self._ledger = ledger
        self._numbers = number_fields.number_fields(ledger.keys, pools)
        typed = key_types.typed_keys(ledger.keys, [shard], pools)
        # That one it neither needs nor may read.
        self._typed = [each for each in typed if each.key != ledger.keys.resets]
        self._found: list[Finding] = []

    async def ask(self) -> None:
        """Look at every key, in one round trip. Raises what Redis raises while it is unavailable."""
        async with self._ledger.client.pipeline(transaction=False) as pipe:
            key_types.queue_probes(pipe, [*self._typed, *self._numbers])
            answers = await pipe.execute(raise_on_error=False)
        numbers = number_fields.findings(self._numbers, answers[len(self._typed) :])
        self._found = [*key_types.findings(self._typed, answers[: len(self._typed)]), *numbers]

    def findings(self) -> Iterator[Finding]:
        """Yield what is found about these keys, as they were when last looked at."""
        yield from self._found
