"""What a worker does with one batch when Redis fails in the middle of it, or its strategies do."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
import redis
from billiard.exceptions import SoftTimeLimitExceeded

from tasks.clients.redis_client import reason
from tasks.configuration.bound_strategy import BoundStrategy
from tasks.errors import LedgerError
from tasks.ledger import Ledger, lane_field
from tasks.protocol import dead_letters
from tasks.protocol.batches import MAX_STARTS_OF_AN_EVENT
from tasks.settings import Settings
from tasks.worker import runner
from tasks.worker.runner import TaskSummary
from tests.support.events import trade
from tests.support.ledger import SOURCE, batch, begin, dump
from tests.support.running import LANE, TOGETHER_S, having, run, starts
from tests.support.strategies import BAD, Echo, Grumpy, Raising, Unbearable

# Redis in trouble


class Unlucky(Ledger):
    """A ledger whose named call fails once, before or after the server has done it."""

    def trouble(self, name: str, error: Exception, *, done: bool) -> "Unlucky":
        call, left = getattr(self, name), [error]

        def fail_once(*arguments: Any) -> Any:
            if not left:
                return call(*arguments)
            if done:
                call(*arguments)
            raise left.pop()

        setattr(self, name, fail_once)
        return self


@pytest.mark.parametrize("error", [redis.ConnectionError(), redis.TimeoutError(), ConnectionResetError()])
def test_a_commit_whose_answer_got_lost_is_committed_once(client, keys, ledger, error):
    unlucky = Unlucky(client, keys.namespace).trouble("commit", error, done=True)
    assert run(unlucky, batch()) is None
    assert client.hget(keys.pool("trade"), lane_field(LANE)) == f"{SOURCE}@2".encode()
    assert client.xlen(keys.signals) == 2
    assert client.hget(keys.counters, "applied") == b"2"
    assert starts(client, keys) == {}


@pytest.mark.parametrize("error", [redis.ConnectionError(), redis.TimeoutError(), ConnectionResetError()])
def test_a_commit_that_never_arrived_is_sent_again(client, keys, ledger, error):
    unlucky = Unlucky(client, keys.namespace).trouble("commit", error, done=False)
    assert run(unlucky, batch()) == TaskSummary(2, 0, 2, 0)
    assert client.xlen(keys.signals) == 2


@pytest.mark.parametrize("call", ["commit", "notify", "count"])
def test_a_run_that_redis_cuts_short_releases_its_own_start_and_no_other(client, keys, ledger, call):
    run(ledger, batch())
    sent = batch(2) if call == "commit" else batch()
    for _ in range(2):  # other copies that are being run
        begin(ledger, sent)
    unlucky = Unlucky(client, keys.namespace).trouble(call, redis.ResponseError("no"), done=False)
    with pytest.raises(redis.ResponseError):
        run(unlucky, sent)
    assert starts(client, keys) == {sent.identity.encode(): b"2"}


@pytest.mark.parametrize("done", [True, False])
def test_a_run_that_could_not_begin_leaves_no_start_counted_or_not(client, keys, ledger, done):
    before = dump(client, keys.namespace)
    unlucky = Unlucky(client, keys.namespace).trouble("begin", redis.TimeoutError(), done=done)
    with pytest.raises(redis.TimeoutError):
        run(unlucky, batch())
    assert dump(client, keys.namespace) == before


def test_a_start_that_cannot_be_released_stays_counted(client, keys, ledger):
    unlucky = Unlucky(client, keys.namespace).trouble("release_start", redis.ResponseError("no"), done=False)
    assert run(unlucky, batch(2)) is None
    assert starts(client, keys) == {batch(2).identity.encode(): b"1"}


def test_a_configuration_that_is_not_there_is_no_start(client, keys, ledger):
    def find(*_: object) -> Sequence[BoundStrategy]:
        raise LedgerError("the ledger holds no configuration c1")

    before = dump(client, keys.namespace)
    with pytest.raises(LedgerError):
        runner.run([batch()], ledger, find)
    assert dump(client, keys.namespace) == before


def test_the_ledger_of_another_shard_is_left_as_it_is_and_named(client, keys, redis_url: str):
    """Whose LEDGER_URLS have another order would otherwise pass over every batch, without a word."""
    before, where = dump(client, keys.namespace), redis_url.removeprefix("redis://")
    urls = f"redis://{where} redis://default:hunter2@{where}"
    settings = Settings(namespace=keys.namespace, ledger_urls=urls, nats_partitions=2, ingest_shard="0/2")
    wrong = Ledger.connect(settings).of_shard(settings, 1)
    with pytest.raises(LedgerError) as refusal:
        run(wrong, msgspec.structs.replace(batch(), shard=1))
    says = str(refusal.value)
    assert says.startswith(
        f"redis://***@{where} has no {keys.shard(1)}: if shard 1 of ingest runs, LEDGER_URLS here are not"
    )
    assert "else start it" in says
    assert reason(refusal.value) == says, "the log has all of it"
    assert dump(client, keys.namespace) == before


# Poison


@pytest.mark.parametrize("fault", [MemoryError(), SoftTimeLimitExceeded(), SystemExit(1), KeyboardInterrupt()])
def test_a_fatal_error_leaves_its_start_counted_and_nothing_else(client, keys, ledger, fault):
    strategy = Raising.create({})
    strategy.error = fault
    before = dump(client, keys.namespace)
    sent = batch(None, 1.0, BAD)
    with pytest.raises(type(fault)):
        runner.run([sent], ledger, having(strategy), is_fatal=lambda _: True)
    assert starts(client, keys) == {sent.identity.encode(): b"1"}
    assert dump(client, keys.namespace, but=keys.starts(LANE)) == before


@pytest.mark.parametrize(
    ("error", "left"), [(OverflowError(), [b"1"]), (OSError(), []), (ModuleNotFoundError(), []), (LedgerError(), [])]
)
def test_only_an_exception_caused_by_a_batch_leaves_its_start_counted(client, keys, ledger, error, left):
    strategy = msgspec.structs.replace(Unbearable.of(Echo.create({})), error=error)
    beside = batch(partition=1)
    sent = batch(events=(trade(symbol=Unbearable.symbol),))
    before = dump(client, keys.namespace)
    with pytest.raises(type(error)):
        runner.run([beside, sent], ledger, having(strategy), commit_after_s=TOGETHER_S)
    assert list(starts(client, keys).values()) == left
    assert dump(client, keys.namespace, but=keys.starts(LANE)) == before


def test_an_event_that_no_run_survives_is_run_no_more_than_five_times(client, keys, ledger):
    strategy, sent = Unbearable.of(Echo.create({})), batch(events=(trade(symbol=Unbearable.symbol),))
    for _ in range(MAX_STARTS_OF_AN_EVENT):
        with pytest.raises(OverflowError):
            runner.run([sent], ledger, having(strategy))
    assert runner.run([sent], ledger, having(strategy)) == []
    assert starts(client, keys) == {sent.identity.encode(): b"%d" % MAX_STARTS_OF_AN_EVENT}


def test_a_broken_strategy_is_no_poison_so_its_batch_is_committed(client, keys, ledger):
    assert run(ledger, batch(None, BAD, BAD), Grumpy.create({})) == TaskSummary(2, 0, 0, 2)
    letters = [dead_letters.unpack(fields[b"letter"]) for _, fields in client.xrange(keys.deadletters)]
    assert [letter.reason for letter in letters] == ["strategy_error"] * 2
