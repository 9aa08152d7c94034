"""Comparison of what comes in with where the ledger's records stand: what a record takes for repeats, a restart forgets."""

from collections.abc import Iterable
from contextlib import suppress

from ingest.ledger import IngestLedger
from ingest.monitoring.feed_watch import FeedWatch, StreamKey
from tasks.errors import UNREADABLE
from tasks.protocol import records
from tasks.protocol.routing import Pool

#: So many streams are asked for at once; the others the next time.
MAX_ASKED = 500


class RecordProbe:
    """Reads the records of streams that are new or repeat themselves."""

    def __init__(self, ledger: IngestLedger, pools: Iterable[Pool], watch: FeedWatch) -> None:
        """Tell `watch` what the ledger holds."""
        self._ledger, self._pools, self._watch = ledger, tuple(pools), watch

    async def ask(self) -> None:
        """Compare the doubtful streams. Raises what Redis raises."""
        asked = self._watch.doubtful()[:MAX_ASKED]
        named = [(key, pool.name) for key in asked for pool in self._pools if pool.wants(key[1], key[2])]
        if not named:
            return
        found: dict[StreamKey, list[records.Record]] = {key: [] for key, _ in named}
        async with self._ledger.client.pipeline(transaction=False) as pipe:
            for key, pool in named:
                pipe.hget(self._ledger.keys.pool(pool), records.named(*key))
            answers = await pipe.execute()
        for (key, _), packed in zip(named, answers, strict=True):
            if packed:
                # A worker replaces what can't be read, and says so.
                with suppress(*UNREADABLE):
                    found[key].append(records.unpack(packed))
        for key, its in found.items():
            self._watch.compare(key, its)
