"""Each fault, in both modes: nothing lost, nothing repeated, nothing out of order. See docs/faults.md."""

from pathlib import Path

import pytest

from tests.faults import to_connections, to_layout, to_nats, to_processes, to_queue, to_redis
from tests.faults.run import Case, run_case
from tests.faults.verdict import Row

CASES = [case for kind in (to_processes, to_redis, to_nats, to_connections, to_queue, to_layout) for case in kind.CASES]

pytestmark = pytest.mark.faults


@pytest.mark.parametrize("mode", ["core", "jetstream"])
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_every_event_is_applied_once_and_in_order(case: Case, mode: str, halves: tuple[Path, Path], rows: list[Row]):
    rows.append(run_case(case, mode, halves))
