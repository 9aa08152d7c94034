"""What people and summaries read of the ledger."""

from collections.abc import Iterator

import pytest

from tasks.errors import TrimmedError
from tasks.ledger import Ledger
from tasks.ledger.reader import LedgerReader
from tasks.protocol.counters import CounterKey
from tasks.protocol.digest import digest
from tasks.settings import Settings
from tests.support.ledger import batch, start_epoch
from tests.support.running import run
from tests.support.strategies import Echo, Worker


@pytest.fixture
def reader(redis_url: str, namespace: str) -> Iterator[LedgerReader]:
    reader = LedgerReader(Settings(redis_url=redis_url, namespace=namespace))
    yield reader
    reader.client.close()


def speak(reader: LedgerReader, *names: str) -> None:
    for name in names:
        reader.client.xadd(reader.keys.signals, {"signal": name})


def test_the_digest_of_a_ledger_is_that_of_one_process_that_did_the_same(reader):
    start_epoch(reader.client, reader.keys)
    echo, ledger = Echo.create({}), Ledger(reader.client, reader.keys.namespace)
    worker = Worker(echo)
    for sent in (batch(), batch(2, 3.0, 4.0, 5.0)):
        worker.run(sent.events)
        run(ledger, sent, echo)
    assert len(list(reader.signals())) == 5
    assert reader.digest() == digest(worker.signals, worker.ledger.records())


def test_an_empty_ledger_has_the_digest_of_nothing(reader):
    assert reader.digest() == digest([], [])
    assert list(reader.signals()) == []
    assert reader.counters() == {}


def test_the_digest_is_refused_with_its_reason_when_the_stream_was_trimmed(reader):
    speak(reader, *"abc")
    reader.client.xtrim(reader.keys.signals, maxlen=2, approximate=False)
    with pytest.raises(TrimmedError, match=r"was trimmed.*SIGNALS_KEEP"):
        reader.digest()


def test_a_stream_that_was_made_for_a_reader_before_any_signal_is_whole(reader):
    reader.client.xgroup_create(reader.keys.signals, "relay", id="0", mkstream=True)
    assert reader.digest() == digest([], [])


def test_any_number_of_signals_comes_oldest_first(reader):
    wanted = [str(number) for number in range(2_500)]
    pipe = reader.client.pipeline()
    for name in wanted:
        pipe.xadd(reader.keys.signals, {"signal": name})
    pipe.execute()
    assert [signal.decode() for signal in reader.signals()] == wanted


def test_records_of_all_pools_are_found_and_of_other_namespaces_none(reader):
    worker = Worker(Echo.create({}))
    worker.run(batch().events)
    packed = worker.held["record:spot:BTCUSDT:trade"]
    for key in (reader.keys.pool("depth"), reader.keys.pool("trade"), f"{reader.keys.namespace}x:pool:trade"):
        reader.client.hset(key, mapping={"record:spot:BTCUSDT:trade": packed, "state:x": b"x", "lane:0": "s@1"})
    assert sorted((pool, field) for pool, field, _ in reader.records()) == [
        ("depth", "record:spot:BTCUSDT:trade"),
        ("trade", "record:spot:BTCUSDT:trade"),
    ]
    assert {record.count for _, _, record in reader.records()} == {2}


def test_counters_are_numbers_by_name(reader):
    reader.client.hset(reader.keys.counters, mapping={"frames": 3, "skipped:kline": 2})
    assert reader.counters() == {CounterKey("frames"): 3, CounterKey("skipped", "kline"): 2}
