"""What each release left behind when it was killed in mid-run is taken over: nothing is lost, nothing done twice."""

import json
import re
from functools import partial
from pathlib import Path

import pytest
import redis

from compose.local.stack import Plan
from tasks.events import Depth
from tasks.frames import parse
from tasks.frames.model import FrameMetadata
from tasks.history import recordings
from tasks.ledger import LedgerKeys
from tests.data import RECORDING, make_release
from tests.support.stacks.pipeline import backtested, command, deadletters, finish, replay, running
from tests.support.stacks.releases import RELEASES, left_behind

pytestmark = pytest.mark.ci


def books(symbol: str) -> int:
    """Return how many spot books of a symbol the recording holds."""
    lines = enumerate(recordings.read(RECORDING), start=1)
    events = (parse(line.raw, FrameMetadata(line.stream, seq, line.received_at_ns)) for seq, line in lines)
    return sum(isinstance(each, Depth) and (each.venue, each.symbol) == ("spot", symbol) for each in events)


@pytest.mark.parametrize("release", RELEASES)
def test_what_a_release_left_is_taken_over_with_equal_digest(tmp_path: Path, release: str):
    rest = tmp_path / "rest.jsonl"
    rest.write_bytes(make_release.part(slice(make_release.LINES, None)))
    with running(Plan(2, "prefork", environment=make_release.ENVIRONMENT), partial(left_behind, release)) as stack:
        with redis.Redis.from_url(stack.redis_url) as client:
            before = int(client.hget(LedgerKeys(stack.settings.namespace).counters, "applied") or 0)
        replay(stack, [rest], "max")
        live = finish(stack)
        letters = deadletters(stack)
        shown = command(stack, "deadletters", "list")
        audited = command(stack, "backtest", str(RECORDING), "--audit", "--digest").strip()
        history = command(stack, "strategies", "history", "--json")
        in_force = command(stack, "strategies", "get")
        states = command(stack, "state", "show", "--json", "--symbol", "BTCUSDT", "--strategy", "orderbook_skew")
    assert before >= make_release.APPLIED, "the release had applied these"
    assert (live.digest, live.frames, live.repeats, live.dropped) == (
        audited,
        backtested([RECORDING]).frames + 1,
        0,
        {},
    )
    assert len(letters) == 1
    assert "missing_field" in shown
    # The file that comes with this version may be another one; what was set at run time stays over it.
    authors = [json.loads(line)["author"] for line in history.splitlines()]
    assert authors[authors.index("ann") :] in (["ann"], ["ann", "strategies file"])
    assert re.search(r"orderbook_skew\.levels.*\b10\b", in_force)
    [state] = [told for line in states.splitlines() if (told := json.loads(line)).get("venue") == "spot"]
    assert state["seen"] == books("BTCUSDT"), "the state went on from that of the release"
