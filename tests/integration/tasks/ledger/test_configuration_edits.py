"""Changes of the configuration at run time, their history, and several of them at once, against Redis alone."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
import redis

from tasks import configuration
from tasks.configuration import named_strategies, overlay
from tasks.configuration.history import FILE, ConfigurationChange
from tasks.configuration.stored import StoredConfiguration
from tasks.errors import LedgerError, SettingsError
from tasks.ledger import LedgerKeys
from tasks.ledger.configurations import ConfigurationStore, ConflictError
from tasks.settings import Settings
from tests.support.runtime_configuration import (
    MOMENTUM,
    SIDED,
    Start,
    changed_by_the_release_before,
    file,
    momentum,
    set_,
)
from tests.support.waiting import HANGS_S


async def test_a_strategy_is_switched_off_by_an_audited_change_once(start: Start, store: ConfigurationStore):
    with pytest.raises(LedgerError, match="no configuration is in force yet"):
        store.pause_strategy("sided", "it raises", "breaker")
    in_force = await start(file())

    assert await in_force.pause_strategy("sided", "it raises", "breaker")
    assert await in_force.pause_strategy("sided", "it raises", "breaker") is None
    assert in_force.configuration.gate_of("trade", SIDED).off
    assert not in_force.configuration.gate_of("trade", MOMENTUM).off
    first, second = store.history()
    assert (second.author, second.reason, second.previous) == ("breaker", "it raises", first.version)
    assert in_force.version == second.version == store.version()
    # It stays off at the next start, also with another file.
    assert (await start(file(notional=3.0))).configuration.gate_of("trade", SIDED).off


async def test_a_change_made_from_an_outdated_look_is_refused(start: Start, store: ConfigurationStore):
    await start(file())
    base = store.in_force()
    set_(store, MOMENTUM, notional=7.0)
    store.rollback("", "", "ann")
    # The same version is in force, and yet others have changed something.
    assert store.in_force().stored.version == base.stored.version
    new = named_strategies.apply(base.configuration, MOMENTUM, {"notional": 8.0})
    set_(store, MOMENTUM, gate__killed=True)
    with pytest.raises(ConflictError, match="in force by now"):
        store.write(base.stored, new, (), "bob", "")
    assert store.in_force().configuration.gate_of("trade", MOMENTUM).killed


async def test_a_change_fails_when_redis_has_lost_what_was_in_force(
    start: Start, store: ConfigurationStore, client: redis.Redis, keys: LedgerKeys
):
    await start(file())
    base = store.in_force()
    client.delete(keys.configuration)
    with pytest.raises(ConflictError):
        store.write(base.stored, base.configuration, (), "bob", "")


async def test_rollbacks_walk_back_and_keep_todays_file(start: Start, store: ConfigurationStore):
    await start(file())
    good = set_(store, MOMENTUM, notional=7.0).new.version
    set_(store, SIDED, gate__killed=True)
    bad = set_(store, MOMENTUM, notional=9.0).new.version
    edited = await start(file(min_signal_interval_s=2.0))
    steps = []
    for _ in range(3):
        edited_back, undone = store.rollback("", "", "bob")
        now = edited_back.new
        assert undone is not None
        steps.append((momentum(now).get("notional"), now.gate_of("trade", SIDED).killed, undone.version))
        assert momentum(now)["min_signal_interval_s"] == 2.0
    killed = store.history()[2].version
    assert steps == [(7.0, True, bad), (7.0, False, killed), (None, False, good)]
    with pytest.raises(LedgerError, match="there is no earlier configuration"):
        store.rollback("", "", "bob")
    back, undone = store.rollback(bad, "", "bob")
    assert undone is None
    assert momentum(back.new) == {"notional": 9.0, "min_signal_interval_s": 2.0}
    await edited.refresh()
    assert edited.version == back.new.version


async def test_reset_takes_the_files_value_of_a_key_of_a_strategy_or_of_all(start: Start, store: ConfigurationStore):
    await start(file(notional=5.0))
    set_(store, MOMENTUM, notional=7.0, gate__killed=True)
    set_(store, SIDED, gate__killed=True)
    set_(store, overlay.ALL, gate__min_confidence=0.5)
    assert momentum(store.reset(f"{MOMENTUM}.notional", "", "bob").new) == {"notional": 5.0}
    assert [value.label for value in store.in_force().overlay] == [
        "all.gate.min_confidence",
        f"{SIDED}.gate.killed",
        f"{MOMENTUM}.gate.killed",
    ]
    assert not store.reset("sided", "", "bob").new.gate_of("trade", SIDED).killed
    with pytest.raises(SettingsError, match=r"nothing is set at run time for 'sided'; set are: all\.gate"):
        store.reset("sided", "", "bob")
    assert store.reset("", "", "bob").new == file(notional=5.0)
    assert store.history()[-1].reason == "reset --all"


def test_a_kill_works_where_the_strategys_module_is_not(store: ConfigurationStore):
    tables = {"trade": {"kinds": ["trade"], "strategies": {"not_here:Gone": {}, MOMENTUM: {}}}}
    elsewhere = configuration.check({"pools": tables}, "the file")
    store.write(store.stored(), elsewhere, (), FILE, "first start", file=elsewhere)
    assert set_(store, MOMENTUM, gate__killed=True).new.gate_of("trade", MOMENTUM).killed
    assert set_(store, "not_here:Gone", gate__killed=True).new.gate_of("trade", "not_here:Gone").killed
    with pytest.raises(SettingsError, match="not_here:Gone: can't be imported"):
        set_(store, MOMENTUM, notional=7.0)


async def test_the_history_says_what_changed_from_what_to_what(start: Start, store: ConfigurationStore):
    await start(file(notional=5.0))
    set_(store, MOMENTUM, notional=7.0, gate__killed=True)
    await start(file(notional=6.0, min_signal_interval_s=2.0))
    told = [[str(each) for each in differences or ()] for _, differences in store.changes.differences(store.history())]
    path = f"pools.trade.strategies.{MOMENTUM}"
    assert told == [
        [],
        [f"{path}.gate.killed: default → True", f"{path}.notional: 5.0 → 7.0"],
        [f"{path}.min_signal_interval_s: default → 2.0"],
    ]


class Overtaken(ConfigurationStore):
    """Changes before whose first write somebody else is quicker."""

    def write(self, *arguments: Any, **options: Any) -> ConfigurationChange:
        other, self.quicker = self.quicker, lambda: None
        other()
        return super().write(*arguments, **options)

    quicker: Callable[[], object] = staticmethod(lambda: None)


async def test_a_start_that_is_overtaken_by_a_kill_runs_nothing_without_it(
    settings: Settings, start: Start, store: ConfigurationStore
):
    await start(file())
    overtaken = Overtaken(settings)
    overtaken.quicker = lambda: set_(store, SIDED, gate__killed=True)
    in_force = await start(file(notional=7.0), overtaken)
    assert in_force.configuration.gate_of("trade", SIDED).killed
    assert momentum(in_force.configuration) == {"notional": 7.0}
    assert in_force.version == store.version()


async def test_a_kill_that_is_overtaken_by_another_change_is_set_after_it(
    settings: Settings, start: Start, store: ConfigurationStore
):
    await start(file())
    with closing(Overtaken(settings)) as overtaken:
        overtaken.quicker = lambda: set_(store, MOMENTUM, notional=7.0)
        set_(overtaken, SIDED, gate__killed=True)
        now = store.in_force().configuration
        assert (now.gate_of("trade", SIDED).killed, momentum(now)) == (True, {"notional": 7.0})
        overtaken.quicker = lambda: set_(store, MOMENTUM, notional=8.0)
        with pytest.raises(ConflictError, match="in force by now"):
            overtaken.rollback("", "", "bob")
    assert momentum(store.in_force().configuration) == {"notional": 8.0}


async def test_a_rollback_to_an_older_releases_change_keeps_what_is_below_it(
    start: Start, store: ConfigurationStore, client: redis.Redis, keys: LedgerKeys
):
    """A release that kept no overlay changed something: what was set at run time before stays set."""
    await start(file(notional=5.0))
    set_(store, SIDED, gate__killed=True)
    await start(file(notional=9.0))
    for threshold in (0.5, 0.6):
        chosen = named_strategies.apply(store.in_force().configuration, MOMENTUM, {"threshold": threshold})
        changed_by_the_release_before(client, keys, chosen)
    back = store.rollback("", "", "bob")[0].new
    assert momentum(back) == {"notional": 9.0, "threshold": 0.5}
    assert back.gate_of("trade", SIDED).killed


class Slow(ConfigurationStore):
    """Changes whose first look at what is in force comes back late."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.looked, self.go_on = threading.Event(), threading.Event()
        self.is_slow = False

    def stored(self) -> StoredConfiguration:
        found = super().stored()
        if self.is_slow and not self.looked.is_set():
            self.looked.set()
            assert self.go_on.wait(HANGS_S)
        return found


async def test_of_two_looks_at_once_the_later_one_counts(settings: Settings, start: Start, store: ConfigurationStore):
    slow = Slow(settings)
    in_force = await start(file(), slow)
    slow.is_slow = True
    earlier = asyncio.create_task(in_force.refresh())
    assert await asyncio.to_thread(slow.looked.wait, HANGS_S)
    await asyncio.to_thread(set_, store, SIDED, gate__killed=True)
    later = asyncio.create_task(in_force.refresh())
    # Without a lock the later one would end first.
    await asyncio.wait([later], timeout=0.2)
    slow.go_on.set()
    await asyncio.gather(earlier, later)
    assert in_force.version == store.version()
