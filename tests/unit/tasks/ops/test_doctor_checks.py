"""From what was seen to what is wrong: a table."""

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from tasks import configuration
from tasks.cli.main import app
from tasks.configuration.overlay import of_strategy
from tasks.ledger.heartbeats import LiveWorker
from tasks.ops import doctor_checks
from tasks.ops.doctor_checks import clock
from tasks.ops.doctor_facts import LedgerFacts, NatsFacts, PortFacts, QueueFacts, RedisFacts
from tasks.ops.doctor_probes import servers
from tasks.protocol.findings import Finding, age
from tasks.protocol.ingest_status import IngestStatus
from tasks.settings import Settings, load

FILE = configuration.check(
    {
        "pools": {
            "depth": {"kinds": ["depth"], "partitions": 2, "strategies": {"iceberg": {}}},
            "trade": {"kinds": ["trade"], "partitions": 2, "strategies": {"trade_momentum": {}, "price_velocity": {}}},
        }
    },
    "the test's file",
)
POOLS = FILE.routes()
#: What a Redis says that is as it should be.
INFO: dict[str, Any] = {
    "redis_version": "7.2.4",
    "role": "master",
    "maxmemory": 1000 * 2**20,
    "used_memory": 100 * 2**20,
    "maxmemory_policy": "noeviction",
    "aof_enabled": 1,
    "aof_last_write_status": "ok",
    "rdb_last_bgsave_status": "ok",
    "cluster_enabled": 0,
}


def redis_facts(roles: tuple[str, ...] = ("broker", "results", "ledger"), **info: Any) -> RedisFacts:
    return RedisFacts(roles, "redis://somewhere/0", "", 0.4, INFO | info, "", 0.01)


def kept_by(durability: str, **info: Any) -> RedisFacts:
    return msgspec.structs.replace(redis_facts(**info), durability=durability)


@pytest.mark.parametrize(
    ("roles", "expected"),
    [
        (("results",), [("warning", "results_away")]),
        (("broker", "results"), [("fault", "redis_away")]),
        (("ledger",), [("fault", "redis_away")]),
    ],
)
def test_a_silent_redis_is_a_fault_unless_it_has_results_alone(roles, expected):
    found = doctor_checks.redis(RedisFacts(roles, "redis://somewhere/0", "Timeout"))
    assert [(finding.sign, finding.name) for finding in found] == expected


def worker(name: str = "one", version: str = "1.0", clock_ahead_s: float = 0.0, *queues: str) -> LiveWorker:
    return LiveWorker(name, list(queues or ("depth", "trade")), 4, version, 1.0, clock_ahead_s)


def ledger_facts(*workers: LiveWorker, **other: Any) -> LedgerFacts:
    fields: dict[str, Any] = {
        "epochs": {0: "7.3f9a02c1"},
        "lanes": {"depth": 2, "trade": 1},
        "version": FILE.version,
        "file_version": FILE.version,
        "deadletters": 0,
        "deadletter_age_s": None,
    }
    return LedgerFacts(**(fields | other), workers=workers or (worker(),))


def wrong(findings: Iterable[Finding]) -> list[tuple[str, str]]:
    """Return sign and words of all that is not well; each of these says what to do."""
    found = [each for each in findings if each.sign != "ok"]
    assert all(each.do for each in found)
    return [(each.sign, f"{each.what}: {each.says}") for each in found]


def assert_said(findings: Iterable[Finding], *expected: tuple[str, str]) -> None:
    said = wrong(findings)
    assert [sign for sign, _ in said] == [sign for sign, _ in expected]
    assert all(words in text for (_, words), (_, text) in zip(expected, said, strict=True)), said


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (redis_facts(), []),
        (redis_facts(role="slave"), [("fault", "replica")]),
        (redis_facts(cluster_enabled=1), [("fault", "Cluster")]),
        (redis_facts(redis_version="6.2.14"), [("fault", "6.2.14 is too old")]),
        (redis_facts(redis_version="7.0.0"), []),
        (redis_facts(maxmemory_policy="allkeys-lru"), [("fault", "allkeys-lru")]),
        (redis_facts(("broker",), maxmemory_policy="allkeys-lru"), [("warning", "deletes tasks and results")]),
        (redis_facts(maxmemory=0), [("warning", "no maxmemory")]),
        (redis_facts(used_memory=800 * 2**20), []),
        (redis_facts(used_memory=801 * 2**20), [("warning", "80%")]),
        (redis_facts(used_memory=950 * 2**20), [("warning", "95%")]),
        (redis_facts(used_memory=951 * 2**20), [("fault", "95%")]),
        (redis_facts(aof_enabled=0), [("warning", "keeps nothing")]),
        (redis_facts(("broker",), aof_enabled=0), []),
        (redis_facts(connected_slaves=1), [("warning", "takes writes also while its replicas don't hear them")]),
        (redis_facts(connected_slaves=1, min_slaves_good_slaves=1), []),
        (kept_by("replica", connected_slaves=0), [("fault", "no replica is connected")]),
        (kept_by("replica", connected_slaves=1, min_slaves_good_slaves=1), []),
        (kept_by("disk"), []),
        (kept_by("disk", aof_enabled=0), [("warning", "keeps nothing"), ("fault", "appendonly is no")]),
        (redis_facts(rdb_last_bgsave_status="err"), [("fault", "rdb_last_bgsave_status is err")]),
        (redis_facts(aof_last_write_status="err"), [("fault", "aof_last_write_status is err")]),
        (RedisFacts(("ledger",), "u", "", 0.4, INFO | {"aof_enabled": 0}, "3600 1", 0.0), []),
        (RedisFacts(("ledger",), "u", "", 0.4, INFO | {"aof_enabled": 0}, None, None), []),
        (RedisFacts(("ledger",), "u", "", 45.0, INFO, "", 0.0), [("warning", "45.0 ms")]),
        (RedisFacts(("ledger",), "u", "", 0.4, INFO, "", -3.0), [("warning", "this machine is 3.0 s behind")]),
        (RedisFacts(("ledger",), "u", "Connection refused"), [("fault", "u: Connection refused")]),
        (RedisFacts(("ledger",), "u", refused=("may not run info",)), [("warning", "may not run info")]),
    ],
)
def test_redis_is_checked_by_what_it_says_of_itself(facts, expected):
    assert_said(doctor_checks.redis(facts), *expected)


