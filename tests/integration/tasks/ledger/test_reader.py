"""What people and summaries read of the ledger."""

from collections.abc import Iterator

import pytest

from tasks.errors import TrimmedError
from tasks.ledger import Ledger
from tasks.ledger.reader import LedgerReader
from tasks.protocol.counter import CounterKey
from tasks.protocol.digest import digest
from tasks.settings import Settings
from tests.support.ledger import batch, start_epoch
from tests.support.running import run
from tests.support.strategies import Echo, Worker


@pytest.fixture
def outbox(redis_url: str, namespace: str) -> Iterator[LedgerReader]:
    outbox = LedgerReader(Settings(redis_url=redis_url, namespace=namespace))
    yield outbox
    outbox.client.close()


def speak(outbox: LedgerReader, *names: str) -> None:
    for name in names:
        outbox.client.xadd(outbox.keys.signals, {"signal": name})


def test_the_digest_of_a_ledger_is_that_of_one_process_that_did_the_same(outbox):
    start_epoch(outbox.client, outbox.keys)
    echo, ledger = Echo.create({}), Ledger(outbox.client, outbox.keys.namespace)
    worker = Worker(echo)
    for sent in (batch(), batch(2, 3.0, 4.0, 5.0)):
        worker.run(sent.events)
        run(ledger, sent, echo)
    assert len(list(outbox.signals())) == 5
    assert outbox.digest() == digest(worker.signals, worker.ledger.records())


def test_an_empty_ledger_has_the_digest_of_nothing(outbox):
    assert outbox.digest() == digest([], [])
    assert list(outbox.signals()) == []
    assert outbox.counters() == {}


def test_the_digest_is_refused_with_its_reason_when_the_stream_was_trimmed(outbox):
    speak(outbox, *"abc")
    outbox.client.xtrim(outbox.keys.signals, maxlen=2, approximate=False)
    with pytest.raises(TrimmedError, match=r"was trimmed.*SIGNALS_KEEP"):
        outbox.digest()


def test_a_stream_that_was_made_for_a_reader_before_any_signal_is_whole(outbox):
    outbox.client.xgroup_create(outbox.keys.signals, "relay", id="0", mkstream=True)
    assert outbox.digest() == digest([], [])


def test_any_number_of_signals_comes_oldest_first(outbox):
    wanted = [str(number) for number in range(2_500)]
    pipe = outbox.client.pipeline()
    for name in wanted:
        pipe.xadd(outbox.keys.signals, {"signal": name})
    pipe.execute()
    assert [signal.decode() for signal in outbox.signals()] == wanted


def test_records_of_all_pools_are_found_and_of_other_namespaces_none(outbox):
    worker = Worker(Echo.create({}))
    worker.run(batch().events)
    packed = worker.held["record:spot:BTCUSDT:trade"]
    for key in (outbox.keys.pool("depth"), outbox.keys.pool("trade"), f"{outbox.keys.namespace}x:pool:trade"):
        outbox.client.hset(key, mapping={"record:spot:BTCUSDT:trade": packed, "state:x": b"x", "lane:0": "s@1"})
    assert sorted((pool, field) for pool, field, _ in outbox.records()) == [
        ("depth", "record:spot:BTCUSDT:trade"),
        ("trade", "record:spot:BTCUSDT:trade"),
    ]
    assert {record.count for _, _, record in outbox.records()} == {2}


def test_counters_are_numbers_by_name(outbox):
    outbox.client.hset(outbox.keys.counters, mapping={"frames": 3, "skipped:kline": 2})
    assert outbox.counters() == {CounterKey("frames"): 3, CounterKey("skipped", "kline"): 2}
