"""Forged ids mute nothing: not live, not in a backtest, not across restarts of ingest."""

import re
import time
from pathlib import Path

import pytest

from compose.local.stack import Plan
from tasks.history import recordings
from tasks.protocol import dead_letters
from tests.support.stacks.pipeline import backtested, deadletters, digests, finish, lasting, replay, running

pytestmark = pytest.mark.ci

HIGHEST = b"%d" % (2**63 - 1)


def forged(recording: Path, to: Path) -> Path:
    """Put two forged copies with the highest of ids behind every 20th frame, but for the first ones of each stream."""
    with to.open("wb") as file:
        for number, line in enumerate(recordings.read(recording)):
            file.write(line.raw + b"\n")
            if number > 200 and number % 20 == 0:
                raw = re.sub(rb'"(t|lastUpdateId|u)":\d+', b'"\\1":' + HIGHEST, line.raw)
                assert raw != line.raw
                file.write(2 * (raw + b"\n"))
    return to


@pytest.mark.parametrize("source", ["core", "jetstream"])
def test_forged_ids_change_neither_signals_nor_digest(source: str, opening: Path, tmp_path: Path):
    """From a stream, ingest is killed twice: it may meet a forged frame first."""
    files, clean = [forged(opening, tmp_path / "forged.jsonl")], backtested([opening])
    assert digests(backtested(files)) == digests(clean)
    with running(Plan(2, "solo", environment={"INGEST_SOURCE": source})) as stack:
        began_s = time.monotonic()
        left_s = [4, 2] if source == "jetstream" else []

        def kill() -> None:
            if left_s and time.monotonic() - began_s > left_s[-1]:
                left_s.pop()
                stack.instance.kill(stack.ingest)
                stack.instance.start_again(stack.ingest)

        replay(stack, files, lasting(files, 6), kill)
        assert left_s == [], "ingest was killed twice"
        live = finish(stack)
        letters = list(map(dead_letters.unpack, deadletters(stack)))
    assert live.signals == clean.signals
    # A forged one that comes twice is a repeat of what nothing confirms.
    assert (digests(live), live.dropped) == (digests(clean), {})
    assert {letter.refusal for letter in letters} == {"implausible_id"}
