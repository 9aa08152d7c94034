"""The real Flower."""

import http.client
import os
import sys
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager

from compose.local.processes import Instance, Process
from compose.local.servers import free_port
from tests.support.service import get
from tests.support.waiting import HANGS_S, wait_for


class Flower:
    """One that runs."""

    def __init__(self, process: Process, port: int) -> None:
        self.process, self.port = process, port

    def headers(self, path: str, headers: dict[str, str] | None = None) -> http.client.HTTPMessage:
        """Return the headers of an answer."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=HANGS_S)) as connection:
            connection.request("GET", path, headers=headers or {})
            return connection.getresponse().headers

    def ask(self, method: str, path: str, headers: dict[str, str] | None = None) -> int:
        """Return the status of an answer."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=HANGS_S)) as connection:
            connection.request(method, path, headers=headers or {})
            return connection.getresponse().status


@contextmanager
def running(redis_url: str, **more: str) -> Iterator[Flower]:
    """Start it with these environment variables; end it behind the block."""
    port = free_port()
    environment = {"REDIS_URL": redis_url, "NAMESPACE": f"t{uuid.uuid4().hex[:12]}", **more}
    command = [sys.executable, "-m", "celery", "-A", "tasks", "flower", f"--port={port}"]
    with Instance("flower") as instance:
        process = instance.start("flower", command, os.environ | environment)
        wait_for(lambda: get(port, "/healthcheck")[0] == 200, f"Flower{process.tail(20)}")
        yield Flower(process, port)
