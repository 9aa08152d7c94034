"""Places that are shared out among clients."""

from tasks.telemetry.fair_slots import FairSlots, client_of


def slots(*clients: str, bound: int = 4) -> FairSlots[int]:
    held: FairSlots[int] = FairSlots(bound)
    for number, client in enumerate(clients):
        held.add(number, client)
    return held


def test_places_are_counted_and_given_back():
    held = slots("a", "a", "b")
    assert (len(held), held.full, list(held)) == (3, False, [0, 1, 2])
    held.add(3, "b")
    assert held.full
    for _ in range(2):
        held.remove(0)
    assert (len(held), held.full) == (3, False)


def test_the_busiest_client_is_told_with_its_oldest_first():
    assert slots("a", "b", "b", "c").of_busiest() == [1, 2]
    assert slots().of_busiest() == []


def test_a_newcomer_takes_the_oldest_place_of_who_has_more():
    assert slots("a", "a", "a", "b").to_yield("c") == 0
    assert slots("a", "a", "a", "b").to_yield("b") == 0


def test_nobody_yields_to_an_equal_or_to_itself():
    assert slots("a", "a", "a", "a").to_yield("a") is None
    assert slots("a", "a", "b", "b").to_yield("b") is None
    # It would only turn the two round.
    assert slots("a", "a", "b").to_yield("b") is None
    assert slots("a", "b").to_yield("c") is None


def test_who_has_one_ipv6_address_has_all_of_its_network():
    assert client_of("2001:db8::1") == client_of("2001:db8::ffff:2%eth0") != client_of("2001:db8:0:1::1")
    assert client_of("::ffff:10.0.0.1") == client_of("10.0.0.1") != client_of("10.0.0.2")
    assert client_of("/run/socket") == "/run/socket"
