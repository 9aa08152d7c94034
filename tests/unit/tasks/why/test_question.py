"""The event that a signal answers, among others of its record."""

import msgspec
import pytest

from tasks.engine import MemoryLedger
from tasks.errors import LedgerError
from tasks.why.question import Question
from tests.support.events import TIME_MS, book, trade
from tests.support.strategies import Echo, bound

EVENT = trade(id=7, time_ms=TIME_MS)
SIGNAL = MemoryLedger("s").run("p", [EVENT], bound(Echo.create({})), "c1").signals[0]
QUESTION = Question.of(SIGNAL, "sent")


@pytest.mark.parametrize(
    ("event", "answers", "past"),
    [
        (EVENT, True, False),
        (trade(id=7, time_ms=TIME_MS + 1), False, False),
        (trade(id=8, time_ms=TIME_MS), False, True),
        # A feed that began again, with lower ids, before the event: it may still come.
        (trade(id=8, time_ms=TIME_MS - 1), False, False),
        (trade(id=6, time_ms=TIME_MS + 1), False, False),
        (trade(id=8, time_ms=TIME_MS, symbol="ETHUSDT"), False, False),
        (trade(id=8, time_ms=TIME_MS, venue="usdm"), False, False),
        (book(id=7, time_ms=TIME_MS), False, False),
    ],
)
def test_the_event_is_known_by_record_id_and_time(event, answers, past):
    assert (QUESTION.is_answered_by(event), QUESTION.is_past(event)) == (answers, past)


def test_a_question_about_an_event_asks_for_it():
    question = Question.about(msgspec.json.decode(SIGNAL)["id"], "echo", EVENT, "c1")
    assert question.is_answered_by(EVENT)
    assert question.head == QUESTION.head


def test_what_is_no_signal_is_one_line():
    with pytest.raises(LedgerError, match="is no signal"):
        Question.of(b'{"id":1}', "sent")
