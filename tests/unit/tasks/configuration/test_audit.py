"""Which configuration each event of an audited run had."""

import msgspec
import pytest

from tasks.configuration import Configuration
from tasks.configuration.audit import Audit, AuditLine
from tasks.errors import LedgerError
from tests.support.events import TIME_MS, trade

CONFIGURATION = Configuration.model_validate(
    {"pools": {"trade": {"kinds": ["trade"], "strategies": {"trade_momentum": {}}}}}
)


def audit(*first: tuple[int, str], symbol: str = "BTCUSDT") -> Audit:
    """The audit of a run whose trades of these ids were the first under these configurations."""
    lines = (AuditLine(version, "trade", "spot", symbol, "trade", id_, TIME_MS + id_ * 1000) for id_, version in first)
    return Audit(map(msgspec.json.encode, lines), {version: CONFIGURATION for _, version in first})


def at(audited: Audit, id_: int) -> str:
    return audited.version("trade", trade(id=id_, time_ms=TIME_MS + id_ * 1000))


def test_each_event_has_the_configuration_that_began_last_before_it():
    """A configuration begins with the first event that ran under it."""
    audited = audit((1, "c1"), (3, "c2"))
    assert [at(audited, id_) for id_ in (1, 2, 3, 4)] == ["c1", "c1", "c2", "c2"]


@pytest.mark.parametrize(
    ("audited", "said"),
    [
        pytest.param(
            audit((1, "c1")),
            "the recording begins in mid-run: spot BTCUSDT trade with 5 of 2024-08-09 00:00:05, the audited run with "
            "1 of 2024-08-09 00:00:01; what is between is missing",
            id="the recording begins in mid-run",
        ),
        pytest.param(
            audit((9, "c1")),
            "the audited run did not see spot BTCUSDT trade 5 of 2024-08-09 00:00:05: it began with 9 of "
            "2024-08-09 00:00:09",
            id="the run began later",
        ),
        pytest.param(
            audit((1, "c1"), symbol="ETHUSDT"),
            "the audited run had no spot BTCUSDT trade in pool trade",
            id="the run had none of it",
        ),
    ],
)
def test_a_recording_that_begins_unlike_the_run_names_what_is_missing(audited: Audit, said: str):
    with pytest.raises(LedgerError) as refusal:
        at(audited, 5)
    assert str(refusal.value) == said


def test_a_recording_without_the_first_event_of_a_change_names_it():
    audited = audit((1, "c1"), (3, "c2"))
    assert [at(audited, id_) for id_ in (1, 2)] == ["c1", "c1"]
    with pytest.raises(LedgerError) as refusal:
        at(audited, 4)
    assert str(refusal.value) == (
        "the recording lacks spot BTCUSDT trade 3 of 2024-08-09 00:00:03, with which configuration c2 began in pool "
        "trade; it has 4 of 2024-08-09 00:00:04"
    )


def test_ids_that_restart_go_past_no_change():
    audited = audit((100, "c1"), (200, "c2"))
    restarted = trade(id=7, time_ms=TIME_MS + 10**9)
    assert [at(audited, 100), audited.version("trade", restarted), at(audited, 200)] == ["c1", "c1", "c2"]
