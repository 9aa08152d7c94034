"""Giving an event up."""

from tasks.events import Position
from tasks.protocol import dead_letters, records
from tasks.protocol.outcome import Outcome, quarantine
from tasks.protocol.records import Record
from tests.support.events import trade

FIELD = "record:spot:BTCUSDT:trade"


def given_up(stands: Record | None, seq: int) -> tuple[Record, Outcome]:
    packed = None if stands is None else records.pack(stands)
    outcome = quarantine("trade", "s", trade(id=11, seq=seq), packed, 5)
    assert outcome.fields.keys() == {FIELD}
    return records.unpack(outcome.fields[FIELD]), outcome


def standing() -> Record:
    record = Record()
    record.take(trade(id=10, seq=5), "s")
    return record


def test_a_quarantined_event_raises_applied_and_neither_count_nor_hash():
    before = standing()
    after, _ = given_up(before, seq=6)
    assert after.applied == Position("s", 6)
    assert (after.id, after.count, after.hash) == (before.id, before.count, before.hash)


def test_a_quarantined_event_goes_to_the_dead_letters_and_is_counted():
    _, outcome = given_up(None, seq=1)
    (letter,) = map(dead_letters.unpack, outcome.letters)
    assert letter == dead_letters.condemned(5, "trade", trade(id=11))
    assert outcome.counts.stored() == {"condemned": 1}
    assert outcome.signals == outcome.audit == []


def test_a_quarantined_event_decided_on_before_leaves_its_record_alone():
    assert given_up(standing(), seq=4)[0] == standing()


def test_an_unconfirmed_event_goes_with_the_one_on_which_its_runs_ended():
    """Else every event that confirms it would end the workers again, one after the other."""
    before, forged = standing(), trade(id=2**62, seq=6)
    before.admit(forged, "s", before.classify(forged, "s"))
    after, outcome = given_up(before, seq=7)
    assert after.unconfirmed is None
    assert [dead_letters.unpack(each).event for each in outcome.letters] == [trade(id=11, seq=7), forged]
    assert outcome.counts.stored() == {"condemned": 2}