def test_nobody_is_told_to_allow_what_shows_passwords():
    refusals = (
        "no permissions to run the 'config|get' command (NOPERM)",
        "no permissions to run the 'info' command (NOPERM)",
    )
    facts = RedisFacts(("ledger",), "u", refused=refusals)
    config, info = (finding.do for finding in doctor_checks.redis(facts) if "NOPERM" in finding.says)
    assert "don't allow it" in config
    assert info.startswith("allow this user to")


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (QueueFacts({"depth": 2, "trade": 0}, {}, {}), []),
        (QueueFacts({"depth": 3, "trade": 0}, {}, {}), [("warning", "queue depth: tasks: 3, lanes: 2")]),
        (QueueFacts({"depth": 1}, {"depth": 1}, {}), [("warning", "queue depth: 1 of its oldest")]),
        (QueueFacts({"trade": 1}, {}, {"trade": 1}), [("warning", "queue trade: 1 of its oldest")]),
        (QueueFacts({}, {}, {}, astray=4), [("warning", "queue celery: 4 tasks")]),
    ],
)
def test_a_queue_holds_our_tasks_only_and_not_more_than_there_are_lanes(facts, expected):
    assert_said(doctor_checks.queues(facts, POOLS), *expected)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (ledger_facts(), []),
        (ledger_facts(epochs={0: ""}), [("warning", "lanes: shard 0 has no epoch")]),
        (ledger_facts(epochs={0: "7.3f9a02c1", 1: ""}), [("warning", "lanes: shard 1 has no epoch")]),
        (ledger_facts(version="", file_version=""), []),
        (ledger_facts(version="changed"), []),
        (
            ledger_facts(version="changed", overlay=of_strategy("gone", {"gate.killed": True})),
            [("warning", "configuration gone.gate.killed: True was set at run time and is not used")],
        ),
        (ledger_facts(version="v", file_version="v"), [("warning", "version v is in force, not the file's")]),
        (
            ledger_facts(deadletters=1200, deadletter_age_s=7200.0),
            [("warning", "dead letters: 1,200, the newest 2 h old")],
        ),
        (ledger_facts(worker("a"), worker("b", "1.1")), [("warning", "different versions: 1.0, 1.1")]),
        (ledger_facts(worker("a", "1.0", 1.5)), [("warning", "worker a is 1.5 s ahead of")]),
        (ledger_facts(worker("a", "1.0", 0.0, "depth")), [("warning", "queue trade: no worker listens to it")]),
        (ledger_facts(worker("a", "1.0", 0.0, "depth"), worker("b", "1.0", 0.0, "trade")), []),
        # Another file's pools are not those that ingest sends to: it tells of its own.
        (
            ledger_facts(worker("a", "1.0", 0.0, "depth"), version="v", file_version="v"),
            [("warning", "version v is in force, not the file's")],
        ),
    ],
)
def test_the_ledger_says_who_works_and_what_was_left_behind(facts, expected):
    assert_said(doctor_checks.ledger(facts, FILE, "rs"), *expected)


def test_no_worker_at_all_is_one_finding_with_the_command_to_start_one():
    [finding] = doctor_checks.workers([], POOLS)
    assert (finding.sign, finding.name) == ("warning", "no_workers")
    assert finding.says.startswith("none lives")
    assert finding.do.endswith(" `./run celery -A tasks worker -Q depth,trade`")


def test_a_worker_of_sweeps_alone_serves_no_pool():
    found = list(doctor_checks.workers([worker("a", "1.0", 0.0, "research")], POOLS))
    assert [(finding.what, finding.name) for finding in found] == [("workers of sweeps", ""), ("workers", "no_workers")]


