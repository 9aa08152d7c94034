"""A warm start: what comes live after a seeding goes on as in one run over the recordings and what came live."""

from pathlib import Path

from compose.local.stack import Plan
from tasks import backtest, configuration
from tasks.history import recordings
from tasks.ledger.reader import LedgerReader
from tasks.protocol.digest import digest, digest_line
from tasks.settings import Settings
from tests.acceptance.test_faults import Adversary
from tests.support.stacks.pipeline import command, deadletters, finish, lasting, replay, running


def halves(recording: Path, directory: Path) -> tuple[Path, Path]:
    """Write each half of a recording into a file of its own."""
    lines = [line.raw + b"\n" for line in recordings.read(recording)]
    past, live = directory / "past.jsonl", directory / "live.jsonl"
    past.write_bytes(b"".join(lines[: len(lines) // 2]))
    live.write_bytes(b"".join(lines[len(lines) // 2 :]))
    return past, live


def backtest_of(*files: Path) -> backtest.Backtest:
    done = backtest.Backtest(configuration.read(Settings().strategies_file))
    done.work(recordings.merge(list(files)))
    return done


def test_signals_after_a_seeding_are_those_of_a_backtest_over_all(recording: Path, tmp_path: Path):
    past, live = halves(recording, tmp_path)
    whole = backtest_of(past)
    before = len(whole.ledger.signals)
    whole.work(recordings.merge([live]))
    due = whole.ledger.signals[before:]
    assert before > 10
    assert len(due) > 10
    with running(Plan(2, "prefork")) as stack:
        said = command(stack, "state", "seed", str(past))
        adversary = Adversary(stack, seed=1)
        replay(stack, [live], lasting([live], 8), adversary.act)
        adversary.rest()
        done = finish(stack)
        reader = LedgerReader(stack.settings)
        sent, audit = list(reader.signals()), [line for _, line in reader.entries(reader.keys.audit, b"line")]
        letters = deadletters(stack)
    assert said.count("put in") == len(whole.ledger.fields)
    assert adversary.faults.total() >= 3
    assert (done.repeats, done.dropped, letters) == (0, {}, [])
    assert sorted(map(digest_line, sent)) == sorted(map(digest_line, due))
    assert done.digest == digest(due, whole.ledger.records())
    assert sorted(audit) == sorted(backtest_of(live).ledger.audit), "it names the first events that came live"
