"""The comparison of the compiled form with the sources."""

from tests.bench.reporting import targets
from tests.bench.results import Machine, Report


def test_the_compiled_form_is_held_to_the_median_of_its_rounds():
    report = Report(Machine(2, "cpu", "3.11", 0.0), quick=False, compiled=[1.1, 1.3, 1.25])
    [target] = [each for each in targets.of(report) if "compiled" in each.what]
    assert (target.measured, target.spread, target.met) == (1.25, (1.1, 1.3), True)
