"""How many events each strategy raised on within a minute, from counters that are read every few seconds."""

import pytest

from ingest.monitoring.error_counts import ErrorCounts
from ingest.monitoring.recent_counts import MINUTE_S
from tasks.protocol.counters import CounterKey, Counts


def counted(**errors: int) -> Counts:
    """Return counters of errors, and others among them."""
    return Counts({CounterKey("errors", name): count for name, count in errors.items()} | {CounterKey("frames"): 9})


def test_errors_count_from_the_first_look_on():
    errors = ErrorCounts()
    errors.take(counted(boom=500), 0.0)
    assert errors.last_minute(0.0) == {}
    errors.take(counted(boom=507, other=3), 3.0)
    assert errors.last_minute(3.0) == {"boom": 7, "other": 3}


def test_errors_of_more_than_a_minute_ago_are_left_out():
    errors = ErrorCounts()
    for at_s, count in ((0, 0), (3, 10), (6, 10), (62, 10), (65, 11), (122, 11)):
        errors.take(counted(boom=count), float(at_s))
        if at_s == 62:
            assert errors.last_minute(62.0) == {"boom": 10}
    assert errors.last_minute(122.0) == {"boom": 1}
    errors.take(counted(boom=11), 126.0)
    assert errors.last_minute(126.0) == {}


def test_while_redis_is_unavailable_for_a_minute_nothing_is_known():
    errors = ErrorCounts()
    errors.take(counted(boom=0), 0.0)
    errors.take(counted(boom=5), 3.0)
    assert errors.last_minute(3.0 + MINUTE_S) == {"boom": 5}
    assert errors.last_minute(3.1 + MINUTE_S) == {}


def test_a_counter_that_fell_starts_from_zero():
    errors = ErrorCounts()
    errors.take(counted(boom=100), 0.0)
    errors.take(counted(boom=2), 3.0)
    assert errors.last_minute(3.0) == {"boom": 2}


@pytest.mark.parametrize(
    ("count", "says"),
    [(1, "raised within a minute"), (2, "raised on 2 events or more"), (4_999, "raised on 2,000 events or more")],
)
def test_a_strategy_that_raised_is_named_in_words_that_seldom_change(count: int, says: str):
    errors = ErrorCounts()
    errors.take(Counts(), 0.0)
    errors.take(counted(boom=count), 3.0)
    [finding] = errors.findings(3.0)
    assert (finding.sign, finding.what, finding.name) == ("warning", "strategy boom", "strategy_errors")
    assert finding.says.startswith(says)
    assert "strategies kill boom" in finding.do


def test_errors_since_a_moment_count_from_the_first_look_after_it():
    errors = ErrorCounts()
    for at_s, count in ((0, 0), (5, 100), (10, 107)):
        errors.take(counted(boom=count), float(at_s))
    assert errors.since(0.0) == {"boom": 107}
    assert errors.since(4.0) == {"boom": 7}
    assert errors.since(11.0) == {}
