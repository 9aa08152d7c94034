"""Redis refuses something in the middle of a script: it has done nothing then, and all of it once Redis lets it.

What is tried is read in the scripts' own texts: a command or a key that is new is tried too.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis

from compose.local.processes import Instance
from compose.local.servers import HOST, free_port, start_redis
from tests.support.ledger_scripts import FOLDER, NAMES, Scene, Stage, commands
from tests.support.needs import missing
from tests.support.waiting import wait_for

REFUSED = redis.exceptions.ResponseError
SECRET = "not-known"  # noqa: S105 of a user that a test makes
LAST_ID = f"{2**64 - 1}-{2**64 - 1}"


def _valkey(instance: Instance) -> str:
    return start_redis(instance)[1]


def _redis(instance: Instance) -> str:
    program = shutil.which("redis-server") or missing("Debian's redis-server is not installed")
    port = free_port()
    instance.start("redis", [program, "--bind", HOST, "--port", str(port), "--save", ""])
    url = f"redis://{HOST}:{port}/0"
    with redis.Redis.from_url(url) as client:
        wait_for(lambda: _answers(client), "Redis")
    return url


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


@pytest.fixture(scope="module", params=[_valkey, pytest.param(_redis, marks=pytest.mark.slow)])
def server(request: pytest.FixtureRequest) -> Iterator[redis.Redis]:
    """A server of this module's own: it is emptied, filled up and told whom to refuse what."""
    with Instance("scripts") as instance, redis.Redis.from_url(request.param(instance)) as client:
        yield client


@pytest.fixture
def stage(server: redis.Redis, name: str) -> Stage:
    return Stage(server, name)


@contextmanager
def user_without(server: redis.Redis, command: str) -> Iterator[redis.Redis]:
    where = server.get_connection_kwargs()
    server.execute_command("ACL", "SETUSER", "us", "on", f">{SECRET}", "~*", "&*", "+@all", f"-{command}")  # type: ignore[no-untyped-call]  # redis-py's gap
    with redis.Redis(host=where["host"], port=where["port"], username="us", password=SECRET) as client:
        try:
            yield client
        finally:
            server.execute_command("ACL", "DELUSER", "us")  # type: ignore[no-untyped-call]  # redis-py's gap


def refused(stage: Stage, scene: Scene, client: redis.Redis) -> bool:
    """Run the scene; whether it changed nothing, as one that raises must."""
    before, raised = stage.dump(), False
    try:
        scene.run(client)
    except REFUSED:
        raised = True
    is_unchanged = stage.dump() == before
    assert is_unchanged or not raised
    return is_unchanged


@pytest.mark.parametrize(("name", "command"), [(name, command) for name in NAMES for command in commands(name)])
def test_a_script_without_the_right_to_one_command_does_nothing(stage: Stage, server: redis.Redis, command: str):
    was_refused = []
    for scene in stage.scenes:
        whole = stage.whole(scene)
        stage.reset()
        with user_without(server, command) as user:
            was_refused.append(refused(stage, scene, user))
        if was_refused[-1]:
            scene.run(server)
        assert stage.content() == whole
    assert any(was_refused)


def of_another_type(stage: Stage, key: str) -> None:
    stage.client.rpush(key, "neither a hash nor a stream nor a string")


def used_up(stage: Stage, key: str) -> None:
    stage.client.xadd(key, {"signal": "the last one"}, id=LAST_ID)


def used_up_but_for_one(stage: Stage, key: str) -> None:
    stage.client.xadd(key, {"signal": "the last one but one"}, id=f"{2**64 - 1}-{2**64 - 2}")


def try_key(stage: Stage, scene: Scene, key: str, spoil: Callable[[Stage, str], None]) -> bool:
    """Run a scene with one key spoilt, and again with the key as it was; whether the first was refused."""
    whole = stage.whole(scene)
    stage.reset()
    kept = stage.client.dump(key)
    if spoil is of_another_type:
        stage.client.delete(key)
    spoil(stage, key)
    was_refused = refused(stage, scene, stage.client)
    if was_refused:
        stage.client.delete(key)
        if kept:
            stage.client.restore(key, 0, kept)
        scene.run(stage.client)
        assert stage.content() == whole
    else:
        left = stage.content()
        whole.pop(key, None)
        left.pop(key, None)
        assert left == whole
    return was_refused


