"""`./run tasks deliver` as a process: webhooks to a receiver that fails on request, lines to a file, texts of a template."""

import fcntl
import json
import os
import subprocess
import sys
import termios
import time
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis

from compose.local.processes import Instance, Process
from compose.local.servers import HOST, free_port, start_redis
from tasks.deliver.signature import headers
from tasks.settings.delivery import webhook_keys
from tests.support.servers.receiver import SECRET, Deliveries, Reaction, Received, identified, logged, port_of, receiver
from tests.support.service import get
from tests.support.waiting import HANGS_S, wait_for

SIGNALS = 40
WEBHOOK = ("webhook", "--from", "start", "--timeout", "1")


@pytest.fixture
def client(redis_url: str):
    with redis.Redis.from_url(redis_url) as client:
        yield client


def commit(client: redis.Redis, namespace: str, *numbers: int) -> None:
    for number in numbers:
        client.xadd(f"{namespace}:signals", {"signal": identified(number)})


def without_repeats(ids: list[str]) -> list[str]:
    return list(dict.fromkeys(ids))


def unread_bytes(process: subprocess.Popen[bytes]) -> int:
    assert process.stdout
    counted = fcntl.ioctl(process.stdout, termios.FIONREAD, bytes(4))
    return int.from_bytes(counted, sys.byteorder)


def check_requests(requests: list[Received]) -> None:
    """Check that each is signed, and that what failed was sent again, the same, before anything else."""
    for failed, again in pairwise(requests):
        if failed.did != "ok":
            assert (again.body, again.headers["webhook-id"]) == (failed.body, failed.headers["webhook-id"])
        if failed.did == "429":
            assert again.at_s - failed.at_s >= 1
    for each in requests:
        stamp = int(each.headers["webhook-timestamp"])
        expected = headers(json.loads(each.body)["id"], stamp, each.body, webhook_keys(SECRET))
        assert expected.items() <= dict(each.headers).items()


def test_all_arrive_in_order_whatever_the_receiver_does_and_kill_9(redis_url, namespace, client):
    """A kill between sending and committing repeats at most the one signal, with its id; nothing is lost."""
    commit(client, namespace, *range(SIGNALS))
    with Instance("deliver") as instance, receiver() as listening:
        secrets = {"DELIVER_WEBHOOK_URL": f"{listening.url}/token-in-the-path", "DELIVER_WEBHOOK_SECRET": SECRET}
        deliveries = Deliveries(instance, redis_url, namespace, **secrets)
        processes = list[Process]()

        def kill() -> None:
            instance.kill(processes[-1])

        ok, waits = Reaction("ok"), Reaction("429", {"retry-after": "1"})
        listening.plan.extend(
            [ok, Reaction("500"), Reaction("503"), ok, waits, ok, Reaction("hang"), ok, Reaction("reset")]
        )
        listening.plan.extend([ok, ok, Reaction("ok", before=kill), ok, ok, Reaction("reset", before=kill), ok])
        processes.append(deliveries.start(*WEBHOOK))
        for _ in range(2):
            wait_for(lambda: processes[-1].returncode is not None, f"a kill{processes[-1].tail()}")
            processes.append(deliveries.start(*WEBHOOK))
        wait_for(lambda: str(SIGNALS - 1) in listening.taken(), f"the last signal{processes[-1].tail()}")

        ids = listening.taken()
        assert without_repeats(ids) == [str(number) for number in range(SIGNALS)]
        assert len(ids) - SIGNALS <= 1
        check_requests(listening.requests)
        processes[-1].terminate()
        wait_for(lambda: processes[-1].returncode is not None, "a clean end")
        assert processes[-1].returncode == 0
        stored = client.hgetall(f"{namespace}:delivery:webhook")
        assert (int(stored[b"passed"]), client.exists(f"{namespace}:delivery:webhook:lease")) == (SIGNALS, 0)
        said = "".join(process.log.read_text() for process in processes)
        assert "token-in-the-path" not in said
        assert SECRET.removeprefix("whsec_") not in said


