"""Shadows in the strategies file: their names, gates, faults, and who emits."""

from typing import Any

import pytest

from tasks import configuration
from tasks.configuration import Configuration, named_strategies, overlay, registry, shadows
from tasks.configuration.bound_strategy import BoundStrategy
from tasks.errors import SettingsError
from tests.support.strategies import Echo  # noqa: F401 a second import path of the same strategy

ECHO, GRUMPY, CHATTY = (f"tests.support.strategies:{name}" for name in ("Echo", "Grumpy", "Chatty"))
SAME, OTHER = f"shadow~{ECHO}", f"shadow~{GRUMPY}"


def configured(shadow: dict[str, Any], gate: dict[str, Any] | None = None, **more: Any) -> Configuration:
    strategies = {ECHO: {"gate": gate or {}}, CHATTY: {}}
    trade = {"kinds": ["trade"], "strategies": strategies, "shadow": shadow}
    return configuration.check({"pools": {"trade": trade, **more}}, "the file")


def versions(chosen: Configuration) -> dict[str, BoundStrategy]:
    return {each.name: each for each in registry.build(chosen)["trade"]}


def faults(chosen: Configuration) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        registry.build(chosen)
    return [line.strip() for line in raised.value.faults]


def test_a_shadow_runs_after_the_strategies_under_a_name_of_its_own():
    found = versions(configured({ECHO: {"of": ECHO, "notional": 7}, GRUMPY: {"of": ECHO}}))
    assert list(found) == ["chatty", "echo", "shadow~echo", "shadow~grumpy"]
    assert [each.emits for each in found.values()] == [True, True, False, False]
    assert [each.shadows for each in found.values()] == ["", "", "echo", "echo"]
    assert {each.signal_name for each in found.values()} == {"chatty", "echo", "grumpy"}
    assert found["shadow~echo"].strategy.params.notional == 7


def test_a_file_without_shadows_has_the_version_that_it_had():
    assert configured({}).version == configuration.check(configured({}).tables(), "it").version
    assert b"shadow" not in configured({}).stored()


def test_a_configuration_with_shadows_is_read_as_it_was_stored():
    shadow = {"of": ECHO, "emits": True, "gate": {"off": False}, "symbols": {"BTCUSDT": {"notional": 3}}, "paper": {}}
    chosen = configured({ECHO: shadow})
    again = Configuration.parse(chosen.stored())
    assert (again, again.version, again.stored()) == (chosen, chosen.version, chosen.stored())
    assert again.symbols() == {"BTCUSDT"}


def test_a_shadow_has_the_gate_of_its_original_but_for_off():
    gate = {"off": True, "paused": True, "min_confidence": 0.7, "max_signals_per_hour": 3}
    chosen = configured({ECHO: {"of": ECHO, "gate": {"min_confidence": 0.8}}}, gate)
    shadow = chosen.gate_of("trade", SAME)
    assert (shadow.paused, shadow.off, shadow.min_confidence, shadow.max_signals_per_hour) == (True, False, 0.8, 3)
    assert chosen.gate_of("trade", ECHO).min_confidence == 0.7
    everything = configuration.check(chosen.tables() | {"gate": {"off": True}}, "it")
    assert everything.gate_of("trade", SAME).off


@pytest.mark.parametrize(
    ("shadow", "fault"),
    [
        ({ECHO: {"of": "ecco"}}, f"{SAME}: shadows 'ecco', and there is no such strategy in the pool; the pool has "),
        ({ECHO: {"of": ECHO[:-1]}}, f"{SAME}: shadows '{ECHO[:-1]}', and there is no such strategy in the pool; did "),
        ({ECHO: {"of": ECHO}, GRUMPY: {"of": SAME}}, f"{OTHER}: shadows '{SAME}', which is a shadow itself"),
        ({GRUMPY: {"of": GRUMPY}}, f"{OTHER}: shadows '{GRUMPY}', which is a shadow itself"),
        (
            {GRUMPY: {"of": "iceberg"}},
            f"{OTHER}: shadows 'iceberg', which runs in pool books: a shadow stands in the pool of its original",
        ),
        ({ECHO: {"of": ECHO, "levls": 1}}, f"{SAME}: unknown parameter 'levls'"),
        ({ECHO: {"of": ECHO, "notional": 0}}, f"{SAME}: notional: "),
        ({"nobody:Nothing": {"of": ECHO}}, "shadow~nobody:Nothing: can't be imported: "),
        ({"iceberg": {"of": ECHO}}, "shadow~iceberg: sees nothing of the pool's events (trade)"),
        (
            {CHATTY: {"of": ECHO}},
            f"shadow~{CHATTY}: its signals would be named as those of 'chatty', which it does not",
        ),
        (
            {ECHO: {"of": ECHO}, "tests.unit.tasks.configuration.test_shadows:Echo": {"of": ECHO}},
            "the pool already has a strategy named 'shadow~echo'",
        ),
        (
            {ECHO: {"of": ECHO, "emits": True}, GRUMPY: {"of": ECHO, "emits": True}},
            f"{ECHO}: several of its shadows emit: {ECHO}, {GRUMPY}",
        ),
    ],
)
def test_a_shadow_that_makes_no_sense_is_refused(shadow: dict[str, Any], fault: str):
    books = {"kinds": ["depth"], "strategies": {"iceberg": {}}}
    [line] = faults(configured(shadow, books=books))
    assert line.startswith("pool trade: ")
    assert fault in line


