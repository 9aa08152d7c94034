"""What a feed publishes into a stream is in it, each frame once and in order, whatever the server does meanwhile."""

from tests.support.feeds import until
from tests.support.servers.proxy import Proxy
from tests.support.stream_publishing import (
    QUICK,
    killed,
    made,
    numbers,
    publishing,
    put,
    server,
    stored,
    suspend,
    to_stream,
    until_messages,
)


async def test_a_server_that_is_killed_at_full_speed_loses_and_repeats_nothing(tmp_path):
    with server(tmp_path) as (instance, process, url):
        settings = to_stream(url)
        async with made(settings), publishing(settings) as publisher:
            given = 0
            for kills in (1, 2):
                goal = publisher.published + 3_000
                while publisher.published < goal:
                    await put(publisher, numbers(500, first=given + 1))
                    given += 500
                killed(instance, process)
                assert publisher._window.held > 0, "frames were in flight"
                await until(lambda: publisher.cuts == kills, "the cut")  # noqa: B023 at once
            await publisher.settle()
            publisher.verify()
        assert await stored(settings) == numbers(given)


async def test_frames_whose_confirmation_was_lost_are_stored_once(tmp_path):
    with server(tmp_path) as (_, _, url), Proxy(int(url.rpartition(":")[2])) as proxy:
        settings = to_stream(f"nats://127.0.0.1:{proxy.port}")
        direct = to_stream(url)
        async with made(direct) as client, publishing(settings) as publisher:
            await put(publisher, numbers(1))
            await publisher.settle()
            proxy.mute = True
            await put(publisher, numbers(500, first=2))
            await until_messages(client, direct, 501)
            assert publisher.published == 1
            proxy.cut()
            await until(lambda: publisher.cuts == 1, "the cut")
            proxy.mute = False
            await put(publisher, numbers(500, first=502))
            await publisher.settle()
            publisher.verify()
        assert await stored(direct) == numbers(1_001)


async def test_a_second_run_with_the_same_frames_is_no_repeat(tmp_path):
    with server(tmp_path) as (_, _, url):
        settings = to_stream(url)
        async with made(settings):
            for _ in range(2):
                async with publishing(settings) as publisher:
                    await put(publisher, numbers(10))
                    await publisher.settle()
        assert await stored(settings) == [*numbers(10), *numbers(10)]


async def test_frames_wait_until_there_is_a_stream_and_are_in_order(tmp_path):
    with server(tmp_path) as (_, _, url):
        settings = to_stream(url)
        async with publishing(settings, QUICK) as publisher:
            await put(publisher, numbers(100))
            await until(lambda: not publisher._flows, "a refusal")
            assert publisher._why == "no stream takes it"
            async with made(settings):
                await publisher.settle()
                publisher.verify()
        assert await stored(settings) == numbers(100)


async def test_a_server_that_hangs_gets_what_it_did_not_confirm_again(tmp_path):
    with server(tmp_path) as (_, process, url):
        settings = to_stream(url)
        async with made(settings), publishing(settings, QUICK) as publisher:
            await put(publisher, numbers(10))
            await publisher.settle()
            suspended = suspend(process)
            await put(publisher, numbers(10, first=11))
            await until(lambda: not publisher._flows, "nothing confirmed")
            suspended.resume()
            await publisher.settle()
            publisher.verify()
        assert await stored(settings) == numbers(20)