def test_what_holds_a_delivery_up_is_told_and_it_goes_on(redis_url, namespace, client):
    commit(client, namespace, 1)
    with Instance("deliver") as instance, receiver() as listening:
        listening.always = Reaction("503", body=b"closed")
        secrets = {"DELIVER_WEBHOOK_URL": listening.url, "DELIVER_WEBHOOK_SECRET": SECRET}
        process = Deliveries(instance, redis_url, namespace, **secrets).start(*WEBHOOK)
        port = port_of(process)
        wait_for(lambda: get(port, "/ready")[0] == 503, "the trouble")
        assert json.loads(get(port, "/ready")[1])["troubles"] == {"receiver": "the receiver answers 503: closed"}
        assert 'deliver_receiver_up{delivery="webhook",kind="webhook"} 0.0' in get(port, "/metrics")[1]
        assert get(port, "/healthz")[0] == 200
        listening.always = Reaction("ok")
        wait_for(lambda: get(port, "/ready")[0] == 200, f"the end of it{process.tail()}")
        assert listening.taken() == ["1"]
        assert len(logged(process, "nothing is delivered, trying again")) == 1


def test_a_second_process_of_the_name_stands_by_and_takes_over(redis_url, namespace, client):
    with Instance("deliver") as instance, receiver() as listening:
        secrets = {"DELIVER_WEBHOOK_URL": listening.url, "DELIVER_WEBHOOK_SECRET": SECRET}
        deliveries = Deliveries(instance, redis_url, namespace, **secrets)
        first = deliveries.start(*WEBHOOK)
        wait_for(lambda: logged(first, "delivering"), f"the first{first.tail()}")
        second = deliveries.start(*WEBHOOK)
        told = "standing by: another process delivers under this name"
        wait_for(lambda: logged(second, told), f"the second{second.tail()}")
        commit(client, namespace, 1)
        wait_for(lambda: listening.taken() == ["1"], "the first signal")
        instance.kill(first)
        commit(client, namespace, 2)
        # The first may have been killed after its signal was taken and before it had committed that.
        wait_for(lambda: without_repeats(listening.taken()) == ["1", "2"], f"the second signal{second.tail()}")
        assert logged(second, "delivering")


@pytest.mark.ci
def test_a_redis_that_ended_is_told_and_once_it_is_back_signals_go_on(tmp_path):
    kept = ("--appendonly", "yes", "--appendfsync", "always", "--dir", str(tmp_path))
    with Instance("deliver") as instance, receiver() as listening:
        port = free_port()
        server, url = start_redis(instance, port=port, options=kept)
        secrets = {"DELIVER_WEBHOOK_URL": listening.url, "DELIVER_WEBHOOK_SECRET": SECRET}
        process = Deliveries(instance, url, "rs", **secrets).start(*WEBHOOK)
        http = port_of(process)
        with redis.Redis.from_url(url) as client:
            commit(client, "rs", 1)
        wait_for(lambda: listening.taken() == ["1"], f"the first signal{process.tail()}")
        instance.kill(server)
        wait_for(lambda: get(http, "/ready")[0] == 503, "the trouble")
        assert list(json.loads(get(http, "/ready")[1])["troubles"]) == ["redis"]
        start_redis(instance, "redis-again", port=port, options=kept)
        with redis.Redis.from_url(url) as client:
            commit(client, "rs", 2, 3)
        wait_for(lambda: "3" in listening.taken(), f"the last signal{process.tail()}")
        assert without_repeats(listening.taken()) == ["1", "2", "3"]
        wait_for(lambda: get(http, "/ready")[0] == 200, "the end of the trouble")
        assert process.returncode is None


@pytest.mark.ci
def test_a_signal_that_no_replica_has_is_not_delivered():
    with Instance("deliver") as instance, receiver() as listening:
        _, url = start_redis(instance, "master", options=("--repl-diskless-sync-delay", "0"))
        secrets = {"DELIVER_WEBHOOK_URL": listening.url, "DELIVER_WEBHOOK_SECRET": SECRET}
        process = Deliveries(instance, url, "rs", LEDGER_DURABILITY="replica", **secrets).start(*WEBHOOK)
        http = port_of(process)
        with redis.Redis.from_url(url) as client:
            commit(client, "rs", 1)
        wait_for(lambda: get(http, "/ready")[0] == 503, "the trouble")
        assert "redis" in json.loads(get(http, "/ready")[1])["troubles"]
        assert listening.taken() == []
        start_redis(instance, "replica", options=("--replicaof", HOST, str(urlsplit(url).port)))
        wait_for(lambda: listening.taken() == ["1"], f"the signal{process.tail()}")