@pytest.mark.parametrize("name", NAMES)
def test_a_script_that_finds_a_key_of_another_type_does_nothing(stage: Stage):
    for scene in stage.scenes:
        tried = [try_key(stage, scene, key, of_another_type) for key in scene.keys]
        assert any(tried)


@pytest.mark.parametrize("spoil", [used_up, used_up_but_for_one])
@pytest.mark.parametrize(
    "name", ["acknowledge", "checkpoint", "commit", "configure", "delivery_commit", "reset", "seed"]
)
def test_a_script_that_finds_a_stream_without_ids_does_nothing(stage: Stage, spoil: Callable[[Stage, str], None]):
    for scene in stage.scenes:
        stage.whole(scene)
        streams = [key for key in scene.keys if stage.client.type(key) == b"stream"]
        tried = [try_key(stage, scene, key, spoil) for key in streams]
        assert any(tried)


def test_these_scripts_are_all_that_append():
    appending = {name for name in NAMES if "XADD" in commands(name)}
    assert appending == {
        "acknowledge", "checkpoint", "commit", "configure", "delivery_commit", "prune", "reset", "seed",
    }  # fmt: skip


#: What Redis says at the first write: it is full, or nobody follows it.
SERVER_FAULTS = {"maxmemory": ("1", "0"), "min-replicas-to-write": ("1", "0")}


@pytest.mark.parametrize("setting", SERVER_FAULTS)
@pytest.mark.parametrize("name", NAMES)
def test_a_script_that_a_full_or_lonely_redis_refuses_does_nothing(stage: Stage, server: redis.Redis, setting: str):
    fault, none = SERVER_FAULTS[setting]
    for scene in stage.scenes:
        whole = stage.whole(scene)
        stage.reset()
        server.config_set(setting, fault)
        try:
            was_refused = refused(stage, scene, server)
        finally:
            server.config_set(setting, none)
        if was_refused:
            scene.run(server)
        assert stage.content() == whole


@pytest.mark.parametrize("name", ["release_start"])
def test_a_start_is_released_on_a_full_redis(stage: Stage, server: redis.Redis):
    server.config_set("maxmemory", "1")
    try:
        for scene in stage.scenes:
            assert not refused(stage, scene, server)
    finally:
        server.config_set("maxmemory", "0")


@pytest.mark.parametrize("stored", ["no number", str(2**63 - 1), "-7", "007", "1.5", ""])
@pytest.mark.parametrize("name", [name for name in NAMES if "HINCRBY" in commands(name)])
def test_a_script_that_finds_text_for_a_number_is_not_torn(stage: Stage, stored: str):
    for scene in stage.scenes:
        whole = stage.whole(scene)
        for key, field in stage.numbers():
            stage.reset()
            stage.client.hset(key, field, stored)
            if not refused(stage, scene, stage.client):
                assert _without(stage.content(), key, field) == _without(whole, key, field)


#: Where JSON of ours belongs: no JSON, another kind of value, numbers that JSON can't write again, and too deep.
NO_JSON_OF_OURS = [
    "{",
    "7",
    "null",
    "[1]",
    '{"grumpy":7}',
    '{"grumpy":{}}',
    '{"grumpy":{"event":"s@9","at_s":"never","stopped":false,"why":""}}',
    '{"grumpy":{"event":"s@9","at_s":1e999,"stopped":false,"why":""}}',
    '{"other":1e999}',
    '{"other":' + "[" * 999 + "]" * 999 + "}",
]


@pytest.mark.parametrize("stored", NO_JSON_OF_OURS)
@pytest.mark.parametrize("name", ["strike"])
def test_a_strike_that_finds_no_json_of_ours_is_not_torn(stage: Stage, stored: str):
    for scene in stage.scenes:
        whole = stage.whole(scene)
        stage.reset()
        _, pool, _ = scene.keys
        stage.client.hset(pool, scene.arguments[7], stored)
        scene.run(stage.client)
        assert stage.content() == whole


def test_these_scripts_are_all_that_read_json():
    assert [name for name in NAMES if "cjson" in (FOLDER / f"{name}.lua").read_text()] == ["strike"]


def _without(content: dict[str, Any], key: str, field: bytes) -> dict[str, Any]:
    held, ends = content.get(key, ({}, False))
    return content | {key: ({name: value for name, value in held.items() if name != field}, ends)}
