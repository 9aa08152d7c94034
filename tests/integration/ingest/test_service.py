import asyncio
import json
import signal

import pytest
import redis

from compose.local.processes import Instance
from compose.local.servers import free_port, start_nats, start_redis
from tasks.ledger.reader import LedgerReader
from tasks.protocol import dead_letters
from tasks.protocol.counters import CounterName
from tests.support.service import PATIENT, Ingest, ingest, publish
from tests.support.waiting import wait_for

TRADE = b'{"e":"trade","E":1723161255343,"s":"SOLUSDT","t":%d,"p":"61837.63","q":"0.02","T":1723161255342,"m":true,"M":true}'
#: What the exchange sends beside books and trades, and one trade.
OTHER_KINDS = (
    b'{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1723161255343,"s":"BTCUSDT","a":1,"p":"61837.63","q":"0.1"}}',
    b'{"stream":"ethusdt@aggTrade","data":{"e":"aggTrade","E":1723161255343,"s":"ETHUSDT","a":1,"p":"2680.10","q":"0.1"}}',
    b'{"stream":"!bookTicker","data":{"u":5,"s":"BTCUSDT","b":"61837.62","B":"1.5","a":"61837.63","A":"2.5"}}',
    b'{"stream":"!ticker@arr","data":[{"e":"24hrTicker","E":1723161255343,"s":"BTCUSDT","p":"213.70"}]}',
    b'{"result":null,"id":1}',
    b'{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":1,"p":"61837.6","q":"1","X":"INSURANCE_FUND","m":true}}',
    b'{"stream":"solusdt@trade","data":%b}' % (TRADE % 1),
)


def send(nats_url: str, *messages: tuple[str, bytes]) -> None:
    asyncio.run(publish(nats_url, *messages))


def counted(service: Ingest, name: CounterName, count: int) -> None:
    reader = LedgerReader(service.settings)
    wait_for(lambda: reader.counters().of(name) == count, f"{name} to be {count}, not {reader.counters()}")


def test_a_refused_frame_is_kept_with_all_details_and_ingest_goes_on(nats_url, redis_url, namespace):
    crossed = TRADE.replace(b'"0.02"', b'"-1"') % 1
    with ingest(nats_url, redis_url, namespace) as service:
        service.wait_ready()
        send(
            nats_url,
            (f"{namespace}.solusdt@trade", crossed),
            (f"{namespace}.x", b"\x00" * 70_000),
            (f"{namespace}.y", TRADE % 2),
        )
        counted(service, "frames", 3)
        reader = LedgerReader(service.settings)
        letters = [dead_letters.unpack(each) for _, each in reader.entries(reader.keys.deadletters, b"letter")]
        status, metrics = service.get("/metrics")
    assert [(each.reason, each.refusal, each.subject) for each in letters] == [
        ("refused", "not_positive", f"{namespace}.solusdt@trade"),
        ("refused", "not_json", f"{namespace}.x"),
    ]
    assert letters[0].raw == crossed
    assert letters[1].raw == b"\x00" * 65_536, "cut at 64 KiB"
    assert (status, reader.counters().of("events")) == (200, 1)
    assert 'ingest_frames_refused_total{reason="not_json"} 1.0' in metrics
    assert 'ingest_events_total{kind="trade",venue="spot"} 1.0' in metrics


def test_frames_of_other_kinds_are_skipped_and_counted_by_kind(nats_url, redis_url, namespace):
    with ingest(nats_url, redis_url, namespace) as service:
        service.wait_ready()
        send(nats_url, *((f"{namespace}.websocket.data", frame) for frame in OTHER_KINDS))
        counted(service, "frames", len(OTHER_KINDS))
        counters = LedgerReader(service.settings).counters()
    skipped = counters.by_label("skipped")
    assert skipped == {
        "aggTrade": 2,
        "bookTicker": 1,
        "array": 1,
        "ack": 1,
        "trade:INSURANCE_FUND": 1,
    }
    assert counters.of("events") == 1


def test_a_clean_stop_ends_by_the_signal(nats_url, redis_url, namespace):
    with ingest(nats_url, redis_url, namespace, **PATIENT) as service:
        service.wait_ready()
        service.process.terminate()
        assert service.wait_end() == -signal.SIGTERM


