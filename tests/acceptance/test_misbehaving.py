"""Strategies that misbehave on every event: the lane goes on, and the strategies beside them say what they always say."""

import asyncio
import itertools
import json
from pathlib import Path

import pytest

from compose.local.stack import Plan, Stack
from tasks.configuration import registry
from tasks.ledger.configurations import ConfigurationStore
from tasks.ledger.reader import LedgerReader
from tasks.protocol import dead_letters as letters
from tests.acceptance.test_poison import Impatient, publish
from tests.support.service import get
from tests.support.stacks.pipeline import deadletters, finish, limited_plan, running
from tests.support.waiting import wait_for

FILE = """
[pools.trade]
kinds = ["trade"]
partitions = 1
[pools.trade.strategies."tests.support.stacks.strategies:{name}"]
[pools.trade.strategies."tests.support.stacks.strategies:Witness"]
min_signal_interval_s = 0
"""
EVENTS = 12


def plan(tmp_path: Path, name: str, pool: str) -> Plan:
    return limited_plan(tmp_path, FILE.format(name=name), 1, pool)


def found(stack: Stack, name: str) -> str:
    """Return what /ready says under the name of a finding."""
    _, body = get(stack.http_port, "/ready")
    return " ".join(f"{each['what']}: {each['says']}" for each in json.loads(body)["findings"] if each["name"] == name)


@pytest.mark.parametrize("pool", ["prefork", pytest.param("solo", marks=pytest.mark.slow)])
def test_a_strategy_that_raises_what_is_no_exception_gets_dead_letters(tmp_path: Path, pool: str):
    with running(plan(tmp_path, "Unkind", pool)) as stack:
        asyncio.run(publish(stack, range(1, EVENTS + 1)))
        live = finish(stack)
        told = list(map(letters.unpack, deadletters(stack)))
        assert {worker.starts for worker in stack.workers} == {1}
    assert [letter.event and letter.event.id for letter in told] == list(range(1, EVENTS + 1))
    assert {(letter.reason, letter.strategy) for letter in told} == {("strategy_error", "unkind")}
    assert live.signals == {"witness": EVENTS}


@pytest.mark.parametrize(
    ("name", "pool"),
    [
        ("Leaving", "prefork"),
        pytest.param("Deaf", "solo", marks=pytest.mark.ci),
        pytest.param("Disarming", "prefork", marks=pytest.mark.ci),
        pytest.param("Disarming", "solo", marks=pytest.mark.slow),
        pytest.param("Alarming", "prefork", marks=pytest.mark.slow),
        pytest.param("Crashing", "prefork", marks=pytest.mark.slow),
        pytest.param("Hanging", "prefork", marks=pytest.mark.slow),
        pytest.param("Deaf", "prefork", marks=pytest.mark.slow),
        pytest.param("Leaving", "solo", marks=pytest.mark.slow),
        pytest.param("Crashing", "solo", marks=pytest.mark.slow),
        pytest.param("Hanging", "solo", marks=pytest.mark.slow),
    ],
)
def test_a_strategy_that_ends_its_process_again_is_switched_off(tmp_path: Path, name: str, pool: str):
    with running(plan(tmp_path, name, pool), Impatient) as stack:
        asyncio.run(publish(stack, range(1, EVENTS + 1)))
        reader = LedgerReader(stack.settings)
        wait_for(lambda: stack.instance.watch() is not None and reader.counters().of("applied") == EVENTS, "them")
        changes = ConfigurationStore(stack.settings)
        wait_for(lambda: changes.history()[-1].author == "breaker", "the change")
        wait_for(lambda: name.lower() in found(stack, "strategy_stopped"), "the finding")
        live = finish(stack)
        told = list(map(letters.unpack, deadletters(stack)))
        [(_, _, record)] = reader.records()
    assert (live.signals, record.count) == ({"witness": EVENTS}, EVENTS)
    assert {(letter.reason, letter.strategy) for letter in told} == {("strategy_error", name.lower())}


ENDING = """
[pools.trade]
kinds = ["trade"]
partitions = 1
[pools.trade.strategies."tests.support.stacks.strategies:Witness"]
min_signal_interval_s = 0
[pools.trade.shadow."tests.support.stacks.strategies:{name}"]
of = "tests.support.stacks.strategies:Witness"
"""


@pytest.mark.parametrize("name", ["Leaving", pytest.param("Hanging", marks=pytest.mark.slow)])
def test_a_shadow_that_ends_its_process_is_switched_off_alone(tmp_path: Path, name: str):
    with running(limited_plan(tmp_path, ENDING.format(name=name), 1, "prefork"), Impatient) as stack:
        asyncio.run(publish(stack, range(1, EVENTS + 1)))
        reader, changes = LedgerReader(stack.settings), ConfigurationStore(stack.settings)
        wait_for(lambda: stack.instance.watch() is not None and reader.counters().of("applied") == EVENTS, "them")
        wait_for(lambda: changes.history()[-1].author == "breaker", "the change")
        in_force = changes.in_force()
        live = finish(stack)
        told = list(map(letters.unpack, deadletters(stack)))
    assert [value.label for value in in_force.overlay] == [
        f"pools.trade.strategies.shadow~tests.support.stacks.strategies:{name}.gate.off"
    ]
    assert [each.name for each in registry.running(in_force.configuration)["trade"]] == ["witness"]
    assert live.signals == {"witness": EVENTS}
    assert {(each.reason, each.strategy) for each in told} == {("strategy_error", f"shadow~{name.lower()}")}


@pytest.mark.slow
def test_a_strategy_that_raises_more_than_its_gate_allows_is_stopped(tmp_path: Path):
    """It is switched off: above its gate's `max_errors_per_minute`."""
    made = plan(tmp_path, "Unkind", "solo")
    file = Path(made.environment["STRATEGIES_FILE"])
    file.write_text(f"[gate]\nmax_errors_per_minute = 5\n{file.read_text()}")
    with running(made) as stack:
        changes, ids = ConfigurationStore(stack.settings), itertools.count(1)

        def is_off() -> bool:
            asyncio.run(publish(stack, [next(ids)]))
            return changes.history()[-1].author == "breaker"

        wait_for(is_off, "the change")
        wait_for(lambda: "unkind" in found(stack, "strategy_stopped"), "the finding")
        sent = next(ids) - 1
        live = finish(stack)
        changes.close()
    assert live.signals == {"witness": sent}
    assert live.dropped == {}
