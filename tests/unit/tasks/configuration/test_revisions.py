"""Revisions: by which code and which parameters a strategy runs."""

import re
import sys
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tasks import configuration, engine
from tasks.configuration import registry
from tasks.configuration.bound_strategy import BoundStrategy
from tasks.configuration.revisions import revision
from tasks.strategies import orderbook_skew
from tasks.strategy import Params, State, Strategy
from tests.support.events import trade

ECHO = "tests.support.strategies:Echo"
MINE = """
from tasks.strategy import Params, State, Strategy

class Mine(Strategy[Params, State]):
    name = "mine"
"""


def skew(**params: Any) -> str:
    return revision(registry.create("orderbook_skew", params))


def mine(path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the revision of a strategy in a file with this text."""
    path.write_text(text)
    monkeypatch.syspath_prepend(path.parent)
    try:
        return revision(import_module(path.stem).Mine.create({}))
    finally:
        sys.modules.pop(path.stem, None)


def test_a_revision_is_a_hash_of_the_file_and_one_of_the_parameters():
    code = sha256(Path(orderbook_skew.__file__).read_bytes()).hexdigest()[:12]
    assert re.fullmatch(rf"srev_{code}_[0-9a-f]{{12}}", skew())


def test_a_parameter_changes_the_second_part_alone_and_a_default_nothing():
    assert skew(levels=5) == skew()
    assert skew(levels=6) != skew()
    assert skew(levels=6)[:17] == skew()[:17]


def test_code_that_changes_changes_the_first_part_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    texts = {"mine_first": MINE, "mine_changed": f"{MINE}# changed\n", "mine_again": MINE}
    first, changed, again = (mine(tmp_path / f"{name}.py", text, monkeypatch) for name, text in texts.items())
    assert first == again
    assert first[:17] != changed[:17]
    assert first[17:] == changed[17:]


def test_code_that_has_no_file_and_parameters_that_are_no_json_have_none():
    made: dict[str, Any] = {"Params": Params, "State": State, "Strategy": Strategy, "__name__": "nowhere"}
    exec(MINE, made)  # noqa: S102 a class without a file
    assert revision(made["Mine"].create({})) == ""

    class OddParams(Params):
        odd: Any = object()

    class Odd(Strategy[OddParams, State]):
        name = "odd"

    assert revision(Odd.create({})) == ""


def test_signals_have_the_revision_of_the_parameters_of_their_symbol():
    strategies = {ECHO: {"symbols": {"ETHUSDT": {"notional": 7}}}}
    chosen = configuration.check({"pools": {"trade": {"kinds": ["trade"], "strategies": strategies}}}, "the file")
    [bound] = registry.build(chosen)["trade"]
    events = [trade(symbol=symbol) for symbol in ("BTCUSDT", "ETHUSDT")]
    made = engine.BatchRun("trade", "s", [bound], "c1", {}).finish(events)
    expected = [revision(registry.create(ECHO, {"notional": notional})) for notional in (100, 7)]
    assert made.revisions == expected
    assert len(set(expected)) == 2


def test_a_strategy_that_nothing_is_configured_of_has_none():
    bound = BoundStrategy.of(registry.create(ECHO, {}))
    assert engine.BatchRun("trade", "s", [bound], "c1", {}).finish([trade()]).revisions == [""]
