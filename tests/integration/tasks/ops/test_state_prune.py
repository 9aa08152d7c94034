"""Idle symbols are removed whole, or not at all, whatever is in flight, and the others stay as they are."""

import asyncio
import getpass
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import redis
from typer.testing import CliRunner, Result

from tasks.cli.main import app
from tasks.configuration.audit import read_line
from tasks.errors import LedgerError
from tasks.events import AnyEvent
from tasks.ledger import Ledger, LedgerKeys
from tasks.ledger.reader import LedgerReader
from tasks.ops.state_prune import StatePruner
from tasks.ops.states import StateStore
from tasks.protocol import records
from tasks.protocol.records import Record, unpack
from tasks.settings import Settings, load
from tests.support.events import TIME_MS, trade
from tests.support.ledger import batch, start_epoch
from tests.support.running import run
from tests.support.sending import CONFIGURATION, Rig, begun
from tests.support.strategies import Interrupted
from tests.support.workers.process import worker

HOUR_MS = 3_600_000


class Bench:
    """A ledger with an idle symbol, OLD, and one that is not, NEW: an hour later."""

    def __init__(self, redis_url: str, client: redis.Redis, keys: LedgerKeys) -> None:
        start_epoch(client, keys)
        self.client: Any = client
        self.keys, self.ledger = keys, Ledger(client, keys.namespace)
        self.settings = Settings(redis_url=redis_url, namespace=keys.namespace)
        self.pruner = StatePruner(self.settings)
        self._seq = 0
        self.take(self.event("OLD"), self.event("NEW", HOUR_MS))

    def event(self, symbol: str, later_ms: int = 0) -> AnyEvent:
        self._seq += 1
        return trade(symbol=symbol, id=self._seq, seq=self._seq, time_ms=TIME_MS + later_ms)

    def take(self, *events: AnyEvent, during: Any = int) -> bool:
        """Commit events as a batch, with an action in the middle of its run; return whether it was committed."""
        sent = msgspec.structs.replace(
            batch(events[0].seq - 1 or None, events=events), configuration=CONFIGURATION.version
        )
        return run(self.ledger, sent, Interrupted.create({}).during(events[-1].id, during)) is not None

    def prune(self) -> list[str]:
        found = self.pruner.find(HOUR_MS // 2)
        return [name.symbol for name in self.pruner.prune(found, HOUR_MS // 2_000, "ann", "gone")]

    def fields(self, symbol: str) -> list[str]:
        return sorted(
            field.decode() for field in self.client.hkeys(self.keys.pool("trade")) if f":{symbol}:" in field.decode()
        )

    def audited(self) -> list[str]:
        """Return the symbols of the audit's lines."""
        lines = LedgerReader(self.settings).entries(self.keys.audit, b"line")
        return [read_line(line).symbol for _, line in lines]


@pytest.fixture
def bench(redis_url: str, client: redis.Redis, keys: LedgerKeys) -> Bench:
    return Bench(redis_url, client, keys)


OF_OLD = ["record:spot:OLD:trade", "state:spot:OLD:echo"]


def test_all_that_belongs_to_an_idle_symbol_goes_and_the_others_stay(bench: Bench):
    assert bench.fields("OLD") == OF_OLD
    bench.client.hset(bench.keys.pool("trade"), "paper:spot:OLD:echo", b"p")
    kept = {field: bench.client.hget(bench.keys.pool("trade"), field) for field in bench.fields("NEW")}
    assert bench.prune() == ["OLD"]
    assert bench.fields("OLD") == []
    assert {field: bench.client.hget(bench.keys.pool("trade"), field) for field in bench.fields("NEW")} == kept
    assert bench.audited() == ["NEW"]
    [done] = StateStore(bench.settings).history()
    assert (done.symbols, done.states, done.reset.pool, done.reset.idle_s) == (1, 2, "trade", 1_800)
    assert (done.reset.author, done.reset.reason) == ("ann", "gone")
    assert bench.prune() == []


def test_the_audit_stays_whole_for_what_is_kept(bench: Bench):
    bench.client.hset(bench.keys.configurations, CONFIGURATION.version, CONFIGURATION.canonical())
    assert bench.prune() == ["OLD"]
    audit = LedgerReader(bench.settings).audit()
    assert audit.version("trade", trade(symbol="NEW", id=2, time_ms=TIME_MS + HOUR_MS)) == CONFIGURATION.version
    with pytest.raises(LedgerError, match="the audited run had no spot OLD trade in pool trade"):
        audit.version("trade", trade(symbol="OLD", id=1, time_ms=TIME_MS))


def test_a_symbol_that_woke_up_since_it_was_read_stays_whole(bench: Bench):
    found = bench.pruner.find(HOUR_MS // 2)
    assert bench.take(bench.event("OLD"))
    assert bench.pruner.prune(found, 1, "ann", "") == []
    assert bench.fields("OLD") == OF_OLD
    assert bench.audited() == ["OLD", "NEW"]
    assert list(StateStore(bench.settings).history()) == []


def test_a_symbol_that_got_its_first_event_of_another_kind_stays_whole(bench: Bench):
    found = bench.pruner.find(HOUR_MS // 2)
    bench.client.hset(bench.keys.pool("depth"), "record:spot:OLD:depth", records.pack(Record()))
    bench.client.hset(bench.keys.pool("trade"), "record:spot:OLD:agg_trade", records.pack(Record()))
    assert bench.pruner.prune(found, 1, "ann", "") == []
    assert OF_OLD[1] in bench.fields("OLD")


def test_a_run_that_read_a_symbol_before_its_removal_is_refused(bench: Bench):
    woken = bench.event("OLD", 2 * HOUR_MS)
    assert not bench.take(woken, during=bench.prune)
    assert bench.fields("OLD") == []
    assert bench.take(woken)
    held: Record = unpack(bench.client.hget(bench.keys.pool("trade"), OF_OLD[0]))
    assert (held.count, held.id) == (1, woken.id)
    assert bench.audited() == ["NEW", "OLD"]


def test_what_a_restart_of_ingest_would_read_again_stays(bench: Bench):
    source = unpack(bench.client.hget(bench.keys.pool("trade"), OF_OLD[0])).applied
    assert source is not None
    bench.client.hset(bench.keys.shard(0), "frontier", f"{source.source}@0")
    assert bench.prune() == []
    bench.client.hset(bench.keys.shard(0), "frontier", f"{source.source}@{source.seq}")
    assert bench.prune() == ["OLD"]


# The command


@pytest.fixture
def asked(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("REDIS_URL", bench.settings.redis_url)
    monkeypatch.setenv("NAMESPACE", bench.keys.namespace)
    load.cache_clear()

    def ask(*words: str, answer: str = "") -> Result:
        return CliRunner().invoke(app, ["state", *words], input=answer)

    yield ask
    load.cache_clear()


def test_the_command_asks_first_names_what_goes_and_is_written_down(bench: Bench, asked: Any):
    refused = asked("prune", "--idle", "30m", answer="n\n")
    assert refused.exit_code == 1
    assert (
        "remove 1 records, 1 states and 0 paper accounts of 1 symbol without an event since 2024-08-09 00:30:00 (spot OLD) for good?"
        in refused.output
    )
    assert bench.fields("OLD") == OF_OLD
    assert asked("prune", "--idle", "30m", "--yes", "--reason", "invented").output == "removed 1 symbol\n"
    assert bench.fields("OLD") == []
    assert asked("history").output.endswith(
        f"trade every strategy 1 symbols idle for 30 min  1 states  {getpass.getuser()}  invented\n"
    )
    told = msgspec.json.decode(asked("history", "--json").output)
    assert (told["symbols"], told["idle_s"], told["states"]) == (1, 1_800, 1)


@pytest.mark.parametrize(
    ("idle", "said"),
    [
        ("2h", "no symbol was idle for 2h; the newest event is of 2024-08-09 01:00:00"),
        ("30", "--idle takes 90s, 10m, 2h or 30d, not '30'"),
        ("0d", "--idle takes more than 0"),
    ],
)
def test_the_command_says_why_nothing_is_removed(bench: Bench, asked: Any, idle: str, said: str):
    done = asked("prune", "--idle", idle, "--yes")
    assert said in done.output + str(done.exception)
    assert bench.fields("OLD") == OF_OLD


# With a worker and with ingest's sender


INVENTED = 1_000
BURST = 20


async def test_under_load_invented_symbols_go_and_the_others_lose_no_event(redis_url: str, namespace: str):
    ours = Settings(redis_url=redis_url, namespace=namespace)
    with worker(ours) as running:
        running.wait_ready()
        async with begun(Rig(ours)) as rig:
            pool = rig.keys.pool("trade")
            for number in range(INVENTED):
                invented: Any = {
                    f"record:spot:X{number}:trade": records.pack(Record(count=1)),
                    f"state:spot:X{number}:y": b"s",
                }
                rig.client.hset(pool, mapping=invented)
            listening = asyncio.create_task(notices(rig))
            pruner, removed, offered = StatePruner(ours), 0, 0
            while removed < INVENTED:
                for _ in range(BURST):
                    rig.offer()
                offered += BURST
                # The trades of a rig are of the time 1,000.
                found = await asyncio.to_thread(pruner.find, 500)
                found.symbols[:] = found.symbols[:250]
                removed += len(await asyncio.to_thread(pruner.prune, found, 1, "ann", ""))
                await rig.sender.poll()
                await rig.ledger.lease.renew()
            await rig.until(lambda: not rig.lanes.held, looking=True)
            listening.cancel()
            fields: Any = rig.client.hkeys(pool)
            assert sorted(field for field in fields if field.startswith(b"record:")) == [b"record:spot:BTCUSDT:trade"]
            assert unpack(rig.client.hget(pool, "record:spot:BTCUSDT:trade")).count == offered  # type: ignore[arg-type]  # a sync client


async def notices(rig: Rig) -> None:
    """Notify the sender of commits, as ingest does."""
    subscribed = await rig.ledger.subscribe()
    while True:
        if (notice := await subscribed.next()) is not None:
            rig.sender.on_notice(notice)
