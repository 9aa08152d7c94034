"""The relay between a real signal stream and a real NATS server."""

import asyncio
import signal
from typing import Any

import psutil
import pytest
from nats.errors import ConnectionReconnectingError

from compose.local.processes import Instance
from compose.local.servers import start_nats
from ingest.relay import CONSUMER, GROUP
from ingest.relay import relay as relay_module
from ingest.transport.flush import confirming_publishes
from tasks.ledger import script
from tasks.protocol import dead_letters
from tasks.settings import Settings
from tests.support.relaying import Stage, packed, running, settings_of_a_relay, stage, until
from tests.support.waiting import wait_for


@pytest.fixture
def settings(nats_url: str, redis_url: str, namespace: str) -> Settings:
    return settings_of_a_relay(nats_url, redis_url, namespace)


async def test_a_signal_goes_to_its_subject_with_its_id_and_is_acknowledged(settings):
    async with stage(settings) as on, running(on):
        await on.add(packed("one"))
        await on.hears("one")
        [message] = on.heard
        assert message.subject == f"{settings.namespace}.my_Strategy.BTCUSDT.buy.spot"
        assert message.headers == {"Nats-Msg-Id": "one"}

        async def counted() -> bool:
            return on.counters.totals.of("relayed") == 1

        await until(counted)
        assert await on.unacknowledged() == 0


@pytest.mark.parametrize(
    ("symbol", "token"),
    [
        ("BTC/USDT:USDT", "BTC%2FUSDT%3AUSDT"),
        ("币安/人生", "币安%2F人生"),
        ("a.b", "a%2Eb"),
        ("A-B_C", "A-B_C"),
        ("x>*", "x%3E%2A"),
        ("BTC\r\n USDT", "BTC%0D%0A%20USDT"),
        ("..", "%2E%2E"),
    ],
)
async def test_a_symbol_of_any_spelling_is_one_token_of_the_subject(settings, symbol, token):
    async with stage(settings) as on, running(on):
        await on.add(packed("one", symbol, metadata={"venue": "kraken-x"}))
        await on.hears("one")
        assert on.heard[0].subject == f"{settings.namespace}.my_Strategy.{token}.buy.kraken-x"


async def test_a_signal_is_acknowledged_only_once_nats_has_answered(settings):
    with Instance("relay") as instance:
        server, url = start_nats(instance)
        async with stage(settings.model_copy(update={"nats_url": url})) as on:
            await on.create_group()
            await on.add(packed("one"))
            before = on.nats.stats["out_msgs"]
            server.send(signal.SIGSTOP)
            # On a busy machine some of its threads may run on for a moment.
            wait_for(lambda: psutil.Process(server.pid).status() == psutil.STATUS_STOPPED)
            relaying = asyncio.create_task(on.relay.relay_new(None))

            async def published() -> bool:
                return bool(on.nats.stats["out_msgs"] > before)

            await until(published)
            assert (await on.unacknowledged(), on.counters.totals.of("relayed")) == (1, 0)
            server.send(signal.SIGCONT)
            assert await relaying == 1
            assert (await on.unacknowledged(), on.counters.totals.of("relayed")) == (0, 1)


async def test_a_signal_is_not_acknowledged_until_nats_is_back_and_has_it(settings):
    with Instance("relay") as instance:
        process, url = start_nats(instance)
        own = settings.model_copy(update={"nats_url": url})
        async with stage(own, max_reconnect_attempts=-1, reconnect_time_wait=0.1) as on:
            await on.create_group()
            await on.add(packed("one"))
            instance.stop(process)

            async def cut() -> bool:
                return not on.nats.is_connected

            await until(cut)
            with pytest.raises(ConnectionReconnectingError):
                await on.relay.relay_new(None)
            assert (await on.unacknowledged(), on.counters.totals.of("relayed")) == (1, 0)
            start_nats(instance, "nats-again", port=int(url.rpartition(":")[2]))

            async def back() -> bool:
                return bool(on.nats.is_connected)

            await until(back)
            await on.relay.drain()
            await on.hears("one")
            assert await on.unacknowledged() == 0


async def test_what_an_earlier_relay_left_unacknowledged_is_relayed_first(settings):
    async with stage(settings) as on:
        await on.create_group()
        await on.add(packed("one"), packed("two"))
        await on.redis.xreadgroup(GROUP, "earlier", {on.keys.signals: ">"}, count=2)
        await on.add(packed("three"))
        async with running(on):
            await on.hears("one", "two", "three")
        await on.relay.drain()
        assert await on.unacknowledged() == 0


