"""What a running contender uses: CPU and memory of each process with its children, and Redis's own counters."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec
import psutil
import redis

from compose.local.processes import Process

_MIB = 1024 * 1024


def role(name: str) -> str:
    """Return the role of a process by its name: worker-2 is a worker."""
    return name.rpartition("-")[0] if name.rpartition("-")[2].isdecimal() else name


def family(process: Process) -> list[psutil.Process]:
    """Return the process and all below it; none when it has ended."""
    with suppress(psutil.NoSuchProcess):
        parent = psutil.Process(process.pid)
        return [parent, *parent.children(recursive=True)]
    return []


def cpu_s(processes: Sequence[Process]) -> dict[str, float]:
    """Return the CPU seconds that each role has used so far."""
    used: dict[str, float] = {}
    for process in processes:
        for each in family(process):
            with suppress(psutil.NoSuchProcess):
                times = each.cpu_times()
                used[role(process.name)] = used.get(role(process.name), 0.0) + times.user + times.system
    return used


def resident_mib(processes: Sequence[Process]) -> dict[str, float]:
    """Return the resident memory of each process, children included; what they share counts in each."""
    used: dict[str, float] = {}
    for process in processes:
        for each in family(process):
            with suppress(psutil.NoSuchProcess):
                used[process.name] = used.get(process.name, 0.0) + each.memory_info().rss / _MIB
    return used


class RedisUse(msgspec.Struct, frozen=True):
    """What Redis was asked for."""

    #: Commands, those inside of scripts included.
    commands: int
    bytes_in: int
    bytes_out: int
    by_command: dict[str, int]

    def without(self, command: str, calls: int) -> "RedisUse":
        """Leave out what we asked ourselves; its few bytes stay."""
        by_command = self.by_command | {command: self.by_command.get(command, 0) - calls}
        left = {name: count for name, count in by_command.items() if count}
        return msgspec.structs.replace(self, commands=self.commands - calls, by_command=left)

    def since(self, before: "RedisUse") -> "RedisUse":
        """Return what came after `before`."""
        by_command = {name: count - before.by_command.get(name, 0) for name, count in self.by_command.items()}
        return RedisUse(
            self.commands - before.commands,
            self.bytes_in - before.bytes_in,
            self.bytes_out - before.bytes_out,
            {name: count for name, count in by_command.items() if count},
        )


def redis_use(client: redis.Redis) -> RedisUse:
    """Ask Redis."""
    commands: Mapping[str, Any] = client.info("commandstats")
    stats: Mapping[str, Any] = client.info("stats")
    by_command = {name.removeprefix("cmdstat_"): int(about["calls"]) for name, about in commands.items()}
    return RedisUse(
        sum(by_command.values()), stats["total_net_input_bytes"], stats["total_net_output_bytes"], by_command
    )
