import pytest

from tests.support import needs


@pytest.mark.parametrize(("in_ci", "outcome"), [(False, pytest.skip.Exception), (True, pytest.fail.Exception)])
def test_a_part_that_is_missing_skips_on_a_laptop_and_fails_in_ci(in_ci, outcome):
    with pytest.raises(outcome, match="no such part"):
        needs.missing("no such part", in_ci=in_ci)
