"""How long a batch is expected to take."""

import pytest

from tasks.worker.batch_timing import BatchTimings
from tests.support.ledger import batch


def test_a_batch_is_expected_to_take_as_long_an_event_as_its_pools_last():
    now_s = iter([10.0, 16.0])
    known = BatchTimings(now=now_s.__next__)
    assert known.expected_s(batch(None, 1.0, 1.0)) == 0.0
    with known.noted(batch(None, 1.0, 1.0, 1.0)):
        pass
    assert known.expected_s(batch(3, 1.0, 1.0)) == pytest.approx(4.0)
