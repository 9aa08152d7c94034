"""Requests to a consumer: how many are in flight, and what the server says to them."""

import pytest

from ingest.sources.pull import Pacing, PullRequest

PACING = Pacing(batch=10, silence_s=3.0)


def asked(count: int = 10) -> PullRequest:
    pull = PullRequest(PACING, connection=0, now_s=0.0)
    pull.requested(count, 0.0)
    return pull


def status(code: str, description: str = "", **pending: str) -> dict[str, str]:
    return {"Status": code, "Description": description} | pending


def test_more_is_asked_for_when_half_of_a_batch_has_come():
    pull = asked()
    missing = []
    for number in range(1, 8):
        assert pull.receive(number, 0.0)
        missing.append(pull.missing)
    assert missing == [0, 0, 0, 0, 5, 6, 7]


def test_a_repeat_is_not_the_next_one_and_no_reason_for_doubt():
    pull = asked()
    assert [pull.receive(number, 0.0) for number in (1, 2, 1, 2, 3)] == [True, True, False, False, True]
    assert not pull.doubt


def test_after_a_gap_the_consumer_is_doubtful_and_is_asked_no_more():
    pull = asked(2)
    assert not pull.receive(2, 0.0)
    assert (pull.doubt, pull.missing) == ("a gap", 0)


@pytest.mark.parametrize(
    "ended",
    [
        status("408", "Request Timeout"),
        status("409", "Batch Completed"),
        status("409", "Message Size Exceeds MaxBytes", **{"Nats-Pending-Messages": "10"}),
    ],
)
def test_a_request_that_ended_is_followed_by_another_one(ended: dict[str, str]):
    pull = asked()
    pull.hear(ended, 0.0)
    assert (pull.missing, pull.doubt) == (10, "")


def test_of_a_request_that_ended_only_what_did_not_come_is_asked_for_again():
    pull = asked(4)
    pull.requested(6, 0.0)
    pull.hear(status("408", "Request Timeout", **{"Nats-Pending-Messages": "6"}), 0.0)
    assert pull.missing == 6


@pytest.mark.parametrize(
    ("refusal", "doubt"),
    [
        (status("409", "Consumer Deleted"), "409 Consumer Deleted"),
        (status("409", "Leadership Change"), "409 Leadership Change"),
        (status("503"), "nobody answers for the consumer"),
        (status("999", "Never Heard Of"), "999 Never Heard Of"),
        ({}, "an unknown status"),
    ],
)
def test_a_refused_request_makes_the_consumer_doubtful(refusal: dict[str, str], doubt: str):
    pull = asked()
    pull.hear(refusal, 0.0)
    pull.give_up("a later reason")
    assert (pull.doubt, pull.missing) == (doubt, 0)


def test_it_is_silent_when_nothing_comes_though_something_is_asked_for():
    pull = asked()
    assert [pull.is_silent(now_s) for now_s in (3.0, 3.1)] == [False, True]
    pull.hear(status("100", "Idle Heartbeat"), 3.1)
    assert [pull.is_silent(now_s) for now_s in (6.0, 6.2)] == [False, True]
    pull.receive(1, 6.2)
    assert not pull.is_silent(9.0)


def test_time_in_which_nothing_was_asked_for_is_no_silence():
    pull = PullRequest(PACING, connection=0, now_s=0.0)
    assert not pull.is_silent(60.0)
    pull.requested(10, 60.0)
    assert [pull.is_silent(now_s) for now_s in (62.0, 63.1)] == [False, True]


def test_all_has_come_when_as_much_came_as_was_sent():
    pull = asked()
    pull.receive(1, 0.0)
    assert [pull.has_all(delivered) for delivered in (0, 1, 2, None)] == [True, True, False, False]
