"""What the suite measures with: the verdict, the faults inside of processes, the proxy."""

import inspect
import itertools
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.ledger import LedgerKeys
from tasks.ledger.key_types import typed_keys
from tests.faults import to_ledger
from tests.faults.verdict import Event, Row, out_of_order, repeated, table
from tests.faults.wrapped import Fault, count, happens
from tests.support.servers.proxy import Proxy
from tests.support.waiting import HANGS_S, wait_for

RIGHT = [Event("a", 1), Event("b", 7), Event("a", 2), Event("b", 5), Event("a", 3)]


def test_only_events_of_different_records_may_come_in_any_order():
    assert out_of_order([RIGHT[1], RIGHT[0], RIGHT[3], RIGHT[2], RIGHT[4]], RIGHT) == 0
    assert out_of_order([RIGHT[0], RIGHT[4], RIGHT[2], RIGHT[3], RIGHT[1]], RIGHT) == 2


def test_an_event_that_is_there_three_times_is_repeated_twice():
    assert repeated(RIGHT) == 0
    assert repeated([*RIGHT, RIGHT[0], RIGHT[0]]) == 2


def test_the_table_has_a_line_for_each_case_and_aligned_columns():
    lines = table(
        [Row("x", "core", 1, 0, 0, 0, 0, 0, 1.25, 3, 4), Row("longer", "jetstream", 100, 0, 0, 0, 0, 0, 0.0, 0, 0)]
    )
    assert len(lines) == 3
    assert len({len(line) for line in lines}) == 1
    assert lines[1].split()[:3] == ["x", "core", "1"]


def test_a_fault_happens_at_every_so_many_calls_and_only_so_often(tmp_path: Path):
    fault = Fault(kind="ignore", every=3, at_most=2, counters=str(tmp_path / "counters"))
    calls = itertools.count(1)
    assert [happens(fault, calls) for _ in range(12)] == [False, False, True] * 2 + [False] * 6
    assert count(fault) == 2


def test_every_key_of_the_ledger_is_damaged():
    """But for those of deliveries, which nobody else reads."""
    keys = LedgerKeys("n")
    methods = {name for name, _ in inspect.getmembers(keys, inspect.ismethod) if not name.startswith("_")}
    assert to_ledger.by_name(keys).keys() == vars(keys).keys() - to_ledger.NO_KEYS | methods - {
        "of_batches",
        "delivery",
    }


def test_a_key_of_another_type_is_named_whichever_it_is():
    """But for starts, which the scripts name themselves."""
    keys = LedgerKeys("n")
    every = {key for name, its in to_ledger.by_name(keys).items() if name != "starts" for key in its}
    assert {each.key for each in typed_keys(keys, [0], to_ledger.POOLS)} == every


@pytest.fixture
def echo() -> Iterator[int]:
    """A server that sends back what it gets; its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

        def answer(connection: socket.socket) -> None:
            with connection:
                while data := connection.recv(4096):
                    connection.sendall(data)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxy(echo: int) -> Iterator[Proxy]:
    with Proxy(echo) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: Proxy) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=HANGS_S) as client:
        yield client


def round_trip_s(client: socket.socket, data: bytes = b"x") -> float:
    began_s = time.monotonic()
    client.sendall(data)
    left = len(data)
    while left:
        left -= len(client.recv(4096))
    return time.monotonic() - began_s


def test_the_proxy_delays_each_way(proxy: Proxy, client: socket.socket):
    round_trip_s(client)
    proxy.latency_s = 0.1
    assert round_trip_s(client) >= 0.2


def test_the_proxy_carries_only_so_many_bytes_a_second(proxy: Proxy, client: socket.socket):
    round_trip_s(client)
    proxy.bytes_per_s = 20_000
    round_trip_s(client, b"x" * 4_000)
    assert round_trip_s(client) > 0.1


def test_a_silent_proxy_keeps_what_it_got_until_it_speaks_again(proxy: Proxy, client: socket.socket):
    round_trip_s(client)
    proxy.silent = True
    client.sendall(b"later")
    client.settimeout(0.2)
    with pytest.raises(TimeoutError):
        client.recv(16)
    proxy.silent = False
    client.settimeout(HANGS_S)
    assert client.recv(16) == b"later"


def test_a_cut_ends_open_connections_and_new_ones_work(proxy: Proxy, client: socket.socket):
    round_trip_s(client)
    proxy.cut()

    def has_ended() -> bool:
        try:
            return client.recv(16) == b""
        except ConnectionResetError:
            return True

    wait_for(has_ended, "the end")
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=HANGS_S) as again:
        round_trip_s(again)
