"""How long writes pause at a failover, and how many that were acknowledged are lost.

    python -m tests.faults.failovers --times 20

Three servers and three Sentinels, all on this machine. Writers count up, each in a set of its own, through the clients
that every process of ours uses, and note what was acknowledged. The master is killed, or cut off from replicas and
Sentinels while the writers still reach it, for CUT_OFF_S.
"""

import argparse
import itertools
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple, Self

import redis

from tasks.clients.redis_client import connect, connection_options
from tasks.settings import Settings
from tests.support.servers.sentinel import FAILOVER_TIMEOUT_MS, MIN_REPLICAS, WatchedServers, watched
from tests.support.waiting import wait_for

WRITERS = 2
#: Between two writes of a writer.
PAUSE_S = 0.002
CUT_OFF_S = 12.0
#: Writes go on for so long before and after.
CALM_S = 1.0
#: A failover so soon after another one is refused by the Sentinels.
APART_S = 2 * FAILOVER_TIMEOUT_MS / 1000 + 1
WAIT_MS = 1000


class Setup(NamedTuple):
    """What is measured."""

    min_replicas: bool
    #: Whether a write counts as acknowledged only once a replica has it.
    waits: bool
    cut_off: bool

    @property
    def name(self) -> str:
        """What it is, for a table."""
        kept = "WAIT 1" if self.waits else "min-replicas-to-write 1" if self.min_replicas else "-"
        return f"{'cut off' if self.cut_off else 'killed':8} {kept:24}"


class Writer:
    """Writes numbers, one after the other, and notes which were acknowledged, and when."""

    def __init__(self, settings: Settings, key: str, *, waits: bool) -> None:
        self._client = connect(settings, settings.ledger, **connection_options())
        self._key, self._waits = key, waits
        self.acknowledged: list[tuple[float, int]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._client.close()

    def _write(self) -> None:
        for number in itertools.count():
            if self._stop.wait(PAUSE_S):
                return
            try:
                with self._client.pipeline(transaction=False) as pipe:
                    pipe.sadd(self._key, number)
                    if self._waits:
                        pipe.wait(1, WAIT_MS)
                    *_, kept = pipe.execute()
            except (redis.RedisError, OSError):
                # The next one asks the Sentinels where to write.
                self._client.connection_pool.disconnect()
                continue
            if kept or not self._waits:
                self.acknowledged.append((time.monotonic(), number))
            else:
                self._client.connection_pool.disconnect()


@contextmanager
def _writing(settings: Settings, attempt: int, *, waits: bool) -> Iterator[dict[str, Writer]]:
    with ExitStack() as stack:
        keys = [f"written:{attempt}:{number}" for number in range(WRITERS)]
        yield {key: stack.enter_context(Writer(settings, key, waits=waits)) for key in keys}


def _fail_over(servers: WatchedServers, setup: Setup) -> None:
    """Have another server become the master, and the old one its replica."""
    if setup.cut_off:
        old = servers.cut_off_master()
        cut_s = time.monotonic()
        wait_for(lambda: servers.has_failed_over(old), "another master")
        time.sleep(max(0.0, cut_s + CUT_OFF_S - time.monotonic()))
        servers.let_in(old)
    else:
        old = servers.kill_master()
        wait_for(lambda: servers.has_failed_over(old), "another master")
        servers.start_again(old)
    wait_for(
        lambda: servers.replicas_in_step(servers.master) == len(servers.servers) - 1, "the old master as a replica"
    )


def measure(servers: WatchedServers, setup: Setup, attempt: int) -> tuple[float, int, int]:
    """Return how long no write was acknowledged, how many were, and how many of those are gone."""
    settings = Settings.model_validate(servers.settings)
    with _writing(settings, attempt, waits=setup.waits) as writers:
        time.sleep(CALM_S)
        _fail_over(servers, setup)
        time.sleep(CALM_S)
    times_s = sorted(at_s for writer in writers.values() for at_s, _ in writer.acknowledged)
    pause_s = max(later_s - at_s for at_s, later_s in itertools.pairwise(times_s))
    client = servers.client(servers.master)
    lost = sum(
        len({number for _, number in writer.acknowledged} - {int(each) for each in client.smembers(key)})
        for key, writer in writers.items()
    )
    return pause_s, len(times_s), lost


def main() -> None:
    """Measure each setup, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=20, help="failovers of each setup")
    parser.add_argument("--only", default="", help="setups whose name has these words")
    times = (asked := parser.parse_args()).times
    print(f"{'master':8} {'kept by':24} times  pause s: p50    max   acknowledged    lost  most at once")
    for cut_off, (min_replicas, waits) in itertools.product(
        (False, True), ((False, False), (True, False), (True, True))
    ):
        setup = Setup(min_replicas, waits, cut_off)
        if asked.only not in setup.name:
            continue
        with watched(options=MIN_REPLICAS if min_replicas else ()) as servers:
            found = []
            for attempt in range(times):
                began_s = time.monotonic()
                found.append(measure(servers, setup, attempt))
                print(f"  {found[-1]}", flush=True)
                time.sleep(max(0.0, began_s + APART_S - time.monotonic()))
        pauses_s, written, lost = zip(*found, strict=True)
        figures = (
            f"{statistics.median(pauses_s):6.1f} {max(pauses_s):6.1f} {sum(written):14} {sum(lost):7} {max(lost):13}"
        )
        print(f"{setup.name} {len(found):5}        {figures}", flush=True)


if __name__ == "__main__":
    main()
