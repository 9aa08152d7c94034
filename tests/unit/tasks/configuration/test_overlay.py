"""Values set at run time, over a strategies file that is edited."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks import configuration
from tasks.configuration import Configuration, edits, registry
from tasks.configuration.overlay import (
    ALL,
    MergedConfiguration,
    Overlay,
    applied,
    merge,
    of_pool,
    of_strategy,
    overtaken,
    recorded,
)
from tasks.configuration.overlay_derived import derived
from tasks.errors import SettingsError

SKEW, MOMENTUM = "orderbook_skew", "trade_momentum"


def file(pool: str = "depth", more: dict[str, Any] | None = None, **skew: Any) -> Configuration:
    """Make a strategies file: orderbook_skew in a pool of books, trade_momentum in one of trades."""
    pools = {
        pool: {"kinds": ["depth"], "strategies": {SKEW: skew}},
        "trade": {"kinds": ["trade"], "strategies": {MOMENTUM: {}}},
    }
    return configuration.check({"pools": pools, **(more or {})}, "the file")


def not_paused() -> Configuration:
    """Make the file with a pool that says so."""
    tables = file().tables()
    tables["pools"]["trade"]["paused"] = False
    return configuration.check(tables, "the file")


def laid(file: Configuration, overlay: Overlay) -> MergedConfiguration:
    return merge(file, overlay, registry.build)


def set_over(file: Configuration, *values: Overlay) -> Overlay:
    overlay: Overlay = ()
    for each in values:
        overlay = recorded(overlay, file, each)
    return overlay


KILLED = of_strategy(SKEW, {"gate.killed": True})


@pytest.mark.parametrize("edited", [file(levels=7), file(pool="books"), file(gate={"min_confidence": 0.5})])
def test_a_kill_survives_every_edit_of_the_file_that_keeps_the_strategy(edited: Configuration):
    merged = laid(edited, set_over(file(), KILLED))
    assert not merged.unused
    [pool] = merged.configuration.pools.keys() - {"trade"}
    assert merged.configuration.gate_of(pool, SKEW).killed
    assert not merged.configuration.gate_of("trade", MOMENTUM).killed
    assert [str(each) for each in edits.difference(edited, merged.configuration)] == [
        f"pools.{pool}.strategies.{SKEW}.gate.killed: default → True"
    ]


def test_what_the_file_changed_elsewhere_is_taken_over():
    overlay = set_over(file(levels=5), of_strategy(SKEW, {"levels": 10}, symbol="BTCUSDT"))
    merged = laid(file(levels=7, more={"gate": {"min_confidence": 0.5}}), overlay).configuration
    assert merged.gate.min_confidence == 0.5
    skew = merged.pools["depth"].strategies[SKEW]
    assert (skew.params, skew.symbols["BTCUSDT"].params) == ({"levels": 7}, {"levels": 10})


@pytest.mark.parametrize(("now", "says"), [(7, (7,)), (5, ()), (10, ())])
def test_a_key_that_both_changed_is_told_and_the_runtime_value_stays(now: int, says: tuple[int, ...]):
    overlay = set_over(file(levels=5), of_strategy(SKEW, {"levels": 10}))
    edited = file(levels=now)
    assert laid(edited, overlay).configuration.pools["depth"].strategies[SKEW].params == {"levels": 10}
    assert [found for _, found in overtaken(edited, overlay)] == ([says] if says else [])
    # Whoever sets it again has seen what the file says.
    assert overtaken(edited, recorded(overlay, edited, of_strategy(SKEW, {"levels": 10}))) == []


@pytest.mark.parametrize(
    ("overlay_of", "open_again"),
    [
        (KILLED, file(gate={"killed": False})),
        (of_strategy(SKEW, {"levels": 10}), file(levels=5)),
        (of_strategy(ALL, {"gate.min_confidence": 0.9}), file(more={"gate": {"min_confidence": 0}})),
        (of_pool("trade", paused=True), not_paused()),
    ],
)
def test_a_default_that_the_file_writes_down_against_a_value_is_told(overlay_of: Overlay, open_again: Configuration):
    overlay = set_over(file(), overlay_of)
    assert overtaken(file(), overlay) == []
    assert [value for value, _ in overtaken(open_again, overlay)] == list(overlay)
    # What stood there when the value was set is no change, nor is that it has gone since.
    aware = set_over(open_again, overlay_of)
    assert overtaken(open_again, aware) == []
    if overlay[0].is_switch:
        assert overtaken(file(), aware) == []


def test_a_default_written_down_changes_no_version_and_is_stored():
    plain, explicit = file(), file(gate={"killed": False, "min_confidence": 0.0})
    assert explicit.version == plain.version
    again = Configuration.parse(explicit.stored())
    assert again.stored() == explicit.stored() != plain.stored()
    assert merge(explicit, (), registry.build).configuration.stored() == explicit.stored()


def test_to_revive_what_the_file_does_not_kill_is_no_runtime_value():
    assert set_over(file(gate={"killed": False}), of_strategy(SKEW, {"gate.killed": False})) == ()
    assert set_over(not_paused(), of_pool("trade", paused=False)) == ()


@pytest.mark.parametrize(
    ("set_before", "why"),
    [
        (of_strategy("iceberg", {"gate.killed": True}), "the strategies file has no iceberg"),
        (of_strategy(SKEW, {"levels": 3}, pool="books"), "the strategies file has no orderbook_skew in a pool 'books'"),
        (of_pool("books", paused=True), "the strategies file has no such pool"),
        (of_strategy(SKEW, {"levels": 0}), "must be at least 1"),
        (of_strategy(SKEW, {"levls": 9}), "did you mean 'levels'?"),
        (of_strategy(SKEW, {"levels.deep": 9}), "levels is a value, and no table"),
        (of_strategy(SKEW, {"gate.min_confidence": 3}), "must be at most 1"),
    ],
)
def test_a_value_that_fits_no_more_is_told_and_no_other_is_given_up(set_before: Overlay, why: str):
    kept = (*KILLED, *of_strategy(MOMENTUM, {"notional": 7.0}), *set_before)
    merged = laid(file(levels=5), kept)
    assert merged.configuration == applied(file(levels=5), kept[:2])
    [unused] = merged.unused
    assert unused.value == set_before[0]
    assert why in unused.why
    assert "\n" not in unused.why


def test_values_that_fit_only_together_are_taken_together():
    def build(chosen: Configuration) -> None:
        params = chosen.pools["depth"].strategies[SKEW].params
        if params.get("fast", 1) >= params.get("slow", 2):
            raise SettingsError("fast must be below slow")

    overlay = of_strategy(SKEW, {"fast": 20, "slow": 30, "gate.min_confidence": 7})
    merged = merge(file(), overlay, build)
    assert merged.configuration.pools["depth"].strategies[SKEW].params == {"fast": 20, "slow": 30}
    assert [unused.value.key for unused in merged.unused] == ["gate.min_confidence"]


def test_a_file_that_can_not_be_used_by_itself_is_refused():
    with pytest.raises(SettingsError, match="levels"):
        laid(file(levels=0), of_strategy(SKEW, {"levels": 10, "notional": 0}))


def test_what_says_the_same_as_the_file_is_no_runtime_value():
    killed = set_over(file(), KILLED)
    assert len(killed) == 1
    assert recorded(killed, file(), of_strategy(SKEW, {"gate.killed": None})) == ()
    assert recorded(killed, file(), of_strategy(SKEW, {"gate.killed": False})) == ()
    assert set_over(file(levels=5), of_strategy(SKEW, {"levels": 5})) == ()
    assert set_over(file(), of_pool("depth", paused=True), of_pool("depth", paused=False)) == ()


def test_what_the_file_kills_is_revived_at_run_time_and_stays_so():
    killed = file(gate={"killed": True})
    overlay = set_over(killed, of_strategy(SKEW, {"gate.killed": None}))
    assert not laid(killed, overlay).configuration.gate_of("depth", SKEW).killed
    # A kill that the file adds later is none that anybody has revived, but it is told.
    assert overtaken(file(), overlay) == []


def test_a_value_for_all_pools_replaces_those_of_one():
    two = configuration.check(
        {"pools": {name: {"kinds": ["depth"], "strategies": {SKEW: {}}} for name in ("a", "b")}}, "it"
    )
    one = set_over(two, of_strategy(SKEW, {"levels": 3}, pool="a"))
    assert [pool.strategies[SKEW].params for pool in applied(two, one).pools.values()] == [{"levels": 3}, {}]
    both = recorded(one, two, of_strategy(SKEW, {"levels": 4}))
    assert [value.pool for value in both] == [""]
    back = recorded(both, two, of_strategy(SKEW, {"levels": None}, pool="b"))
    assert [pool.strategies[SKEW].params for pool in applied(two, back).pools.values()] == [{"levels": 4}, {}]


def test_setting_a_default_for_a_symbol_leaves_no_empty_table():
    with_symbol = applied(file(), of_strategy(SKEW, {"levels": 3}, symbol="BTCUSDT"))
    assert applied(with_symbol, of_strategy(SKEW, {"levels": None}, symbol="BTCUSDT")).version == file().version
    assert applied(file(), of_strategy(SKEW, {"symbols.BTCUSDT.levels": 3})) == with_symbol


@pytest.mark.parametrize("values", [{"gate": {"killed": True}}, {"symbols": {}}, {"symbols.BTCUSDT": 3}])
def test_a_table_is_not_set_as_a_whole(values: dict[str, Any]):
    with pytest.raises(SettingsError, match="is a table: set what is in it"):
        of_strategy(SKEW, values)


def test_a_gate_is_not_set_for_one_symbol():
    with pytest.raises(SettingsError, match="holds for all symbols"):
        of_strategy(SKEW, {"gate.killed": True}, symbol="BTCUSDT")


CHANGES = st.one_of(
    st.builds(lambda levels, symbol: of_strategy(SKEW, {"levels": levels}, symbol=symbol),
              st.sampled_from([None, 3, 5, 10]), st.sampled_from(["", "BTCUSDT", "ETHUSDT"])),
    st.builds(of_strategy, st.sampled_from([SKEW, MOMENTUM, ALL]),
              st.sampled_from([{"gate.killed": True}, {"gate.killed": None}, {"gate.min_confidence": 0.5}])),
    st.builds(lambda pool, paused: of_pool(pool, paused=paused), st.sampled_from(["depth", "trade"]), st.booleans()),
)  # fmt: skip


@given(st.lists(CHANGES, max_size=12))
def test_the_overlay_over_the_file_is_what_the_changes_one_by_one_came_to(changes: list[Overlay]):
    base = file(levels=5, gate={"min_confidence": 0.2})
    changed = base
    overlay: Overlay = ()
    for each in changes:
        changed, overlay = applied(changed, each), recorded(overlay, base, each)
    merged = laid(base, overlay)
    assert (merged.unused, merged.configuration) == ((), changed)
    # What the release before left behind tells the same, and all of it goes through JSON.
    assert applied(base, derived(base, changed)) == changed
    assert msgspec.json.decode(msgspec.json.encode(overlay), type=Overlay) == overlay


@pytest.mark.parametrize("symbol", ["btcusdt", "a.b", "BTC/USDT:USDT"])
def test_a_value_for_a_symbol_keeps_the_symbols_spelling(symbol):
    [by_key], [by_option] = (
        of_strategy(SKEW, {f"symbols.{symbol}.levels": 9}),
        of_strategy(SKEW, {"levels": 9}, "", symbol),
    )
    assert by_key == by_option
    [(named, own)] = laid(file(), (by_key,)).configuration.pools["depth"].strategies[SKEW].symbols.items()
    assert (named, own.params) == (symbol, {"levels": 9})
