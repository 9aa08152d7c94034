"""A delivery stands in the stream of each ledger by itself."""

from hypothesis import given
from hypothesis import strategies as st

from tasks.ledger.delivery_position import UNKNOWN, DeliveryPosition
from tasks.ledger.entry_id import EntryId

_steps = st.lists(st.builds(EntryId, st.integers(1, 9), st.integers(0, 9), st.integers(0, 2)))


@given(_steps)
def test_what_is_passed_is_counted_where_it_is(steps: list[EntryId]):
    position = DeliveryPosition(("0-0",) * 3, (0,) * 3)
    for each in steps:
        position = position.after(str(each))
    for ledger in range(3):
        its = [each.stored for each in steps if each.ledger == ledger]
        assert (position.ids[ledger], position.passed[ledger]) == ((its or ["0-0"])[-1], len(its))
    assert DeliveryPosition.read(position.stored_ids.encode(), position.stored_passed.encode(), 3) == position


def test_of_one_ledger_it_is_stored_as_its_id_and_its_count():
    position = DeliveryPosition.read(b"5-3", b"7", 1)
    assert (position.ids, position.passed) == (("5-3",), (7,))
    assert (position.stored_ids, position.stored_passed) == ("5-3", "7")


def test_in_ledgers_that_are_new_it_stands_nowhere():
    assert DeliveryPosition.read(b"5-3 6-0", b"7 8", 3) == (("5-3", "6-0", ""), (7, 8, 0))
    assert DeliveryPosition.read(b"5-3 6-0", b"7 8", 1) == (("5-3",), (7,))
    assert DeliveryPosition.read(None, None, 2) == (("", ""), (0, 0))


def test_what_a_ledger_has_not_said_yet_stays_unknown():
    position = DeliveryPosition(("5-3", "9-0"), (7, UNKNOWN))
    assert DeliveryPosition.read(position.stored_ids.encode(), position.stored_passed.encode(), 2) == position
