"""Signals that a stream of a real NATS server keeps, or does not take."""

import json

import pytest
from nats.js.api import DiscardPolicy

from compose.local.processes import Instance
from compose.local.servers import start_nats
from ingest.relay import GROUP
from ingest.relay.relay import CHUNK
from tasks.settings import Settings
from tests.support.relaying import packed, running, settings_of_a_relay, stage, until
from tests.support.servers.nats_logins import SECRET
from tests.support.servers.signal_streams import found, names, relay


@pytest.fixture
def settings(nats_url: str, redis_url: str, namespace: str) -> Settings:
    return settings_of_a_relay(nats_url, redis_url, namespace)


async def test_a_stream_has_every_signal_once_in_order_before_it_is_acknowledged(settings):
    async with relay(settings) as (on, streams):
        await streams.make()
        await on.add(*map(packed, names(600)))
        assert await on.relay.drain()
        assert await streams.kept() == names(600)
        assert (await on.unacknowledged(), on.counters.totals.of("relayed"), found(on)) == (0, 600, {})


async def test_what_a_relay_published_before_it_died_is_kept_once(settings):
    async with relay(settings) as (on, streams):
        await streams.make()
        subject = f"{settings.namespace}.my_Strategy.X.buy.spot"
        await on.nats.jetstream().publish(subject, packed("0"), headers={"Nats-Msg-Id": "0"})
        await on.add(packed("0", "X"), packed("1", "X"))
        assert await on.relay.drain()
        assert await streams.kept() == ["0", "1"]


async def test_signals_wait_while_a_stream_is_full_and_then_go_out_in_order(settings):
    async with relay(settings, trim_interval_s=0) as (on, streams), running(on):
        await streams.make(discard=DiscardPolicy.NEW, max_msgs=2)
        await on.add(*map(packed, names(4)))

        async def full() -> bool:
            return "signals_wait" in found(on) and await on.unacknowledged() == 2

        await until(full)
        await on.streams.ask()
        assert "is full and refuses what is new" in found(on)["signals_wait"]
        assert found(on)["signals_wait"].startswith("fault: ")
        await on.add(*map(packed, names(2, first=4)))
        await streams.edit(max_msgs=100)

        async def all_relayed() -> bool:
            return on.counters.totals.of("relayed") == 6

        await until(all_relayed)
        assert await streams.kept() == names(6)
        await on.streams.ask()
        assert found(on) == {}


async def test_much_that_a_stream_refuses_holds_up_nothing_behind_it(settings):
    """What an earlier relay had taken, more of it than is read at once."""
    async with relay(settings, trim_interval_s=0.1) as (on, streams):
        await streams.make("S", "ETHUSDT", discard=DiscardPolicy.NEW, max_msgs=1)
        await on.add(*(packed(name, "ETHUSDT") for name in names(CHUNK + 2)), packed("last"))
        await on.redis.xreadgroup(GROUP, "earlier", {on.keys.signals: ">"})
        async with running(on):

            async def heard() -> bool:
                return on.counters.totals.of("relayed") == 2

            await until(heard)
        assert {json.loads(message.data)["id"] for message in on.heard if b"BTCUSDT" in message.data} == {"last"}
        assert await streams.kept("S") == ["0"]


async def test_what_one_stream_refuses_holds_up_no_other_signal(settings):
    async with relay(settings) as (on, streams):
        await streams.make("S", "BTCUSDT", discard=DiscardPolicy.NEW, max_msgs=1)
        await streams.make("T", "ETHUSDT")
        await on.add(packed("0"), packed("1"), packed("2", "ETHUSDT"), packed("3", "XRPUSDT"))
        assert not await on.relay.drain()
        assert (await streams.kept("S"), await streams.kept("T")) == (["0"], ["2"])
        assert (await on.unacknowledged(), on.counters.totals.of("relayed")) == (1, 3)
        assert "takes only some of" in found(on)["signals_unkept"]


