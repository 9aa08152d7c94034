"""Writes what a version leaves behind when it is killed in mid-run: python -m tests.data.make_upgrade.

A test has the code of today take it over. Written by version 0.9, before the packages of 1.0; a release that changes
what is stored writes another one beside it, and keeps this.
"""

import argparse
import asyncio
import gzip
import io
import itertools
import subprocess
import sys
import tarfile
from pathlib import Path

import nats
import redis

from compose.local.processes import Instance
from compose.local.stack import Plan, Stack
from compose.local.waiting import wait_for
from tasks.history import recordings
from tasks.ledger.reader import LedgerReader
from tests.data import RECORDING

FOLDER = Path(__file__).with_name("upgrade")
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


def write() -> None:
    """Run it, kill it, and write down what Redis and NATS keep."""
    with Instance("upgrade") as instance:
        stack = Stack(instance, Plan(1, "prefork", environment=ENVIRONMENT))
        stack.wait_until_ready()
        subprocess.run([sys.executable, "-m", "tasks", *CHANGE], env=stack.environment, check=True)
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
        FOLDER.mkdir(exist_ok=True)
        _write("redis.tar.gz", instance.directory / "redis" / "dump.rdb", "dump.rdb")
        _write("nats.tar.gz", instance.directory / "nats" / "jetstream", "jetstream")


def _write(name: str, source: Path, arcname: str) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(source, arcname)
    (FOLDER / name).write_bytes(gzip.compress(packed.getvalue(), 9, mtime=0))


if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m tests.data.make_upgrade", description=__doc__).parse_args()
    write()
