"""The pipeline on a Redis with replicas and Sentinels."""

from collections.abc import Iterator
from contextlib import contextmanager

from compose.local.stack import Plan, Stack
from tests.support.servers.sentinel import WatchedServers, watched
from tests.support.stacks.pipeline import running


@contextmanager
def on_watched_servers(
    source: str, *, tls: bool = False, options: tuple[str, ...] = (), **environment: str
) -> Iterator[tuple[Stack, WatchedServers]]:
    """Start servers, with more `options` on their command line, and the pipeline, with more of an environment."""
    with watched(tls=tls, options=options) as servers:
        plan = Plan(2, "solo", environment={"INGEST_SOURCE": source, **servers.environment, **environment})
        with running(plan) as stack:
            yield stack, servers
