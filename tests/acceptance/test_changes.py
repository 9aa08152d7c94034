"""The configuration is changed while a recording is replayed; the backtest with the audit reproduces the run."""

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import msgspec
import pytest

from compose.local.stack import Plan
from tasks import backtest, configuration
from tasks.backtest.shadow_report import ComparedRun, RunningPool, report
from tasks.configuration import Configuration, registry
from tasks.configuration.audit import read_line
from tasks.engine import MemoryLedger
from tasks.history import recordings
from tasks.ledger.configurations import ConfigurationStore
from tasks.ledger.reader import LedgerReader
from tasks.paper import read_accounts
from tasks.settings import Settings
from tests.support.stacks.pipeline import backtested, command, digests, finish, replay, running
from tests.support.waiting import wait_for

pytestmark = pytest.mark.ci

CHANGES = [
    ("strategies", "set", "orderbook_skew", "levels=10", "--reason", "try", "--author", "ann"),
    ("strategies", "kill", "trade_momentum"),
    ("strategies", "rollback", "--author", "bob"),
    ("strategies", "set", "price_velocity", "gate.off=true"),
    ("strategies", "reset", "--all"),
]


def parts(recording: Path, count: int, directory: Path) -> list[Path]:
    """Write a recording in so many files, one after the other."""
    lines = [line.raw + b"\n" for line in recordings.read(recording)]
    size = -(-len(lines) // count)
    files = [directory / f"{number}.jsonl" for number in range(count)]
    for number, file in enumerate(files):
        file.write_bytes(b"".join(lines[number * size : (number + 1) * size]))
    return files


def versions_run(ledger: LedgerReader) -> list[str]:
    """Return the configurations of the audit's lines, oldest first."""
    return [json.loads(line)["config_version"] for _, line in ledger.entries(ledger.keys.audit, b"line")]


def has_run(ledger: LedgerReader, version: str | None, since: int) -> bool:
    """Return whether something ran under a configuration after so many lines of the audit."""
    return version in versions_run(ledger)[since:]


def test_a_change_in_mid_replay_counts_from_an_event_and_is_reproduced(recording: Path, tmp_path: Path):
    """The audit states from which event on a change counts, and a backtest by it gives the digest of the run."""
    first, *rest = parts(recording, len(CHANGES) + 1, tmp_path)
    with running(Plan(2, "prefork")) as stack:
        reader, said = LedgerReader(stack.settings), list[str]()
        replay(stack, [first], "max")
        for change, part in zip(CHANGES, rest, strict=True):
            # Something runs under each configuration before the next change, and some of it after that.
            known = len(versions_run(reader))
            said.append(command(stack, *change))
            replay(stack, [part], "max")
            version = ConfigurationStore(stack.settings).version()
            wait_for(partial(has_run, reader, version, known), what="something to run under the change")
        live = finish(stack)
        history = [json.loads(line) for line in command(stack, "strategies", "history", "--json").splitlines()]
        audited = json.loads(command(stack, "backtest", str(recording), "--audit", "--json"))
        audit = [json.loads(line) for _, line in reader.entries(reader.keys.audit, b"line")]
        versions = {json.loads(packed)["config_version"] for packed in reader.signals()}
        held = [json.loads(line) for _, line in reader.entries(reader.keys.held, b"held")]
    # The rollback leads back to what the first change had come to, the reset to the file.
    assert len(said) == 5
    assert [change["author"] for change in history[:2] + history[3:4]] == ["strategies file", "ann", "bob"]
    first, levels, killed, rolled_back, off, reset = (change["version"] for change in history)
    assert (rolled_back, reset) == (levels, first)
    assert len({first, levels, killed, off}) == 4
    # Every record names the first event under each, and signals name what they came from.
    assert {line["config_version"] for line in audit} == {first, levels, killed, off}
    assert versions <= {first, levels, killed, off}
    assert len(versions) > 1
    assert {line["signal"]["strategy"] for line in held if line["reason"] == "killed"} <= {"trade_momentum"}
    # The run differs from one without changes, and the audit reproduces it.
    assert live.digest != backtested([recording]).digest
    assert (audited["digest"], audited["positions_digest"]) == digests(live)


SHADOW = """
[pools.depth.shadow.orderbook_skew]
of = "orderbook_skew"
levels = 10
"""


def test_a_promotion_in_mid_run_is_reproduced_by_the_audit(opening: Path, tmp_path: Path):
    """And the report of the live run is that of the audited backtest."""
    file, name = tmp_path / "strategies.toml", "shadow~orderbook_skew"
    file.write_text(f"{Settings().strategies_file.read_text()}\n{SHADOW}")
    first, *rest = parts(opening, 3, tmp_path)
    with running(Plan(2, "prefork", environment={"STRATEGIES_FILE": str(file)})) as stack:
        reader = LedgerReader(stack.settings)
        replay(stack, [first], "max")
        for change, part in zip(
            [("shadow", "promote", name, "--author", "ann"), ("strategies", "rollback")], rest, strict=True
        ):
            known = len(versions_run(reader))
            command(stack, *change)
            replay(stack, [part], "max")
            version = ConfigurationStore(stack.settings).version()
            wait_for(partial(has_run, reader, version, known), what="something to run under the change")
        live = finish(stack)
        told = json.loads(command(stack, "backtest", str(opening), "--audit", "--json"))
        found = json.loads(command(stack, "shadow", "report", name, "--json"))
        history = [json.loads(line) for line in command(stack, "strategies", "history", "--json").splitlines()]
        again = backtest.Backtest(configuration.read(file), audit=reader.audit())
        again.work(recordings.read(opening))
        configurations = reader.audit().configurations
    assert [each["author"] for each in history[:2]] == ["strategies file", "ann"]
    assert history[0]["version"] == history[2]["version"] != history[1]["version"]
    assert (told["digest"], told["positions_digest"]) == (live.digest, live.positions_digest)
    assert live.digest != backtested([opening]).digest
    assert {json.loads(each)["version"] for each in again.ledger.shadowed} == {"orderbook_skew", name}
    expected = report(compared_run(again.ledger, configurations, history[2]["version"]))
    assert found == json.loads(msgspec.json.encode(expected))
    assert min(found[0]["total"][side]["signals"] for side in ("original", "shadow")) > 0


def compared_run(ledger: MemoryLedger, configurations: Mapping[str, Configuration], version: str) -> ComparedRun:
    """Return what `shadow report` looks at, of a backtest."""
    pools = {}
    for each, chosen in configurations.items():
        built = registry.running(chosen)
        pools[each] = [RunningPool(pool, built[pool.name]) for pool in chosen.routes()]
    lines, held = list(map(read_line, ledger.audit)), read_accounts(ledger.accounts())
    return ComparedRun(pools, version, lines, ledger.signals, ledger.shadowed, ledger.positions, held)
