"""The configuration in force and its changes, against Redis alone."""

from contextlib import closing
from typing import Any

import pytest
import redis

from ingest.dispatch.active_configuration import ActiveConfiguration
from tasks import configuration
from tasks.configuration import Configuration, named_strategies
from tasks.configuration.history import FILE
from tasks.errors import LedgerError
from tasks.ledger import Ledger, LedgerKeys
from tasks.ledger.configurations import ConfigurationStore
from tasks.settings import Settings
from tests.support.runtime_configuration import (
    MOMENTUM,
    SIDED,
    Start,
    changed_by_the_release_before,
    file,
    momentum,
    said,
    set_,
)


async def test_a_start_that_finds_all_as_it_left_it_writes_nothing(start: Start, store: ConfigurationStore):
    await start(file())
    set_(store, MOMENTUM, notional=7.0)
    before = store.history()
    in_force = await start(file())
    assert (store.history(), said(in_force)) == (before, [])
    assert momentum(in_force.configuration) == {"notional": 7.0}


async def test_what_no_longer_fits_the_file_is_told_and_a_start_goes_on(start: Start, store: ConfigurationStore):
    await start(file())
    set_(store, MOMENTUM, notional=7.0, gate__killed=True)
    set_(store, SIDED, gate__killed=True)
    without = configuration.check(
        {"pools": {"books": {"kinds": ["depth"], "strategies": {"orderbook_skew": {}}}}}, "the file"
    )
    in_force = await start(without)
    assert in_force.configuration == without
    assert len(said(in_force)) == 3
    assert f"configuration {SIDED}.gate.killed: True was set at run time and is not used: " in said(in_force)[0]
    # It waits there: with the strategy the kill is back.
    again = await start(file("renamed"))
    assert said(again) == []
    assert all(again.configuration.gate_of("renamed", name).killed for name in (SIDED, MOMENTUM))


async def test_a_file_that_says_not_killed_against_a_kill_is_told_until_settled(
    start: Start, store: ConfigurationStore
):
    await start(file())
    set_(store, SIDED, gate__killed=True)
    tables = file().tables()
    tables["pools"]["trade"]["strategies"][SIDED] = {"gate": {"killed": False}}
    edited = configuration.check(tables, "the file")
    again = await start(edited)
    assert again.configuration.gate_of("trade", SIDED).killed
    kept, instead = "True was set at run time and stays", "though the strategies file says False by now"
    assert said(again) == [f"configuration {SIDED}.gate.killed: {kept}, {instead}"]
    set_(store, SIDED, gate__killed=True)
    settled = await start(edited)
    assert settled.configuration.gate_of("trade", SIDED).killed
    assert said(settled) == []


async def test_a_kill_of_the_release_before_survives_upgrade_and_edit(
    start: Start, store: ConfigurationStore, client: redis.Redis, keys: LedgerKeys
):
    """Also when the file is edited in the same step; and what a downgrade changes holds after the next upgrade."""
    old, killed = file(notional=5.0), named_strategies.apply(file(notional=5.0), SIDED, {"gate.killed": True})
    changed_by_the_release_before(client, keys, old, FILE, old.version)
    changed_by_the_release_before(client, keys, killed)

    def kill_stands(in_force: ActiveConfiguration, notional: float) -> None:
        assert in_force.configuration.gate_of("trade", SIDED).killed
        assert momentum(in_force.configuration) == {"notional": notional}

    kill_stands(await start(file(notional=5.0)), 5.0)
    assert len(store.history()) == 2
    kill_stands(await start(file(notional=9.0)), 9.0)
    # Back to the release before: it leaves the overlay behind, and changes something.
    revived = named_strategies.apply(store.in_force().configuration, SIDED, {"gate.killed": None})
    changed_by_the_release_before(client, keys, revived)
    assert not (await start(file(notional=9.0))).configuration.gate_of("trade", SIDED).killed
    assert store.in_force().overlay == ()


@pytest.mark.parametrize("garbage", [b"", b"{", b"\xff", b"[]", b'{"version":"1","values":[{}]}'])
async def test_an_overlay_that_can_not_be_read_is_told_from_what_is_in_force(
    start: Start, store: ConfigurationStore, client: redis.Redis, keys: LedgerKeys, garbage: bytes
):
    await start(file())
    set_(store, MOMENTUM, gate__killed=True)
    kept = store.in_force().overlay
    client.hset(keys.configuration, "overlay", garbage)
    assert store.in_force().overlay == kept
    assert (await start(file(notional=3.0))).configuration.gate_of("trade", MOMENTUM).killed


async def test_a_value_set_at_run_time_whose_bits_have_changed_is_not_believed(
    start: Start, store: ConfigurationStore, client: redis.Redis, keys: LedgerKeys
):
    await start(file())
    set_(store, MOMENTUM, notional=7.0)
    stored: Any = client.hget(keys.configuration, "overlay")
    assert b":7.0" in stored
    client.hset(keys.configuration, "overlay", stored.replace(b":7.0", b":5.0"))
    for chosen in (file(), file(notional=3.0)):
        assert momentum((await start(chosen)).configuration) == {"notional": 7.0}


async def test_what_an_emptied_redis_has_lost_comes_back_with_its_runtime_values(
    start: Start, store: ConfigurationStore, client: redis.Redis, keys: LedgerKeys
):
    in_force = await start(file())
    set_(store, MOMENTUM, gate__killed=True)
    await in_force.refresh()
    client.delete(keys.configuration, keys.configurations, keys.history)
    await in_force.refresh()
    assert (await start(file(notional=3.0))).configuration.gate_of("trade", MOMENTUM).killed
    with pytest.raises(LedgerError, match="there is no earlier configuration"):
        store.rollback("", "", "bob")


async def test_of_two_shards_the_last_file_counts_and_no_edit_is_lost(start: Start, store: ConfigurationStore):
    """The shard that starts last brings its file; what was set at run time stays in both."""
    first = await start(file())
    set_(store, SIDED, gate__killed=True)
    second = await start(file(notional=7.0))
    await first.refresh()
    assert first.version == second.version == store.version()
    third = await start(file())
    for shard in (first, second, third):
        await shard.refresh()
        assert shard.configuration.gate_of("trade", SIDED).killed
        assert momentum(shard.configuration) == {}


async def test_who_stands_by_changes_nothing_before_it_leads(
    settings: Settings, start: Start, store: ConfigurationStore
):
    await start(file())
    set_(store, SIDED, gate__killed=True)
    before = store.history()
    with closing(ActiveConfiguration(ConfigurationStore(settings), file(notional=7.0))) as standing_by:
        assert store.history() == before
        await standing_by.refresh()
    assert momentum(store.in_force().configuration) == {"notional": 7.0}
    assert store.in_force().configuration.gate_of("trade", SIDED).killed


async def test_workers_find_the_whole_configuration_under_each_version(
    start: Start, store: ConfigurationStore, ledger: Ledger
):
    await start(file(notional=5.0))
    set_(store, SIDED, gate__killed=True)
    in_force = await start(file(notional=7.0))
    packed = ledger.configuration(in_force.version)
    assert packed == in_force.configuration.canonical()
    assert momentum(Configuration.parse(packed)) == {"notional": 7.0}
    assert all(ledger.configuration(change.version) for change in store.history())
