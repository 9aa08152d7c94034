"""Redis refuses commits for a while: all of them are made once it takes them, and meanwhile everything says why."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from tasks import backtest, configuration
from tasks.ledger import Ledger, LedgerKeys
from tasks.ledger.reader import LedgerReader
from tasks.protocol import dead_letters
from tasks.protocol.batches import MAX_STARTS_OF_AN_EVENT
from tasks.protocol.notice import Refusal
from tasks.worker import runner
from tests.support.events import TIME_MS
from tests.support.ledger import EPOCH, batch, begin
from tests.support.running import LANE, TOGETHER_S, having, run, starts
from tests.support.servers.guarded_servers import ran
from tests.support.service import Ingest, ingest, publish
from tests.support.strategies import Echo
from tests.support.waiting import wait_for
from tests.support.workers.process import Worker, worker

SECRET = "not-known"  # noqa: S105 of a user that a test makes
PART = 60
STRATEGIES = """
[pools.trade]
kinds = ["trade"]
partitions = 3
[pools.trade.strategies."tests.support.workers.strategies:Plain"]
[pools.trade.strategies."tests.support.workers.strategies:Sided".gate]
min_confidence = 0.5
"""


def frame(id_: int) -> bytes:
    symbol = ("BTCUSDT", "ETHUSDT", "SOLUSDT")[id_ % 3]
    trade = {"e": "trade", "E": TIME_MS + id_, "s": symbol, "t": id_, "p": "1", "q": "1", "T": TIME_MS + id_, "m": True}
    return json.dumps(
        {"stream": f"{symbol.lower()}@trade", "data": trade, "received_at": (TIME_MS + id_) * 10**6}
    ).encode()


@contextmanager
def without(client: redis.Redis, user: str, command: str) -> Iterator[None]:
    client.execute_command("ACL", "SETUSER", user, f"-{command}")  # type: ignore[no-untyped-call]  # redis-py's gap
    try:
        yield
    finally:
        client.execute_command("ACL", "SETUSER", user, f"+{command}")  # type: ignore[no-untyped-call]  # redis-py's gap


def without_xadd(client: redis.Redis, user: str, _: LedgerKeys) -> AbstractContextManager[None]:
    return without(client, user, "xadd")


@contextmanager
def with_a_string_for_signals(client: redis.Redis, _: str, keys: LedgerKeys) -> Iterator[None]:
    client.rename(keys.signals, f"{keys.signals}:aside")
    client.set(keys.signals, "no stream")
    try:
        yield
    finally:
        client.rename(f"{keys.signals}:aside", keys.signals)


class Pipeline:
    """Ingest and a worker, which has a user of its own."""

    def __init__(self, service: Ingest, work: Worker, client: redis.Redis) -> None:
        self.service, self.work, self.client = service, work, client
        self.reader = LedgerReader(service.settings)
        self.sent = 0

    def publish(self) -> None:
        """Publish the next trades; wait until ingest has them."""
        ids = range(self.sent + 1, self.sent + PART + 1)
        subject = f"{self.service.settings.namespace}.x"
        asyncio.run(publish(self.service.settings.nats_url, *((subject, frame(id_)) for id_ in ids)))
        self.sent += PART

    def applied(self) -> bool:
        return self.reader.counters().of("applied") == self.sent

    def wait_applied(self) -> None:
        wait_for(self.applied, f"the commits{self.work.process.tail()}")


def found(service: Ingest, name: str) -> str:
    """Return what /ready says of this fault; empty: it is not found."""
    status, body = service.get("/ready")
    says: list[str] = [each["says"] for each in json.loads(body)["findings"] if each["name"] == name]
    assert not says or status == 503
    return says[0] if says else ""


STREAM = {"INGEST_SOURCE": "jetstream", "INGEST_STREAM_MAX_BYTES": str(2**20)}


@pytest.fixture(params=[pytest.param({}, id="core"), pytest.param(STREAM, id="jetstream", marks=pytest.mark.slow)])
def pipeline(request: pytest.FixtureRequest, nats_url, redis_url, namespace, client, tmp_path) -> Iterator[Pipeline]:
    (tmp_path / "strategies.toml").write_text(STRATEGIES)
    own = {"STRATEGIES_FILE": str(tmp_path / "strategies.toml"), "SIGNAL_MAX_AGE_S": "0", **request.param}
    client.execute_command("ACL", "SETUSER", namespace, "on", f">{SECRET}", "~*", "&*", "+@all")
    try:
        with ingest(nats_url, redis_url, namespace, **own) as service:
            as_user = {"redis_url": redis_url.replace("//", f"//{namespace}:{SECRET}@")}
            with worker(service.settings.model_copy(update=as_user), **own) as work:
                service.wait_ready()
                work.wait_ready()
                yield Pipeline(service, work, client)
    finally:
        client.execute_command("ACL", "DELUSER", namespace)


def told(pipeline: Pipeline, words: str, tmp_path: Path) -> None:
    """See that everything says that commits are refused, and why."""
    wait_for(lambda: words in found(pipeline.service, "commits_refused"), f"a finding{pipeline.work.process.tail()}")
    wait_for(lambda: words in pipeline.work.log(), "the worker's log")
    doctor = ran(pipeline.service.environment | {"COLUMNS": "300"}, "tasks", "doctor")
    assert (doctor.returncode, words in doctor.stdout) == (1, True), doctor
    assert 'ingest_finding{name="commits_refused"} 1.0' in pipeline.service.get("/metrics")[1]


FAULTS: list[tuple[Callable[..., Any], str]] = [
    (without_xadd, "this user may not XADD"),
    (with_a_string_for_signals, "WRONGTYPE"),
]


def test_commits_that_redis_refuses_for_a_while_are_told_and_made_later(pipeline, keys, namespace, tmp_path):
    pipeline.publish()
    pipeline.wait_applied()
    for fault, words in FAULTS:
        with fault(pipeline.client, namespace, keys):
            pipeline.publish()
            told(pipeline, words, tmp_path)
            assert not pipeline.applied()
        pipeline.wait_applied()
        wait_for(lambda: not found(pipeline.service, "commits_refused"), "the end of the finding")
    recording = tmp_path / "recording.jsonl"
    recording.write_bytes(b"\n".join(map(frame, range(1, pipeline.sent + 1))))
    expected = backtest.run([recording], configuration.read(tmp_path / "strategies.toml"))
    assert pipeline.reader.digest() == expected.digest
    reasons = {dead_letters.unpack(raw).reason for _, raw in pipeline.reader.entries(keys.deadletters, b"letter")}
    assert reasons == {"strategy_error"}
    assert "Traceback" not in pipeline.work.log()
    assert not list(pipeline.client.scan_iter(f"{namespace}:starts:*"))


def test_what_redis_refuses_ingest_is_told_and_done_later(nats_url, redis_url, namespace, client, keys, tmp_path):
    (tmp_path / "strategies.toml").write_text(STRATEGIES)
    user = redis_url.replace("//", f"//{namespace}:{SECRET}@")
    client.execute_command("ACL", "SETUSER", namespace, "on", f">{SECRET}", "~*", "&*", "+@all")
    try:
        with ingest(nats_url, user, namespace, STRATEGIES_FILE=str(tmp_path / "strategies.toml")) as service:
            service.wait_ready()
            with without(client, namespace, "hincrby"):
                asyncio.run(publish(nats_url, *((f"{namespace}.x", frame(id_)) for id_ in range(PART))))
                why = f"this user may not HINCRBY {keys.counters}"
                wait_for(lambda: why in found(service, "redis_refuses"), f"the finding{service.process.tail()}")
                assert not client.exists(keys.counters)
                assert json.loads(service.get("/ready")[1])["redis"]
            wait_for(lambda: client.hget(keys.counters, "frames") == b"%d" % PART, "the counts")
    finally:
        client.execute_command("ACL", "DELUSER", namespace)


# One worker, one batch


@pytest.fixture
def refusing(redis_url, client, namespace) -> Iterator[Ledger]:
    """A ledger as a user sees it that may not append."""
    client.execute_command("ACL", "SETUSER", namespace, "on", f">{SECRET}", "~*", "&*", "+@all", "-xadd")
    with redis.Redis.from_url(redis_url.replace("//", f"//{namespace}:{SECRET}@")) as own:
        yield Ledger(own, namespace)
    client.execute_command("ACL", "DELUSER", namespace)


def test_a_refused_commit_leaves_no_start_however_often_it_is_tried(client, keys, ledger, refusing):
    for _ in range(MAX_STARTS_OF_AN_EVENT + 1):
        with pytest.raises(redis.exceptions.NoPermissionError):
            runner.run([batch()], refusing, having(Echo.create({})))
        assert starts(client, keys) == {}
    assert client.xlen(keys.deadletters) == 0
    assert run(ledger, batch()) is not None


def test_a_worker_tells_the_sender_why_redis_refused_a_batch(client, keys, ledger, refusing):
    heard: list[str] = []
    anybody: Any = client
    with anybody.pubsub(ignore_subscribe_messages=True) as listener:
        listener.subscribe(keys.notices)
        wait_for(lambda: anybody.pubsub_numsub(keys.notices)[0][1] == 1, "the subscription")
        with pytest.raises(redis.exceptions.NoPermissionError):
            runner.run([batch(), batch(partition=1)], refusing, having(Echo.create({})), commit_after_s=TOGETHER_S)
        client.publish(keys.notices, "the end")
        for message in listener.listen():
            if message["data"] == b"the end":
                break
            heard += message["data"].decode().split("\n")
    why = f"this user may not XADD {keys.signals}"
    lanes = (LANE, batch(partition=1).lane)
    assert sorted(map(Refusal.parse, heard)) == [Refusal(lane, str(EPOCH), why) for lane in lanes]


def test_who_may_not_take_a_start_back_counts_none(redis_url, client, keys, ledger, namespace):
    client.execute_command("ACL", "SETUSER", namespace, "on", f">{SECRET}", "~*", "&*", "+@all", "-hdel")
    try:
        with (
            redis.Redis.from_url(redis_url.replace("//", f"//{namespace}:{SECRET}@")) as own,
            pytest.raises(redis.exceptions.NoPermissionError),
        ):
            begin(Ledger(own, namespace), batch())
    finally:
        client.execute_command("ACL", "DELUSER", namespace)
    assert starts(client, keys) == {}
