"""Each time limit that the docs state covers the periods behind it.

Tests with processes wait for a condition: on a busy machine they may do so for a minute, and prove no limit. What makes
up a limit is added up here instead, from the constants and files that are in force. What a part does in its period is
tested beside it, on a clock of the test's.
"""

import re
from functools import cache
from typing import NamedTuple

import pytest
import yaml

from compose.local import processes
from compose.local.processes import ROOT
from ingest import service
from ingest.feeds.link import TIMEOUTS
from ingest.monitoring import feed_stream, health, recent_counts, unused_frames
from ingest.page import http
from ingest.transport import connection
from tasks.ledger import heartbeats, lease
from tasks.protocol import strikes
from tasks.settings import Settings
from tasks.worker import control_commands, run_watch
from tests.unit.deployment.test_rules import ALERTS, GROUPS, HERE

_UNITS_S = {"s": 1, "m": 60, "h": 3600}


def seconds(text: str) -> float:
    """Return what Prometheus means by 5s, 2m or 1h."""
    [(number, unit)] = re.findall(r"^(\d+)([smh])$", text)
    return int(number) * _UNITS_S[unit]


def setting(name: str) -> float:
    """Return the default of a setting."""
    return float(Settings.model_fields[name].default)


def scraped_s() -> float:
    """Return how long ingest's metrics wait for Prometheus, of Compose or of Kubernetes."""
    jobs = yaml.safe_load((HERE / "prometheus.yaml").read_text())["scrape_configs"]
    monitors = yaml.safe_load_all((ROOT / "k8s/components/monitoring/monitors.yaml").read_text())
    [compose] = [job["scrape_interval"] for job in jobs if job["job_name"] == "ingest"]
    [k8s] = [
        monitor["spec"]["podMetricsEndpoints"][0]["interval"]
        for monitor in monitors
        if (monitor["kind"], monitor["metadata"]["name"]) == ("PodMonitor", "ingest")
    ]
    return max(seconds(compose), seconds(k8s))


def alerted_s(alert: str) -> float:
    """Return the longest time from a change of a metric of ingest until its alert fires."""
    [group] = [group for group in GROUPS if ALERTS[alert] in group["rules"]]
    # A group without an interval of its own has Prometheus's, which is not ours in Kubernetes.
    return scraped_s() + seconds(group["interval"]) + seconds(ALERTS[alert].get("for", "0s"))


#: A worker that was killed may have written its last heartbeat just before.
DEATH_S = heartbeats.ALIVE_S + service.PROBE_WORKERS_S
#: A worker announces its queues, sooner where they have changed; a notice tells ingest at once.
CHANGE_S = heartbeats.EVERY_S
NATS_SILENT_S = service.PROBE_S + connection.ANSWER_S
#: A run that hangs and ignores its timer, until its process is ended.
HANG_S = setting("run_limit_s") + run_watch.GRACE_S + run_watch.POLL_S


class Limit(NamedTuple):
    """A sentence of the docs, the seconds that it states, and the sum of the periods behind it."""

    page: str
    sentence: str
    stated_s: float
    sum_s: float


LIMITS = [
    # Workers
    Limit("docs/observability.md", "heartbeat for 10 s | at once; 11 s after a kill |", 11, DEATH_S),
    Limit("docs/observability.md", "from the queue of a pool | 3 s; 11 s after a kill |", 3, CHANGE_S),
    Limit("docs/docker.md", "within 15 s the page, `/ready` and the doctor report the missing worker", 15,
          DEATH_S + http.TICK_S),
    Limit("docs/page.md", "the number of workers follows a death within 15 s", 15, DEATH_S + http.TICK_S),
    Limit("docs/observability.md", "`QueueUnserved` fires within 15 s of a worker's death, or of its leaving a queue", 15,
          max(DEATH_S, CHANGE_S) + alerted_s("QueueUnserved")),
    Limit("docs/observability.md", "the last ten minutes ([security.md](security.md)) | 3 s |", 3, heartbeats.EVERY_S),
    # Servers
    Limit("docs/observability.md", "no connection, or no answer for 5 s | 7 s |", 7, NATS_SILENT_S),
    Limit("docs/page.md", 'The chip "NATS" turns red within 10 s of the server\'s last answer', 10,
          NATS_SILENT_S + http.TICK_S),
    Limit("docs/observability.md", "above `INGEST_REDIS_FULL` | 3 s |", 3, service.PROBE_SERVERS_S),
    # The feed
    Limit("docs/observability.md", "`FeedQuiet` within a minute of the last event", 60,
          setting("feed_quiet_s") + service.CHECKPOINT_S + alerted_s("FeedQuiet")),
    Limit("docs/observability.md", "a stream that it subscribed to | 1 s; 5 s after the feed knows |", 5, TIMEOUTS.look_s),
    # Strategies
    Limit("docs/observability.md", "a strategy raised within the last minute | 3 s |", 3, service.PROBE_SERVERS_S),
    Limit("docs/architecture.md", "a lane stands still for less than a minute because of one strategy that hangs or crashes", 60,
          2 * (HANG_S + processes.next_pause_s(HANG_S, 0.0))),
    # Standby
    Limit("README.md", "takes over within 5 s of the first one's death", 5, lease.TTL_S + lease.STANDBY_S),
    Limit("docs/growth.md", "the other takes over within 5 s", 5, lease.TTL_S + lease.STANDBY_S),
    Limit("docs/upgrade.md", "the gap is at most 5 s", 5, lease.TTL_S + lease.STANDBY_S),
]  # fmt: skip


