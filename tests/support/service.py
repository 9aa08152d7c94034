"""One ingest process against the session's servers, driven by a test."""

import http.client
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import nats

from compose.local.processes import Instance, Process
from compose.local.servers import free_port
from ingest.transport.flush import confirm_published
from tasks.settings import Settings
from tests.support.waiting import wait_for


def get(port: int, path: str) -> tuple[int, str]:
    """Ask an endpoint of 127.0.0.1; (0, "") while nobody listens."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except OSError:
        return 0, ""
    finally:
        connection.close()


class Ingest:
    """A process, its settings and its endpoints."""

    def __init__(self, instance: Instance, environment: Mapping[str, str]) -> None:
        self.instance = instance
        self.port = int(environment["HTTP_PORT"])
        self.environment = dict(environment)
        known = {name.lower(): value for name, value in environment.items() if name.lower() in Settings.model_fields}
        self.settings = Settings.model_validate(known)
        self.process: Process = instance.start(
            "ingest", [sys.executable, "-m", "ingest"], os.environ | self.environment
        )

    def get(self, path: str) -> tuple[int, str]:
        """Ask an endpoint; (0, "") while nobody listens."""
        return get(self.port, path)

    def ready(self) -> dict[str, Any] | None:
        """Return what /ready says once it takes frames in."""
        status, body = self.get("/ready")
        said: dict[str, Any] = json.loads(body) if status == 200 else {}
        return said if said.get("started") else None

    def wait_ready(self) -> None:
        wait_for(self.ready, f"ingest to be ready{self.process.tail(20)}")

    def log(self) -> list[dict[str, Any]]:
        """Return the lines of its log."""
        return [json.loads(line) for line in self.process.log.read_text().splitlines() if line.startswith("{")]

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Return the lines of one kind."""
        return [line for line in self.log() if line["event"] == event]

    def wait_end(self) -> int:
        """Return its exit status."""
        wait_for(lambda: self.process.returncode is not None, "ingest to end")
        assert self.process.returncode is not None
        return self.process.returncode


#: For a stop that is to be clean: as much time as any machine needs. The others have a second, as there is work left.
PATIENT = {"INGEST_DRAIN_S": "60"}


@contextmanager
def ingest(nats_url: str, redis_url: str, namespace: str, **more: str) -> Iterator[Ingest]:
    """Start an ingest process that listens to subjects of its own."""
    environment = {
        "NATS_URL": nats_url,
        "REDIS_URL": redis_url,
        "NAMESPACE": namespace,
        "NATS_SUBJECTS": f"{namespace}.>",
        "SIGNAL_SUBJECT": f"{namespace}-signals.{{strategy}}.{{symbol}}",
        "HTTP_PORT": str(free_port()),
        "LOG_FORMAT": "json",
        "INGEST_DRAIN_S": "1",
        **more,
    }
    with Instance("ingest") as instance:
        yield Ingest(instance, environment)


async def publish(nats_url: str, *messages: tuple[str, bytes]) -> None:
    """Publish (subject, bytes) and wait until the server has them."""
    client = await nats.connect(nats_url)
    for subject, raw in messages:
        await client.publish(subject, raw)
    await confirm_published(client)
    await client.close()
