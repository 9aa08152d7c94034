"""What each login of docs/security.md can do on NATS: each cell of its table, tried as that login on a server that asks for one."""

import asyncio
from collections.abc import Iterator
from typing import NamedTuple

import nats
import pytest
from nats.aio.client import Client
from nats.errors import Error

from compose.local.processes import Instance
from compose.local.servers import start_nats
from ingest.transport.flush import confirm_published
from tests.support.servers import security_page
from tests.support.servers.guarded_servers import PERMISSIONS, Guarded
from tests.support.waiting import HANGS_S

HEAD = "with its login on NATS, may"


class Deed(NamedTuple):
    """Subjects of which one is enough."""

    publish: tuple[str, ...] = ()
    subscribe: tuple[str, ...] = ()


#: By what the table calls it.
DEEDS = {
    "publish frames": Deed(("binance.btcusdt@trade",)),
    "read frames": Deed((), ("binance.>", "binance.btcusdt@trade")),
    "publish signals": Deed(("signals.depth.BTCUSDT",)),
    "read signals": Deed((), ("signals.>", "signals.depth.BTCUSDT")),
    "say that ingest is healthy, or raise alerts": Deed(
        ("evaluator.realtime-strategies.verdict", "alerts.realtime-strategies.redis_away")
    ),
    "ask ingest for its status": Deed(("ingest.status",)),
    "answer in the place of ingest": Deed((), ("ingest.status",)),
    "read what ingest is answered": Deed((), (">", "_INBOX.>", "_INBOX.ingest.>")),
    "forge what ingest is answered": Deed(("_INBOX.ingest.1.2",)),
    "read what feeds are answered": Deed((), ("_INBOX.feed.>",)),
    "forge what feeds are answered": Deed(("_INBOX.feed.1.2",)),
    "create the stream of frames": Deed(("$JS.API.STREAM.CREATE.FRAMES",)),
    "read the stream of frames": Deed(("$JS.API.CONSUMER.CREATE.FRAMES.x", "$JS.API.STREAM.MSG.GET.FRAMES")),
    "remove consumers of the stream of frames": Deed(("$JS.API.CONSUMER.DELETE.FRAMES.x",)),
    "purge, change or delete the stream of frames": Deed(
        tuple(f"$JS.API.STREAM.{verb}.FRAMES" for verb in ("PURGE", "UPDATE", "DELETE", "MSG.DELETE", "RESTORE"))
    ),
    "touch streams of signals, or of others": Deed(
        tuple(
            f"$JS.API.{verb}.{stream}"
            for stream in ("SIGNALS", "OTHERS")
            for verb in (
                "STREAM.CREATE",
                "STREAM.PURGE",
                "STREAM.UPDATE",
                "STREAM.DELETE",
                "STREAM.MSG.GET",
                "CONSUMER.CREATE",
            )
        )
    ),
    "change or delete recordings for sweeps": Deed(("$O.research.C.x", "$JS.API.STREAM.PURGE.OBJ_research")),
    "see what the server and others do": Deed((), ("$SYS.>", "$JS.EVENT.>")),
}
LAST = "nobody.may"


@pytest.fixture(scope="module")
def guarded() -> Iterator[Guarded]:
    with Instance("rights") as instance:
        yield Guarded(instance, "redis://127.0.0.1:1/0")


async def _do(client: Client) -> None:
    for deed in DEEDS.values():
        for subject in deed.publish:
            await client.publish(subject, b"")
        for subject in deed.subscribe:
            await client.subscribe(subject)


async def _refused(guarded: Guarded, login: str) -> list[str]:
    """Return what the server refuses of everything that is tried as this login, as it says it."""
    said, refused_last = list[str](), asyncio.Event()

    async def hear(error: Exception) -> None:
        said.append(str(error).lower())
        if LAST in said[-1]:
            refused_last.set()

    seed = str(guarded.instance.directory / f"{login}.nk")
    client = await nats.connect(guarded.nats_url, nkeys_seed=seed, error_cb=hear, allow_reconnect=False)
    try:
        await _do(client)
        await client.publish(LAST, b"")
        async with asyncio.timeout(HANGS_S):
            await refused_last.wait()
    finally:
        await client.close()
    return said


@pytest.fixture(scope="module")
def refused(guarded: Guarded) -> dict[str, list[str]]:
    """Return what is refused, by login."""
    return {login: asyncio.run(_refused(guarded, login)) for login in PERMISSIONS}


def _is_allowed(deed: Deed, refused: list[str]) -> bool:
    tried = [("publish", subject) for subject in deed.publish] + [("subscription", each) for each in deed.subscribe]
    return not all(
        any(f'violation for {how} to "{subject.lower()}"' in its for its in refused) for how, subject in tried
    )


@pytest.mark.parametrize(("deed", "login", "may"), security_page.cells(HEAD))
def test_a_login_of_nats_may_do_what_the_table_says(refused: dict[str, list[str]], deed: str, login: str, may: str):
    assert ("yes" if _is_allowed(DEEDS[deed], refused[login]) else "no") == may


def test_the_table_has_every_deed_and_every_login():
    cells = security_page.table(HEAD)
    assert list(cells) == list(DEEDS)
    assert {tuple(row) for row in cells.values()} == {tuple(PERMISSIONS)}


async def test_the_login_of_research_fetches_more_than_the_server_sends_unasked(guarded: Guarded):
    """From about 2 MB on, the server waits for an answer on `$JS.FC.>`, for which a permission is needed too."""
    seed, content = str(guarded.instance.directory / "research.nk"), bytes(8 * 2**20)
    client = await nats.connect(guarded.nats_url, nkeys_seed=seed, inbox_prefix="_INBOX.research")
    try:
        bucket = await client.jetstream().create_object_store("research")
        await bucket.put("recording", content)
        async with asyncio.timeout(HANGS_S):
            assert (await bucket.get("recording")).data == content
    finally:
        await client.close()


async def test_a_server_without_logins_lets_anybody_do_all_of_it():
    """But for hearing what the server itself does, on `$SYS.>`: that is not said to any of them."""
    said = list[str]()

    async def hear(error: Exception) -> None:
        said.append(str(error))

    with Instance("open") as instance:
        client = await nats.connect(start_nats(instance)[1], error_cb=hear, allow_reconnect=False)
        try:
            await _do(client)
            await confirm_published(client)
        finally:
            await client.close()
    assert said == []


async def test_nobody_gets_in_without_a_login(guarded: Guarded):
    async def ignore(_: Exception) -> None:
        """Nothing: what `connect` raises is enough."""

    client = Client()
    try:
        with pytest.raises(Error):
            await client.connect(guarded.nats_url, error_cb=ignore, allow_reconnect=False, max_reconnect_attempts=0)
    finally:
        await client.close()
