"""What an answer of a receiver means for a signal."""

import pytest

from tasks.deliver.answers import BLOCKED_WAIT_S, MAX_WAIT_S, HeldUpError, RefusedError, check

NOW_S = 1_800_000_000.0


def wait_s(status: int, header: str | None = None, body: bytes = b"") -> float | None:
    with pytest.raises(HeldUpError) as raised:
        check(status, {} if header is None else {"retry-after": header}, body, NOW_S)
    return raised.value.wait_s


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_a_success_means_that_the_receiver_has_the_signal(status):
    check(status, {}, b"", NOW_S)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again_after_the_usual_back_off(status):
    assert wait_s(status) is None


@pytest.mark.parametrize("status", [301, 307, 401, 403, 404, 405, 410])
def test_what_a_person_has_to_change_holds_all_signals_up(status):
    assert wait_s(status, "0") == BLOCKED_WAIT_S


@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_is_about_the_one_message_is_refused(status):
    with pytest.raises(RefusedError, match=f"answers {status}: no such field"):
        check(status, {}, b"no such\n field", NOW_S)


@pytest.mark.parametrize(
    ("header", "body", "expected"),
    [
        ("7", b"", 7.0),
        ("0", b"", 0.0),
        ("Fri, 15 Jan 2027 08:00:05 GMT", b"", 5.0),
        ("Fri, 15 Jan 2027 07:00:00 GMT", b"", 0.0),
        ("99999999", b"", MAX_WAIT_S),
        ("soon", b"", None),
        ("1e999", b"", None),
        (None, b'{"message": "slow down", "retry_after": 0.64, "global": false}', 0.64),
        ("1", b'{"message": "slow down", "retry_after": 0.64}', 0.64),
        ("1", b'{"ok": false, "parameters": {"retry_after": 35}}', 35.0),
        ("1", b'{"retry_after": "later"}', 1.0),
        ("1", b"[" * 2_000, 1.0),
    ],
)
def test_a_receiver_says_how_long_to_wait(header, body, expected):
    assert wait_s(429, header, body) == expected


def test_the_words_of_an_answer_are_cut_and_make_no_lines():
    with pytest.raises(HeldUpError) as raised:
        check(500, {}, b"a\nb" * 1_000, NOW_S)
    assert len(str(raised.value)) < 250
    assert "\n" not in str(raised.value)
