"""The numbers of a decision beside their thresholds."""

import pytest

from tasks.why.numbers import DecisionNumber, paired


@pytest.mark.parametrize(
    ("end", "sign", "met"),
    [("above", ">", True), ("at_least", ">=", True), ("below", "<", False), ("at_most", "<=", False)],
)
def test_a_threshold_stands_beside_its_number(end, sign, met):
    assert paired({"ratio": 3.2, f"ratio_{end}": 3.0}) == [DecisionNumber("ratio", 3.2, sign, 3.0, met)]


@pytest.mark.parametrize(("end", "met"), [("above", False), ("at_least", True), ("below", False), ("at_most", True)])
def test_a_number_that_equals_its_threshold_is_judged_by_the_sign(end, met):
    [number] = paired({"ratio": 3.0, f"ratio_{end}": 3.0})
    assert number.met is met


def test_a_number_with_two_thresholds_comes_twice():
    found = paired({"age_s": 5.0, "age_s_above": 1.0, "age_s_below": 4.0, "side": 1.0})
    assert [(each.name, each.sign, each.met) for each in found] == [
        ("age_s", ">", True), ("age_s", "<", False), ("side", "", None),
    ]  # fmt: skip


def test_a_threshold_without_its_number_is_a_number_like_any_other():
    assert paired({"ratio_above": 3.0}) == [DecisionNumber("ratio_above", 3.0)]
