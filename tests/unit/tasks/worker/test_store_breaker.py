"""When a store that did not answer is tried again."""

from tasks.worker.store_breaker import PAUSE_S, StoreBreaker


def test_a_store_that_failed_is_left_alone_for_a_while():
    now_s = 100.0
    breaker, allowed = StoreBreaker(now=lambda: now_s), []
    breaker.failed()
    for later_s in (0.0, PAUSE_S - 0.1, 0.1):
        now_s += later_s
        allowed.append(breaker.allows)
    assert allowed == [False, False, True]


def test_a_store_that_never_failed_is_tried():
    assert StoreBreaker(now=lambda: 0.0).allows


def test_each_failure_begins_the_pause_again():
    now_s = 100.0
    breaker, allowed = StoreBreaker(5.0, lambda: now_s), []
    breaker.failed()
    now_s += 5.0
    breaker.failed()
    for later_s in (4.0, 1.0):
        now_s += later_s
        allowed.append(breaker.allows)
    assert allowed == [False, True]
