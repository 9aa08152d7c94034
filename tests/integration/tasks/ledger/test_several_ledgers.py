"""What is split over the ledgers of two shards reads as if one ledger had all of it."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
import redis

from compose.local.processes import Instance
from compose.local.servers import start_redis
from tasks.errors import NotFoundError, ServerUnavailableError, TrimmedError
from tasks.ledger import past_events, summary
from tasks.ledger.dead_letters import DeadLetterFilter, DeadLetterStore
from tasks.ledger.entry_id import EntryId
from tasks.ledger.entry_stream import EntryStream
from tasks.ledger.reader import HANGS_S, LedgerReader
from tasks.protocol import dead_letters
from tasks.protocol.dead_letters import DeadLetter
from tasks.settings import Settings
from tests.support.sending import CONFIGURATION
from tests.support.stacks.two_ledgers import HOMES, SplitLedger, split_ledger
from tests.support.strategies import BAD, Grumpy, trades


@pytest.fixture
def split(redis_url: str, namespace: str) -> Iterator[SplitLedger]:
    with split_ledger(redis_url, namespace) as split:
        yield split


@pytest.fixture
def reader(split: SplitLedger) -> Iterator[LedgerReader]:
    with closing(LedgerReader.reach(split.settings)) as reader:
        yield reader


@pytest.fixture
def whole(split: SplitLedger) -> Iterator[LedgerReader]:
    with closing(LedgerReader.reach(split.whole)) as reader:
        yield reader


def _letters(reader: LedgerReader) -> list[DeadLetter]:
    return [each.letter for each in DeadLetterStore(reader).choose(DeadLetterFilter())]


READ: dict[str, Callable[[LedgerReader], Any]] = {
    "signals": lambda reader: sorted(reader.signals()),
    "digest": LedgerReader.digest,
    "positions digest": LedgerReader.positions_digest,
    "records": lambda reader: sorted(
        (pool, field, record.count, record.hash) for pool, field, record in reader.records()
    ),
    "positions": lambda reader: sorted(reader.positions()),
    "accounts": lambda reader: sorted(reader.accounts()),
    "symbols": LedgerReader.symbols,
    "counters": LedgerReader.counters,
    "audit lines": lambda reader: sorted(line for _, line in reader.entries(reader.keys.audit, b"line")),
    "dead letters": lambda reader: sorted(map(repr, _letters(reader))),
    "newest signals": lambda reader: sorted(_watched(reader).newest(100)),
}


def _watched(reader: LedgerReader) -> EntryStream:
    return EntryStream(reader, reader.keys.signals, b"signal", lambda _: True)


@pytest.mark.parametrize("read", READ.values(), ids=READ.keys())
def test_what_two_ledgers_hold_reads_as_one(split, reader, whole, read: Callable[[LedgerReader], Any]):
    for client in split.clients:
        client.hset(split.keys.counters, "frames", 3 if client is split.clients[2] else 1)
    split.clients[0].hincrby(split.keys.counters, "frames", 1)
    for symbol in (*HOMES, "ADAUSDT", "SOLUSDT", *HOMES):
        split.commit(symbol, 1.0, BAD, 2.0, strategy=Grumpy.create({}))
        split.trade_on_paper(symbol)
    assert all(split.fields(number) for number in (0, 1))
    found = read(reader)
    assert found == read(whole)
    assert found


def test_a_summary_and_the_audit_are_those_of_all(split, reader):
    first, version = split.clients[0], CONFIGURATION.version
    first.hset(split.keys.configurations, version, CONFIGURATION.canonical())
    for symbol in HOMES:
        split.commit(symbol, 1.0, 2.0, version=version)
    assert summary.read(split.settings).digest == summary.read(split.whole).digest
    audit = reader.audit()
    assert {audit.version("trade", trades(1.0, symbol=symbol)[0]) for symbol in HOMES} == {version}


def test_an_event_is_past_if_its_ledger_has_seen_it(split):
    for symbol in HOMES:
        split.commit(symbol, 1.0)
    seen, new = ([trades(1.0, start=start, symbol=symbol)[0] for symbol in HOMES] for start in (1, 2))
    assert all(past_events.is_past(split.settings, each) for each in seen)
    assert not any(past_events.is_past(split.settings, each) for each in new)


def test_entries_come_in_the_order_of_time_number_and_ledger(split, reader):
    for number, name in ((0, "5-0"), (1, "5-0"), (1, "5-1"), (1, "6-0"), (0, "7-0")):
        split.add(number, split.keys.signals, "signal", f"{name} of {number}", name)
    found = list(reader.entries(split.keys.signals, b"signal"))
    assert [name for name, _ in found] == ["5-0", "5-0.1", "5-1.1", "6-0.1", "7-0"]
    assert [EntryId.parse(name).ledger for name, _ in found] == [int(value[-1:]) for _, value in found]


@pytest.mark.parametrize("number", [0, 1])
def test_signals_that_are_missing_in_one_ledger_are_missing(split, reader, number: int):
    for name in ("1-0", "2-0"):
        split.add(number, split.keys.signals, "signal", name, name)
    split.add(1 - number, split.keys.signals, "signal", "whole", "1-0")
    split.clients[number].xtrim(split.keys.signals, maxlen=1, approximate=False)
    assert list(reader.first_kept(split.keys.signals, b"signal")) == [b"2-0"]
    with pytest.raises(TrimmedError):
        reader.digest()


def test_the_ledger_that_does_not_answer_is_named(split):
    nowhere = "redis://127.0.0.1:1/3"
    settings = split.settings.model_copy(update={"ledger_urls": f"{split.settings.ledger} {nowhere}"})
    with pytest.raises(ServerUnavailableError, match=rf"at {nowhere} \(LEDGER_URLS\)"):
        LedgerReader.reach(settings)


@pytest.mark.parametrize("begin", ["stored", "newest"])
@pytest.mark.parametrize("number", [0, 1])
def test_following_misses_nothing_of_a_clock_that_is_behind(split, reader, begin: str, number: int):
    """What one ledger commits later has a lower id than what the other one has committed before."""
    split.add(number, split.keys.signals, "signal", "behind", "1-0")
    split.add(1 - number, split.keys.signals, "signal", "ahead", "9-0")
    stream = _watched(reader)
    seen = list(stream.stored()) if begin == "stored" else stream.newest(1)
    assert seen[-1] == b"ahead"
    split.add(number, split.keys.signals, "signal", "new", "2-0")
    split.add(1 - number, split.keys.signals, "signal", "newer", "9-1")
    following = stream.follow(print)
    assert {next(following), next(following)} == {b"new", b"newer"}


@pytest.mark.parametrize("begin", ["stored", "newest"])
def test_following_begins_where_a_quiet_ledger_was_asked_from(split, reader, begin: str):
    split.add(0, split.keys.signals, "signal", "old", "4-7")
    split.add(1, split.keys.signals, "signal", "asked for", "5-0")
    stream = _watched(reader)
    assert (list(stream.stored(5)) if begin == "stored" else stream.newest(1, 5)) == [b"asked for"]
    split.add(0, split.keys.signals, "signal", "new", "5-0")
    assert next(stream.follow(print)) == b"new"


def add_letters(split: SplitLedger, *names: str) -> None:
    """Add letters by their ids, each of which says its own."""
    for name in names:
        entry = EntryId.parse(name)
        packed: Any = dead_letters.pack(DeadLetter("refused", name))
        split.add(entry.ledger, split.keys.deadletters, "letter", packed, entry.stored)


LETTERS = ("5-0", "5-0.1", "6-0", "7-0.1")


def test_letters_are_chosen_from_all_ledgers_by_time(split, reader):
    add_letters(split, *LETTERS)
    store = DeadLetterStore(reader)

    def ids(**chosen: Any) -> tuple[str, ...]:
        found = list(store.choose(DeadLetterFilter(**chosen)))
        assert [each.letter.detail for each in found] == [each.id for each in found]
        return tuple(each.id for each in found)

    assert ids() == LETTERS
    assert ids(last=3) == LETTERS[1:]
    assert ids(since_ms=6) == LETTERS[2:]
    assert ids(until_ms=5) == LETTERS[:2]
    assert ids(until_ms=6, last=2) == ("5-0.1", "6-0")


def test_letters_are_found_and_dropped_by_the_ids_that_name_their_ledger(split, reader):
    add_letters(split, *LETTERS)
    store = DeadLetterStore(reader)
    assert [each.letter.detail for each in store.get(LETTERS[::-1])] == list(LETTERS[::-1])
    for absent in ("6-0.1", "7-0", "5-0.2", "x"):
        with pytest.raises(NotFoundError, match=f"no dead letter {absent};"):
            list(store.get([absent]))
    assert store.drop(["5-0.1", "6-0", "7-0", "5-0.9"]) == 2
    assert [each.id for each in store.choose(DeadLetterFilter())] == ["5-0", "7-0.1"]


def test_letters_that_are_written_meanwhile_are_seen_whatever_the_clocks(split, reader):
    add_letters(split, "9-0")
    store = DeadLetterStore(reader)
    ends = store.newest_ids()
    assert list(store.after(ends)) == []
    add_letters(split, "2-0.1", "9-1")
    assert [each.id for each in store.after(ends)] == ["2-0.1", "9-1"]
    assert list(store.after(ends)) == []


def test_following_goes_on_with_others_while_one_hangs(redis_url: str, namespace: str):
    """Its entries come when it is there again."""
    with Instance("hanging") as instance:
        server, url = start_redis(instance)
        settings = Settings(namespace=namespace, ledger_urls=f"{redis_url} {url}", nats_partitions=2)
        reader = LedgerReader(settings)
        stream, said = EntryStream(reader, reader.keys.signals, b"signal", lambda _: True), list[str]()
        with redis.Redis.from_url(url) as second:
            second.xadd(reader.keys.signals, {"signal": "second"})
        following = stream.follow(said.append)
        assert next(following) == b"second"
        server.send(signal.SIGSTOP)
        try:
            for number in range(3):
                reader.client.xadd(reader.keys.signals, {"signal": str(number)})
                asked_s = time.monotonic()
                assert next(following) == b"%d" % number
                assert time.monotonic() - asked_s < 2 * HANGS_S
        finally:
            server.send(signal.SIGCONT)
        assert len(said) <= 1
        with redis.Redis.from_url(url) as second:
            second.xadd(reader.keys.signals, {"signal": "again"})
        assert next(following) == b"again"
        reader.close()
