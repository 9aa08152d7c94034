"""A signal's trace on its path through the stream to NATS, beside the signal and never in it."""

from typing import Any

import pytest

from tasks.ledger import Ledger
from tasks.ledger.reader import LedgerReader
from tasks.protocol.counters import Counts
from tasks.protocol.outcome import Outcome
from tasks.settings import Settings
from tests.support.ledger import batch, commit
from tests.support.relaying import packed, settings_of_a_relay, stage

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def speak(ledger: Ledger, traces: list[str]) -> None:
    signals = [packed("one"), packed("two")]
    made = Outcome({"state:x": b"s"}, signals, [b"letter"], [b"line"], Counts(), traces=traces)
    assert commit(ledger, batch(), made) == "committed"


@pytest.mark.parametrize(
    ("traces", "stored"), [([], [None, None]), ([TRACE, ""], [TRACE.encode(), None]), (["", ""], [None, None])]
)
def test_a_trace_is_a_second_field_of_a_signals_entry_and_changes_no_other(
    client, ledger, settings: Settings, traces, stored
):
    speak(ledger, traces)
    entries = client.xrange(ledger.keys.signals)
    assert [fields.get(b"trace") for _, fields in entries] == stored
    assert len(list(LedgerReader(settings).signals())) == 2
    assert client.xlen(ledger.keys.deadletters) == client.xlen(ledger.keys.audit) == 1


@pytest.mark.parametrize("traces", [[], [TRACE, ""]])
def test_a_revision_stands_beside_a_trace_and_without_one(client, ledger, traces):
    signals, revisions = [packed("one"), packed("two")], ["", "srev_a_b"]
    made = Outcome({}, signals, [], [], Counts(), traces=traces, revisions=revisions)
    assert commit(ledger, batch(), made) == "committed"
    entries = [fields for _, fields in client.xrange(ledger.keys.signals)]
    assert [fields.get(b"revision") for fields in entries] == [None, b"srev_a_b"]
    assert [fields.get(b"trace") for fields in entries] == [TRACE.encode() if traces else None, None]
    assert [fields[b"signal"] for fields in entries] == signals


def test_the_digest_knows_nothing_of_traces(client, ledger, settings: Settings):
    signals = [packed("one", age_s=1)]
    digests = []
    for seq, traces in enumerate([[], [TRACE]]):
        client.delete(ledger.keys.signals)
        prev = seq * 2 or None
        assert commit(ledger, batch(prev), Outcome({}, signals, [], [], Counts(), traces=traces)) == "committed"
        digests.append(LedgerReader(settings).digest())
    assert digests[0] == digests[1]


async def relayed(settings: Settings, entry: dict[Any, Any]) -> dict[str, str]:
    """Put an entry into the stream; return the headers with which the relay publishes it."""
    async with stage(settings) as on:
        await on.create_group()
        await on.redis.xadd(on.keys.signals, entry)
        assert await on.relay.relay_new(None) == 1
        await on.hears("one")
        headers: dict[str, str] = on.heard[0].headers
        return headers


@pytest.mark.parametrize(
    ("trace", "headers"),
    [
        (TRACE, {"traceparent": TRACE}),
        (f"{TRACE} a=b, c=d", {"traceparent": TRACE, "tracestate": "a=b, c=d"}),
        ("no trace", {}),
        ("\udcff", {}),
    ],
)
async def test_the_relay_gives_a_signal_the_headers_of_its_trace(settings_of_relay: Settings, trace, headers):
    stored = trace.encode(errors="surrogateescape")
    published = await relayed(settings_of_relay, {"signal": packed("one"), "trace": stored})
    assert published == {"Nats-Msg-Id": "one", **headers}


async def test_a_signal_that_fills_the_message_goes_without_its_trace(settings_of_relay: Settings):
    most_bytes = 1024 * 1024
    filler = "x" * (most_bytes - len(packed("one", filler="")) - 60)
    published = await relayed(settings_of_relay, {"signal": packed("one", filler=filler), "trace": TRACE})
    assert published == {"Nats-Msg-Id": "one"}


@pytest.fixture
def settings_of_relay(nats_url: str, redis_url: str, namespace: str) -> Settings:
    return settings_of_a_relay(nats_url, redis_url, namespace)
