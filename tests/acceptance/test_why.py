"""Live signals are derived again from the stream and from the recording, whatever was changed meanwhile."""

import asyncio
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import nats
import pytest

from compose.local.stack import Plan, Stack
from tasks.ledger.configurations import ConfigurationStore
from tasks.ledger.reader import LedgerReader
from tasks.why.answer import Answer
from tasks.why.investigation import Request, investigate
from tests.acceptance.test_changes import has_run, parts, versions_run
from tests.support.stacks.pipeline import command, finish, replay, running
from tests.support.waiting import wait_for

pytestmark = pytest.mark.ci

#: The gate holds back many a signal of the second change.
CHANGES = [
    ("set", "orderbook_skew", "levels=10", "--reason", "thin book", "--author", "ann"),
    ("set", "all", "gate.min_confidence=0.7", "--reason", "too many", "--author", "bob"),
]


class LiveRun(NamedTuple):
    """A run that is over, with its servers up."""

    stack: Stack
    signals: list[dict[str, Any]]
    held: list[dict[str, Any]]
    versions: list[str]


@pytest.fixture(scope="module")
def live(recording: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveRun]:
    """Replay a recording into a stream, and change the configuration twice meanwhile."""
    first, *rest = parts(recording, len(CHANGES) + 1, tmp_path_factory.mktemp("parts"))
    plan = Plan(2, "solo", environment={"INGEST_SOURCE": "jetstream"})
    with running(plan) as stack:
        reader, store = LedgerReader(stack.settings), ConfigurationStore(stack.settings)
        replay(stack, [first], "max")
        versions = [store.version()]
        for change, part in zip(CHANGES, rest, strict=True):
            known = len(versions_run(reader))
            command(stack, "strategies", *change)
            versions.append(store.version())
            replay(stack, [part], "max")
            wait_for(partial(has_run, reader, versions[-1], known), what="something to run under the change")
        finish(stack)
        held = [json.loads(line) for _, line in reader.entries(reader.keys.held, b"held")]
        yield LiveRun(stack, list(map(json.loads, reader.signals())), held, versions)


def some(signals: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the first and the last signal of each strategy under each configuration."""
    found = defaultdict(list)
    for signal in signals:
        found[signal["strategy"], signal["config_version"]].append(signal)
    return [
        each for several in found.values() for each in {one["id"]: one for one in (several[0], several[-1])}.values()
    ]


def ask(live: LiveRun, signal: dict[str, Any], *paths: Path) -> Answer:
    return investigate(live.stack.settings, Request(signal["id"], paths, from_stream=not paths))


def why(live: LiveRun, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tasks", "why", *words],
        env=live.stack.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_live_signals_come_out_of_the_stream_again_byte_for_byte(live):
    asked = some(live.signals)
    assert {signal["config_version"] for signal in asked} == set(live.versions)
    assert len({signal["strategy"] for signal in asked}) >= 4
    found = [ask(live, signal) for signal in asked]
    assert {each.verdict for each in found} == {"equal"}
    assert [
        json.loads(bytes(each.decision.derived)) for each in found if each.decision and each.decision.derived
    ] == asked
    assert [each.notes for each in found if each.notes] == []


def test_they_come_out_of_the_recording_again_under_the_same_changes(live, recording):
    found = [ask(live, signal, recording) for signal in some(live.signals)]
    assert {(each.verdict, *each.notes) for each in found} == {("equal",)}


def test_what_the_gate_held_back_is_held_back_again(live):
    asked = some([each["signal"] for each in live.held if each["reason"] == "confidence"])
    assert asked
    for found in (ask(live, signal) for signal in asked):
        assert found.decision is not None
        assert (found.verdict, found.held, found.decision.gate.reason) == ("equal", "confidence", "confidence")
        assert found.decision.gate.rules["min_confidence"] == 0.7


def test_the_configuration_in_force_is_told_with_who_set_it_and_why(live):
    by_version = {signal["config_version"]: signal for signal in live.signals if signal["strategy"] == "orderbook_skew"}
    known = [ask(live, by_version[version]).configuration for version in live.versions]
    assert [(each.author, each.reason) for each in known] == [
        ("strategies file", "first start"), ("ann", "thin book"), ("bob", "too many"),
    ]  # fmt: skip
    levels, least = "orderbook_skew.levels: 10", "all.gate.min_confidence: 0.7"
    assert [sorted(each.at_run_time) for each in known] == [[], [levels], sorted([levels, least])]
    parameters = [ask(live, by_version[version]).decision for version in live.versions]
    assert [each.parameters["levels"] for each in parameters if each] == [5, 10, 10]


def test_the_command_reads_the_stream_by_default(live):
    signal = live.signals[-1]
    done = why(live, signal["id"], "--json")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert (found["verdict"], found["status"], found["signal"]) == ("equal", "sent", signal)
    assert found["source"] == "stream FRAMES"


def test_an_unknown_id_is_one_line(live):
    nobody = "5f0c7a0e-3c0b-5b7e-9a55-2f6f3f3f7c11"
    done = why(live, nobody)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"error: namespace 'local' holds no signal {nobody}\n"


def test_a_recording_that_begins_in_mid_run_is_told(live, recording, tmp_path):
    last = parts(recording, 4, tmp_path)[-1]
    found = ask(live, live.signals[-1], last)
    assert any(note.startswith("the run began with") for note in found.notes)


def test_events_that_the_stream_has_discarded_are_told(live):
    """Last, because nothing is left behind it."""
    signal = live.signals[-1]
    asyncio.run(_purge(live.stack.nats_url))
    done = why(live, signal["id"], "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["verdict"], found["signal"], found["decision"]) == (1, "gone", signal, None)
    assert found["configuration"]["author"] == "bob"
    assert found["notes"][0].startswith("stream FRAMES lacks the event that it answers")
    assert any(note.startswith("the stream begins with message") for note in found["notes"])


async def _purge(nats_url: str) -> None:
    client = await nats.connect(nats_url)
    await client.jetstream().purge_stream("FRAMES")
    await client.close()
