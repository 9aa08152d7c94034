"""Which events a strategy did not see, by the dead letters of the live run."""

from tasks.protocol import dead_letters
from tasks.why.unseen import UNSEEN, key_of, of_letters
from tests.support.events import trade

EVENT, OTHER = trade(id=1), trade(id=2)
QUARANTINED = dead_letters.condemned(5, "p", EVENT)
ENDED = dead_letters.ended_process("p", "echo", OTHER)


def test_quarantined_events_and_those_that_ended_a_process_are_unseen():
    found = of_letters([QUARANTINED, ENDED], "p", "echo")
    assert found.quarantined == {key_of(EVENT)}
    assert found.excluded == {key_of(OTHER)}
    assert [note.partition(": ")[0] for note in found.notes] == [
        "spot BTCUSDT trade 1 of 2024-08-09 00:00:00 was quarantined",
        "spot BTCUSDT trade 2 of 2024-08-09 00:00:00 ended the process of its strategy",
    ]


def test_other_pools_and_strategies_and_what_raised_are_not():
    raised = dead_letters.raised(ValueError("boom"), "p", "echo", EVENT)
    assert of_letters([raised, ENDED], "p", "another") == of_letters([QUARANTINED, ENDED], "q", "echo")
    assert of_letters([raised], "p", "echo").notes == []


def test_the_letters_that_tell_of_them_are_known_without_reading_them():
    told = [any(word in dead_letters.pack(letter) for word in UNSEEN) for letter in (QUARANTINED, ENDED)]
    raised = dead_letters.pack(dead_letters.raised(ValueError("boom"), "p", "echo", EVENT))
    assert told == [True, True]
    assert not any(word in raised for word in UNSEEN)
