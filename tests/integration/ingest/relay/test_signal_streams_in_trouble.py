"""Signals whose stream is on servers that shut down, or are too few."""

import signal
from contextlib import suppress
from typing import Any

import pytest
from nats.errors import Error as NatsError

from compose.local.processes import Instance
from compose.local.servers import start_nats
from tasks.settings import Settings
from tests.support.relaying import Stage, packed, settings_of_a_relay, until
from tests.support.servers.nats_cluster import cluster
from tests.support.servers.signal_streams import drain_or_fail, found, names, relay

ENDLESSLY: dict[str, Any] = {"max_reconnect_attempts": -1, "reconnect_time_wait": 0.1}


@pytest.fixture
def settings(nats_url: str, redis_url: str, namespace: str) -> Settings:
    return settings_of_a_relay(nats_url, redis_url, namespace)


async def test_a_server_that_shuts_down_swallows_no_signal_of_a_stream(settings):
    """A lame duck still takes and echoes messages, and has no JetStream any more."""
    with Instance("relay") as instance:
        server, url = start_nats(instance)
        own = settings.model_copy(update={"nats_url": url})
        async with relay(own, answer_s=0.2, **ENDLESSLY) as (on, streams):
            await streams.make()
            await on.add(*map(packed, names(3)))
            assert await on.relay.drain()
            server.send(signal.SIGUSR2)

            async def lame() -> bool:
                return "Initiating JetStream Shutdown" in server.log.read_text()

            await until(lame)
            await on.add(*map(packed, names(300, first=3)))
            await drain_or_fail(on)
            assert on.counters.totals.of("relayed") + await on.unacknowledged() + await unread(on) == 303
            relayed = on.counters.totals.of("relayed")
            instance.kill(server)
            instance.start_again(server)

            async def done() -> bool:
                return await drain_or_fail(on) and on.counters.totals.of("relayed") == 303

            await until(done)
            assert relayed == 3
            assert await streams.kept() == names(303)


async def test_signals_wait_while_their_stream_has_no_quorum(settings):
    with Instance("relay") as instance:
        (_, url), *others = cluster(instance)
        own = settings.model_copy(update={"nats_url": url})
        async with relay(own, answer_s=0.5, **ENDLESSLY) as (on, streams):

            async def made() -> bool:
                with suppress(NatsError):
                    await streams.make(num_replicas=3)
                return bool(on.streams.of(f"{settings.namespace}.my_Strategy.BTCUSDT.buy.spot"))

            await until(made)
            await on.add(packed("0"))

            async def relayed() -> bool:
                return await drain_or_fail(on)

            await until(relayed)
            for server, _ in others:
                instance.kill(server)
            await on.add(packed("1"), packed("2"))

            async def told() -> bool:
                assert not await drain_or_fail(on)
                await on.streams.ask()
                return found(on).get("signals_wait", "").startswith("fault: ")

            await until(told)
            assert on.counters.totals.of("relayed") == 1
            for server, _ in others:
                instance.start_again(server)
            await until(relayed)
            assert await streams.kept() == names(3)
            assert on.counters.totals.of("relayed") == 3


async def unread(on: Stage) -> int:
    groups: Any = await on.redis.xinfo_groups(on.keys.signals)
    return int(groups[0]["lag"])
