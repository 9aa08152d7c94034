"""What the version before left behind when it was killed in mid-run is taken over: nothing is lost, nothing done twice."""

import json
import re
import tarfile
from pathlib import Path

import redis

from compose.local.processes import Instance
from compose.local.stack import Plan, Stack
from tasks.events import Depth
from tasks.frames import parse
from tasks.frames.model import FrameMetadata
from tasks.history import recordings
from tasks.ledger import LedgerKeys
from tests.data import RECORDING, make_upgrade
from tests.support.stacks.pipeline import backtested, command, deadletters, finish, replay, running


def _left_behind(instance: Instance, plan: Plan) -> Stack:
    for server in ("redis", "nats"):
        directory = instance.directory / server
        directory.mkdir()
        with tarfile.open(make_upgrade.FOLDER / f"{server}.tar.gz") as archive:
            archive.extractall(directory, filter="data")
    return Stack(instance, plan)


def books(symbol: str) -> int:
    """Return how many spot books of a symbol the recording holds."""
    lines = enumerate(recordings.read(RECORDING), start=1)
    events = (parse(line.raw, FrameMetadata(line.stream, seq, line.received_at_ns)) for seq, line in lines)
    return sum(isinstance(each, Depth) and (each.venue, each.symbol) == ("spot", symbol) for each in events)


def test_data_of_the_previous_version_is_taken_over_with_equal_digest(tmp_path: Path):
    rest = tmp_path / "rest.jsonl"
    rest.write_bytes(make_upgrade.part(slice(make_upgrade.LINES, None)))
    with running(Plan(2, "prefork", environment=make_upgrade.ENVIRONMENT), _left_behind) as stack:
        with redis.Redis.from_url(stack.redis_url) as client:
            before = int(client.hget(LedgerKeys(stack.settings.namespace).counters, "applied") or 0)
        replay(stack, [rest], "max")
        live = finish(stack)
        letters = deadletters(stack)
        audited = command(stack, "backtest", str(RECORDING), "--audit", "--digest").strip()
        history = command(stack, "strategies", "history", "--json")
        in_force = command(stack, "strategies", "get")
        states = command(stack, "state", "show", "--json", "--symbol", "BTCUSDT", "--strategy", "orderbook_skew")
    assert before >= make_upgrade.APPLIED, "the version before had applied these"
    assert (live.digest, live.frames, live.repeats, live.dropped) == (
        audited,
        backtested([RECORDING]).frames + 1,
        0,
        {},
    )
    assert len(letters) == 1
    # The file that comes with this version is another one; what was set at run time stays over it.
    said = [json.loads(line) for line in history.splitlines()]
    assert [each["author"] for each in said][-2:] == ["ann", "strategies file"]
    assert re.search(r"orderbook_skew\.levels.*\b10\b", in_force)
    [state] = [told for line in states.splitlines() if (told := json.loads(line)).get("venue") == "spot"]
    assert state["seen"] == books("BTCUSDT"), "the state went on from that of the version before"
