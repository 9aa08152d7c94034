"""Collects the doctor's facts from Redis, NATS and the ports of this machine. Changes nothing; waits a few seconds."""

import asyncio
import http.client
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from typing import Any, TypeVar

import msgspec
import redis
from nats.errors import Error as NatsError
from nats.js.errors import Error as JetStreamError

from tasks.clients.nats_client import NatsClient
from tasks.clients.redis_client import FAILED, connect, connection_options
from tasks.errors import UNREADABLE, SettingsError
from tasks.ops.doctor_facts import NatsFacts, PortFacts, QueueFacts, RedisFacts
from tasks.protocol.findings import Finding
from tasks.protocol.ingest_status import EACH_SHARD, STATUS_SUBJECT, IngestStatus, decode
from tasks.protocol.routing import Pool
from tasks.protocol.task_name import TASK_NAME
from tasks.settings import Settings, mask

T = TypeVar("T")

#: How long one answer may take.
ANSWER_S = 3.0
#: How long after the first shard another one may answer.
OTHERS_S = 0.3
#: Ours say less; who else listens there may never end.
_ANSWER_BYTES = 64 * 1024
#: How many of the oldest entries of a queue are looked at.
LOOKED_AT = 5
#: Parts of /ready that are well when they are false.
_NO_PARTS = {"ok", "stopping", "standing_by"}


class _TaskHeaders(msgspec.Struct):
    task: str


class _QueuedTask(msgspec.Struct):
    """The fields of a Celery message that are read."""

    headers: _TaskHeaders


_message = msgspec.json.Decoder(_QueuedTask).decode


def client(settings: Settings, url: str) -> redis.Redis:
    """Return a client that gives up soon. Raises ValueError: not a URL of Redis."""
    patience = {"socket_timeout": ANSWER_S, "socket_connect_timeout": ANSWER_S}
    # No PING before the first command: a Redis that can't write to its disk refuses it, and answers all that is asked.
    patience["health_check_interval"] = 0
    return connect(settings, url, **connection_options() | patience)


def ledger_name(settings: Settings, number: int) -> str:
    """Return what a ledger is called: with its number, where there are several."""
    return f"ledger of shard {number}" if len(settings.ledgers) > 1 else "ledger"


def servers(settings: Settings) -> dict[str, tuple[str, ...]]:
    """Return the URL of each Redis server, and what it is for."""
    ledgers = {ledger_name(settings, number): url for number, url in enumerate(settings.ledgers)}
    roles = {"broker": settings.broker, "results": settings.results} | ledgers
    return {url: tuple(role for role, its in roles.items() if its == url) for url in dict.fromkeys(roles.values())}


def ask_redis(settings: Settings, url: str, roles: tuple[str, ...]) -> RedisFacts:
    """Return the facts of one server; where it can't be reached, `unavailable` is the reason: nothing is raised.

    `roles` are what it is to us: broker, results, a ledger. What it refuses to tell stands in `refused`.
    """
    refused: list[str] = []

    def told(call: Callable[[], T]) -> T | None:
        try:
            return call()
        except redis.exceptions.NoPermissionError as error:
            refused.append(f"{error} (NOPERM)")
        except redis.ResponseError as error:
            # Hosted servers have no CONFIG.
            if not str(error).startswith("unknown command"):
                raise
            refused.append(str(error))
        return None

    shown = mask(url)
    try:
        with client(settings, url) as server:
            # The first opens the connection.
            took_s = [told(lambda: _timed(server.time)) or 0.0 for _ in range(4)][1:]
            info: Any = told(server.info) or {}
            # Asked only where it matters: who may ask for it may also read the passwords in the configuration.
            save: Any = None if info.get("aof_enabled") else told(lambda: server.config_get("save"))
            ahead_s = told(lambda: _ahead_s(server))
    except (*FAILED, ValueError) as error:
        return RedisFacts(roles, shown, unavailable=str(error) or type(error).__name__)
    saves = save.get("save") if save is not None else None
    told_once, durability = tuple(dict.fromkeys(refused)), settings.ledger_durability
    return RedisFacts(roles, shown, "", min(took_s) * 1_000, info, saves, ahead_s, told_once, durability)


def _timed(call: Callable[[], Any]) -> float:
    started_s = time.perf_counter()
    call()
    return time.perf_counter() - started_s


def _ahead_s(server: redis.Redis) -> float:
    before_s = time.time()
    now_s, now_us = server.time()
    return (before_s + time.time()) / 2 - (now_s + now_us / 1e6)


