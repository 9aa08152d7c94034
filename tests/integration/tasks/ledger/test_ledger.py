"""The ledger's scripts on a real server: what each refuses, and that it leaves no trace then."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from tasks.clients.redis_client import connection_options
from tasks.events import Position
from tasks.ledger import Ledger, lane_field
from tasks.ledger.past_events import is_past
from tasks.protocol.batches import Epoch
from tasks.protocol.counters import CounterKey, Counts
from tasks.protocol.notice import Notice
from tasks.protocol.outcome import Outcome
from tasks.protocol.records import Record, pack
from tasks.protocol.routing import LaneId
from tests.support.events import trade
from tests.support.ledger import EPOCH, SOURCE, at, batch, begin, commit, dump, listening, outcome

LANE = LaneId("trade", 0)
OTHER_EPOCH = Epoch(7, "another1")


# Commit


@pytest.mark.parametrize(
    ("stored_epoch", "stands", "sent", "answer"),
    [
        (OTHER_EPOCH, None, batch(), "epoch"),
        (Epoch(8, EPOCH.nonce), None, batch(), "epoch"),
        (None, None, batch(), "epoch"),
        (EPOCH, at(2), batch(), "repeat"),
        (EPOCH, at(1), batch(), "position"),  # the lane began without this batch
        (EPOCH, at(9), batch(), "position"),
        (EPOCH, None, batch(2), "position"),  # the lane lost its past
        (EPOCH, at(3), batch(2), "position"),
        (EPOCH, at(2, "elsewhere"), batch(2), "position"),
    ],
)
def test_a_commit_that_a_check_refuses_leaves_no_trace(client, keys, stored_epoch, stands, sent, answer):
    client.hset(keys.shard(0), mapping={"frontier": "s@1"} | ({"epoch": str(stored_epoch)} if stored_epoch else {}))
    if stands:
        client.hset(keys.pool("trade"), lane_field(LANE), str(stands))
    client.hset(keys.starts(LANE), sent.identity, 1)
    before = dump(client, keys.namespace)
    assert commit(Ledger(client, keys.namespace), sent, outcome()) == answer
    assert dump(client, keys.namespace) == before


@pytest.mark.parametrize("stored", [2**63 - 1, "no number"])
def test_a_counter_that_cannot_be_added_to_does_not_break_a_commit(client, keys, ledger, stored):
    client.hset(keys.counters, "gaps", stored)
    made = outcome()
    made.counts.add("gaps")
    assert commit(ledger, batch(), made) == "committed"
    assert client.hget(keys.pool("trade"), lane_field(LANE)) == str(at(2)).encode()
    assert client.hgetall(keys.counters) == {b"gaps": str(stored).encode(), b"batches": b"1", b"applied": b"2"}


@pytest.mark.parametrize("stored", [b"no number", b"\xff\xfe", b"9" * 5_000])
def test_a_count_of_resets_that_is_no_number_does_not_break_a_commit(client, keys, ledger, stored):
    client.hset(keys.pool("trade"), "resets", stored)
    assert commit(ledger, batch(), outcome(), begin(ledger, batch()).resets) == "committed"


def test_a_commit_writes_everything_at_once(client, keys, ledger):
    begin(ledger, batch())
    assert commit(ledger, batch(), outcome()) == "committed"
    assert client.hgetall(keys.pool("trade")) == {
        b"lane:0": f"{SOURCE}@2".encode(),
        b"record:x": b"r",
        b"state:x": b"s",
    }
    names = (keys.signals, keys.deadletters, keys.audit, keys.held, keys.shadowed, keys.positions)
    streams = [client.xrange(name) for name in names]
    assert [[fields for _, fields in entries] for entries in streams] == [
        [{b"signal": b"signal 1"}, {b"signal": b"signal 2"}],
        [{b"letter": b"letter"}],
        [{b"line": b"line"}],
        [{b"held": b"held"}],
        [{b"shadowed": b"shadowed"}],
        [{b"position": b"position"}],
    ]
    assert client.hgetall(keys.counters) == {b"batches": b"1", b"applied": b"2"}
    assert not client.exists(keys.starts(LANE))


def test_a_commit_that_comes_again_is_a_repeat_and_doubles_nothing(client, keys, ledger):
    commit(ledger, batch(), outcome())
    before = dump(client, keys.namespace)
    assert commit(ledger, batch(), outcome("y")) == "repeat"
    assert dump(client, keys.namespace) == before


def test_batches_of_a_lane_commit_in_order_and_lanes_are_independent(client, keys, ledger):
    assert commit(ledger, batch(), outcome()) == "committed"
    assert commit(ledger, batch(2), outcome()) == "committed"
    assert commit(ledger, batch(partition=1), outcome()) == "committed"
    assert client.hmget(keys.pool("trade"), "lane:0", "lane:1") == [f"{SOURCE}@4".encode(), f"{SOURCE}@2".encode()]
    assert client.hget(keys.counters, "applied") == b"6"


def test_a_half_and_its_whole_cannot_both_commit(ledger):
    whole = batch(None, 1, 1, 1, 1)
    assert commit(ledger, batch(), outcome()) == "committed"
    assert commit(ledger, whole, outcome()) == "position"


def test_of_many_copies_at_the_same_time_one_commits(redis_url, client, keys, ledger):
    def commit_own(_: int) -> str:
        with redis.Redis.from_url(redis_url, **connection_options()) as own:
            return commit(Ledger(own, keys.namespace), batch(), outcome())

    with ThreadPoolExecutor(8) as pool:
        answers = Counter(pool.map(commit_own, range(16)))
    assert answers == Counter({"committed": 1, "repeat": 15})
    assert client.xlen(keys.signals) == 2


@pytest.mark.parametrize("count", [0, 1, 499, 500, 501, 1_000, 1_001, 4_500])
def test_any_number_of_fields_is_committed(client, keys, ledger, count):
    many = {f"state:{number}": str(number).encode() for number in range(count)}
    assert commit(ledger, batch(), Outcome(many, [], [], [], Counts())) == "committed"
    held = client.hgetall(keys.pool("trade"))
    assert held == {name.encode(): value for name, value in many.items()} | {b"lane:0": f"{SOURCE}@2".encode()}


def test_more_than_8000_signals_letters_and_lines_are_committed_in_order(client, keys, ledger):
    many = [str(number).encode() for number in range(8_001)]
    counts = Counts({CounterKey("errors", str(number)): 1 for number in range(4_001)})
    assert commit(ledger, batch(), Outcome({}, many, many, many, counts)) == "committed"
    for stream, name in ((keys.signals, b"signal"), (keys.deadletters, b"letter"), (keys.audit, b"line")):
        assert [fields[name] for _, fields in client.xrange(stream)] == many
    assert client.hlen(keys.counters) == 4_002


def test_a_commit_tells_the_sender_and_a_refused_one_does_not(client, keys, ledger):
    with listening(client, keys) as heard:
        commit(ledger, batch(), outcome())
        commit(ledger, batch(), outcome())
        commit(ledger, batch(9), outcome())
    assert heard == [Notice(LANE, str(EPOCH), Position(SOURCE, 2))]


def test_a_notice_survives_its_written_form_also_with_a_strange_source():
    notice = Notice(LaneId("trade", 3), "7.ab", Position("a|b@c", 9))
    assert Notice.parse(str(notice)) == notice


@pytest.mark.parametrize("text", ["", "a|1|2", "a|x|7.ab|s@1", "a|1|7.ab|s"])
def test_what_is_no_notice_is_refused(text):
    with pytest.raises(ValueError, match=r"not enough values|invalid literal|not a position"):
        Notice.parse(text)


# Begin and release


def test_begin_gives_what_the_batch_needs_and_counts_its_starts(ledger):
    commit(ledger, batch(), outcome())
    begun = begin(ledger, batch(2), ["record:x", "state:unheard"])
    assert (begun.starts, begun.epoch, begun.position) == (1, str(EPOCH), Position(SOURCE, 2))
    assert begun.held == {"record:x": b"r", "state:unheard": None}
    assert begin(ledger, batch(2)).starts == 2


def test_begin_in_an_empty_ledger_finds_nothing(client, keys):
    begun = begin(Ledger(client, keys.namespace), batch())
    assert (begun.starts, begun.epoch, begun.position, begun.held) == (1, "", None, {"record:x": None})


def test_starts_are_counted_for_each_identity_and_are_forgotten_in_the_end(client, keys, ledger):
    begin(ledger, batch())
    assert begin(ledger, batch(None, 1.0)).starts == 1
    assert 0 < client.ttl(keys.starts(LANE)) <= 3600


def test_a_start_that_is_released_leaves_no_trace(client, keys, ledger):
    before = dump(client, keys.namespace)
    begin(ledger, batch())
    begin(ledger, batch())
    ledger.release_start(batch())
    assert client.hgetall(keys.starts(LANE)) == {batch().identity.encode(): b"1"}
    ledger.release_start(batch())
    assert dump(client, keys.namespace) == before


def test_a_start_that_a_commit_has_removed_is_not_released_below_none(client, keys, ledger):
    begin(ledger, batch())
    begin(ledger, batch())
    commit(ledger, batch(), outcome())
    ledger.release_start(batch())
    assert not client.exists(keys.starts(LANE))


# What else a worker and a feed ask


def test_a_configuration_is_found_by_its_version(client, keys, ledger):
    client.hset(keys.configurations, "c1", b"{}")
    assert (ledger.configuration("c1"), ledger.configuration("c2")) == (b"{}", None)


def test_counters_count(client, keys, ledger):
    ledger.count(CounterKey("fenced"))
    ledger.count(CounterKey("fenced"))
    assert client.hgetall(keys.counters) == {b"fenced": b"2"}


@pytest.mark.parametrize(
    ("event", "past"),
    [
        (trade(id=10), True),
        (trade(id=9), True),
        (trade(id=11), False),
        (trade(id=9, symbol="ETHUSDT"), False),
        (trade(id=9, venue="usdm"), False),
        (trade(id=9, time_ms=trade().time_ms + 60_001), False),  # a feed that restarts
    ],
)
def test_a_ledger_is_past_what_any_of_its_pools_has_seen(client, keys, settings, event, past):
    record = Record()
    record.take(trade(id=10), "s")
    client.hset(keys.pool("depth"), "lane:0", "s@1")
    client.hset(keys.pool("trade"), "record:spot:BTCUSDT:trade", pack(record))
    assert is_past(settings, event) is past
