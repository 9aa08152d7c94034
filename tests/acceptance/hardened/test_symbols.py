"""Invented symbols: what is not on the list or above the cap is refused and told, and what is known goes on."""

import asyncio
from pathlib import Path
from typing import Any

import redis

from tasks.cli import backtest
from tasks.history import input_options
from tasks.history.input_report import CountingReport
from tasks.ledger import LedgerKeys
from tasks.ledger.reader import LedgerReader
from tasks.protocol import dead_letters, records
from tasks.protocol.records import Record
from tests.support.service import Ingest, ingest, publish
from tests.support.waiting import wait_for

NAMES = ("BTCUSDT", "ETHUSDT", "INVENTED", "SOLUSDT", "BTCUSDT")


def trade_frame(symbol: str, id_: int) -> bytes:
    return b'{"e":"trade","E":1723161255343,"s":"%b","t":%d,"p":"61837.63","q":"0.02","T":1723161255342,"m":true}' % (
        symbol.encode(),
        id_,
    )


FRAMES = [trade_frame(name, id_) for id_, name in enumerate(NAMES, 1)]


def refused(service: Ingest, nats_url: str) -> tuple[dict[str, int], list[str], dict[str, Any]]:
    """Publish the frames; return what was refused by reason, the details in the dead letters, and /ready's findings."""
    service.wait_ready()
    reader = LedgerReader(service.settings)
    asyncio.run(publish(nats_url, *((f"{service.settings.namespace}.x", frame) for frame in FRAMES)))
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
    path = tmp_path / "same.jsonl"
    path.write_bytes(
        b"".join(b'{"stream":"x","data":%b,"received_at":1723161255343000000}\n' % frame for frame in FRAMES)
    )
    monkeypatch.setenv("ALLOWED_SYMBOLS", allowed)
    for processes in (1, 2):
        job = backtest.job(
            [path], backtest.chosen_configuration("", "", []), input_options.options("", "", "", "", 100)
        )
        assert backtest.run_job(job, processes, CountingReport(print)).result.refused == counts
