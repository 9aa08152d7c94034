"""What the doctor says of deliveries."""

import pytest

from tasks.ledger.delivery_states import DeliveryState
from tasks.ops.delivery_findings import LATE_S, findings


def state(*, running: bool = True, waiting: int = 0, oldest_s: float = 0.0, trouble: str = "") -> DeliveryState:
    counts = {"sent": 5, "filtered": 0, "refused": 0, "trimmed": 0}
    return DeliveryState("hook", "webhook", running, waiting, oldest_s, **counts, trouble=trouble)


@pytest.mark.parametrize(
    ("standing", "sign", "says"),
    [
        (state(), "ok", "delivers; signals that wait: 0"),
        (state(waiting=3, oldest_s=LATE_S), "ok", "delivers; signals that wait: 3"),
        (state(waiting=3, oldest_s=LATE_S + 60), "warning", "signals that wait: 3, the oldest since 2 min"),
        (state(running=False, waiting=1_000), "warning", "no process delivers; signals that wait: 1,000"),
        (
            state(waiting=1, trouble="the receiver answers 503"),
            "warning",
            "the receiver answers 503; signals that wait: 1",
        ),
    ],
)
def test_a_delivery_is_well_or_the_finding_says_what_to_do(standing, sign, says):
    [finding] = findings([standing])
    assert (finding.what, finding.sign, finding.says) == ("delivery hook", sign, says)
    assert bool(finding.do) == (sign != "ok")
