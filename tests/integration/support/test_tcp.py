"""The TCP server of the tests leaves nothing behind, at whatever moment it ends."""

import asyncio
import gc
import socket
import warnings
from contextlib import suppress

import pytest

from tests.support.servers.tcp import tcp_connection, tcp_server
from tests.support.waiting import HANGS_S


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


def is_ended(client: socket.socket) -> bool:
    client.settimeout(HANGS_S)
    with suppress(ConnectionResetError):
        return client.recv(1) == b""
    return True


@pytest.mark.parametrize("turns", range(6))
async def test_a_client_that_comes_as_the_server_ends_is_closed(turns: int):
    """Between its connect and its serving lie some turns of the event loop; the server ends in each of them."""
    with warnings.catch_warnings(record=True, action="always") as caught:
        async with tcp_server(hang) as port:
            client = socket.create_connection(("127.0.0.1", port))
            for _ in range(turns):
                await asyncio.sleep(0)
        with client:
            assert is_ended(client)
        gc.collect()
    assert [str(warning.message) for warning in caught] == []


async def test_what_was_written_arrives_before_the_end():
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())

    async with tcp_server(answer) as port, tcp_connection(port) as (reader, writer):
        writer.write(b"hello\n")
        assert await reader.read() == b"hello\n"


async def test_what_the_server_raises_fails_the_test():
    async def fail(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise AssertionError("not what was expected")

    with pytest.raises(AssertionError, match="not what was expected"):
        async with tcp_server(fail) as port, tcp_connection(port) as (reader, _):
            assert await reader.read() == b""
