"""What ingest says over HTTP, and how it ends, whatever is unavailable."""

import asyncio
import json
import signal
import time
from pathlib import Path

import pytest
import redis
from prometheus_client.parser import text_string_to_metric_families

from compose.local.processes import Instance
from compose.local.servers import free_port, start_nats, start_redis
from tasks.ledger.reader import LedgerReader
from tests.support.sending import Queue, one_pool
from tests.support.service import PATIENT, Ingest, ingest, publish
from tests.support.waiting import HANGS_S, wait_for

EVENT_MS = 1_723_161_255_343
TRADE = b'{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":%d,"p":"61837.63","q":"0.02","T":1723161255342,"m":true,"M":true}'
ACK = b'{"result":null,"id":1}'


def samples(service: Ingest) -> dict[tuple[str, str], float]:
    """Return every sample by its name and its first label's value."""
    status, text = service.get("/metrics")
    assert status == 200
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_metrics_are_those_of_prometheus_and_equal_what_was_sent(nats_url, redis_url, namespace, tmp_path: Path):
    own = {"STRATEGIES_FILE": one_pool(tmp_path)}
    with ingest(nats_url, redis_url, namespace, **own) as service, redis.Redis.from_url(redis_url) as client:
        service.wait_ready()
        assert samples(service)["ingest_frames_total", ""] == 0
        queue = Queue(client, service.settings)
        asyncio.run(publish(nats_url, (f"{namespace}.x", TRADE % 1)))
        wait_for(lambda: len(queue))
        frames = [TRADE % 2, TRADE % 3, ACK, ACK, b"{", (TRADE % 4).replace(b'"0.02"', b'"0"')]
        asyncio.run(publish(nats_url, *((f"{namespace}.x", frame) for frame in frames)))
        wait_for(lambda: samples(service)["ingest_frames_total", ""] == 7)
        said = samples(service)
        assert said["ingest_events_total", "trade"] == 3
        assert said["ingest_frames_skipped_total", "ack"] == 2
        assert said["ingest_frames_refused_total", "not_json"] == 1
        assert sum(value for (name, _), value in said.items() if name == "ingest_frames_refused_total") == 2
        assert sum(value for (name, _), value in said.items() if name == "ingest_lane_held_events") == 3
        assert said["ingest_held_bytes", ""] > 0
        assert (said["ingest_part_up", "nats"], said["ingest_part_up", "redis"]) == (1, 1)
        assert said["ingest_batches_sent_total", ""] == 1
        for _ in range(2):
            wait_for(lambda: len(queue))
            queue.commit(queue.take_batch())
        wait_for(lambda: samples(service)["ingest_events_committed_total", ""] == 3)
        said = samples(service)
        assert (said["ingest_batches_sent_total", ""], said["ingest_held_bytes", ""]) == (2, 0)
        assert (said["ingest_batch_events_count", ""], said["ingest_batch_events_sum", ""]) == (2, 3)
        assert said["ingest_round_trip_seconds_count", ""] == 2
        assert said["pipeline_latency_seconds_count", ""] == said["pipeline_event_age_seconds_count", ""] == 3
        assert 0 < said["ingest_round_trip_seconds_sum", ""] < said["pipeline_latency_seconds_sum", ""] < 3 * HANGS_S
        age_s = time.time() - EVENT_MS / 1_000
        assert said["pipeline_event_age_seconds_sum", ""] == pytest.approx(3 * age_s, abs=3 * HANGS_S)
        reader = LedgerReader(service.settings)
        wait_for(lambda: reader.counters().of("committed") == 3, "the same in the ledger")
        assert reader.counters().of("frames") == 7
        reader.client.close()


def test_the_probes_answer_with_json_that_names_every_part(nats_url, redis_url, namespace):
    with ingest(nats_url, redis_url, namespace) as service:
        service.wait_ready()
        status, body = service.get("/healthz")
        assert status == 200
        assert json.loads(body)["ok"] is True
        assert json.loads(body)["heartbeat_age_s"] < HANGS_S
        status, body = service.get("/ready")
        said = json.loads(body)
        wanted = {"ok": True, "nats": True, "redis": True, "lanes": True, "started": True, "stopping": False}
        assert (status, {name: said[name] for name in wanted}) == (200, wanted)
        assert (said["held_events"], said["stuck"], said["port"]) == (0, {}, service.port)
        assert service.get("/nothing")[0] == 404


@pytest.mark.parametrize("missing", ["redis", "nats"])
def test_a_stop_before_servers_are_available_is_prompt_and_by_the_signal(nats_url, redis_url, namespace, missing):
    urls = {"nats": nats_url, "redis": redis_url}
    urls[missing] = f"{missing}://127.0.0.1:{free_port()}"
    with ingest(urls["nats"], urls["redis"], namespace, **PATIENT) as service:
        wait_for(lambda: service.logged("connection lost, retrying"))
        service.process.terminate()
        assert service.wait_end() == -signal.SIGTERM


def test_a_stop_without_nats_is_bounded_and_clean_when_nothing_is_left(redis_url, namespace):
    with Instance("endpoints") as instance:
        process, url = start_nats(instance)
        with ingest(url, redis_url, namespace, **PATIENT) as service:
            service.wait_ready()
            instance.stop(process)
            wait_for(lambda: service.logged("connection lost, retrying"))
            service.process.terminate()
            assert service.wait_end() == -signal.SIGTERM


def test_an_unavailable_redis_is_reported_once_and_a_stop_is_bounded(nats_url, namespace, tmp_path: Path):
    """A stop meanwhile says what is left."""
    own = {"STRATEGIES_FILE": one_pool(tmp_path)}
    with Instance("endpoints") as instance:
        process, url = start_redis(instance)
        with ingest(nats_url, url, namespace, **own) as service:
            service.wait_ready()
            asyncio.run(publish(nats_url, (f"{namespace}.x", TRADE % 1)))
            wait_for(lambda: (service.ready() or {"held_events": 0})["held_events"] == 1)
            instance.stop(process)
            wait_for(lambda: service.get("/ready")[0] == 503)
            gone_s = time.monotonic()
            # Several ticks, looks and checkpoints pass.
            wait_for(lambda: time.monotonic() - gone_s > 3)
            assert [line["part"] for line in service.logged("connection lost, retrying")] == ["redis"]
            assert service.get("/healthz")[0] == 200
            service.process.terminate()
            assert service.wait_end() == 1
            [line] = service.logged("stopped with work left")
            assert (line["events"], line["counts_not_written"]) == (1, True)
