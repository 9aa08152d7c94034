"""Each fault, in both modes: nothing lost, nothing repeated, nothing out of order. See docs/faults.md."""

from pathlib import Path

import pytest

from tests.faults import to_ledger
from tests.faults.cases import CASES
from tests.faults.run import Case, run_case
from tests.faults.verdict import Row

#: Somebody has their hands in the ledger: no part of `./run soak`, which reads sums and dead letters there.
ALL = (*CASES, *to_ledger.CASES)

pytestmark = pytest.mark.faults


@pytest.mark.parametrize("mode", ["core", "jetstream"])
@pytest.mark.parametrize("case", ALL, ids=[case.name for case in ALL])
def test_every_event_is_applied_once_and_in_order(case: Case, mode: str, halves: tuple[Path, Path], rows: list[Row]):
    rows.append(run_case(case, mode, halves))
