"""Aliases: names by which other systems know strategies."""

from typing import Any

import pytest

from tasks.configuration import Configuration, aliases, check, named_strategies, registry
from tasks.configuration.aliases import AliasedStrategy
from tasks.configuration.overlay_derived import derived
from tasks.errors import LedgerError, SettingsError

VELOCITY, MOMENTUM = "price_velocity", "trade_momentum"
SIDED = "tests.support.workers.strategies:Sided"


def file(**strategies: Any) -> Configuration:
    return check({"pools": {"trade": {"kinds": ["trade"], "strategies": strategies}}}, "the file")


ALIASED = file(price_velocity={"alias": "ticker_velocity", "notional": 7.0}, trade_momentum={})


def test_an_alias_is_part_of_no_version_and_of_nothing_that_workers_read():
    plain = file(price_velocity={"notional": 7.0}, trade_momentum={})
    assert (ALIASED.version, ALIASED.canonical(), ALIASED.stored()) == (
        plain.version,
        plain.canonical(),
        plain.stored(),
    )
    assert ALIASED.tables() != plain.tables()
    assert derived(ALIASED, plain) == ()


def test_what_an_earlier_release_stored_takes_the_aliases_of_the_file():
    kept = aliases.unpack(aliases.pack(aliases.of_configuration(ALIASED, registry.signal_name)))
    assert kept == {"ticker_velocity": AliasedStrategy(VELOCITY, (VELOCITY,))}
    assert aliases.applied(Configuration.parse_as(ALIASED.version, ALIASED.stored()), kept) == ALIASED
    assert aliases.by_strategy(aliases.applied(ALIASED, {})) == {}


def test_signals_of_a_shadow_that_emits_have_the_alias_of_its_original():
    shadow = {"of": VELOCITY, "emits": True}
    pool = {"kinds": ["trade"], "strategies": {VELOCITY: {"alias": "tv"}}, "shadow": {MOMENTUM: shadow}}
    chosen = check({"pools": {"trade": pool}}, "the file")
    assert aliases.of_configuration(chosen, registry.signal_name)["tv"].signals == (VELOCITY, MOMENTUM)


@pytest.mark.parametrize("name", ["ticker_velocity", VELOCITY])
def test_a_strategy_is_found_by_its_alias_and_by_its_name(name):
    assert registry.configured_name(ALIASED, name) == VELOCITY
    changed = named_strategies.apply(ALIASED, name, {"notional": 9.0})
    assert changed.pools["trade"].strategies[VELOCITY].params == {"notional": 9.0}
    assert aliases.by_strategy(changed) == {VELOCITY: "ticker_velocity"}


@pytest.mark.parametrize(
    ("key", "meant"), [("tv", VELOCITY), ("tv.notional", f"{VELOCITY}.notional"), ("tvx.a", "tvx.a"), ("", "")]
)
def test_a_key_may_begin_with_an_alias(key, meant):
    assert aliases.replaced(file(price_velocity={"alias": "tv"}), key) == meant


def test_the_alias_of_a_strategy_of_ones_own_is_kept_with_its_signals():
    found = aliases.of_configuration(file(**{SIDED: {"alias": "theirs"}}), registry.signal_name)
    assert found == {"theirs": AliasedStrategy(SIDED, ("sided",))}


@pytest.mark.parametrize(
    ("strategies", "said"),
    [
        (
            {VELOCITY: {"alias": "x"}, MOMENTUM: {"alias": "x"}},
            "alias 'x' is that of several strategies: price_velocity, trade_momentum",
        ),
        ({VELOCITY: {"alias": MOMENTUM}, MOMENTUM: {}}, f"{VELOCITY}: alias '{MOMENTUM}' is a name already"),
        ({VELOCITY: {"alias": "iceberg"}}, f"{VELOCITY}: alias 'iceberg' is a name already"),
        ({VELOCITY: {"alias": "sided"}, SIDED: {}}, f"{VELOCITY}: alias 'sided' is a name already"),
        ({VELOCITY: {"alias": "all"}}, f"{VELOCITY}: alias 'all' is a name already: choose another"),
        ({VELOCITY: {"alias": "trade"}}, f"{VELOCITY}: alias 'trade' is a name already: choose another"),
    ],
)
def test_an_alias_that_can_mean_something_else_is_refused(strategies, said):
    with pytest.raises(SettingsError) as refused:
        registry.build(file(**strategies))
    [fault] = refused.value.faults
    assert fault.startswith(said)


def test_a_strategy_of_two_pools_has_one_alias():
    def pools(one: str, other: str) -> Configuration:
        tables = {
            name: {"kinds": ["trade"], "symbols": [symbol], "strategies": {VELOCITY: {"alias": alias}}}
            for name, symbol, alias in (("a", "BTCUSDT", one), ("b", "ETHUSDT", other))
        }
        return check({"pools": tables}, "the file")

    registry.build(pools("tv", "tv"))
    with pytest.raises(SettingsError, match=f"{VELOCITY}: has several aliases: tv, vt"):
        registry.build(pools("tv", "vt"))


@pytest.mark.parametrize("alias", ["a.b", "a b", "*", "a/b", "x" * 65, 7])
def test_an_alias_that_no_subject_or_path_takes_is_refused(alias):
    with pytest.raises(SettingsError, match=r"pools\.trade\.strategies\.price_velocity\.alias: "):
        file(price_velocity={"alias": alias})


def test_an_alias_is_not_set_at_run_time():
    with pytest.raises(SettingsError, match="an alias is set in the strategies file"):
        named_strategies.apply(ALIASED, VELOCITY, {"alias": "other"})


def test_a_shadow_has_no_alias():
    pool = {"kinds": ["trade"], "strategies": {VELOCITY: {}}, "shadow": {VELOCITY: {"of": VELOCITY, "alias": "x"}}}
    with pytest.raises(SettingsError, match=r"shadow~price_velocity: unknown parameter .alias."):
        registry.build(check({"pools": {"trade": pool}}, "the file"))


def test_aliases_that_cannot_be_read_are_told():
    with pytest.raises(LedgerError, match="the ledger's aliases can't be read"):
        aliases.unpack(b"[1]")