async def test_a_relay_cancelled_before_acknowledging_leaves_signals_to_the_next(settings):
    async with stage(settings) as on:
        await on.create_group()
        await on.add(packed("one"))
        await on.redis.xreadgroup(GROUP, CONSUMER, {on.keys.signals: ">"}, count=1)
        await on.relay.drain()
        await on.hears("one")
        assert await on.unacknowledged() == 0


async def test_what_went_into_a_lost_connection_does_not_count_as_delivered(settings):
    async def publish_over_two_connections(on: Stage) -> None:
        async with confirming_publishes(on.nats):
            await on.nats.publish(f"{settings.namespace}.x")
            await on.nats.force_reconnect()

            async def back() -> bool:
                return bool(on.nats.stats["reconnects"] == 1 and on.nats.is_connected)

            await until(back)

    async with stage(settings, max_reconnect_attempts=-1, reconnect_time_wait=0) as on:
        with pytest.raises(ConnectionReconnectingError):
            await publish_over_two_connections(on)


@pytest.mark.parametrize(("max_age_s", "relayed", "held"), [(300, ["fresh"], 1), (0, ["stale", "fresh"], 0)])
async def test_a_stale_signal_is_held_back_and_counted_unless_the_limit_is_0(settings, max_age_s, relayed, held):
    own = settings.model_copy(update={"signal_max_age_s": max_age_s})

    async with stage(own) as on:
        await on.create_group()
        await on.add(packed("stale", age_s=301), packed("fresh", age_s=290))
        await on.relay.drain()
        await on.hears(*relayed)
        assert on.counters.totals.of("held", "stale") == held
        assert on.counters.totals.of("relayed") == len(relayed)
        assert (await on.unacknowledged(), await on.letters()) == (0, [])


async def test_what_can_never_be_published_is_a_dead_letter_and_blocks_nothing(settings):
    mebibyte = 1024 * 1024
    filler = "x" * (mebibyte - len(packed("a", note="")))
    hopeless = [
        b"no json",
        packed("\xff").replace(b"\\u00ff", b"\xff"),
        b"{}",
        packed("a", event_time_ms=10**400),
        packed("a", note=filler),
        packed("a", note=filler * 2),
        packed("a", ""),
        packed("a", "x" * 5_000),
    ]
    assert len(hopeless[4]) == mebibyte, "it is the headers that make it too large"

    async with stage(settings) as on:
        await on.create_group()
        await on.add(packed("before"), *hopeless, packed("after"))
        await on.relay.drain()
        await on.hears("before", "after")
        letters = await on.letters()
        assert {letter.reason for letter in letters} == {"unpublishable"}
        assert [letter.raw for letter in letters] == [each[: dead_letters.MAX_KEPT_BYTES] for each in hopeless]
        assert on.counters.totals.of("unpublishable") == len(hopeless)
        assert (await on.unacknowledged(), on.nats.stats["reconnects"], on.nats.is_connected) == (0, 0, True)


async def test_the_stream_is_trimmed_to_what_is_kept_once_it_is_relayed(settings):
    own = settings.model_copy(update={"signals_keep": 10})
    names = [str(number) for number in range(1_000)]

    async with stage(own, trim_interval_s=0) as on:
        await on.add(*map(packed, names))
        async with running(on):
            await on.hears(*names)

            # Redis trims whole nodes of 100 entries.
            async def trimmed() -> bool:
                return 10 <= await on.redis.xlen(on.keys.signals) < 10 + 100

            await until(trimmed)


async def test_nothing_goes_of_what_is_not_relayed_yet_however_much_it_is(settings):
    async with stage(settings) as on:
        await on.create_group()
        await on.add(*(packed(str(number)) for number in range(1_000)))
        trim = on.redis.register_script(script("trim"))
        assert await trim(keys=[on.keys.signals], args=[GROUP, 10]) == 0
        # 400 are relayed, 256 are taken and not acknowledged, the rest nobody has read.
        await on.redis.xreadgroup(GROUP, CONSUMER, {on.keys.signals: ">"}, count=400)
        await on.relay._relay_pending()
        taken: Any = await on.redis.xreadgroup(GROUP, CONSUMER, {on.keys.signals: ">"}, count=256)
        assert await trim(keys=[on.keys.signals], args=[GROUP, 10]) > 0
        assert len(relay_module._entries(taken)) == 256
        pending: Any = await on.redis.xpending_range(on.keys.signals, GROUP, "-", "+", 1)
        assert await on.redis.xrange(on.keys.signals, pending[0]["message_id"], pending[0]["message_id"])
        assert await on.redis.xlen(on.keys.signals) >= 600
