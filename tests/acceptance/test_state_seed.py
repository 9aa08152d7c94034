"""A warm start: what comes live after a seeding goes on as in one run over the recordings and what came live."""

from pathlib import Path
from typing import Any

import pytest

from compose.local.processes import Process
from compose.local.stack import Plan, Stack
from tasks import backtest, configuration
from tasks.history import recordings
from tasks.history.recording_line import RecordingLine
from tasks.ledger.reader import LedgerReader
from tasks.paper import positions_digest
from tasks.protocol.digest import digest, digest_line
from tasks.settings import Settings
from tests.acceptance.test_faults import Adversary
from tests.support.stacks.pipeline import command, deadletters, finish, lasting, replay, running

pytestmark = pytest.mark.ci


def parts(recording: Path, directory: Path) -> tuple[Path, Path, Path]:
    """Cut a recording into history and live, which share some of BTCUSDT; the third part is live without those."""
    lines = list(recordings.read(recording))
    half = next(at for at in range(len(lines) // 2, len(lines)) if not is_bitcoin(lines[at]))
    shared = [line for line in lines[half : len(lines) * 6 // 10] if is_bitcoin(line)]
    fresh = [
        line for at, line in enumerate(lines[half:], start=half) if at >= len(lines) * 6 // 10 or not is_bitcoin(line)
    ]
    contents = {"history": [*lines[:half], *shared], "live": lines[half:], "fresh": fresh}
    for name, content in contents.items():
        (directory / f"{name}.jsonl").write_bytes(b"".join(line.raw + b"\n" for line in content))
    history, live, rest = (directory / f"{name}.jsonl" for name in contents)
    return history, live, rest


def is_bitcoin(line: RecordingLine) -> bool:
    return line.stream.startswith("btcusdt")


def backtest_of(*files: Path) -> backtest.Backtest:
    """Run the strategies over one file after the other."""
    done = backtest.Backtest(configuration.read(Settings().strategies_file))
    for file in files:
        done.work(recordings.read(file))
    return done


def test_signals_after_a_seeding_are_those_of_a_backtest_over_all(recording: Path, tmp_path: Path):
    """Under kills, and although some events of the history come live again."""
    history, live, fresh = parts(recording, tmp_path)
    whole, past = backtest_of(history, live), backtest_of(history).ledger
    before, closed = len(past.signals), len(past.positions)
    due, repeats = whole.ledger.signals[before:], whole.ledger.counts.of("repeats")
    assert min(before, len(due), closed, len(whole.ledger.positions) - closed) > 10
    assert repeats > 100
    with running(Plan(2, "prefork")) as stack:
        said = command(stack, "state", "seed", str(history))
        adversary = Adversary(stack, seed=1)
        replay(stack, [live], lasting([live], 8), adversary.act)
        adversary.rest()
        done = finish(stack)
        reader = LedgerReader(stack.settings)
        sent, audit = list(reader.signals()), [line for _, line in reader.entries(reader.keys.audit, b"line")]
        letters = deadletters(stack)
    assert said.count("put in") == len(whole.ledger.fields)
    assert adversary.faults.total() >= 3
    assert (done.repeats, done.dropped, letters) == (repeats, {}, [])
    assert sorted(map(digest_line, sent)) == sorted(map(digest_line, due))
    assert done.digest == digest(due, whole.ledger.records())
    assert done.positions_digest == positions_digest(whole.ledger.positions[closed:], whole.ledger.accounts())
    assert sorted(audit) == sorted(backtest_of(fresh).ledger.audit), "it names the first events that were new"


def test_ingest_starts_for_the_first_time_on_a_seeded_ledger(recording: Path, tmp_path: Path):
    """With a stream, and the strategies file as the configuration."""
    history, live, _ = parts(recording, tmp_path)
    whole, before = backtest_of(history, live), len(backtest_of(history).ledger.signals)

    class SeededStack(Stack):
        def _start(self, name: str, *arguments: Any, **options: Any) -> Process:
            if name == "ingest":
                command(self, "state", "seed", str(history))
            return super()._start(name, *arguments, **options)

    with running(Plan(1, "solo", environment={"INGEST_SOURCE": "jetstream"}), SeededStack) as stack:
        replay(stack, [live], "max")
        done = finish(stack)
    assert (done.repeats, done.dropped) == (whole.ledger.counts.of("repeats"), {})
    assert done.digest == digest(whole.ledger.signals[before:], whole.ledger.records())
