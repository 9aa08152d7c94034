"""Writes what a release leaves behind when it is killed in mid-run, and its code: python -m tests.data.make_release.

Tests have the code of today take it over, and run beside it. A release writes its folder once, and it is kept.
"""

import argparse
import asyncio
import gzip
import io
import itertools
import subprocess
import sys
import tarfile
from collections.abc import Iterable
from pathlib import Path

import nats
import redis

from compose.local.processes import ROOT, Instance
from compose.local.stack import Plan, Stack
from compose.local.waiting import wait_for
from tasks.history import recordings
from tasks.ledger.reader import LedgerReader
from tests.data import RECORDING

FOLDER = Path(__file__).with_name("releases")
#: What ingest, workers and commands need.
CODE = ("tasks", "ingest", "celeryconfig.py")
#: What the stopped version had been given: these lines of the recording, and one frame that is refused.
LINES = 9_000
#: How many events it had applied, at least, when it was killed.
APPLIED = 4_000
ENVIRONMENT = {
    "INGEST_SOURCE": "jetstream",
    # The stream must be there whenever the test runs.
    "INGEST_STREAM_MAX_AGE_S": str(100 * 365 * 86_400),
    "SIGNAL_MAX_AGE_S": "0",
    # The default, which an upgrade keeps; the local stack has more.
    "NATS_SUBJECTS": "binance.>",
}
CHANGE = ("strategies", "set", "orderbook_skew", "levels=10", "--reason", "try", "--author", "ann")


def part(lines: slice) -> bytes:
    """Return some lines of the recording."""
    return b"".join(line.raw + b"\n" for line in itertools.islice(recordings.read(RECORDING), lines.start, lines.stop))


async def publish_nonsense(nats_url: str) -> None:
    """Publish a frame that becomes a dead letter."""
    client = await nats.connect(nats_url)
    await client.jetstream().publish("binance.btcusdt@trade", b'{"stream":"btcusdt@trade","data":{"e":"trade"}}')
    await client.close()


def write(tree: Path) -> None:
    """Run it, kill it, and write down what Redis and NATS keep."""
    version = _said(tree, "-c", "from tasks.version import VERSION; print(VERSION)").strip()
    folder = FOLDER / version
    if folder.exists():
        sys.exit(f"{folder.relative_to(ROOT)} is there: what a release left is not written again")
    file = tree / "tasks" / "strategies.toml"
    with Instance("release") as instance:
        stack = Stack(instance, Plan(1, "prefork", None, ENVIRONMENT | {"STRATEGIES_FILE": str(file)}, (), tree))
        _work(stack)
        folder.mkdir(parents=True)
        pack(folder / "redis.tar.gz", instance.directory / "redis", ["dump.rdb"])
        pack(folder / "nats.tar.gz", instance.directory / "nats", ["jetstream"])
        pack(folder / "code.tar.gz", tree, CODE)


def _work(stack: Stack) -> None:
    """Have it work for a while, and kill it."""
    instance = stack.instance
    stack.wait_until_ready()
    _said(stack.tree, "-m", "tasks", *CHANGE, environment=stack.environment)
    asyncio.run(publish_nonsense(stack.nats_url))
    first = instance.directory / "first.jsonl"
    first.write_bytes(part(slice(0, LINES)))
    feed = stack.start_feed(["replay", str(first), "--speed", "40"])
    reader = LedgerReader(stack.settings)
    wait_for(lambda: reader.counters().of("applied") >= APPLIED, 60)
    instance.kill(stack.workers[0])
    wait_for(lambda: feed.returncode is not None, 60)
    instance.kill(stack.ingest)
    with redis.Redis.from_url(stack.redis_url) as client:
        client.save()
    instance.stop(stack.nats, stack.redis)


def _said(tree: Path, *arguments: str, environment: dict[str, str] | None = None) -> str:
    """Return what a Python with the code of a tree prints."""
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=tree, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout


def pack(archive: Path, tree: Path, names: Iterable[str]) -> None:
    """Pack files, the same ones into the same bytes."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name in names:
            tar.add(tree / name, name, filter=_plain)  # in the order of their names
    archive.write_bytes(gzip.compress(packed.getvalue(), 9, mtime=0))


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Take from a file what says nothing of it."""
    if "__pycache__" in member.name:
        return None
    member.mtime = member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o755 if member.mode & 0o100 else 0o644
    return member


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.data.make_release", description=__doc__)
    parser.add_argument("--tree", type=Path, default=ROOT, help="where a release is unpacked (default: this checkout)")
    write(parser.parse_args().tree.resolve())
