"""The pipeline's stack with something between its processes and Redis, or with meters inside of its processes."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from compose.local.processes import Instance, Process
from compose.local.stack import Plan, Stack


def as_it_is(redis_url: str) -> str:
    """Put nothing between."""
    return redis_url


class Variant(NamedTuple):
    """What is different."""

    #: Given Redis's URL, gives the one that processes are told.
    front: Callable[[str], str] = as_it_is
    #: Whether each stage counts its CPU.
    metered: bool = False


class VariedStack(Stack):
    """A stack of a variant."""

    def __init__(self, instance: Instance, plan: Plan, variant: Variant) -> None:
        self._variant = variant
        self.costs = instance.directory / "costs"
        self.costs.mkdir()
        super().__init__(instance, plan)

    def _environment(self, plan: Plan) -> dict[str, str]:
        told = super()._environment(plan)
        return told | {"REDIS_URL": self._variant.front(self.redis_url), "BENCH_COSTS": str(self.costs)}

    def _start(
        self, name: str, arguments: Sequence[str], more: Mapping[str, str] | None = None, *, restart: bool = False
    ) -> Process:
        if self._variant.metered and name.startswith(("ingest", "worker")):
            arguments = ["-m", "tests.bench.metered", *arguments[1:]]
        return super()._start(name, arguments, more, restart=restart)


def strategies_file(path: Path, toml: str) -> Mapping[str, str]:
    """Write a strategies file; return the environment that names it."""
    path.write_text(toml, encoding="utf-8")
    return {"STRATEGIES_FILE": str(path)}