class Value(NamedTuple):
    """A sentence of the docs, the seconds that it states, and the constant that it is about."""

    page: str
    sentence: str
    stated_s: float
    constant_s: float


VALUES = [
    Value("docs/observability.md", "has written no heartbeat for 10 s", 10, heartbeats.ALIVE_S),
    Value("docs/runbook.md", "No worker process has written a heartbeat for 10 s", 10, heartbeats.ALIVE_S),
    Value("docs/runbook.md", "Every 3 s, a worker writes into the ledger", 3, heartbeats.EVERY_S),
    Value("docs/architecture.md", "ingest reads them every second", 1, service.PROBE_WORKERS_S),
    Value("docs/observability.md", "no connection, or no answer for 5 s", 5, connection.ANSWER_S),
    Value("docs/observability.md", "has waited for its commit for 5 s, 30 s", 5, health.SLOW_S),
    Value("docs/observability.md", "once an event has waited for 30 s, it is a fault", 30, health.STUCK_S),
    Value("docs/observability.md", "a strategy raised within the last minute", 60, recent_counts.MINUTE_S),
    Value(
        "docs/observability.md", "control command of Celery within the last ten minutes", 600, control_commands.TOLD_S
    ),
    Value("docs/observability.md", "is older than `FEED_QUIET_S` (30 s)", 30, setting("feed_quiet_s")),
    Value("docs/page.md", "amber after `FEED_QUIET_WARN_S` (5 s)", 5, setting("feed_quiet_warn_s")),
    Value("docs/page.md", "red after `FEED_QUIET_S` (30 s)", 30, setting("feed_quiet_s")),
    Value("docs/observability.md", "a stream's events have been repeats for 10 s", 10, feed_stream.REPEATS_S),
    Value("docs/observability.md", "no strategy has taken any for 10 s", 10, unused_frames.UNUSED_S),
    Value("docs/feeds.md", "silent for 30 s is opened again", 30, TIMEOUTS.stall_s),
    Value("docs/feeds.md", "doubles with every failure in a row, up to a minute", 60, TIMEOUTS.backoff_max_s),
    Value("docs/feeds.md", "at least 10 s for books", 10, TIMEOUTS.streams.books_s),
    Value("docs/feeds.md", "and 60 s for trades", 60, TIMEOUTS.streams.trades_s),
    Value("docs/feeds.md", "reports them to ingest every 5 s", 5, TIMEOUTS.look_s),
    Value("docs/feeds.md", "If a stream stays silent for a minute", 60, TIMEOUTS.renew_s),
    Value("docs/feeds.md", "at most 60 s ahead of its receipt (`MAX_CLOCK_LEAD_S`)", 60, setting("max_clock_lead_s")),
    Value("docs/architecture.md", "A second event within ten minutes stops the strategy", 600, strikes.WINDOW_S),
    Value("docs/architecture.md", "lets it lead 3 s after the last renewal", 3, lease.TTL_S),
    Value("docs/glossary.md", "runs out 3 s after it was last renewed", 3, lease.TTL_S),
]


@cache
def text(page: str) -> str:
    """Return a page with single spaces, so that a sentence is found wherever its lines break."""
    return " ".join((ROOT / page).read_text(encoding="utf-8").split())


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.sentence)
def test_a_limit_that_is_stated_covers_the_periods_behind_it(limit: Limit):
    assert limit.sentence in text(limit.page)
    assert 0 < limit.sum_s <= limit.stated_s


@pytest.mark.parametrize("value", VALUES, ids=lambda value: value.sentence)
def test_a_period_that_is_stated_is_the_one_in_force(value: Value):
    assert value.sentence in text(value.page)
    assert value.stated_s == value.constant_s


def test_no_single_delay_lets_a_worker_or_a_leader_count_as_dead():
    assert 3 * heartbeats.EVERY_S < heartbeats.ALIVE_S
    assert 3 * lease.RENEW_S < lease.TTL_S
