"""The doctor looks at the ledger of each shard, and finds one that is another's or that is unavailable."""

from collections.abc import Iterator

import msgspec
import pytest

from compose.local.servers import free_port
from ingest.lanes.layout import Layout
from tasks.ops import doctor_checks, doctor_probes, ledger_probes
from tasks.protocol import dead_letters
from tasks.protocol.dead_letters import DeadLetter
from tasks.protocol.findings import Finding
from tasks.protocol.routing import Router, Shard
from tasks.settings import Settings
from tests.support.stacks.two_ledgers import HOMES, POOL, SplitLedger, split_ledger


@pytest.fixture
def split(redis_url: str, namespace: str) -> Iterator[SplitLedger]:
    """Both shards have run."""
    with split_ledger(redis_url, namespace) as split:
        for number, symbol in enumerate(HOMES):
            layout = Layout(Router([POOL], Shard(number, 2), 2), has_own_ledger=True)
            split.clients[number].set(split.keys.layout, layout.encode())
            split.commit(symbol, 1.0)
        yield split


def findings(settings: Settings) -> list[Finding]:
    facts = ledger_probes.ask_ledger(settings, [POOL])
    return list(doctor_checks.ledger(facts, None, settings.namespace))


def misplaced(settings: Settings) -> list[str]:
    found = [each for each in findings(settings) if each.sign == "fault"]
    assert all("`./run ingest move-ledger`" in each.do for each in found)
    return [f"{each.what}: {each.says}" for each in found]


def test_what_all_ledgers_hold_is_added_up(split):
    packed = dead_letters.pack(DeadLetter("refused", ""))
    for number, ages in enumerate([(1,), (1, 5)]):
        now_s, _ = split.clients[number].time()
        for age_s in sorted(ages, reverse=True):
            split.clients[number].xadd(split.keys.deadletters, {"letter": packed}, id=f"{(now_s - age_s) * 1_000}-*")
    facts = ledger_probes.ask_ledger(split.settings, [POOL])
    assert (sorted(facts.epochs), facts.lanes, facts.deadletters) == ([0, 1], {"trade": 2}, 3)
    assert facts.deadletter_age_s is not None
    assert 0 < facts.deadletter_age_s < 5
    assert misplaced(split.settings) == []


def test_ledgers_in_another_order_are_faults(split):
    urls = split.settings.ledgers
    swapped = split.settings.model_copy(update={"ledger_urls": " ".join(urls[::-1])})
    assert misplaced(swapped) == [
        f"ledger of shard 0: {urls[1]} holds the ledger of shard 1 of 2",
        f"ledger of shard 1: {urls[0]} holds the ledger of shard 0 of 2",
    ]


def test_a_ledger_that_was_split_and_is_the_only_one_is_a_fault(split):
    only = Settings(namespace=split.settings.namespace, ledger_url=split.settings.ledger)
    assert misplaced(only) == [f"ledger: {only.ledger} holds the ledger of shard 0 of 2"]


def test_a_ledger_that_had_all_and_is_one_of_several_is_a_fault(split):
    layout = Layout(Router([POOL]))
    split.clients[1].set(split.keys.layout, layout.encode())
    url = split.settings.ledgers[1]
    assert misplaced(split.settings) == [f"ledger of shard 1: {url} holds the one ledger of all shards"]


def test_one_that_is_unavailable_is_one_fault_and_the_others_are_looked_at(split):
    nowhere = f"redis://127.0.0.1:{free_port()}/0"
    settings = split.settings.model_copy(update={"ledger_urls": f"{split.settings.ledger} {nowhere}"})
    servers = doctor_probes.servers(settings)
    assert servers[nowhere] == ("ledger of shard 1",)
    [fault] = doctor_checks.redis(doctor_probes.ask_redis(settings, nowhere, servers[nowhere]))
    assert (fault.sign, fault.what) == ("fault", "Redis (ledger of shard 1)")
    assert "LEDGER_URLS" in fault.do
    assert ledger_probes.ask_ledger(settings, [POOL]).epochs.keys() == {0}
    assert ledger_probes.ask_foreign_keys(settings, [POOL]) == []


def test_a_foreign_key_is_found_in_its_ledger(split):
    split.clients[1].delete(split.keys.audit)
    split.clients[1].set(split.keys.audit, "x")
    [found] = ledger_probes.ask_foreign_keys(split.settings, [POOL])
    assert msgspec.to_builtins(found)["what"] == f"key {split.keys.audit} (ledger of shard 1)"
