"""The configuration in force and its changes, against Redis alone."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import msgspec
import pytest
import redis

from ingest.inforce import InForce
from tasks import configuration, edits, overlay
from tasks.changes import Changes, ConflictError, Edited
from tasks.changes import InForce as Found
from tasks.configuration import Configuration
from tasks.errors import LedgerError, SettingsError
from tasks.history import FILE, Change
from tasks.ledger import Keys, Ledger
from tasks.settings import Settings

SIDED, MOMENTUM = "tests.integration.strategies:Sided", "trade_momentum"


def file(pool: str = "trade", **momentum: object) -> Configuration:
    tables = {pool: {"kinds": ["trade"], "strategies": {SIDED: {}, MOMENTUM: momentum}}}
    return configuration.check({"pools": tables}, "the file")


def set_(changes: Changes, name: str, **values: object) -> Edited:
    assigned = {key.replace("__", "."): value for key, value in values.items()}
    return changes.set(lambda found: edits.values(found.configuration, name, assigned), "try", "ann")


def momentum(chosen: Configuration) -> dict[str, object]:
    return chosen.pools["trade"].strategies[MOMENTUM].params


def said(in_force: InForce) -> list[str]:
    return [f"{finding.what}: {finding.says}" for finding in in_force.findings()]


@pytest.fixture
def changes(settings: Settings) -> Iterator[Changes]:
    with closing(Changes(settings)) as changes:
        yield changes


#: Starts as ingest does that has read a file.
Start = Callable[[Configuration], InForce]


@pytest.fixture
def start(settings: Settings) -> Iterator[Start]:
    with ExitStack() as started:

        def start(chosen: Configuration) -> InForce:
            in_force = started.enter_context(closing(InForce(settings, chosen)))
            asyncio.run(in_force.refresh())
            return in_force

        yield start


def test_a_strategy_is_switched_off_by_an_audited_change_once(start: Start, changes: Changes):
    with pytest.raises(LedgerError, match="no configuration is in force yet"):
        changes.pause_strategy("sided", "it raises", "breaker")
    in_force = start(file())

    async def pause() -> None:
        assert await in_force.pause_strategy("sided", "it raises", "breaker")
        assert await in_force.pause_strategy("sided", "it raises", "breaker") is None

    asyncio.run(pause())
    assert in_force.configuration.gate_of("trade", SIDED).off
    assert not in_force.configuration.gate_of("trade", MOMENTUM).off
    first, second = changes.history()
    assert (second.author, second.reason, second.previous) == ("breaker", "it raises", first.version)
    assert in_force.version == second.version == changes.version()
    # It stays off at the next start, also with another file.
    assert start(file(notional=3.0)).configuration.gate_of("trade", SIDED).off


def test_a_start_that_finds_all_as_it_left_it_writes_nothing(start: Start, changes: Changes):
    start(file())
    set_(changes, MOMENTUM, notional=7.0)
    before = changes.history()
    in_force = start(file())
    assert (changes.history(), said(in_force)) == (before, [])
    assert momentum(in_force.configuration) == {"notional": 7.0}


def test_what_no_longer_fits_the_file_is_told_and_a_start_goes_on(start: Start, changes: Changes):
    start(file())
    set_(changes, MOMENTUM, notional=7.0, gate__killed=True)
    set_(changes, SIDED, gate__killed=True)
    without = configuration.check(
        {"pools": {"books": {"kinds": ["depth"], "strategies": {"orderbook_skew": {}}}}}, "the file"
    )
    in_force = start(without)
    assert in_force.configuration == without
    assert len(said(in_force)) == 3
    assert f"configuration {SIDED}.gate.killed: True was set at run time and is not used: " in said(in_force)[0]
    # It waits there: with the strategy the kill is back.
    again = start(file("renamed"))
    assert said(again) == []
    assert all(again.configuration.gate_of("renamed", name).killed for name in (SIDED, MOMENTUM))


def changed_by_the_release_before(
    client: redis.Redis, keys: Keys, chosen: Configuration, author: str = "ann", file: str = ""
) -> None:
    """Put a configuration in force as a release did that kept no overlay; `file` is set by its ingest."""
    change = {"version": chosen.version, "previous": "", "author": author, "reason": "", "at_ms": 1}
    client.hset(keys.configurations, chosen.version, chosen.canonical())
    client.xadd(keys.history, {"change": msgspec.json.encode(change)})
    client.hset(keys.configuration, "version", chosen.version)
    if file:
        client.hset(keys.configuration, "file", file)


def test_a_kill_of_the_release_before_survives_the_upgrade_and_the_edit_that_comes_with_it(
    start: Start, changes: Changes, client: redis.Redis, keys: Keys
):
    old, killed = file(notional=5.0), edits.apply(file(notional=5.0), SIDED, {"gate.killed": True})
    changed_by_the_release_before(client, keys, old, FILE, old.version)
    changed_by_the_release_before(client, keys, killed)

    def kill_stands(in_force: InForce, notional: float) -> None:
        assert in_force.configuration.gate_of("trade", SIDED).killed
        assert momentum(in_force.configuration) == {"notional": notional}

    kill_stands(start(file(notional=5.0)), 5.0)
    assert len(changes.history()) == 2
    kill_stands(start(file(notional=9.0)), 9.0)
    # Back to the release before: it leaves the overlay behind, and changes something.
    revived = edits.apply(changes.in_force().configuration, SIDED, {"gate.killed": None})
    changed_by_the_release_before(client, keys, revived)
    assert not start(file(notional=9.0)).configuration.gate_of("trade", SIDED).killed
    assert changes.in_force().overlay == ()


@pytest.mark.parametrize("garbage", [b"", b"{", b"\xff", b"[]", b'{"version":"1","values":[{}]}'])
def test_an_overlay_that_can_not_be_read_is_told_from_what_is_in_force(
    start: Start, changes: Changes, client: redis.Redis, keys: Keys, garbage: bytes
):
    start(file())
    set_(changes, MOMENTUM, gate__killed=True)
    kept = changes.in_force().overlay
    client.hset(keys.configuration, "overlay", garbage)
    assert changes.in_force().overlay == kept
    assert start(file(notional=3.0)).configuration.gate_of("trade", MOMENTUM).killed


def test_what_an_emptied_redis_has_lost_comes_back_with_its_runtime_values(
    start: Start, changes: Changes, client: redis.Redis, keys: Keys
):
    in_force = start(file())
    set_(changes, MOMENTUM, gate__killed=True)
    asyncio.run(in_force.refresh())
    client.delete(keys.configuration, keys.configurations, keys.history)
    asyncio.run(in_force.refresh())
    assert start(file(notional=3.0)).configuration.gate_of("trade", MOMENTUM).killed
    with pytest.raises(LedgerError, match="there is no earlier configuration"):
        changes.rollback("", "", "bob")


def test_a_change_made_from_an_outdated_look_is_refused(start: Start, changes: Changes):
    start(file())
    base = changes.in_force()
    set_(changes, MOMENTUM, notional=7.0)
    changes.rollback("", "", "ann")
    # The same version is in force, and yet others have changed something.
    assert changes.in_force().stored.version == base.stored.version
    new = edits.apply(base.configuration, MOMENTUM, {"notional": 8.0})
    set_(changes, MOMENTUM, gate__killed=True)
    with pytest.raises(ConflictError, match="in force by now"):
        changes.write(base.stored, new, (), "bob", "")
    assert changes.in_force().configuration.gate_of("trade", MOMENTUM).killed


def test_a_change_is_not_reported_as_done_when_redis_has_lost_what_was_in_force(
    start: Start, changes: Changes, client: redis.Redis, keys: Keys
):
    start(file())
    base = changes.in_force()
    client.delete(keys.configuration)
    with pytest.raises(ConflictError):
        changes.write(base.stored, base.configuration, (), "bob", "")


def test_rollbacks_walk_back_and_keep_todays_file(start: Start, changes: Changes):
    start(file())
    good = set_(changes, MOMENTUM, notional=7.0).new.version
    set_(changes, SIDED, gate__killed=True)
    bad = set_(changes, MOMENTUM, notional=9.0).new.version
    edited = start(file(min_signal_interval_s=2.0))
    steps = []
    for _ in range(3):
        edited_back, undone = changes.rollback("", "", "bob")
        now = edited_back.new
        assert undone is not None
        steps.append((momentum(now).get("notional"), now.gate_of("trade", SIDED).killed, undone.version))
        assert momentum(now)["min_signal_interval_s"] == 2.0
    killed = changes.history()[2].version
    assert steps == [(7.0, True, bad), (7.0, False, killed), (None, False, good)]
    with pytest.raises(LedgerError, match="there is no earlier configuration"):
        changes.rollback("", "", "bob")
    back, undone = changes.rollback(bad, "", "bob")
    assert undone is None
    assert momentum(back.new) == {"notional": 9.0, "min_signal_interval_s": 2.0}
    asyncio.run(edited.refresh())
    assert edited.version == back.new.version


def test_reset_takes_the_files_value_of_a_key_of_a_strategy_or_of_all(start: Start, changes: Changes):
    start(file(notional=5.0))
    set_(changes, MOMENTUM, notional=7.0, gate__killed=True)
    set_(changes, SIDED, gate__killed=True)
    set_(changes, overlay.ALL, gate__min_confidence=0.5)
    assert momentum(changes.reset(f"{MOMENTUM}.notional", "", "bob").new) == {"notional": 5.0}
    assert [value.label for value in changes.in_force().overlay] == [
        "all.gate.min_confidence",
        f"{SIDED}.gate.killed",
        f"{MOMENTUM}.gate.killed",
    ]
    assert not changes.reset("sided", "", "bob").new.gate_of("trade", SIDED).killed
    with pytest.raises(SettingsError, match=r"nothing is set at run time for 'sided'; set are: all\.gate"):
        changes.reset("sided", "", "bob")
    assert changes.reset("", "", "bob").new == file(notional=5.0)
    assert changes.history()[-1].reason == "reset --all"


def test_a_kill_works_where_the_strategys_module_is_not(changes: Changes):
    tables = {"trade": {"kinds": ["trade"], "strategies": {"not_here:Gone": {}, MOMENTUM: {}}}}
    elsewhere = configuration.check({"pools": tables}, "the file")
    changes.write(changes.stored(), elsewhere, (), FILE, "first start", file=elsewhere)
    assert set_(changes, MOMENTUM, gate__killed=True).new.gate_of("trade", MOMENTUM).killed
    assert set_(changes, "not_here:Gone", gate__killed=True).new.gate_of("trade", "not_here:Gone").killed
    with pytest.raises(SettingsError, match="not_here:Gone: can't be imported"):
        set_(changes, MOMENTUM, notional=7.0)


def test_the_history_says_what_changed_from_what_to_what(start: Start, changes: Changes):
    start(file(notional=5.0))
    set_(changes, MOMENTUM, notional=7.0, gate__killed=True)
    start(file(notional=6.0, min_signal_interval_s=2.0))
    told = [[str(each) for each in differences or ()] for _, differences in changes.differences()]
    path = f"pools.trade.strategies.{MOMENTUM}"
    assert told == [
        [],
        [f"{path}.gate.killed: default → True", f"{path}.notional: 5.0 → 7.0"],
        [f"{path}.min_signal_interval_s: default → 2.0"],
    ]


def test_of_two_shards_the_last_to_start_brings_its_file_and_neither_loses_what_was_set(start: Start, changes: Changes):
    first = start(file())
    set_(changes, SIDED, gate__killed=True)
    second = start(file(notional=7.0))
    asyncio.run(first.refresh())
    assert first.version == second.version == changes.version()
    third = start(file())
    for shard in (first, second, third):
        asyncio.run(shard.refresh())
        assert shard.configuration.gate_of("trade", SIDED).killed
        assert momentum(shard.configuration) == {}


def test_who_stands_by_changes_nothing_before_it_leads(settings: Settings, start: Start, changes: Changes):
    start(file())
    set_(changes, SIDED, gate__killed=True)
    before = changes.history()
    with closing(InForce(settings, file(notional=7.0))) as standing_by:
        assert changes.history() == before
        asyncio.run(standing_by.refresh())
    assert momentum(changes.in_force().configuration) == {"notional": 7.0}
    assert changes.in_force().configuration.gate_of("trade", SIDED).killed


def test_workers_find_the_whole_configuration_under_each_version(start: Start, changes: Changes, ledger: Ledger):
    start(file(notional=5.0))
    set_(changes, SIDED, gate__killed=True)
    in_force = start(file(notional=7.0))
    packed = ledger.configuration(in_force.version)
    assert packed == in_force.configuration.canonical()
    assert momentum(Configuration.parse(packed)) == {"notional": 7.0}
    assert all(ledger.configuration(change.version) for change in changes.history())


class Overtaken(Changes):
    """Changes before whose first write somebody else is quicker."""

    def write(self, *arguments: Any, **options: Any) -> Change:
        other, self.quicker = self.quicker, lambda: None
        other()
        return super().write(*arguments, **options)

    quicker: Callable[[], object] = staticmethod(lambda: None)


def test_a_start_that_is_overtaken_by_a_kill_runs_nothing_without_it(
    settings: Settings, start: Start, changes: Changes
):
    start(file())
    with closing(InForce(settings, file(notional=7.0))) as in_force, closing(Overtaken(settings)) as overtaken:
        in_force._changes = overtaken
        overtaken.quicker = lambda: set_(changes, SIDED, gate__killed=True)
        asyncio.run(in_force.refresh())
        assert in_force.configuration.gate_of("trade", SIDED).killed
        assert momentum(in_force.configuration) == {"notional": 7.0}
        assert in_force.version == changes.version()


def test_a_kill_that_is_overtaken_by_another_change_is_set_after_it(settings: Settings, start: Start, changes: Changes):
    start(file())
    with closing(Overtaken(settings)) as overtaken:
        overtaken.quicker = lambda: set_(changes, MOMENTUM, notional=7.0)
        set_(overtaken, SIDED, gate__killed=True)
        now = changes.in_force().configuration
        assert (now.gate_of("trade", SIDED).killed, momentum(now)) == (True, {"notional": 7.0})
        overtaken.quicker = lambda: set_(changes, MOMENTUM, notional=8.0)
        with pytest.raises(ConflictError, match="in force by now"):
            overtaken.rollback("", "", "bob")
    assert momentum(changes.in_force().configuration) == {"notional": 8.0}


def test_a_rollback_to_what_the_release_before_changed_keeps_what_was_set_below_it(
    start: Start, changes: Changes, client: redis.Redis, keys: Keys
):
    start(file(notional=5.0))
    set_(changes, SIDED, gate__killed=True)
    start(file(notional=9.0))
    for threshold in (0.5, 0.6):
        chosen = edits.apply(changes.in_force().configuration, MOMENTUM, {"threshold": threshold})
        changed_by_the_release_before(client, keys, chosen)
    back = changes.rollback("", "", "bob")[0].new
    assert momentum(back) == {"notional": 9.0, "threshold": 0.5}
    assert back.gate_of("trade", SIDED).killed


class Slow(Changes):
    """Changes whose first look at what is in force comes back late."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.looked, self.go_on = threading.Event(), threading.Event()

    def in_force(self) -> Found:
        found = super().in_force()
        if not self.looked.is_set():
            self.looked.set()
            assert self.go_on.wait(10)
        return found


def test_of_two_looks_at_once_the_later_one_counts(settings: Settings, start: Start, changes: Changes):
    in_force = start(file())

    async def look_twice(slow: Slow) -> None:
        earlier = asyncio.create_task(in_force.refresh())
        await asyncio.to_thread(slow.looked.wait, 10)
        await asyncio.to_thread(set_, changes, SIDED, gate__killed=True)
        later = asyncio.create_task(in_force.refresh())
        # Without a lock the later one would end first.
        await asyncio.wait([later], timeout=0.2)
        slow.go_on.set()
        await asyncio.gather(earlier, later)

    with closing(Slow(settings)) as slow:
        in_force._changes = slow
        asyncio.run(look_twice(slow))
    assert in_force.version == changes.version()
