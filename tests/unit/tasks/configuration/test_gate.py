"""The gate's rule: what may pass."""

import pytest
from pydantic import ValidationError

from tasks.configuration.gate import OPEN, Gate


def test_two_gates_let_through_only_what_both_let_through():
    one, other = Gate(min_confidence=0.5, max_signals_per_hour=9), Gate(killed=True, max_signals_per_hour=3)
    assert one.and_also(other) == Gate(killed=True, min_confidence=0.5, max_signals_per_hour=3)
    assert OPEN.and_also(OPEN) == OPEN


@pytest.mark.parametrize("fault", [{"min_confidence": 1.1}, {"max_signals_per_hour": -1}, {"kiled": True}])
def test_a_gate_that_makes_no_sense_is_refused(fault: dict[str, object]):
    with pytest.raises(ValidationError):
        Gate.model_validate(fault)