def test_a_stop_with_work_left_says_so(nats_url, redis_url, namespace):
    with ingest(nats_url, redis_url, namespace) as service:
        service.wait_ready()
        send(nats_url, (f"{namespace}.y", TRADE % 1), (f"{namespace}.y", TRADE % 2))
        wait_for(lambda: (service.ready() or {})["held_events"] == 2)
        service.process.send(signal.SIGINT)
        assert service.wait_end() == 1
        [left] = service.logged("stopped with work left")
    assert left["events"] == 2
    assert LedgerReader(service.settings).counters().of("dropped", "stop") == 2


def test_a_start_after_a_kill_takes_the_next_epoch(nats_url, redis_url, namespace):
    with ingest(nats_url, redis_url, namespace) as service:
        service.wait_ready()
        ledger = redis.Redis.from_url(redis_url, decode_responses=True)
        first = ledger.hget(f"{namespace}:shard:0", "epoch")
        service.process.send(signal.SIGKILL)
        service.wait_end()
        service.instance.start_again(service.process)
        service.wait_ready()
        second = ledger.hget(f"{namespace}:shard:0", "epoch")
    assert str(first).startswith("1.")
    assert str(second).startswith("2.")


def test_servers_that_are_unavailable_are_named_once_and_waited_for(namespace):
    with Instance("servers") as servers:
        nats_port, redis_port = free_port(), free_port()
        urls = f"nats://127.0.0.1:{nats_port}", f"redis://127.0.0.1:{redis_port}/0"
        with ingest(*urls, namespace) as service:
            wait_for(lambda: service.logged("connection lost, retrying"))
            assert service.get("/healthz")[0] == 200
            status, body = service.get("/ready")
            assert (status, json.loads(body)["redis"], json.loads(body)["nats"]) == (503, False, False)
            cache, _ = start_redis(servers, port=redis_port)
            wait_for(lambda: len(service.logged("connection lost, retrying")) == 2, "NATS to be named")
            start_nats(servers, port=nats_port)
            service.wait_ready()
            lost = [(line["part"], line["url"]) for line in service.logged("connection lost, retrying")]
            assert lost == [("redis", urls[1]), ("nats", urls[0])]
            # Redis goes and comes back empty: it is named again, and a new epoch begins.
            servers.stop(cache)
            wait_for(lambda: json.loads(service.get("/ready")[1])["redis"] is False)
            assert len(service.logged("connection lost, retrying")) == 3
            start_redis(servers, "redis-again", port=redis_port)
            service.wait_ready()
            wait_for(lambda: len(service.logged("epoch started")) == 2)
            assert service.logged("epoch started")[1]["epoch"].startswith("2.")


def test_a_taken_port_is_replaced_and_shown_unless_that_is_forbidden(nats_url, redis_url, namespace):
    with ingest(nats_url, redis_url, namespace) as first:
        first.wait_ready()
        with ingest(nats_url, redis_url, f"{namespace}b", HTTP_PORT=str(first.port)) as second:
            [line] = wait_for(lambda: second.logged("the HTTP port is taken: using a free one"))
            second.port = line["port"]
            second.wait_ready()
            assert (second.ready() or {})["port"] == line["port"] != first.port
        with ingest(nats_url, redis_url, f"{namespace}c", HTTP_PORT=str(first.port), METRICS_STRICT_PORT="1") as strict:
            assert strict.wait_end() == 1
            assert f"127.0.0.1:{first.port} is taken" in strict.process.tail(1)


@pytest.mark.parametrize(
    ("environment", "fault"),
    [
        ({"INGEST_SUORCE": "core"}, "did you mean INGEST_SOURCE?"),
        ({"STRATEGIES_FILE": "nowhere.toml"}, "can't read the strategies file nowhere.toml"),
        ({"NAMESPACE": "a b", "SIGNAL_SUBJECT": "signals.{price}"}, "SIGNAL_SUBJECT"),
    ],
)
def test_settings_that_cant_be_used_stop_the_start_with_one_message(nats_url, redis_url, namespace, environment, fault):
    with ingest(nats_url, redis_url, namespace) as service:
        started = service.instance.start(
            "faulty", [*service.process.command], {**service.process.environment, **environment}
        )
        wait_for(lambda: started.returncode is not None)
        assert started.returncode == 1
        assert fault in started.tail(5)
        assert "Traceback" not in started.tail(50)