def test_every_fault_of_shadows_is_in_one_list():
    found = faults(configured({ECHO: {"of": "x", "levls": 1}, "nobody:Nothing": {"of": "y"}}))
    assert len(found) == 4


def test_a_shadow_may_not_emit_what_another_pool_emits_on_the_same_events():
    other = {"kinds": ["trade"], "strategies": {GRUMPY: {}}}
    assert faults(configured({GRUMPY: {"of": ECHO}}, other=other)) == [
        "pool other: grumpy: sees the same events in pool trade"
    ]


def test_without_what_it_shadows_there_is_one_line():
    with pytest.raises(SettingsError, match=r"pools.trade.shadow.iceberg.of: is missing"):
        configured({"iceberg": {"levels": 3}})


def test_a_promoted_shadow_emits_and_its_original_does_not():
    chosen = configured({ECHO: {"of": ECHO}, GRUMPY: {"of": ECHO}})

    def emitting(after: Configuration) -> list[str]:
        return [each.name for each in registry.build(after)["trade"] if each.emits]

    promoted = overlay.applied(chosen, shadows.promoted(chosen, SAME))
    assert emitting(promoted) == ["chatty", "shadow~echo"]
    other = overlay.applied(promoted, shadows.promoted(promoted, OTHER))
    assert emitting(other) == ["chatty", "shadow~grumpy"]
    assert [*named_strategies.strategy_gates(other)] == ["chatty", "echo", "grumpy"]
    assert overlay.applied(other, shadows.promoted(other, ECHO)) == chosen


def test_what_has_no_other_version_or_is_off_is_not_promoted():
    chosen = configured({ECHO: {"of": ECHO, "gate": {"off": True}}})
    with pytest.raises(SettingsError, match="there is nothing to promote"):
        shadows.promoted(chosen, CHATTY)
    with pytest.raises(SettingsError, match=r"is switched off: `\./run tasks strategies resume"):
        shadows.promoted(chosen, SAME)


def test_promotions_are_kept_over_the_file_as_all_runtime_values_are():
    file = configured({ECHO: {"of": ECHO}})
    kept = overlay.recorded((), file, shadows.promoted(file, SAME))
    merged = overlay.merge(file, kept, registry.build)
    assert merged.configuration.pools["trade"].emits(SAME)
    assert overlay.recorded(kept, file, shadows.promoted(merged.configuration, ECHO)) == ()
    [unused] = overlay.merge(configured({}), kept, registry.build).unused
    assert f"has no {SAME}" in unused.why


def test_commands_find_shadows_by_both_names():
    chosen = configured({GRUMPY: {"of": ECHO}})
    assert registry.configured_name(chosen, OTHER) == registry.configured_name(chosen, "shadow~grumpy") == OTHER
    assert registry.carried_name(OTHER) == "shadow~grumpy"
    changed = named_strategies.apply(chosen, "shadow~grumpy", {"notional": 9.0, "gate.off": True})
    assert changed.pools["trade"].shadow[GRUMPY].params == {"notional": 9.0}
    assert [each.name for each in registry.running(changed)["trade"]] == ["chatty", "echo"]
    assert changed.pools["trade"].strategies == chosen.pools["trade"].strategies


def test_errors_are_limited_for_a_shadow_by_itself():
    chosen = configured({GRUMPY: {"of": ECHO}}, {"max_errors_per_minute": 5})
    assert named_strategies.error_limits(chosen) == {("trade", "echo"): 5, ("trade", "shadow~grumpy"): 5}


def test_some_strategies_only_come_with_their_shadows():
    chosen = configured({ECHO: {"of": ECHO}, GRUMPY: {"of": CHATTY}})

    def left(*names: str) -> list[str]:
        return list(named_strategies.only(chosen, (), names).pools["trade"].versions())

    assert left("echo") == [ECHO, SAME]
    assert left("shadow~grumpy") == [CHATTY, OTHER]
    assert left() == [*sorted([ECHO, CHATTY]), SAME, OTHER]
