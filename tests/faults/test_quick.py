"""The quick forms of the suite: several faults at once, for a few seconds."""

from pathlib import Path

import pytest

from tests.faults import to_ledger, to_queue
from tests.faults.rig import Setup
from tests.faults.run import Case, run_case
from tests.faults.verdict import Row
from tests.faults.wrapped import Fault

CASE = Case(
    "a bad queue, lost notices, children that die",
    to_queue.tampered,
    Setup(
        2,
        "prefork",
        {
            "worker": Fault(kind="die", target="tasks.ledger:Ledger.commit", when="after", every=40),
            "ingest": Fault(kind="ignore", target="ingest.dispatch.sender:Sender.on_notice", every=25),
        },
    ),
    lasts_s=3,
)


def test_queue_faults_lost_notices_and_dying_workers_change_nothing(halves: tuple[Path, Path], rows: list[Row]):
    rows.append(run_case(CASE, "core", halves))
    assert rows[-1].times >= 3, "how often the queue was tampered with depends on how busy the machine is"


@pytest.mark.ci
def test_keys_of_the_ledger_deleted_and_of_another_type_change_nothing(halves: tuple[Path, Path], rows: list[Row]):
    case = Case("ledger: some keys deleted, some of another type", to_ledger.some, lasts_s=6)
    rows.append(run_case(case, "jetstream", halves))
