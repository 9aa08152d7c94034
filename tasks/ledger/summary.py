"""The summary of what a pipeline did, from the ledger's counters: it survives any kill."""

import msgspec

from tasks.ledger.reader import LedgerReader
from tasks.settings import Settings
from tasks.telemetry import latency


class LedgerSummary(msgspec.Struct):
    """Totals of a pipeline: frames = events + skipped + refused; repeats and drops are counted once in each pool."""

    frames: int
    events: int
    skipped: dict[str, int]
    refused: dict[str, int]
    repeats: int
    #: By strategy: on how many events it raised.
    errors: dict[str, int]
    dropped: dict[str, int]
    batches: int
    resends: int
    #: Copies of batches that found nothing left to do.
    fenced: int
    signals: dict[str, int]
    latency_ms: dict[str, float | None]
    digest: str
    #: Of the paper accounts.
    positions_digest: str


def read(settings: Settings) -> LedgerSummary:
    """Read the summary. Raises TrimmedError, and what `FAILED` names."""
    reader = LedgerReader(settings)
    counters = reader.counters()
    latencies = latency.by_bucket(counters)
    return LedgerSummary(
        frames=counters.of("frames"),
        events=counters.of("events"),
        skipped=counters.by_label("skipped"),
        refused=counters.by_label("refused"),
        repeats=counters.of("repeats"),
        errors=counters.by_label("errors"),
        dropped=counters.by_label("dropped"),
        batches=counters.of("batches"),
        resends=counters.of("resends"),
        fenced=counters.of("fenced"),
        signals=counters.by_label("signals"),
        latency_ms={f"p{percent}": latency.quantile_ms(latencies, percent / 100) for percent in (50, 99)},
        digest=reader.digest(),
        positions_digest=reader.positions_digest(),
    )
