"""Faults of the network: slow, cut, silent."""

from collections.abc import Iterator
from functools import partial

from tests.faults.rig import LINKS, Setup
from tests.faults.run import Case, FaultRun

LATENCY_S = 0.05
LATE_S = 6.0
SILENT_S = 8.0


def late(run: FaultRun) -> Iterator[float]:
    for proxy in run.stack.proxies.values():
        proxy.latency_s = LATENCY_S
    yield LATE_S
    for proxy in run.stack.proxies.values():
        proxy.latency_s = 0.0
    run.hit()


def cut(run: FaultRun, link: str) -> Iterator[float]:
    # Ingest waits a second before it connects to NATS again.
    every_s = 3.0 if "nats" in link else 1.0
    while run.feeding:
        yield every_s
        run.stack.proxies[link].cut()
        run.hit()


def silent(run: FaultRun, link: str) -> Iterator[float]:
    """Half-open: the other side is gone and nobody said so."""
    proxy = run.stack.proxies[link]
    yield 1.0
    proxy.silent = True
    yield SILENT_S
    proxy.cut()
    proxy.silent = False
    run.hit()


def _name(link: str) -> str:
    return link.replace("-", " to ")


CASES = (
    Case("50 ms each way on every connection", late, Setup(links=tuple(LINKS))),
    *(
        Case(
            f"{_name(link)} cut again and again",
            partial(cut, link=link),
            Setup(links=(link,)),
            core_loses="nats" in link,
        )
        for link in LINKS
    ),
    *(
        Case(
            f"{_name(link)} half-open for 8 s",
            partial(silent, link=link),
            Setup(links=(link,)),
            core_loses="nats" in link,
        )
        for link in LINKS
    ),
)
