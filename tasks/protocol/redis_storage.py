"""Findings about a Redis server that loses what it has: it deletes keys, or can't write to its disk. Pure.

`info` is what INFO tells of a server; what its user may not ask is left out there, and nothing is found.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from tasks.errors import SettingsError
from tasks.protocol.findings import Finding

Info = Mapping[str, Any]

NO_EVICTION = "noeviction"
#: What tells how the last write of each kind went.
_WRITES = ("rdb_last_bgsave_status", "aof_last_write_status")
_DO = f"`CONFIG SET maxmemory-policy {NO_EVICTION}`, and in redis.conf"


def _policy(info: Info) -> str:
    return str(info.get("maxmemory_policy", NO_EVICTION))


def _deletes_all(info: Info) -> bool:
    """Whether it may delete any key; else none, or those that run out by themselves."""
    return _policy(info).startswith("allkeys")


def check_eviction(url: str, info: Info) -> None:
    """Raise SettingsError where the Redis of the ledger may delete keys of it; `url` shows no password."""
    if _deletes_all(info):
        raise SettingsError(
            f"the ledger's Redis, {url}, has maxmemory-policy {_policy(info)}: at maxmemory it deletes states and "
            f"positions, which nobody would notice. {_DO}; or set INGEST_ALLOW_EVICTION=true"
        )


def findings(what: str, info: Info, *, is_ledger: bool, allows_eviction: bool) -> Iterator[Finding]:
    """Yield what is found about a server, which is called `what`."""
    if _policy(info) != NO_EVICTION:
        loses = "states and positions" if is_ledger else "tasks and results"
        if not _deletes_all(info):
            loses = "leases and counts of runs that began" if is_ledger else "results"
        says = f"maxmemory-policy is {_policy(info)}: at maxmemory it deletes {loses}"
        is_fault = is_ledger and _deletes_all(info) and not allows_eviction
        yield Finding("fault" if is_fault else "warning", what, says, _DO, "redis_evicts")
    if is_ledger:
        for name in _failed_writes(info):
            says = f"{name} is {info[name]}: it can't write to its disk, and loses what it has if it ends now"
            yield Finding(
                "fault",
                what,
                says,
                "make room on its disk; `INFO persistence` and its log say what fails",
                "redis_cannot_save",
            )


def save_failing(info: Info) -> bool | None:
    """Return whether it can't write to its disk; None where that is not known."""
    return bool(_failed_writes(info)) if any(name in info for name in _WRITES) else None


def _failed_writes(info: Info) -> list[str]:
    return [name for name in _WRITES if info.get(name, "ok") != "ok"]