#: Every combination is there five times.
MIXED = [
    {"strategy": strategy, "symbol": symbol, "action": action, "confidence": confidence}
    for _ in range(5)
    for strategy in ("iceberg", "orderbook_skew", "trade_momentum")
    for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT")
    for action in ("buy", "sell", "hold")
    for confidence in (0.69, 0.7)
]
CHOSEN = (
    *("--strategy", "iceberg", "--strategy", "trade_momentum", "--symbol", "btcusdt", "--symbol", "SOLUSDT"),
    *("--action", "buy", "--min-confidence", "0.7"),
)
RATE = 10


def test_lines_are_the_signals_that_were_chosen_at_the_rate_over_kill_9(redis_url, namespace, client, tmp_path):
    packed = [identified(number, **each) for number, each in enumerate(MIXED)]
    chosen = [
        line
        for line, each in zip(packed, MIXED, strict=True)
        if each["strategy"] != "orderbook_skew" and each["symbol"] != "ETHUSDT"
        if each["action"] == "buy" and each["confidence"] == 0.7
    ]
    for line in packed:
        client.xadd(f"{namespace}:signals", {"signal": line})
    file = tmp_path / "signals.jsonl"
    file.touch()
    words = ("deliver", "stdout", "--from", "start", *CHOSEN, "--rate", str(RATE))
    command = ["bash", "-c", f'exec "$@" >> {file}', "bash", sys.executable, "-m", "tasks", *words]
    environment = os.environ | {"REDIS_URL": redis_url, "NAMESPACE": namespace, "DELIVER_HTTP_PORT": "0"}
    with Instance("deliver") as instance:
        first = instance.start("deliver", command, environment)
        wait_for(lambda: len(lines(file)) >= len(chosen) // 2, f"half of them{first.tail()}")
        assert len(lines(file)) <= most(first)
        instance.kill(first)
        by_first = len(lines(file))
        second = instance.start("deliver-again", command, environment)
        wait_for(lambda: chosen[-1] in lines(file), f"the last one{second.tail()}")
        assert len(lines(file)) - by_first <= most(second)
        second.terminate()
        wait_for(lambda: second.returncode is not None, "a clean end")
    written = lines(file)
    assert list(dict.fromkeys(written)) == chosen
    assert len(written) - len(chosen) <= 1
    assert second.returncode == 0


def lines(file: Path) -> list[bytes]:
    return file.read_bytes().splitlines()


def most(process: Process) -> float:
    """Return how many lines a process may have written by now, at the rate: the first one without a wait."""
    [began] = wait_for(lambda: logged(process, "delivering"), f"its begin{process.tail()}")
    return RATE * (time.time() - datetime.fromisoformat(began["timestamp"]).timestamp()) + 1


def test_a_text_is_what_the_template_of_the_command_line_says(redis_url, namespace, client):
    client.xadd(f"{namespace}:signals", {"signal": identified(1, action="buy", price=60_000.5, confidence=0.72)})
    with Instance("deliver") as instance, receiver() as listening:
        chat = {"DELIVER_TELEGRAM_TOKEN": "12:secret", "DELIVER_TELEGRAM_CHAT": "-100"}
        deliveries = Deliveries(instance, redis_url, namespace, DELIVER_TELEGRAM_URL=listening.url, **chat)
        template = "{action} {symbol} at {price:.2f}, {confidence:.0%}; stop {stop_loss}"
        process = deliveries.start("telegram", "--from", "start", "--template", template)
        [request] = wait_for(lambda: listening.requests, f"the text{process.tail()}")
    assert json.loads(request.body)["text"] == "buy BTCUSDT at 60000.50, 72%; stop -"


@pytest.mark.slow  # it waits for as long as a stop may take
def test_a_reader_that_reads_nothing_does_not_keep_a_delivery_from_ending(redis_url, namespace, client):
    for number in range(300):
        client.xadd(f"{namespace}:signals", {"signal": identified(number, rationale="long" * 250)})
    environment = os.environ | {"REDIS_URL": redis_url, "NAMESPACE": namespace, "DELIVER_HTTP_PORT": "0"}
    command = [sys.executable, "-m", "tasks", "deliver", "stdout", "--from", "start"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
        # A pipe holds 64 KiB.
        wait_for(lambda: unread_bytes(process) > 50_000, "a full pipe")
        process.terminate()
        assert process.wait(HANGS_S) == 0
