"""Changing the configuration through the command line, against an ingest process that runs."""

import json
import os
import uuid

import pytest
import redis

from tasks.configuration import Configuration
from tasks.configuration.named_strategies import apply
from tasks.ledger.configurations import ConfigurationStore, ConflictError
from tests.support.service import Ingest, ingest
from tests.support.starting import start
from tests.support.waiting import wait_for


@pytest.fixture
def service(nats_url, redis_url, namespace):
    with ingest(nats_url, redis_url, namespace) as running:
        running.wait_ready()
        yield running


@pytest.fixture(scope="module")
def unchanged(nats_url, redis_url):
    """One for all that is refused."""
    with ingest(nats_url, redis_url, f"t{uuid.uuid4().hex[:12]}") as running:
        running.wait_ready()
        yield running


def tasks(service: Ingest, *words: str) -> tuple[int, str]:
    done = start(["tasks", "strategies", *words], os.environ | service.environment)
    return done.returncode, done.stdout + done.stderr


def versions(service: Ingest) -> list[str]:
    return [change.version for change in ConfigurationStore(service.settings).history()]


def test_a_change_reaches_ingest_at_once_and_keeps_author_and_reason(service):
    status, said = tasks(
        service, "set", "orderbook_skew", "levels=7", "--symbol", "ethusdt", "--author", "ann", "--reason", "try"
    )
    assert status == 0
    assert "pools.depth.strategies.orderbook_skew.symbols.ETHUSDT.levels: default → 7" in said
    wait_for(lambda: service.logged("another configuration is in force"))
    first, second = ConfigurationStore(service.settings).history()
    assert (first.author, first.previous) == ("strategies file", "")
    assert (second.author, second.reason, second.previous) == ("ann", "try", first.version)
    status, said = tasks(service, "get", "orderbook_skew")
    assert "pools.depth.strategies.orderbook_skew.symbols.ETHUSDT.levels = 7" in said


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (("set", "orderbook_skew", "levls=7"), "did you mean 'levels'?"),
        (("set", "orderbook_skew", "levels=0", "notional=-1"), "notional: must be above 0"),
        (("set", "orderbok_skew", "levels=7"), "did you mean orderbook_skew?"),
        (("set", "all", "levels=7"), "for all strategies only gates and the paper account can be set"),
        (("set", "orderbook_skew", "gate.kiled=true"), "gate.kiled: there is no such name"),
        (("set", "orderbook_skew", "levels"), "'levels' is not NAME=VALUE, such as levels=10"),
        (("pause", "dept"), "there is no pool 'dept'; known: "),
        (("rollback", "0123"), "the ledger holds no configuration '0123'"),
        (("rollback",), "there is no earlier configuration"),
    ],
)
def test_a_bad_change_is_refused_in_words_and_changes_nothing(unchanged, words, fault):
    before = versions(unchanged)
    status, said = tasks(unchanged, *words)
    assert (status, fault in said, "Traceback" in said) == (1, True, False), said
    assert versions(unchanged) == before


def test_of_two_authors_who_change_the_same_version_only_the_first_wins(service):
    store = ConfigurationStore(service.settings)
    base = store.in_force()
    store.write(base.stored, apply(base.configuration, "orderbook_skew", {"levels": 6}), (), "ann", "")
    with pytest.raises(ConflictError, match="in force by now"):
        store.write(base.stored, apply(base.configuration, "orderbook_skew", {"levels": 7}), (), "bob", "")
    assert store.read(store.version()).pools["depth"].strategies["orderbook_skew"].params == {"levels": 6}


def restart(service: Ingest) -> None:
    service.process.terminate()
    service.wait_end()
    service.instance.start_again(service.process)
    service.wait_ready()


def test_a_kill_outlives_a_restart_and_an_edit_of_the_file(service, tmp_path):
    tasks(service, "kill", "all")
    tasks(service, "set", "trade_momentum", "notional=7")
    killed = versions(service)[-1]
    restart(service)
    assert service.logged("epoch started")[-1]["configuration"] == killed
    file = tmp_path / "strategies.toml"
    file.write_text('[pools.trade]\nkinds = ["trade"]\n[pools.trade.strategies.trade_momentum]\nnotional = 9\n')
    service.process.environment["STRATEGIES_FILE"] = str(file)
    restart(service)
    store = ConfigurationStore(service.settings)
    assert store.history()[-1].reason == "the strategies file was edited"
    now = store.in_force().configuration
    assert service.logged("epoch started")[-1]["configuration"] == now.version != killed
    assert now.gate.killed
    # Both changed this key: the runtime value stays, and everything that tells of findings tells it.
    assert now.pools["trade"].strategies["trade_momentum"].params == {"notional": 7}
    [said] = [
        each for each in json.loads(service.get("/ready")[1])["findings"] if each["name"] == "configuration_overlay"
    ]
    assert "7 was set at run time and stays, though the strategies file says 9" in said["says"]
    wait_for(lambda: [each for each in service.logged("finding") if each["name"] == "configuration_overlay"])
    tasks(service, "reset", "trade_momentum")
    assert store.in_force().configuration.pools["trade"].strategies["trade_momentum"].params == {"notional": 9}
    wait_for(lambda: "configuration_overlay" not in service.get("/ready")[1])


def test_what_an_emptied_redis_has_lost_is_put_back_by_ingest(service):
    tasks(service, "set", "orderbook_skew", "levels=7")
    changed = versions(service)[-1]
    wait_for(lambda: service.logged("another configuration is in force"))
    client = redis.Redis.from_url(service.settings.redis_url)
    for key in client.scan_iter(f"{service.settings.namespace}:*"):
        client.delete(key)
    store = ConfigurationStore(service.settings)
    wait_for(lambda: store.version() == changed, "the configuration to be back")
    assert isinstance(store.read(changed), Configuration)


def test_a_file_with_a_fault_in_its_parameters_stops_the_start(service, tmp_path):
    file = tmp_path / "faulty.toml"
    file.write_text('[pools.trade]\nkinds = ["trade"]\n[pools.trade.strategies.trade_momentum]\nthreshhold = 1\n')
    process = service.instance.start(
        "faulty", [*service.process.command], service.process.environment | {"STRATEGIES_FILE": str(file)}
    )
    wait_for(lambda: process.returncode is not None)
    assert process.returncode == 1
    assert "did you mean 'threshold'?" in process.tail(3)