def ask_queues(settings: Settings, pools: Sequence[Pool]) -> QueueFacts:
    """Return the tasks that wait at the broker. Raises what Redis raises."""
    with client(settings, settings.broker) as broker, broker.pipeline(transaction=False) as pipe:
        for name in (*(pool.name for pool in pools), "celery"):
            pipe.llen(f"{settings.celery_prefix}{name}")
        *waiting, astray = pipe.execute()
        for pool in pools:
            # Celery takes from the right.
            pipe.lrange(f"{settings.celery_prefix}{pool.name}", -LOOKED_AT, -1)
        names = [[_task(entry) for entry in entries] for entries in pipe.execute()]
    named = dict(zip((pool.name for pool in pools), names, strict=True))
    return QueueFacts(
        dict(zip(named, waiting, strict=True)),
        {pool: sum(name not in {TASK_NAME, None} for name in its) for pool, its in named.items()},
        {pool: its.count(None) for pool, its in named.items()},
        astray,
    )


def _task(entry: bytes) -> str | None:
    """Return the name of a task in a queue; None for what is no Celery message."""
    try:
        return _message(entry).headers.task
    except UNREADABLE:
        return None


def ask_nats(settings: Settings) -> NatsFacts:
    """Return the state of NATS, and of ingest behind it."""
    return asyncio.run(_ask_nats(settings))


async def _ask_nats(settings: Settings) -> NatsFacts:
    shown, heard = mask(settings.nats_url), list[str]()

    async def hear(error: Exception) -> None:
        heard.append(_why(error))

    nats: NatsClient | None = None
    try:
        nats = NatsClient(settings)
        async with asyncio.timeout(3 * ANSWER_S):
            await nats.open(
                "doctor",
                hear,
                connect_timeout=int(ANSWER_S),
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
            )
            with_jetstream = await _has_jetstream(nats)
            ingest = await _ask_ingest(nats, settings.namespace)
            version = nats.connected_server_version
            numbers = f"{version.major}.{version.minor}.{version.patch}"
            return NatsFacts(shown, "", numbers, with_jetstream, nats.max_payload, ingest)
    except SettingsError as error:
        return NatsFacts(shown, unavailable=str(error).removeprefix(f"NATS at {shown} "))
    except (NatsError, OSError, ValueError) as error:
        return NatsFacts(shown, unavailable=next(iter(heard), _why(error)))
    finally:
        if nats:
            await nats.close()


def _why(error: Exception) -> str:
    known = isinstance(error, OSError) and (error.errno or 0) > 0
    return os.strerror(error.errno or 0) if known else str(error) or "does not answer"  # type: ignore[attr-defined]


async def _has_jetstream(nats: NatsClient) -> bool:
    try:
        await nats.jetstream(timeout=ANSWER_S).account_info()
    except (JetStreamError, NatsError):
        return False
    return True


async def _ask_ingest(nats: NatsClient, namespace: str) -> tuple[IngestStatus, ...]:
    """Return the status of every shard of the pipeline that answers within a short time after the first answer."""
    answers: list[IngestStatus] = []
    inbox = nats.new_inbox()
    subscription = await nats.subscribe(inbox)
    await nats.publish(STATUS_SUBJECT, EACH_SHARD, reply=inbox)
    # Where nobody listens the server says so, which is no answer of ingest.
    with suppress(NatsError, msgspec.DecodeError):
        while True:
            answer = await subscription.next_msg(timeout=OTHERS_S if answers else ANSWER_S)
            answers.append(decode(answer.data))
    ours = (status for status in answers if status.namespace in {None, namespace})
    return tuple(sorted(ours, key=lambda status: status.shard))


def ask_port(setting: str, host: str, port: int) -> PortFacts:
    """Return what listens on a port of this machine and whether it is ready."""
    address = f"{'127.0.0.1' if host in {'0.0.0.0', '::', ''} else host}:{port}"  # noqa: S104 compared, not bound
    if not port:
        return PortFacts(setting, address, "any")
    try:
        with closing(http.client.HTTPConnection(address, timeout=ANSWER_S)) as connection:
            connection.request("GET", "/ready")
            answer: Any = msgspec.json.decode(connection.getresponse().read(_ANSWER_BYTES))
    except ConnectionRefusedError:
        return PortFacts(setting, address, "nobody")
    except (OSError, http.client.HTTPException, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return PortFacts(setting, address, "other")
    if not isinstance(answer, dict) or "ok" not in answer:
        return PortFacts(setting, address, "other")
    unwell = tuple(name for name, well in answer.items() if well is False and name not in _NO_PARTS)
    return PortFacts(setting, address, "ours", () if answer["ok"] else unwell or ("stopping",), _findings(answer))


def _findings(answer: Mapping[str, Any]) -> tuple[Finding, ...]:
    """Return what /ready of an ingest finds; a worker's, and that of a release before, say nothing."""
    try:
        return msgspec.convert(answer.get("findings", ()), tuple[Finding, ...])
    except msgspec.ValidationError:
        return ()
