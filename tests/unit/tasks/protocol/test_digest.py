"""The digest: equal for runs that did the same, and for no others."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.protocol.digest import canonical, digest
from tasks.protocol.records import Record
from tests.support.events import TIME_MS, trade
from tests.support.strategies import Echo, Worker, trades

WORKER = Worker(Echo.create({}))
WORKER.run([*trades(1, 2, 3), *trades(4, 5, start=4, symbol="ETHUSDT")])
SIGNALS = tuple(WORKER.signals)


def record(*ids: int) -> Record:
    made = Record()
    for seq, id_ in enumerate(ids, start=1):
        event = trade(id=id_, time_ms=TIME_MS + id_, seq=seq)
        made.take(event, "s")
        made.chain([event])
    return made


RECORDS = (
    ("trade", "record:spot:BTCUSDT:trade", record(1, 2, 3)),
    ("trade", "record:spot:ETHUSDT:trade", record(4, 5)),
)
DIGEST = digest(SIGNALS, RECORDS)


def altered(**changes: Any) -> str:
    """Return the digest when one signal's fields differ."""
    other = canonical(msgspec.json.decode(SIGNALS[2]) | changes)
    return digest([*SIGNALS[:2], other, *SIGNALS[3:]], RECORDS)


# Pinned: a digest that was written down stays comparable.
def test_nothing_at_all_has_the_digest_of_nothing():
    assert digest([], []) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@given(st.permutations(SIGNALS), st.permutations(RECORDS))
def test_the_order_of_arrival_does_not_matter(signals, records):
    assert digest(signals, records) == DIGEST


def test_signals_of_one_time_and_id_are_sorted_too():
    one, other = (canonical(msgspec.json.decode(SIGNALS[0]) | {"price": price}) for price in (1.0, 2.0))
    assert digest([one, other], []) == digest([other, one], [])


@pytest.mark.parametrize("field", ["config_version", "schema_version"])
def test_versions_do_not_matter(field):
    assert altered(**{field: "another"}) == DIGEST


@pytest.mark.parametrize("field", sorted(msgspec.json.decode(SIGNALS[2]).keys() - {"config_version", "schema_version"}))
def test_every_other_field_of_a_signal_matters(field):
    value = msgspec.json.decode(SIGNALS[2])[field]
    changed = value + 1 if isinstance(value, int | float) else {"x": 1} if isinstance(value, dict) else value + "x"
    assert altered(**{field: changed}) != DIGEST


def test_the_way_a_signal_was_written_does_not_matter():
    spaced = msgspec.json.format(SIGNALS[0], indent=2)
    assert digest([spaced, *SIGNALS[1:]], RECORDS) == DIGEST


@pytest.mark.parametrize("signals", [SIGNALS[1:], (*SIGNALS, SIGNALS[0]), ()], ids=["lost", "doubled", "none"])
def test_a_signal_that_is_lost_or_doubled_matters(signals):
    assert digest(signals, RECORDS) != DIGEST


@pytest.mark.parametrize(
    "ids",
    [(1, 3), (2, 3), (1, 2), (1, 2, 2, 3), (1, 3, 2), (1, 2, 4), ()],
    ids=["lost", "first lost", "last lost", "repeated", "swapped", "another", "all lost"],
)
def test_an_event_that_is_lost_repeated_or_swapped_changes_the_digest(ids):
    """It does so even if all signals are equal."""
    assert digest(SIGNALS, [("trade", "record:spot:BTCUSDT:trade", record(*ids)), RECORDS[1]]) != DIGEST


@pytest.mark.parametrize(
    ("pool", "field"),
    [
        ("other", "record:spot:BTCUSDT:trade"),
        ("trade", "record:usdm:BTCUSDT:trade"),
        ("trade", "record:spot:BTCUSDT:depth"),
    ],
)
def test_pool_venue_and_kind_of_a_record_matter(pool, field):
    assert digest(SIGNALS, [(pool, field, record(1, 2, 3)), RECORDS[1]]) != DIGEST


def test_positions_generations_and_configurations_of_records_do_not_matter():
    seen = record(1, 2, 3)
    seen.pass_over(trade(seq=99), "elsewhere")
    seen.configuration, seen.generation = "c9", 4
    assert digest(SIGNALS, [("trade", "record:spot:BTCUSDT:trade", seen), RECORDS[1]]) == DIGEST


def test_a_record_that_a_scan_gives_twice_counts_once():
    assert digest(SIGNALS, [*RECORDS, RECORDS[0]]) == DIGEST


def test_a_record_of_repeats_only_does_not_show():
    passed = Record()
    passed.pass_over(trade(), "s")
    assert digest(SIGNALS, [*RECORDS, ("trade", "record:spot:XRPUSDT:trade", passed)]) == DIGEST
