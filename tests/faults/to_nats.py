"""Faults of NATS: started again, away, impatient with who reads slowly."""

import signal
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from compose.local.waiting import wait_for
from tests.faults.rig import Setup
from tests.faults.run import Case, Run

AWAY_S = 8.0
SLOW_S = 8.0


def _start(run: Run, *options: str) -> None:
    """Start NATS again, on the port that it had."""
    address = urlsplit(run.stack.nats_url)
    nats = run.stack.nats
    nats.command = (*(str(address.port) if word == "-1" else word for word in nats.command), *options)
    run.stack.instance.start_again(nats)

    def listens() -> bool:
        with suppress(OSError), socket.create_connection((address.hostname or "", address.port or 0), timeout=1):
            return True
        return False

    wait_for(listens, 15, "NATS")


def restarted(run: Run) -> Iterator[float]:
    for _ in range(3):
        yield 2.0
        run.stack.instance.stop(run.stack.nats)
        _start(run)
        run.hit()


def away(run: Run) -> Iterator[float]:
    yield 2.0
    run.stack.instance.stop(run.stack.nats)
    yield AWAY_S
    _start(run)
    run.hit()


def slow_consumer(run: Run) -> Iterator[float]:
    """Let the server give up whoever does not take what it writes within a second."""
    settings = Path(run.stack.instance.directory) / "impatient.conf"
    settings.write_text('write_deadline: "1s"\n', encoding="utf-8")
    run.stack.instance.stop(run.stack.nats)
    _start(run, "--config", str(settings))
    yield 2.0
    proxy = run.stack.proxies["ingest-nats"]
    proxy.bytes_per_s = 20_000
    yield SLOW_S
    proxy.bytes_per_s = float("inf")
    run.hit()


def killed_with_ingest(run: Run) -> Iterator[float]:
    for _ in range(2):
        yield 2.0
        run.stack.ingest.send(signal.SIGKILL)
        run.stack.instance.stop(run.stack.nats)
        run.stack.instance.kill(run.stack.ingest)
        _start(run)
        run.stack.instance.start_again(run.stack.ingest)
        run.hit()


CASES = (
    Case("NATS: started again", restarted, core_loses=True),
    Case("NATS: away for 8 s", away, core_loses=True),
    Case("NATS: gives up a slow consumer", slow_consumer, Setup(links=("ingest-nats",)), core_loses=True),
    Case("NATS: started again while ingest dies", killed_with_ingest, core_loses=True),
)
