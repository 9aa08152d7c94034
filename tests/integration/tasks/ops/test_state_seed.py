"""A seeding comes between two batches: whole, or not at all, whatever is in flight."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import LedgerError
from tasks.events import AnyEvent
from tasks.ledger import Ledger, LedgerKeys
from tasks.ops import state_seed
from tasks.ops.state_seed import SeedContent, StateSeeder
from tasks.ops.states import StateStore
from tasks.protocol.records import Record, unpack
from tasks.protocol.routing import Pool
from tasks.settings import Settings
from tests.support.ledger import batch, dump, start_epoch
from tests.support.running import run, starts
from tests.support.strategies import Echo, Interrupted, Together, Worker, trades

RECORD = "record:spot:BTCUSDT:trade"


def content(fields: Mapping[str, Mapping[str, bytes]]) -> SeedContent:
    return SeedContent(fields, "c1", "", "", ("past.jsonl",), {name: Pool(name, ("trade",)) for name in fields})


class Bench(NamedTuple):
    """A ledger of its own, and what is put into it."""

    client: Any
    ledger: Ledger
    seeder: StateSeeder
    states: StateStore

    @classmethod
    def make(cls, redis_url: str) -> "Bench":
        client, namespace = redis.Redis.from_url(redis_url), f"t{uuid.uuid4().hex[:12]}"
        start_epoch(client, LedgerKeys(namespace))
        ours = Settings(redis_url=redis_url, namespace=namespace)
        return cls(client, Ledger(client, namespace), StateSeeder(ours), StateStore(ours))

    def run(self, sent: Any, id_: int = 0, action: Callable[[], Any] = int) -> bool:
        """Run a batch, with an action in the middle; say whether it was committed."""
        return run(self.ledger, sent, Interrupted.create({}).during(id_, action)) is not None

    def seed(self, events: Sequence[AnyEvent], *, replace: bool = False) -> int:
        """Seed from what the events leave behind; return how many states were put in."""
        past = Worker(Echo.create({}))
        past.run(events)
        done = self.seeder.seed(content(past.ledger.fields), "ann", "", replace=replace)
        return sum(each.states for each in done)

    def record(self) -> Record:
        return unpack(self.client.hget(self.ledger.keys.pool("trade"), RECORD))

    def held(self, pool: str = "trade") -> dict[bytes, bytes]:
        held: dict[bytes, bytes] = self.client.hgetall(self.ledger.keys.pool(pool))
        return held


@pytest.fixture
def bench(redis_url: str) -> Bench:
    return Bench.make(redis_url)


PAST = trades(1.0, 1.0, 1.0)


def test_a_run_that_began_before_a_seeding_leaves_no_trace(bench: Bench):
    """The next run goes on from the states that were put in; what the history holds is a repeat."""
    counters = bench.ledger.keys.counters
    bench.client.hset(bench.ledger.keys.pool("trade"), "resets", 3)
    after: dict[bytes, object] = {}

    def seeded() -> None:
        assert bench.seed(PAST) == 1
        after.update(dump(bench.client, bench.ledger.keys.namespace, but=counters))

    sent = batch(None, 1.0, 1.0, 1.0, 1.0, 1.0)
    assert not bench.run(sent, 2, seeded)
    assert starts(bench.client, bench.ledger.keys) == {}
    left = dump(bench.client, bench.ledger.keys.namespace, but=counters)
    # But for the start that was counted meanwhile.
    assert left == {key: held for key, held in after.items() if b":starts:" not in key}
    assert bench.run(sent)
    whole = Worker(Echo.create({}))
    whole.run(sent.events)
    assert (bench.record().count, bench.record().hash) == (5, unpack(whole.held[RECORD]).hash)
    assert [each.reset.files for each in bench.states.history()] == [("past.jsonl",)]


def test_a_seeding_after_a_commit_of_later_events_changes_nothing(bench: Bench):
    bench.run(batch(None, 1.0, 1.0, 1.0, 1.0))
    before = dump(bench.client, bench.ledger.keys.namespace)
    for replace in (False, True):
        with pytest.raises(LedgerError, match="has had events after the end of the recordings"):
            bench.seed(PAST, replace=replace)
    assert dump(bench.client, bench.ledger.keys.namespace) == before


def meanwhile(bench: Bench, *actions: Callable[[], object]) -> None:
    """Have each action done between a plan and its writing, one a plan."""
    planned, left = bench.seeder._stored, list(actions)

    def stored(ledger: int, pool: str) -> dict[str, bytes]:
        found = planned(ledger, pool)
        if left:
            left.pop(0)()
        return found

    bench.seeder._stored = stored  # type: ignore[method-assign]  # this is where the race is


def test_what_is_committed_between_plan_and_writing_is_seen(bench: Bench):
    meanwhile(bench, lambda: bench.run(batch(None, 1.0, 1.0)))
    with pytest.raises(LedgerError, match="--replace overwrites them"):
        bench.seed(PAST)
    assert bench.record().count == 2
    assert b"resets" not in bench.held()
    meanwhile(bench, lambda: bench.run(batch(2, 1.0, 1.0)))
    with pytest.raises(LedgerError, match="has had events after the end"):
        bench.seed(PAST, replace=True)
    assert bench.record().count == 4


def test_a_seeding_that_comes_to_nothing_again_and_again_gives_up(bench: Bench):
    bench.run(batch(None, 1.0))
    pool, numbers = bench.ledger.keys.pool("trade"), iter(range(100))
    change = lambda: bench.client.hset(pool, "state:spot:BTCUSDT:echo", next(numbers))  # noqa: E731 short
    meanwhile(bench, *[change] * state_seed.TRIES)
    with pytest.raises(LedgerError, match="nothing was put in: stop the feed"):
        bench.seed(PAST, replace=True)
    assert bench.record().count == 1
    assert b"resets" not in bench.held()
    assert bench.seed(PAST, replace=True) == 1


def test_states_of_another_configuration_than_that_in_force_are_not_put_in(bench: Bench):
    keys = bench.ledger.keys
    bench.client.hset(keys.configuration, "version", "c2")
    with pytest.raises(LedgerError, match="configuration was changed meanwhile; nothing was put in"):
        bench.seed(PAST)
    assert bench.held() == {}
    bench.client.hset(keys.configuration, "version", "c1")
    assert bench.seed(PAST) == 1


def test_all_pools_are_seeded_in_one_step_or_none(bench: Bench):
    past = Worker(Echo.create({}), Together.create({}))
    past.run(PAST)
    both = {"other": dict(past.held), "trade": dict(past.held)}
    bench.run(batch(None, 1.0, 1.0, 1.0, 1.0))
    with pytest.raises(LedgerError, match="pool trade has had events"):
        bench.seeder.seed(content(both), "ann", "", replace=True)
    meanwhile(bench, lambda: bench.client.hset(bench.ledger.keys.pool("third"), RECORD, b"x"))
    with pytest.raises(LedgerError, match="can't be read"):
        bench.seeder.seed(content({"other": both["other"], "third": both["trade"]}), "ann", "", replace=True)
    assert bench.held("other") == {}
    bench.client.delete(bench.ledger.keys.pool("trade"))
    assert len(bench.seeder.seed(content(both), "ann", "", replace=False)) == 2
    assert bench.held("other") == bench.held("trade")
    assert bench.held()[b"resets"] == b"1"
    assert [(each.reset.pool, each.states) for each in bench.states.history()] == [("other", 2), ("trade", 2)]


def test_a_seeding_of_what_is_there_disturbs_no_run(bench: Bench):
    assert bench.seed(PAST) == 1
    before = bench.held()
    assert bench.run(batch(None, 1.0, 1.0, 1.0, 1.0), 4, lambda: bench.seed(PAST))
    assert bench.held().keys() - {b"lane:0"} == before.keys()
    assert bench.record().count == 4


def test_any_number_of_states_is_put_in_in_one_step_and_written_down_once(bench: Bench):
    fields = {f"state:spot:S{number}:echo": b"x" * 100 for number in range(20_000)}
    bench.seeder.seed(content({"trade": fields}), "ann", "", replace=False)
    assert bench.held() == {name.encode(): value for name, value in fields.items()} | {b"resets": b"1"}
    assert [(done.states, done.reset.author) for done in bench.states.history()] == [(20_000, "ann")]


def test_more_than_redis_should_take_at_once_is_refused(bench: Bench):
    large = bytes(state_seed.MAX_BYTES // 2 + 1)
    fields = {"state:spot:A:echo": large, "state:spot:B:echo": large}
    with pytest.raises(LedgerError, match="64 MiB that can be put in at once: seed in parts, with --symbol"):
        bench.seeder.seed(content({"trade": fields}), "ann", "", replace=False)
    assert bench.held() == {}


@settings(max_examples=20)
@given(
    st.integers(1, 6),
    st.integers(0, 6),
    st.lists(st.integers(1, 3), min_size=1, max_size=4),
    st.integers(0, 12),
)
def test_a_seeding_at_any_time_is_whole_or_refused(
    redis_url: str, past: int, overlap: int, sizes: list[int], before: int
):
    """It is asked for before the trade of the id `before`, within whatever run that is; live begins within the history."""
    bench, seq, first = Bench.make(redis_url), 0, max(1, past + 1 - overlap)
    total = first - 1 + sum(sizes)
    history, everything = trades(*[1.0] * past), trades(*[1.0] * max(past, total))
    whole, alone, answers = Worker(Echo.create({})), Worker(Echo.create({})), list[bool]()
    whole.run(everything)

    def seed() -> None:
        try:
            answers.append(bench.seed(history) > 0)
        except LedgerError:
            answers.append(False)

    for size in sizes:
        events = tuple(trades(*[1.0] * size, start=first + seq))
        sent, inside = (
            batch(events[0].seq - 1 if seq else None, events=events),
            before in range(first + seq, first + seq + size),
        )
        committed = bench.run(sent, before, seed if inside and not answers else int)
        assert committed == (not inside or not answers[-1])
        if not committed:
            assert bench.run(sent)
        alone.run(events)
        seq += size
    expected = whole if any(answers) else alone
    assert bench.record().count == unpack(expected.held[RECORD]).count
    assert bench.record().hash == unpack(expected.held[RECORD]).hash
    assert bench.held()[b"state:spot:BTCUSDT:echo"] == expected.held["state:spot:BTCUSDT:echo"]