async def test_a_sealed_stream_is_a_fault_and_its_signals_wait(settings):
    async with relay(settings) as (on, streams):
        await streams.make()
        await streams.edit(sealed=True)
        await on.streams.ask()
        assert "is sealed" in found(on)["signals_wait"]
        await on.add(packed("0"))
        assert not await on.relay.drain()
        assert (await on.unacknowledged(), await on.letters()) == (1, [])


async def test_a_signal_that_is_too_large_for_its_stream_is_a_dead_letter(settings):
    async with relay(settings) as (on, streams):
        await streams.make(max_msg_size=1_000)
        await on.add(packed("0"), packed("1", note="x" * 1_000), packed("2"))
        assert await on.relay.drain()
        assert await streams.kept() == ["0", "2"]
        [letter] = await on.letters()
        assert (letter.reason, await on.unacknowledged()) == ("unpublishable", 0)
        assert "message size exceeds maximum allowed" in letter.detail


async def test_a_stream_that_appears_while_it_runs_is_noticed(settings):
    async with relay(settings) as (on, streams):
        await on.add(packed("0"))
        assert await on.relay.drain()
        await streams.make()
        await on.add(packed("1"))
        assert await on.relay.drain()
        assert await streams.kept() == ["1"]
        assert on.streams.of(on.heard[-1].subject).startswith("S-")


async def test_a_stream_that_vanishes_while_it_runs_is_told_and_signals_go_on(settings):
    async with relay(settings, answer_s=0.2) as (on, streams):
        await streams.make()
        await on.add(packed("0"))
        assert await on.relay.drain()
        await streams.delete()
        await on.add(packed("1"))
        assert not await on.relay.drain()

        async def relayed() -> bool:
            return await on.relay.drain()

        await until(relayed)
        assert (on.counters.totals.of("relayed"), await on.unacknowledged()) == (2, 0)
        assert "no longer takes signals" in found(on)["signals_unkept"]


async def test_a_login_that_may_not_ask_for_streams_relays_and_is_told(settings):
    with Instance("relay") as instance:
        rights = instance.directory / "rights.conf"
        may = f'{{ publish: ["{settings.namespace}.>", "_INBOX.>"], subscribe: ">" }}'
        rights.write_text(f'authorization {{ users: [{{ user: us, password: "{SECRET}", permissions: {may} }}] }}')
        _, url = start_nats(instance, options=("--config", str(rights)))
        own = settings.model_copy(update={"nats_url": url, "nats_user": "us", "nats_password": SECRET})
        async with stage(own) as on:
            await on.create_group()
            await on.add(packed("0"))
            assert await on.relay.drain()
            await on.hears("0")
            assert "may not ask which streams" in found(on)["signals_unkept"]


async def test_a_subject_that_the_login_may_not_publish_holds_up_no_other(settings):
    with Instance("relay") as instance:
        rights = instance.directory / "rights.conf"
        may = '{ publish: ["*.*.ETHUSDT.>", "_INBOX.>", "$JS.API.>"], subscribe: ">" }'
        rights.write_text(f'authorization {{ users: [{{ user: us, password: "{SECRET}", permissions: {may} }}] }}')
        _, url = start_nats(instance, options=("--config", str(rights)))
        own = settings.model_copy(update={"nats_url": url, "nats_user": "us", "nats_password": SECRET})
        async with relay(own) as (on, streams):
            await streams.make()
            await on.add(packed("0", "BTCUSDT"), packed("1", "ETHUSDT"), packed("2", "XRPUSDT"), packed("3", "ETHUSDT"))
            assert not await on.relay.drain()
            assert await streams.kept() == ["1", "3"]
            assert (await on.unacknowledged(), on.counters.totals.of("relayed")) == (2, 2)


async def test_a_server_without_jetstream_has_no_streams(settings):
    with Instance("relay") as instance:
        _, url = start_nats(instance, jetstream=False)
        async with stage(settings.model_copy(update={"nats_url": url})) as on:
            await on.create_group()
            await on.add(packed("0"))
            assert await on.relay.drain()
            await on.hears("0")
            assert found(on) == {}
