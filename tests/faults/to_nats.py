"""Faults of NATS: started again, unavailable, impatient with who reads slowly."""

import asyncio
import signal
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import nats

from ingest.transport.flush import confirm_published
from tests.faults.rig import Setup
from tests.faults.run import Case, FaultRun
from tests.support.waiting import wait_for

UNAVAILABLE_S = 8.0
SLOW_S = 8.0


def start(run: FaultRun, *options: str) -> None:
    """Start NATS again, on the port that it had, with these options instead of those that it was last given."""
    address = urlsplit(run.stack.nats_url)
    server = run.stack.nats
    server.restart_as((*server.command[: server.command.index("--port") + 2], *options))
    run.stack.instance.start_again(server)

    def listens() -> bool:
        with suppress(OSError), socket.create_connection((address.hostname or "", address.port or 0), timeout=1):
            return True
        return False

    wait_for(listens, "NATS")


def restarted(run: FaultRun) -> Iterator[float]:
    for _ in range(3):
        yield 2.0
        run.stack.instance.stop(run.stack.nats)
        start(run)
        run.hit()


def unavailable(run: FaultRun) -> Iterator[float]:
    yield 2.0
    run.stack.instance.stop(run.stack.nats)
    yield UNAVAILABLE_S
    start(run)
    run.hit()


async def _flood(run: FaultRun) -> None:
    """Publish more than sockets can hold, of what ingest skips."""
    frame = b'{"stream":"btcusdt@kline_1m","data":{"e":"kline","s":"BTCUSDT","k":"%b"}}' % (b"x" * 8_000)
    client = await nats.connect(run.stack.nats_url)
    for _ in range(4_000):
        await client.publish("binance.btcusdt@kline_1m", frame)
    await confirm_published(client)
    await client.close()


def slow_consumer(run: FaultRun) -> Iterator[float]:
    """Let the server give up whoever does not take what it writes. From a stream, ingest takes what it asks for."""
    settings = Path(run.stack.instance.directory) / "impatient.conf"
    settings.write_text('write_deadline: "500ms"\n', encoding="utf-8")
    run.stack.instance.stop(run.stack.nats)
    start(run, "--config", str(settings))
    yield 2.0
    proxy = run.stack.proxies["ingest-nats"]
    proxy.bytes_per_s = 20_000
    if run.mode == "core":
        asyncio.run(_flood(run))
    yield SLOW_S
    proxy.bytes_per_s = float("inf")
    run.hit()
    assert run.mode == "jetstream" or "Slow Consumer" in run.stack.nats.log.read_text()


def killed_with_ingest(run: FaultRun) -> Iterator[float]:
    for _ in range(2):
        yield 2.0
        run.stack.ingest.send(signal.SIGKILL)
        run.stack.instance.stop(run.stack.nats)
        run.stack.instance.kill(run.stack.ingest)
        start(run)
        run.stack.instance.start_again(run.stack.ingest)
        run.hit()


CASES = (
    Case("NATS: started again", restarted, core_loses=True),
    Case("NATS: unavailable for 8 s", unavailable, core_loses=True),
    Case(
        "NATS: ingest takes 20 kB/s for 8 s", slow_consumer, Setup(links=("ingest-nats",)), core_loses=True, lasts_s=9.5
    ),
    Case("NATS: started again while ingest dies", killed_with_ingest, core_loses=True),
)
