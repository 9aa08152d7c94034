"""The summary of what a pipeline did, from the ledger's counters: it survives any kill."""

import msgspec

from tasks.ledger.reader import LedgerReader
from tasks.settings import Settings
from tasks.telemetry import latency


class Summary(msgspec.Struct):
    """frames = events + skipped + refused; repeats and drops are counted per record."""

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


def read(settings: Settings) -> Summary:
    """Read the summary. Raises redis.RedisError and TrimmedError."""
    outbox = LedgerReader(settings)
    counters = outbox.counters()

    def labelled(name: str) -> dict[str, int]:
        prefix = f"{name}:"
        return {key.removeprefix(prefix): count for key, count in sorted(counters.items()) if key.startswith(prefix)}

    latencies = {int(number): count for number, count in labelled("latency").items()}
    return Summary(
        frames=counters.get("frames", 0),
        events=counters.get("events", 0),
        skipped=labelled("skipped"),
        refused=labelled("refused"),
        repeats=counters.get("repeats", 0),
        errors=labelled("errors"),
        dropped=labelled("dropped"),
        batches=counters.get("batches", 0),
        resends=counters.get("resends", 0),
        fenced=counters.get("fenced", 0),
        signals=labelled("signals"),
        latency_ms={f"p{percent}": latency.quantile_ms(latencies, percent / 100) for percent in (50, 99)},
        digest=outbox.digest(),
    )
