"""What the ledger knows of a signal and of what it ran under."""

import json

import msgspec
import pytest

from tasks.configuration.history import ConfigurationChange
from tasks.engine import MemoryLedger
from tasks.errors import LedgerError
from tasks.ledger.reader import LedgerReader
from tasks.why import known, stored_signals
from tasks.why.investigation import Request, investigate
from tasks.why.question import Question
from tests.support.events import trade
from tests.support.market import configuration
from tests.support.strategies import Chatty, bound

CHOSEN = configuration()
CHATTY = bound(Chatty.create({"min_signal_interval_s": 60}))
OUTCOME = MemoryLedger("s").run("p", [trade(id=1, seq=1), trade(id=2, seq=2)], CHATTY, CHOSEN.version)
SENT, HELD = OUTCOME.signals[0], OUTCOME.held[0]


@pytest.fixture
def reader(settings) -> LedgerReader:
    return LedgerReader(settings)


def id_of(packed: bytes) -> str:
    return str(msgspec.json.decode(packed)["id"])


def commit(client, keys, at_ms: int) -> None:
    """Put the signals into the streams, as a commit at this time does."""
    for number, packed in enumerate(OUTCOME.signals, start=1):
        client.xadd(keys.signals, {"signal": packed}, id=f"{at_ms}-{number}")
    client.xadd(keys.held, {"held": HELD}, id=f"{at_ms}-1")


def reset(client, keys, at_ms: int, **about: object) -> None:
    fields = {"pool": "p", "strategy": "chatty", "venue": "", "symbol": "", "author": "ann", "reason": ""} | about
    client.xadd(keys.resets, {"reset": json.dumps(fields), "states": 1}, id=f"{at_ms}-*")


def test_a_signal_is_found_with_its_bytes_and_the_time_of_its_commit(client, keys, reader):
    commit(client, keys, 5_000)
    found = stored_signals.in_ledger(reader, id_of(SENT))
    assert found == Question.of(SENT, "sent", committed_ms=5_000)


def test_a_signal_that_was_held_back_is_found_with_its_reason(client, keys, reader):
    commit(client, keys, 5_000)
    packed = bytes(msgspec.json.decode(HELD, type=dict[str, msgspec.Raw])["signal"])
    found = stored_signals.in_ledger(reader, id_of(packed))
    assert found == Question.of(packed, "held", "cool_down", 5_000)


def test_an_id_that_only_stands_in_a_rationale_is_not_found(client, keys, reader):
    nobody = "5f0c7a0e-3c0b-5b7e-9a55-2f6f3f3f7c11"
    client.xadd(keys.signals, {"signal": SENT.replace(b"1 trades", nobody.encode())})
    assert stored_signals.in_ledger(reader, nobody) is None


def change(version: str, author: str, at_ms: int) -> ConfigurationChange:
    return ConfigurationChange(version, "", author, "", at_ms)


def test_who_put_a_version_in_force_is_the_last_before_the_commit():
    history = [change("a", "ann", 10), change("b", "bob", 20), change("a", "cid", 30), change("a", "dan", 50)]
    found = [known._put_in_force(history, "a", committed_ms) for committed_ms in (5, 10, 29, 30, 49)]
    assert [each and each.author for each in found] == ["ann", "ann", "ann", "cid", "cid"]
    assert known._put_in_force(history, "c", 99) is None


def test_the_change_that_put_the_configuration_in_force_is_told(settings, store, reader):
    store.adopt(CHOSEN)
    [first] = store.history()
    question = Question.of(SENT, "sent", committed_ms=first.at_ms + 1)
    found = known.in_ledger(settings, reader, question)
    assert (found.of_signal, found.answer.author, found.answer.reason) == (CHOSEN, "strategies file", "first start")
    assert (found.notes, found.seeded) == ([], "")


def test_resets_seedings_and_prunings_until_the_signal_are_told(client, keys, settings, store, reader):
    store.adopt(CHOSEN)
    at_ms = store.history()[-1].at_ms
    reset(client, keys, at_ms + 10)
    reset(client, keys, at_ms + 20, strategy="", files=["monday.jsonl"])
    reset(client, keys, at_ms + 25, strategy="", idle_s=86_400)
    for other in ({"strategy": "echo"}, {"venue": "usdm"}, {"symbol": "ETHUSDT"}, {}):
        reset(client, keys, at_ms + 30 if other else at_ms + 99, **other)
    found = known.in_ledger(settings, reader, Question.of(SENT, "sent", committed_ms=at_ms + 50))
    assert [note.split(" at ")[0] for note in found.notes] == [
        "states of chatty were reset",
        "states of chatty were seeded",
        "symbols idle for 24 h were removed",
    ]
    assert "from monday.jsonl" in found.notes[1]
    assert found.seeded == CHOSEN.version


def test_a_ledger_that_has_lost_the_configuration_is_one_line(client, keys, settings, reader):
    commit(client, keys, 5_000)
    with pytest.raises(LedgerError, match=f"the ledger holds no configuration '{CHOSEN.version}'"):
        investigate(settings, Request(id_of(SENT)))


def test_without_a_source_what_the_ledger_knows_is_told(client, keys, settings, store):
    commit(client, keys, 5_000)
    store.adopt(CHOSEN)
    found = investigate(settings, Request(id_of(SENT)))
    assert (found.verdict, found.status, bytes(found.signal or b"")) == ("no_source", "sent", SENT)
    assert found.configuration.author == "strategies file"
