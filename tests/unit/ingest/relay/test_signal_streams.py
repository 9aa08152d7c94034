"""Which streams take signals, from what JetStream answers, and does not answer."""

from typing import Any

import msgspec
import pytest
from nats.errors import NoRespondersError
from nats.errors import TimeoutError as NatsTimeoutError

from ingest.relay.signal_streams import FORBIDDEN_S, GONE_S, SignalStreams
from tasks.settings import Settings

SETTINGS = Settings(signal_subject="signals.{strategy}.{symbol}-{venue}")


class Client:
    """A connection to NATS of which the test says what it answers."""

    def __init__(self) -> None:
        self.is_connected, self.has_jetstream = True, True
        self.stats = {"reconnects": 0}
        self.answer: bytes | Exception | None = listed()
        self.asked = 0

    async def ask(self, *_: Any) -> bytes | None:
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def listed(*subjects: str, **config: Any) -> bytes:
    streams = [{"config": {"name": f"S{at}", "subjects": [each], **config}} for at, each in enumerate(subjects)]
    return msgspec.json.encode({"streams": streams})


class Clock:
    now_s = 100.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture
def streams(client: Client, clock: Clock) -> SignalStreams:
    theirs: Any = client
    return SignalStreams(SETTINGS, theirs, lambda: clock.now_s)


def found(streams: SignalStreams) -> list[tuple[str, str]]:
    return [(finding.sign, finding.name) for finding in streams.findings()]


async def test_the_stream_of_a_signal_is_the_one_that_takes_its_subject(streams, client):
    client.answer = listed("signals.a.*", "signals.*.X-spot")
    await streams.ask()
    subjects = ("signals.a.Y-spot", "signals.b.X-spot", "signals.b.Y-spot")
    assert [streams.of(subject) for subject in subjects] == ["S0", "S1", ""]
    assert found(streams) == [("warning", "signals_unkept")]


async def test_without_jetstream_there_are_no_streams_and_nothing_is_found(streams, client):
    client.has_jetstream, client.answer = False, NoRespondersError()
    await streams.ask()
    assert (streams.known, found(streams)) == (True, [])


@pytest.mark.parametrize("answer", [NoRespondersError(), NatsTimeoutError(), b"hello"])
async def test_a_silent_jetstream_leaves_unknown_what_was_not_known(streams, client, answer):
    client.answer = answer
    await streams.ask()
    assert (streams.known, found(streams)) == (False, [])
    await streams.ask()
    assert found(streams) == [("fault", "signals_wait")]


@pytest.mark.parametrize("answer", [NoRespondersError(), NatsTimeoutError(), b'{"error":{"err_code":10076}}'])
async def test_a_known_stream_is_never_gone_because_jetstream_is_silent(streams, client, clock, answer):
    client.answer = listed("signals.>")
    await streams.ask()
    client.answer = answer
    for _ in range(3):
        await streams.ask()
        clock.now_s += GONE_S
    assert streams.of("signals.a.b") == "S0"
    assert found(streams) == [("fault", "signals_wait")]


async def test_a_stream_is_gone_when_answers_leave_it_out_for_a_while(streams, client, clock):
    client.answer = listed("signals.>")
    await streams.ask()
    client.answer = listed()
    await streams.ask()
    assert (streams.of("signals.a.b"), found(streams)) == ("S0", [])
    clock.now_s += GONE_S
    await streams.ask()
    assert (streams.of("signals.a.b"), found(streams)) == ("", [("warning", "signals_unkept")])
    client.answer = listed("signals.>")
    await streams.ask()
    assert (streams.of("signals.a.b"), found(streams)) == ("S0", [])


async def test_a_stream_that_was_left_out_for_a_moment_is_not_gone(streams, client, clock):
    for answer in (listed("signals.>"), listed(), listed("signals.>"), listed()):
        client.answer = answer
        await streams.ask()
        clock.now_s += GONE_S
    assert streams.of("signals.a.b") == "S0"


async def test_a_refusal_is_a_fault_until_the_stream_takes_signals_again(streams, client):
    client.answer = listed("signals.>")
    await streams.ask()
    streams.refusals["S0"] = "maximum messages exceeded"
    assert found(streams) == [("fault", "signals_wait")]
    streams.refusals.clear()
    assert found(streams) == []


async def test_a_login_that_may_not_ask_is_not_asked_again_at_once(streams, client, clock):
    client.answer = None
    for _ in range(3):
        streams.doubt()
        await streams.ask()
    assert (client.asked, streams.known, found(streams)) == (1, True, [("warning", "signals_unkept")])
    clock.now_s += FORBIDDEN_S
    await streams.ask()
    assert client.asked == 2
    client.stats["reconnects"] += 1
    client.answer = listed("signals.>")
    await streams.ask()
    assert (client.asked, found(streams)) == (3, [])
