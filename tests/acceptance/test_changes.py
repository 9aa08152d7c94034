"""The configuration is changed while a recording is replayed; the backtest with the audit reproduces the run."""

import json
import subprocess
import sys
from pathlib import Path

from compose.local.stack import Plan, Stack
from tasks.ledger.configurations import Changes
from tasks.ledger.reader import Outbox
from tests.acceptance.pipeline import backtested, finish, lasting, replay, running
from tests.waiting import wait_for


def command(stack: Stack, *words: str) -> str:
    """Run `python -m tasks WORDS` against the stack."""
    done = subprocess.run(
        [sys.executable, "-m", "tasks", *words],
        env=stack.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_change_in_mid_replay_counts_from_an_event_and_is_reproduced(recording: Path):
    """The audit states from which event on a change counts, and a backtest by it gives the digest of the run."""
    with running(Plan(2, "prefork")) as stack:
        outbox = Outbox(stack.settings)
        due = [
            (1_000, ("strategies", "set", "orderbook_skew", "levels=10", "--reason", "try", "--author", "ann")),
            (3_000, ("strategies", "kill", "trade_momentum")),
            (5_000, ("strategies", "rollback", "--author", "bob")),
            (7_000, ("strategies", "set", "price_velocity", "gate.off=true")),
            (9_000, ("strategies", "reset", "--all")),
        ]
        changes, said = Changes(stack.settings), list[str]()
        #: How long the audit was at the change before.
        before = [0]

        def ran() -> list[str]:
            """Return the configurations of the audit's lines: something has to run under each before the next change."""
            return [json.loads(line)["config_version"] for _, line in outbox.entries(outbox.keys.audit, b"line")]

        def act() -> bool:
            if due and outbox.counters().get("applied", 0) >= due[0][0] and changes.version() in ran()[before[-1] :]:
                before.append(len(ran()))
                said.append(command(stack, *due.pop(0)[1]))
            return not due

        replay(stack, [recording], lasting([recording], 17), act)
        wait_for(act, what="the last change")  # where workers are slower than the feed
        live = finish(stack)
        history = [json.loads(line) for line in command(stack, "strategies", "history", "--json").splitlines()]
        audited = command(stack, "backtest", str(recording), "--audit", "--digest").strip()
        audit = [json.loads(line) for _, line in outbox.entries(outbox.keys.audit, b"line")]
        versions = {json.loads(packed)["config_version"] for packed in outbox.signals()}
        held = [json.loads(line) for _, line in outbox.entries(outbox.keys.held, b"held")]
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
    assert audited == live.digest
