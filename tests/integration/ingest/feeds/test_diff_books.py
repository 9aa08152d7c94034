"""Books that the live feed keeps itself, against an exchange whose true book is known at every id."""

import asyncio
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from structlog.testing import capture_logs

from tasks.errors import ServerUnavailableError
from tasks.protocol import feed_report
from tasks.protocol.ingest_status import STATUS_SUBJECT
from tests.support.books.live import assert_books_are_true, books_of, live_books, newer_books
from tests.support.feeds import listening, until
from tests.support.live_feed import IMPATIENT
from tests.support.servers.diff_exchange import (
    DiffExchange,
    broken,
    fresh,
    late,
    not_served,
    old,
    too_often,
    unavailable,
)
from tests.support.waiting import HANGS_S


def ended(entries: list[Any]) -> Any:
    return next(entry for entry in entries if entry["event"] == "the local books have ended")


def is_connected_more_than(server: DiffExchange, times: int) -> bool:
    return server.connections > times


any_venue = pytest.mark.parametrize("venue", ["spot", "usdm"])


@any_venue
async def test_books_are_the_exchanges_at_every_id(nats_url, venue):
    server = DiffExchange(venue)
    async with live_books(nats_url, server, venue) as (listener, _):
        await until(lambda: len(listener.messages) > 100, "books")
    assert_books_are_true(listener, server)
    assert set(listener.subjects) == {"binance.btcusdt@depth5@100ms", "binance.ethusdt@depth5@100ms"}
    assert server.asked_for[0] == ["btcusdt@depth@100ms", "btcusdt@trade", "ethusdt@depth@100ms", "ethusdt@trade"]
    limit = {"spot": 5000, "usdm": 1000}[venue]
    assert server.asked_snapshots == [("BTCUSDT", limit), ("ETHUSDT", limit)]
    assert {book.venue for book in books_of(listener)} == {venue}
    # None was lost: every diff since the first published one is a book.
    market = server.markets["BTCUSDT"]
    published = [book.id for book in books_of(listener)]
    assert all(later - earlier <= (3 if venue == "spot" else 9) for earlier, later in pairwise(published)), market


@any_venue
async def test_a_lost_diff_is_counted_and_made_good_by_a_snapshot(nats_url, venue):
    server = DiffExchange(venue)
    with capture_logs() as entries:
        async with live_books(nats_url, server, venue) as (listener, _):
            await newer_books(listener, server)
            for streams in ({"btcusdt@depth@100ms"}, {"btcusdt@depth@100ms", "ethusdt@depth@100ms"}):
                server.lose |= streams
                await until(lambda: not server.lose, "the loss")
                await newer_books(listener, server)
    assert_books_are_true(listener, server)
    assert [symbol for symbol, _ in server.asked_snapshots[:3]] == ["BTCUSDT", "ETHUSDT", "BTCUSDT"]
    assert len(server.asked_snapshots) == 5
    assert ended(entries)["resyncs"] == {"gap": 3}
    lost = next(entry for entry in entries if entry["event"].startswith("a local book is lost"))
    assert (lost["symbol"], lost["why"], lost["so_far"]) == ("BTCUSDT", "gap", 1)


@pytest.mark.parametrize("answer", [old, broken, unavailable])
async def test_a_snapshot_that_cant_be_used_is_asked_for_again(nats_url, answer):
    """Also one that is older than the diffs."""
    server = DiffExchange("spot", answers=[answer, answer, answer, fresh])
    async with live_books(nats_url, server) as (listener, task):
        await newer_books(listener, server)
        assert not task.done()
    assert_books_are_true(listener, server)
    assert len(server.asked_snapshots) >= 5


async def test_a_late_snapshot_is_brought_up_by_the_diffs_that_waited(nats_url):
    server = DiffExchange("usdm", answers=[late])
    async with live_books(nats_url, server, "usdm") as (listener, _):
        await newer_books(listener, server)
    assert_books_are_true(listener, server)
    assert len(server.asked_snapshots) == 2


async def test_an_exchange_that_was_asked_too_often_is_left_alone(nats_url):
    server = DiffExchange("spot", answers=[too_often, fresh])
    with capture_logs() as entries:
        async with live_books(nats_url, server) as (listener, _):
            await until(lambda: listener.messages, "books")
    assert server.asked_at_s[1] - server.asked_at_s[0] >= 1.0
    (warning,) = [entry for entry in entries if "too often" in entry["event"]]
    assert (warning["for_s"], warning["why"]) == (1.0, 'HTTP 429 {"code": -1003, "msg": "Too many requests."}')


async def test_a_link_that_is_opened_again_resyncs_its_books(nats_url):
    """Unless nothing was lost between two connections: then the books go on."""
    server = DiffExchange("spot")
    with capture_logs() as entries:
        async with live_books(nats_url, server) as (listener, _):
            for connections in (1, 2, 3):
                await newer_books(listener, server)
                assert server.connections == connections
                server.cut = True
                await until(partial(is_connected_more_than, server, connections), "another connection")
            await newer_books(listener, server)
    assert_books_are_true(listener, server)
    assert ended(entries)["snapshots"] == 2 + ended(entries)["resyncs"].get("gap", 0)


async def test_a_country_that_gets_no_snapshots_ends_the_feed_in_one_line(nats_url):
    server = DiffExchange("spot", answers=[not_served])
    async with live_books(nats_url, server) as (_, task):
        with pytest.raises(ServerUnavailableError, match=r"/depth refuses snapshots: HTTP 451 .*restricted") as ended:
            await asyncio.wait_for(task, HANGS_S)
    assert "\n" not in str(ended.value)


async def test_a_book_that_waits_for_its_snapshot_is_reported_to_ingest(nats_url):
    server = DiffExchange("spot", answers=[unavailable])
    books = ["btcusdt@depth5@100ms", "ethusdt@depth5@100ms"]
    async with listening(nats_url, STATUS_SUBJECT) as told, live_books(nats_url, server, timeouts=IMPATIENT):

        def named() -> list[list[str]]:
            reports = [feed_report.decode(request) for request in told.frames]
            return [[each.stream for each in report.named if "depth" in each.stream] for report in reports if report]

        await until(lambda: books in named(), "a report")
        server.answers = [fresh]
        await until(lambda: not named()[-1], "a report without them")
