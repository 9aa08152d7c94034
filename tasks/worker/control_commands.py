"""Celery's remote control commands, as far as workers obey them. Whoever reaches the broker or Flower can send any.

A lane goes on whatever is sent. What could only stop one is refused, with the reason as its answer and in the log:
pools and lanes bound what runs, so there is nothing that a rate limit or a cancelled queue would be good for. A worker
grows and shrinks, but keeps a process. `revoke` is obeyed: it discards one copy of a batch, and ingest sends another
one under another id.
"""

import time
from collections.abc import Callable
from typing import Any

import structlog
from celery.worker.control import Panel

from tasks.worker import worker_metrics

Command = Callable[..., Any]
#: For so long a refusal is reported.
TOLD_S = 600.0
log = structlog.get_logger()

_QUEUES = "a worker serves the queues that its command line names (-Q): start another one"
#: By command, what to do instead.
REFUSED = {
    "rate_limit": "batches bound how many tasks there are: pause a pool or a strategy instead",
    "time_limit": "RUN_LIMIT_S bounds a run",
    "cancel_consumer": _QUEUES,
    "add_consumer": _QUEUES,
}


def install() -> None:
    """Have this process's worker obey by these rules, and count from now on."""
    for name in (*REFUSED, "pool_shrink", "pool_grow", "autoscale", "reply_to"):
        worker_metrics.count("worker_refused_commands", name, by=0)
    Panel.data |= {name: _refuser(name, instead) for name, instead in REFUSED.items()}
    for name, most in {"pool_shrink": _spare_processes, "pool_grow": lambda _: None}.items():
        Panel.data[name] = _counting(name, Panel.data[name], most)
    Panel.data["autoscale"] = _autoscaling(Panel.data["autoscale"])


class _LastRefusal:
    """The last refusal of this process."""

    def __init__(self) -> None:
        self._name, self._at_s = "", 0.0

    def note(self, name: str) -> None:
        self._name, self._at_s = name, time.monotonic()

    def lately(self) -> str:
        return self._name if time.monotonic() - self._at_s < TOLD_S else ""


_refusals = _LastRefusal()


def refused_lately() -> str:
    """Return the command that was refused last; nothing where that is more than ten minutes ago."""
    return _refusals.lately()


def refuse(name: str, why: str) -> dict[str, str]:
    """Count, tell and log that a command was refused; return the answer."""
    _refusals.note(name)
    worker_metrics.count("worker_refused_commands", name)
    log.warning("refused a control command", command=name, why=why)
    return {"error": f"refused: {why}"}


def refuse_answer() -> None:
    """Count, tell and log that an answer was to go elsewhere than to who asks."""
    refuse("reply_to", "an answer goes into a queue of answers that is bound for who asks")


def _refuser(name: str, instead: str) -> Command:
    return lambda *_, **__: refuse(name, instead)


def _spare_processes(state: Any) -> int:
    return int(state.consumer.pool.num_processes) - 1


def _counting(name: str, command: Command, most: Callable[[Any], int | None]) -> Command:
    """Return a command that takes a number of processes: at least 1, and no more than `most`, if that is a number."""

    def obey(state: Any, n: Any = 1, **options: Any) -> Any:
        bound = most(state)
        if not isinstance(n, int) or n < 1 or (bound is not None and n > bound):
            return refuse(name, f"{n!r} processes: at least one is added or taken, and one stays")
        return command(state, n, **options)

    return obey


def _autoscaling(command: Command) -> Command:
    def obey(state: Any, max: Any = None, min: Any = None) -> Any:  # noqa: A002 Celery names them so
        if max is not None and (not isinstance(max, int) or max < 1):
            return refuse("autoscale", f"at most {max!r} processes: one stays")
        return command(state, max=max, min=min)

    return obey
