"""A real Prometheus over a running pipeline: what stops raises its alert, and the alert ends when it is back."""

import json
import re
import shutil
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

import pytest
import yaml

from compose.local.processes import ROOT, Process
from compose.local.servers import HOST, free_port, start_nats
from compose.local.stack import Plan, Stack
from tests.support.needs import missing
from tests.support.stacks.pipeline import running
from tests.support.waiting import wait_for

pytestmark = pytest.mark.ci

SHIPPED = ROOT / "compose" / "observability"
_SECONDS = {"s": 1, "m": 60, "h": 3600}


def faster(rules: dict[str, Any], times: int) -> dict[str, Any]:
    """Return the rules with every `for` so many times shorter, and without intervals of their own."""
    if times == 1:
        return rules
    for group in rules["groups"]:
        group.pop("interval", None)
        for rule in group["rules"]:
            if "for" in rule:
                number, unit = re.fullmatch(r"(\d+)([smh])", rule["for"]).groups()  # type: ignore[union-attr]  # or fail
                rule["for"] = f"{int(number) * _SECONDS[unit] * 1000 // times}ms"
    return rules


class Prometheus:
    """Debian's, with the shipped configuration, at other addresses and so many times faster, and data of its own."""

    def __init__(self, stack: Stack, times: int) -> None:
        program = shutil.which("prometheus")
        if not program:
            missing("there is no prometheus here: Debian has it in the package prometheus")
        directory = stack.instance.directory / "prometheus"
        directory.mkdir()
        rules = faster(yaml.safe_load((SHIPPED / "rules.yaml").read_text()), times)
        (directory / "rules.yaml").write_text(yaml.safe_dump(rules))
        configuration = yaml.safe_load((SHIPPED / "prometheus.yaml").read_text())
        targets = {"ingest": [stack.http_port], "worker": stack.worker_ports}
        configuration["scrape_configs"] = [
            {"static_configs": [{"targets": [f"{HOST}:{port}" for port in targets[job["job_name"]]]}]}
            | {name: job[name] for name in ("job_name", "scrape_interval") if name in job}
            for job in configuration["scrape_configs"]
            if job["job_name"] in targets
        ]
        if times > 1:
            for job in configuration["scrape_configs"]:
                job.pop("scrape_interval", None)
            interval = f"{10_000 // times}ms"
            configuration["global"] = {
                "scrape_interval": interval,
                "scrape_timeout": interval,
                "evaluation_interval": interval,
            }
        (directory / "prometheus.yaml").write_text(yaml.safe_dump(configuration))
        address = f"{HOST}:{free_port()}"
        arguments = [
            f"--config.file={directory}/prometheus.yaml",
            f"--storage.tsdb.path={directory}/data",
            f"--web.listen-address={address}",
        ]
        self._url = f"http://{address}/api/v1"
        self.process = stack.instance.start("prometheus", [program, *arguments])

    def _ask(self, path: str) -> Any:
        with suppress(OSError), urllib.request.urlopen(f"{self._url}/{path}", timeout=5) as answer:  # noqa: S310 fixed
            return json.load(answer)["data"]
        return {}

    def firing(self) -> set[str]:
        return {each["labels"]["alertname"] for each in self._ask("alerts")["alerts"] if each["state"] == "firing"}

    def wait_until(self, alert: str, *, fires: bool) -> float:
        """Wait until an alert fires or does not, and give how long that took in seconds."""
        began_s = time.monotonic()
        wait_for(lambda: (alert in self.firing()) is fires, f"{alert}, firing: {fires}")
        return time.monotonic() - began_s

    def value(self, expression: str) -> float:
        """Return the value of an expression, 0 where there is none."""
        result = self._ask(f"query?query={quote(expression)}").get("result")
        return float(result[0]["value"][1]) if result else 0.0


class Fault(NamedTuple):
    """One way to break the pipeline, and to fix it."""

    alert: str
    stop: Callable[[Stack], None]
    start: Callable[[Stack], None]


def stop_workers(stack: Stack) -> None:
    stack.instance.stop(*stack.workers)


def kill_workers(stack: Stack) -> None:
    for worker in stack.workers:
        stack.instance.kill(worker)


def start_workers(stack: Stack) -> None:
    for worker in stack.workers:
        stack.instance.start_again(worker)


def start_nats_again(stack: Stack) -> None:
    stack.nats, _ = start_nats(stack.instance, port=urlsplit(stack.nats_url).port or 0)


def start_redis_again(stack: Stack) -> None:
    stack.instance.start_again(stack.redis)


def the_feed(stack: Stack) -> Process:
    return next(process for process in stack.instance.processes if process.name == "feed")


def kill_the_only_worker_of_a_queue(stack: Stack) -> None:
    """Have another worker serve all queues but one, and when ingest knows that, kill the one that serves them all."""
    other, one = stack.workers
    stack.instance.stop(other)
    other.restart_as([word.replace("trade,", "") for word in other.command])
    stack.instance.start_again(other)
    wait_for(lambda: stack.known_workers() == 2, "the other worker")
    stack.instance.kill(one)


def start_it_again(stack: Stack) -> None:
    stack.instance.start_again(stack.workers[1])


#: When times are shorter: longer than a loaded machine is seen to hold a feed up.
QUIET_S = 5
FEED = Fault(
    "FeedQuiet",
    lambda stack: stack.instance.stop(the_feed(stack)),
    lambda stack: stack.instance.start_again(the_feed(stack)),
)
NATS = Fault("NatsAway", lambda stack: stack.instance.kill(stack.nats), start_nats_again)
REDIS = Fault("RedisAway", lambda stack: stack.instance.kill(stack.redis), start_redis_again)
STOPPED = Fault("NoWorkers", stop_workers, start_workers)
KILLED = Fault("NoWorkers", kill_workers, start_workers)
UNSERVED = Fault("QueueUnserved", kill_the_only_worker_of_a_queue, start_it_again)


@pytest.mark.parametrize(
    ("workers", "times", "faults"),
    [
        pytest.param(1, 20, (FEED, STOPPED, NATS, REDIS), id="twenty times faster"),
        pytest.param(1, 1, (FEED, NATS, REDIS), id="as shipped", marks=[pytest.mark.slow, pytest.mark.timeout(600)]),
        pytest.param(2, 1, (UNSERVED,), id="a queue that nobody serves", marks=pytest.mark.slow),
        pytest.param(1, 20, (KILLED,), id="killed workers", marks=pytest.mark.slow),
    ],
)
def test_a_part_that_stops_raises_its_alert_until_it_is_back(
    workers: int, times: int, faults: tuple[Fault, ...], capsys
):
    environment = {"FEED_QUIET_S": str(QUIET_S)} if times > 1 else {}
    with running(Plan(workers, "solo", environment=environment)) as stack:
        prometheus = Prometheus(stack, times)
        stack.start_feed(["simulate"])
        wait_for(lambda: prometheus.value('min(up{job=~"ingest|worker"}) * sum(ingest_events_total)'), "a scrape")
        said = []
        for fault in faults:
            # given: this alert does not fire
            assert fault.alert not in prometheus.firing()
            # when
            fault.stop(stack)
            # then
            after_s = prometheus.wait_until(fault.alert, fires=True)
            # when
            fault.start(stack)
            # then
            over_s = prometheus.wait_until(fault.alert, fires=False)
            said.append(f"{fault.alert} after {after_s:.1f} s, over {over_s:.1f} s after the start")
    with capsys.disabled():
        print(f"\n{'; '.join(said)}")
