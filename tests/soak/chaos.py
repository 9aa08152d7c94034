"""Which fault comes next, and when the pipeline is well again."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from random import Random

from tests.faults.cases import CASES
from tests.faults.run import Case, FaultRun
from tests.soak.committed import Violation

#: Those under which a stream keeps every event. With Redis's data signals go that nobody can give again.
FAULTS = tuple(case for case in CASES if not case.forgets)
#: How long a fault lasts that goes on until the feed ends.
LASTS_S = 8.0
#: One inside of a process is waited for so long: how soon it happens depends on the load.
HAPPENS_WITHIN_S = 40.0
WELL_WITHIN_S = 300.0
LOOK_S = 0.5


class Chaos:
    """Each fault once, in random order, then any of them."""

    def __init__(self, dice: Random, faults: Sequence[Case] = FAULTS) -> None:
        self._dice, self._faults = dice, faults
        self._left = list(faults)
        dice.shuffle(self._left)
        self.happened: Counter[str] = Counter()
        self.longest_recovery_s = 0.0
        self.last = "none"
        self._began_s, self._times = 0.0, 0

    def lasts(self, run: FaultRun) -> bool:
        """Whether a fault that can go on should."""
        lasted_s = time.monotonic() - self._began_s
        return lasted_s < (LASTS_S if run.times > self._times else HAPPENS_WITHIN_S)

    def steps(self, run: FaultRun) -> Iterator[float]:
        """Cause one fault, step by step, and wait until all is well again. Raises Violation."""
        case = self._left.pop() if self._left else self._dice.choice(self._faults)
        self.last = case.name
        for process in run.stack.build_in(case.setup.inside):
            run.kill(process)
        self._began_s, self._times = time.monotonic(), run.times
        run.feeding = True
        yield from case.fault(run)
        for process in run.stack.build_in({}):
            run.kill(process)
        self.happened[case.name] += 1
        yield from self._until_well(run)
        yield self._dice.uniform(1, 4)

    def _until_well(self, run: FaultRun) -> Iterator[float]:
        over_s = time.monotonic()
        while not run.complete():
            if time.monotonic() - over_s > WELL_WITHIN_S:
                raise Violation(f"{WELL_WITHIN_S:g} s after {self.last!r} it is not well: {run.symptoms}")
            yield LOOK_S
        self.longest_recovery_s = max(self.longest_recovery_s, time.monotonic() - over_s)
