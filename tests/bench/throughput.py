"""Each contender in turn, several rounds, each from the start; ratios within a round."""

from collections.abc import Callable, Sequence
from functools import partial
from statistics import median
from typing import NamedTuple

from compose.local.processes import Instance
from tests.bench import runs, systems
from tests.bench.loads import WARM_UP, Loads
from tests.bench.mix import Mix
from tests.bench.noise import Say, undisturbed
from tests.bench.results import ContenderRun, Ratio
from tests.bench.runs import RunUsage

OURS = "pipeline"
#: About how many events each gets through in a second of two cores: only to size the runs.
SIZES = {
    "bare_loop": 18_000,
    OURS: 18_000,
    "faststream_in_memory": 5_000,
    "faststream": 1_000,
    "celery": 500,
    "dramatiq": 600,
    "taskiq": 900,
}
QUICK = ("bare_loop", OURS, "celery", "faststream")


def _speed(run: RunUsage) -> float:
    return run.events_per_s


class Plan(NamedTuple):
    """What to measure."""

    contenders: Sequence[str]
    rounds: int
    #: About how long a run takes.
    seconds: float


def measure(plan: Plan, mix: Mix, say: Say) -> list[ContenderRun]:
    """Run all rounds. Raises LocalStackError when a contender does not get done."""
    found: list[ContenderRun] = []
    for number in range(1, plan.rounds + 1):
        for name in plan.contenders:
            once = partial(_once, name, number, round(SIZES[name] * plan.seconds), mix)
            found.append(undisturbed(once, lambda each: each.run.noise, say))
            say(str(found[-1]))
    return found


def _once(name: str, number: int, events: int, mix: Mix) -> ContenderRun:
    with Instance("bench") as instance:
        loads = Loads(mix, instance.directory)
        system = systems.start(name, instance)
        runs.run(system, loads.next(WARM_UP))
        run = runs.run(system, loads.next(events))
        said, expected = system.finish(), loads.expected
    return ContenderRun(name, number, run, round(said.applied / expected.applied, 6), said.digest == expected.digest)


def ratios(found: Sequence[ContenderRun], of: Callable[[RunUsage], float] = _speed) -> dict[str, Ratio]:
    """Return ours over each other one's throughput, or over what else `of` a run is compared, within each round."""
    by_round: dict[int, dict[str, float]] = {}
    for each in found:
        by_round.setdefault(each.round, {})[each.contender] = of(each.run)
    others = {each.contender for each in found} - {OURS}
    return {
        name: Ratio.of([values[OURS] / values[name] for values in by_round.values() if {OURS, name} <= values.keys()])
        for name in sorted(others)
    }


def cpu_us(found: Sequence[ContenderRun]) -> dict[str, float]:
    """Return each contender's CPU microseconds an event, the median of its rounds."""
    names = dict.fromkeys(each.contender for each in found)
    return {name: round(median(each.run.event_us for each in found if each.contender == name), 2) for name in names}
