"""Numbers with their sign."""

import pytest

from tasks.protocol.signed_number import signed


@pytest.mark.parametrize(
    ("value", "text"),
    [(1234.5, "+1,234.50"), (-0.126, "-0.13"), (0.004, "0.00"), (-0.004, "0.00"), (-0.0, "0.00"), (0, "0.00")],
)
def test_what_rounds_to_zero_has_no_sign(value: float, text: str):
    assert signed(value, 2) == text
