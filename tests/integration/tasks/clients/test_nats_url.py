"""NATS_URL against real servers: a login in percent signs, and websockets."""

import asyncio
from typing import Any

import pytest

from compose.local.processes import Instance
from compose.local.servers import free_port, start_nats
from tasks.clients.nats_client import NatsClient
from tasks.ops.doctor_probes import ask_nats
from tasks.settings import Settings
from tests.support.feeds import until
from tests.support.servers.nats_logins import Certificates
from tests.support.waiting import HANGS_S

#: feed er, p@ss:w/rd
LOGIN = "feed%20er:p%40ss%3Aw%2Frd"
AUTHORIZATION = 'authorization { user: "feed er", password: "p@ss:w/rd" }'

needs_aiohttp = pytest.mark.filterwarnings("ignore:parameter 'timeout' of type:DeprecationWarning")


class Server:
    """A NATS that listens for plain clients and for websockets, with and without TLS."""

    def __init__(self, instance: Instance, certificates: Certificates, *, tls: bool) -> None:
        port, pem = free_port(), certificates.server
        how = f'tls {{ cert_file: "{pem}", key_file: "{pem}" }}' if tls else "no_tls: true"
        file = instance.directory / f"tls-{tls}.conf"
        file.write_text(f'websocket {{ host: "127.0.0.1", port: {port}, {how} }}\n{AUTHORIZATION}\n')
        options = ("--config", str(file))
        _, plain = start_nats(instance, f"nats-tls-{tls}", jetstream=False, options=options)
        self.plain = plain.replace("//", f"//{LOGIN}@")
        self.websocket = f"{'wss' if tls else 'ws'}://{LOGIN}@127.0.0.1:{port}"


@pytest.fixture(scope="module")
def server(instance: Instance, certificates: Certificates) -> Server:
    return Server(instance, certificates, tls=False)


def echo(settings: Settings) -> bytes:
    """Send a message to oneself."""

    async def talk() -> bytes:
        client = NatsClient(settings)
        try:
            async with asyncio.timeout(HANGS_S):
                await client.open("test", _fail)
                subscription = await client.subscribe("a.>")
                await client.publish("a.b", b"x" * 100_000)
                return (await subscription.next_msg(5)).data
        finally:
            await client.close()
            # aiohttp ends a connection over TLS a moment after it was told to.
            sockets: Any = asyncio.get_running_loop()
            await until(lambda: len(sockets._selector.get_map()) <= 1, "the end of its connections")

    return asyncio.run(talk())


async def _fail(error: Exception) -> None:
    raise error


def test_a_login_in_percent_signs_is_the_one_that_the_server_knows(server: Server):
    assert len(echo(Settings(nats_url=server.plain))) == 100_000
    assert not ask_nats(Settings(nats_url=server.plain)).unavailable


@needs_aiohttp
@pytest.mark.parametrize("tls", [False, True])
def test_websockets_carry_what_plain_connections_carry(instance, certificates, server, tls):
    url = (Server(instance, certificates, tls=True) if tls else server).websocket
    settings = Settings(nats_url=url, nats_tls_ca=certificates.ca if tls else "")
    assert len(echo(settings)) == 100_000
    assert tls or not ask_nats(settings).unavailable  # it leaves a connection over TLS to the end of its process
