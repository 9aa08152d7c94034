import pytest

from tests.support import needs


@pytest.mark.parametrize(("in_ci", "outcome"), [(False, pytest.skip.Exception), (True, pytest.fail.Exception)])
def test_a_part_that_is_missing_skips_on_a_laptop_and_fails_in_ci(monkeypatch, in_ci, outcome):
    monkeypatch.setattr(needs, "CI", in_ci)
    with pytest.raises(outcome, match="no such part"):
        needs.missing("no such part")