def test_a_worker_of_pools_and_sweeps_is_both():
    found = list(doctor_checks.workers([worker("a", "1.0", 0.0, "depth", "trade", "research")], POOLS))
    assert [(finding.sign, finding.what) for finding in found] == [("ok", "workers"), ("ok", "workers of sweeps")]


def test_a_ledger_can_be_checked_without_a_strategies_file():
    assert_said(doctor_checks.ledger(ledger_facts(epochs={0: ""}, lanes={}), None, "rs"), ("warning", "no epoch"))


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (NatsFacts("u", "", "2.15.1", jetstream=True, max_payload=2**20, ingest=(IngestStatus(0, 100, 0),)), []),
        (NatsFacts("u", "", "2.15.1", ingest=(IngestStatus(80, 100, 0),)), []),
        (NatsFacts("u", "", "2.15.1", ingest=(IngestStatus(81, 100, 0),)), [("warning", "ingest: answers, and holds")]),
        (
            NatsFacts("u", "", "2.15.1", ingest=(IngestStatus(0, 9, 0), IngestStatus(9, 9, 0, [], 1))),
            [("warning", "(shard 1): ")],
        ),
        (NatsFacts("u", "", "2.15.1"), [("fault", "ingest: does not answer")]),
        (NatsFacts("u", "Connection refused"), [("fault", "NATS: u: Connection refused")]),
    ],
)
def test_unavailable_nats_is_one_fault_and_a_silent_ingest_another(facts, expected):
    assert_said(doctor_checks.nats(facts), *expected)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (PortFacts("HTTP_PORT", "h:1", "ours"), []),
        (PortFacts("HTTP_PORT", "h:1", "nobody"), []),
        (PortFacts("HTTP_PORT", "h:0", "any"), []),
        (PortFacts("HTTP_PORT", "h:1", "ours", ("redis",)), [("warning", "not ready: redis")]),
        (PortFacts("HTTP_PORT", "h:1", "ours", ("redis",), (Finding("fault", "Redis", "unavailable"),)), []),
        (PortFacts("HTTP_PORT", "h:1", "other"), [("warning", "another program")]),
    ],
)
def test_a_port_is_ours_free_or_somebody_elses(facts, expected):
    assert_said([doctor_checks.port(facts)], *expected)


@pytest.mark.parametrize(
    ("ahead_s", "sign"), [(0.0, "ok"), (1.0, "ok"), (-1.0, "ok"), (1.01, "warning"), (-60.0, "warning")]
)
def test_clocks_may_differ_by_a_second(ahead_s, sign):
    assert clock("it", ahead_s).sign == sign


@pytest.mark.parametrize(
    ("seconds", "text"), [(-0.2, "0 s"), (59.4, "59 s"), (130.0, "2 min"), (7300.0, "2 h"), (400_000.0, "5 days")]
)
def test_an_age_is_given_in_the_largest_unit_that_fits(seconds, text):
    assert age(seconds) == text


def test_a_server_is_asked_once_whatever_it_is_for():
    one = Settings(redis_url="redis://a/0")
    assert servers(one) == {"redis://a/0": ("broker", "results", "ledger")}
    split = Settings(redis_url="redis://a/0", ledger_url="redis://b/0")
    assert servers(split) == {"redis://a/0": ("broker", "results"), "redis://b/0": ("ledger",)}


def test_each_fault_of_the_settings_has_its_line_and_nothing_else_is_asked(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HTTP_PORT", "x")
    monkeypatch.setenv("INGEST_SHRAD", "0/1")
    load.cache_clear()
    done = CliRunner().invoke(app, ["doctor"])
    load.cache_clear()
    assert done.exit_code == 1
    lines = done.output.splitlines()
    assert [line.split()[:2] for line in lines] == [["fault", "settings:"]] * 2
    assert "did you mean INGEST_SHARD" in lines[0]
    assert "HTTP_PORT" in lines[1]


def test_what_one_source_has_said_another_does_not_say_again():
    own = [Finding("ok", "NATS", "x"), Finding("fault", "NATS", "refused", "do", "nats_away")]
    queues = [Finding("warning", f"queue {pool}", "x", "do", "queue_unserved") for pool in ("a", "b")]
    of_ingest = [Finding("fault", "NATS", "no connection", "do", "nats_away"), Finding("ok", "NATS", "y")]
    assert list(doctor_checks.once(own, queues, of_ingest, queues)) == [*own, *queues, of_ingest[1]]


def test_what_two_sources_say_alike_is_said_once():
    feed = Finding("ok", "feed", "newest event 1 s ago, streams: 4")
    lanes = Finding("ok", "lanes", "epoch 1")
    assert list(doctor_checks.once([feed, lanes], [feed, Finding("ok", "feed", "no event yet")])) == [
        feed,
        lanes,
        Finding("ok", "feed", "no event yet"),
    ]
