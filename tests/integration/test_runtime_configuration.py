"""The configuration in force and its changes, against Redis alone."""

import asyncio

import pytest

from ingest.inforce import InForce
from tasks import configuration
from tasks.changes import Changes
from tasks.configuration import Configuration
from tasks.errors import LedgerError
from tasks.settings import Settings

SIDED = "tests.integration.strategies:Sided"


def file(**sided: object) -> Configuration:
    tables = {"trade": {"kinds": ["trade"], "strategies": {SIDED: sided, "trade_momentum": {}}}}
    return configuration.check({"pools": tables}, "the file")


def test_a_strategy_is_switched_off_by_an_audited_change_once(settings: Settings):
    changes = Changes(settings)
    with pytest.raises(LedgerError, match="no configuration is in force yet"):
        changes.pause_strategy("sided", "it raises", "breaker")
    in_force = InForce(settings, file())

    async def pause() -> None:
        await in_force.refresh()
        assert await in_force.pause_strategy("sided", "it raises", "breaker")
        assert await in_force.pause_strategy("sided", "it raises", "breaker") is None

    asyncio.run(pause())
    assert in_force.configuration.gate_of("trade", SIDED).off
    assert not in_force.configuration.gate_of("trade", "trade_momentum").off
    first, second = changes.history()
    assert (second.author, second.reason, second.previous) == ("breaker", "it raises", first.version)
    assert in_force.version == second.version == changes.version()
