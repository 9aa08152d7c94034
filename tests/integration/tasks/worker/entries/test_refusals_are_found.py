"""A refused entry of a queue is one finding of ingest, for /ready, the page, the log and the doctor."""

import json
from typing import Any

from tests.support.sending import one_pool
from tests.support.service import Ingest, ingest
from tests.support.waiting import wait_for
from tests.support.workers import odd_entries
from tests.support.workers.process import worker


def refused(service: Ingest) -> dict[str, Any]:
    """Return the findings about refused entries by what they are about."""
    _, body = service.get("/ready")
    found = json.loads(body)["findings"] if body else []
    return {each["what"]: each for each in found if each["name"] == "entry_refused"}


def test_refused_entries_are_found_whichever_process_refuses_them(nats_url, redis_url, client, settings, tmp_path):
    # It does not say by which queue it came.
    payload = json.dumps(odd_entries.envelope(name="tasks.research"))
    with (
        ingest(nats_url, redis_url, settings.namespace, STRATEGIES_FILE=one_pool(tmp_path)) as service,
        worker(settings, "--concurrency", "1", "-Q", "trade,research") as one,
    ):
        one.wait_ready()
        service.wait_ready()
        # It must have looked once: a count that was there before is no news.
        wait_for(lambda: json.loads(service.get("/ready")[1])["workers"], "ingest to see the worker")
        assert not refused(service)
        client.lpush(f"{settings.celery_prefix}trade", "no message")
        wait_for(lambda: set(refused(service)) == {"queue trade"}, f"the finding{one.process.tail()}")
        client.lpush(f"{settings.celery_prefix}research", payload)
        wait_for(lambda: set(refused(service)) == {"queue trade", "broker"}, f"both{one.process.tail()}")
        for finding in refused(service).values():
            assert (finding["sign"], "deadletters list --reason queue_entry" in finding["do"]) == ("warning", True)
        assert {line["what"] for line in service.logged("finding") if line["name"] == "entry_refused"} == set(
            refused(service)
        )
