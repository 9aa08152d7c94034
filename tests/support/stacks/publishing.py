"""Publishes recordings into the stream of a stack, whatever the ledger and ingest say: a replay would refuse, or wait."""

from pathlib import Path

import nats

from compose.local.stack import Stack
from tasks.history import recordings


async def publish_frames(stack: Stack, file: Path) -> None:
    """Publish all frames of a recording, each once the one before is confirmed."""
    client = await nats.connect(stack.nats_url)
    jetstream = client.jetstream()
    for line in recordings.read(file):
        await jetstream.publish(f"binance.{line.stream}", line.raw)
    await client.close()
