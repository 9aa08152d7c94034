"""Signals that a real NATS server refuses, because we lack the rights."""

import os
import signal

import pytest

from compose.local.processes import Instance
from compose.local.servers import start_nats
from tasks.settings import Settings
from tests.support.relaying import packed, running, settings_of_a_relay, stage, until
from tests.support.servers.nats_logins import SECRET


@pytest.fixture
def settings(nats_url: str, redis_url: str, namespace: str) -> Settings:
    return settings_of_a_relay(nats_url, redis_url, namespace)


class Rights:
    """A server that lets us publish what is about ETHUSDT only, until it lets us publish all."""

    def __init__(self, instance: Instance) -> None:
        self._file = instance.directory / "rights.conf"
        self._write('["*.*.ETHUSDT.>", "_INBOX.>"]')
        self._process, self.url = start_nats(instance, options=("--config", str(self._file)))

    def _write(self, allowed: str) -> None:
        may = f"{{ publish: {{ allow: {allowed} }}, subscribe: '>' }}"
        self._file.write_text(f'authorization {{ users: [{{ user: us, password: "{SECRET}", permissions: {may} }}] }}')

    def fix(self) -> None:
        self._write('">"')
        os.kill(self._process.pid, signal.SIGHUP)


async def test_signals_that_nats_refuses_wait_and_hold_up_no_others(settings):
    """They go out in order once NATS takes them."""

    with Instance("relay") as instance:
        rights = Rights(instance)
        own = settings.model_copy(update={"nats_url": rights.url, "nats_user": "us", "nats_password": SECRET})
        async with stage(own, trim_interval_s=0, max_reconnect_attempts=-1, reconnect_time_wait=0.1) as on, running(on):
            await on.add(packed("one"), packed("two", "ETHUSDT"))
            await on.hears("two")
            await on.add(packed("three"), packed("four", "ETHUSDT"))
            await on.hears("two", "four")

            async def counted() -> bool:
                return (on.counters.totals.of("held", "refused"), on.counters.totals.of("relayed")) == (2, 2)

            await until(counted)
            assert (await on.unacknowledged(), await on.letters()) == (2, [])
            rights.fix()
            await on.hears("two", "four", "one", "three")

            async def relayed() -> bool:
                return on.counters.totals.of("relayed") == 4

            await until(relayed)
            assert await on.unacknowledged() == 0


async def test_a_relay_that_ends_says_whether_nats_refused_a_signal(settings):
    with Instance("relay") as instance:
        rights = Rights(instance)
        own = settings.model_copy(update={"nats_url": rights.url, "nats_user": "us", "nats_password": SECRET})
        async with stage(own, max_reconnect_attempts=-1, reconnect_time_wait=0.1) as on:
            await on.create_group()
            await on.add(packed("one", "ETHUSDT"))
            assert await on.relay.drain()
            await on.add(packed("two", 'a"\\b'), packed("three", "ETHUSDT"))
            assert not await on.relay.drain()
            assert await on.unacknowledged() == 1
            await on.hears("one", "three")
