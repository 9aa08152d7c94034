"""Invented symbols: what is not on the list or above the cap is refused and told, and what is known goes on."""

import asyncio
import signal
from pathlib import Path
from typing import Any

import redis

from tasks import configuration
from tasks.backtest.backtest import run
from tasks.cli import backtest
from tasks.history import input_options
from tasks.history.input_report import CountingReport
from tasks.ledger import LedgerKeys
from tasks.ledger.reader import LedgerReader
from tasks.ops.state_prune import StatePruner
from tasks.protocol import dead_letters, records
from tasks.protocol.records import Record
from tests.support.sending import one_pool
from tests.support.service import Ingest, ingest, publish
from tests.support.waiting import wait_for
from tests.support.workers.process import worker

NAMES = ("BTCUSDT", "ETHUSDT", "INVENTED", "SOLUSDT", "BTCUSDT")


def trade_frame(symbol: str, id_: int) -> bytes:
    return b'{"e":"trade","E":1723161255343,"s":"%b","t":%d,"p":"61837.63","q":"0.02","T":1723161255342,"m":true}' % (
        symbol.encode(),
        id_,
    )


FRAMES = [trade_frame(name, id_) for id_, name in enumerate(NAMES, 1)]


def send(nats_url: str, namespace: str, *frames: bytes) -> None:
    asyncio.run(publish(nats_url, *((f"{namespace}.x", frame) for frame in frames)))


def refused(service: Ingest, nats_url: str) -> tuple[dict[str, int], list[str], dict[str, Any]]:
    """Publish the frames; return what was refused by reason, the details in the dead letters, and /ready's findings."""
    service.wait_ready()
    reader = LedgerReader(service.settings)
    send(nats_url, service.settings.namespace, *FRAMES)
    wait_for(lambda: reader.counters().of("frames") == len(FRAMES), "the frames to be counted")
    letters = [dead_letters.unpack(each) for _, each in reader.entries(reader.keys.deadletters, b"letter")]
    ready = service.ready()
    assert ready is not None
    findings = {finding["name"]: finding for finding in ready["findings"]}
    return reader.counters().by_label("refused"), [each.detail for each in letters], findings


def test_symbols_above_the_cap_are_refused_those_in_the_ledger_go_on(nats_url, redis_url, namespace):
    with redis.Redis.from_url(redis_url) as client:
        for symbol in ("BTCUSDT", "SOLUSDT"):
            name = records.named("spot", symbol, "trade")
            client.hset(LedgerKeys(namespace).pool("trade"), name, records.pack(Record(id=0, count=1)))
    with ingest(nats_url, redis_url, namespace, INGEST_MAX_SYMBOLS="3") as service:
        counts, details, findings = refused(service, nats_url)
        assert counts == {"too_many_symbols": 1}
        assert details == ["spot INVENTED is new, and there are 3 symbols (INGEST_MAX_SYMBOLS)"]
        assert findings["too_many_symbols"]["sign"] == "warning"
        assert "state prune" in findings["too_many_symbols"]["do"]
        wait_for(lambda: service.logged("finding"), "the log to tell of it")


def test_symbols_that_are_not_allowed_are_refused_as_in_a_backtest(
    nats_url, redis_url, namespace, tmp_path: Path, monkeypatch
):
    allowed = "btcusdt,ETHUSDT,SOLUSDT"
    with ingest(nats_url, redis_url, namespace, ALLOWED_SYMBOLS=allowed) as service:
        counts, details, findings = refused(service, nats_url)
    assert counts == {"symbol_not_allowed": 1}
    assert details == ["spot INVENTED is not in ALLOWED_SYMBOLS"]
    assert findings["symbol_not_allowed"]["sign"] == "warning"
    path = recorded(tmp_path / "same.jsonl", *FRAMES)
    monkeypatch.setenv("ALLOWED_SYMBOLS", allowed)
    for processes in (1, 2):
        job = backtest.job(
            [path], backtest.chosen_configuration("", "", []), input_options.options("", "", "", "", 100)
        )
        assert backtest.run_job(job, processes, CountingReport(print)).result.refused == counts


INVENTED = 100
#: By when trades of the invented symbols were, and by when the others are, unix milliseconds.
OLD_MS, NEW_MS = 1_723_000_000_000, 1_723_161_255_000


def trades_of(name: str, first: int, at_ms: int, count: int = 1) -> list[bytes]:
    made = (
        trade_frame(name, id_).replace(b"1723161255343", b"%d" % (at_ms + id_)) for id_ in range(first, first + count)
    )
    return list(made)


def wait_applied(service: Ingest, count: int) -> LedgerReader:
    reader = LedgerReader(service.settings)
    wait_for(lambda: reader.counters().of("applied") == count, f"{count} events{service.process.tail()}")
    return reader


def recorded(path: Path, *frames: bytes) -> Path:
    lines = (b'{"stream":"x","data":%b,"received_at":1723161255343000000}\n' % frame for frame in frames)
    path.write_bytes(b"".join(lines))
    return path


def test_a_pruning_and_a_kill_leave_the_digest_of_a_backtest(nats_url, redis_url, namespace, tmp_path: Path):
    """From a stream that holds the invented symbols too; a new symbol is refused until there is room."""
    file = one_pool(tmp_path)
    own = {"INGEST_SOURCE": "jetstream", "INGEST_START": "first", "INGEST_STREAM": namespace, "STRATEGIES_FILE": file}
    own |= {"INGEST_MAX_SYMBOLS": str(INVENTED + 1), "INGEST_STREAM_MAX_BYTES": str(2**20)}
    invented = [frame for number in range(INVENTED) for frame in trades_of(f"X{number}", 1, OLD_MS)]
    first, second = trades_of("BTCUSDT", 1, NEW_MS, 50), trades_of("BTCUSDT", 51, NEW_MS, 50)
    listed, late = trades_of("NEWUSDT", 1, NEW_MS), trades_of("NEWUSDT", 2, NEW_MS)

    with ingest(nats_url, redis_url, namespace, **own) as service, worker(service.settings) as running:
        running.wait_ready()
        service.wait_ready()
        send(nats_url, namespace, *invented, *first, *listed)
        reader = wait_applied(service, INVENTED + len(first))
        wait_for(
            lambda: reader.counters().by_label("refused") == {"too_many_symbols": 1}, "the new symbol to be refused"
        )
        pruner = StatePruner(service.settings)
        # Once the frontier is past them.
        wait_for(lambda: len(pruner.find(3_600_000).symbols) == INVENTED, "the invented symbols to be idle")
        assert len(pruner.prune(pruner.find(3_600_000), 3_600, "ann", "invented")) == INVENTED
        service.process.send(signal.SIGKILL)
        with ingest(nats_url, redis_url, namespace, **own) as other:
            other.wait_ready()
            send(nats_url, namespace, *second, *late)
            reader = wait_applied(other, INVENTED + len(first) + len(second) + len(late))
            digest, is_gone = reader.digest(), not any(":X" in field for _, field, _ in reader.records())
    path = recorded(tmp_path / "left.jsonl", *first, *second, *late)
    assert is_gone
    assert digest == run([path], configuration.read(Path(file))).digest
