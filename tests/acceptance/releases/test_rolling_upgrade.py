"""Processes are replaced under load by those of another release, and back: nothing is lost, nothing done twice."""

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from compose.local.processes import ROOT
from compose.local.servers import free_port
from compose.local.stack import Plan, Stack
from tasks import backtest, configuration
from tasks.ledger.reader import LedgerReader
from tests.data import make_release
from tests.support import starting
from tests.support.stacks.pipeline import deadletters, finish, lasting, leads, ready, running
from tests.support.stacks.releases import RUNNABLE, unpack
from tests.support.waiting import wait_for

pytestmark = pytest.mark.ci

STRATEGIES = Path("tasks", "strategies.toml")
#: How long the replay of a part takes, at least.
SECONDS = 1.5


class Rolling(Stack):
    """A stack of one release, of which each process is replaced by one of another release."""

    numbers = count(10)

    def use(self, tree: Path) -> None:
        """Start further processes with this code, and the strategies file that comes with it."""
        self.tree = tree
        self.environment |= {"PYTHONPATH": str(tree), "STRATEGIES_FILE": str(tree / STRATEGIES)}

    def replace_worker(self, place: int) -> None:
        """Start a worker beside an old one, and end that."""
        old, port = self.workers[place], free_port()
        pools = ",".join(configuration.read(self.strategies_file).pools)
        new = self._start_worker(next(self.numbers), port, "prefork", pools)
        self.workers[place], self.worker_ports[place] = new, port
        wait_for(lambda: self.instance.watch() is not None and ready(self, port).get("ok"), new.name)
        self.instance.stop(old, grace_s=30)

    def replace_ingest(self, status: int = -signal.SIGTERM) -> None:
        """Have another ingest process stand by, and end the one that leads, which may take its INGEST_DRAIN_S."""
        old, self.http_port = self.ingest, free_port()
        number = next(self.numbers)
        self.ingest = self._start(f"ingest-{number}", ["-m", "ingest"], {"HTTP_PORT": str(self.http_port)})
        wait_for(lambda: self.instance.watch() is not None and ready(self), "the standby")
        assert not leads(self)
        old.terminate()
        wait_for(lambda: old.returncode is not None and leads(self), f"the lead of {self.ingest.name}", hangs_s=150)
        assert old.returncode == status, old.tail()


class Roll:
    """A recording that is replayed part by part to a stack whose processes change."""

    def __init__(self, stack: Rolling, directory: Path, lines: int, steps: int) -> None:
        self.stack, self._reader = stack, LedgerReader(stack.settings)
        size = -(-lines // steps)
        self.parts = [directory / f"part-{number}.jsonl" for number in range(steps)]
        for number, part in enumerate(self.parts):
            part.write_bytes(make_release.part(slice(number * size, min(lines, (number + 1) * size))))
        self._left = iter(self.parts)

    def step(self, tree: Path, change: Callable[[], None]) -> None:
        """Change to the code of `tree` while a part is replayed, once the first events of it have been read."""
        part, before = next(self._left), self._frames()
        self.stack.use(tree)
        with ThreadPoolExecutor() as replaying:
            replay = ["ingest", "replay", str(part), "--speed", lasting([part], SECONDS)]
            feed = replaying.submit(starting.start, replay, self.stack.environment)
            wait_for(lambda: self._frames() > before or feed.done(), "frames")
            change()
        assert feed.result().returncode == 0, feed.result().stderr

    def _frames(self) -> int:
        return self._reader.counters().of("frames")

    def check(self, strategies: Path) -> None:
        """Stop it, and compare with a backtest."""
        live, letters = finish(self.stack), deadletters(self.stack)
        whole = backtest.run(self.parts, configuration.read(strategies))
        assert (live.digest, live.frames, live.dropped, letters) == (whole.digest, whole.frames, {}, [])


@contextmanager
def rolling(directory: Path, release: str, lines: int, steps: int) -> Iterator[tuple[Roll, Path]]:
    """Start a stack of a release; give where its code is, too."""
    old = unpack(release, "code", directory / release)
    environment = {"INGEST_SOURCE": "jetstream", "STRATEGIES_FILE": str(old / STRATEGIES)}
    with running(Plan(2, "prefork", None, environment, (), old), Rolling) as stack:
        assert isinstance(stack, Rolling)
        yield Roll(stack, directory, lines, steps), old


def roll(directory: Path, release: str, lines: int, times: int = 1) -> None:
    """Upgrade a stack of a release and roll it back, in the orders of docs/upgrade.md."""
    with rolling(directory, release, lines, 6 * times) as (run, old):
        stack = run.stack
        for _ in range(times):
            for step in (partial(stack.replace_worker, 0), partial(stack.replace_worker, 1), stack.replace_ingest):
                run.step(ROOT, step)
            for step in (stack.replace_ingest, partial(stack.replace_worker, 0), partial(stack.replace_worker, 1)):
                run.step(old, step)
        run.check(old / STRATEGIES)


@pytest.mark.parametrize("release", RUNNABLE)
def test_an_upgrade_and_a_rollback_under_load_have_the_digest(tmp_path: Path, release: str):
    roll(tmp_path, release, 6_000)


@pytest.mark.slow
@pytest.mark.parametrize("release", RUNNABLE)
def test_upgrades_and_rollbacks_one_after_the_other_have_the_digest(tmp_path: Path, release: str):
    roll(tmp_path, release, 24_000, times=4)


@pytest.mark.slow
def test_in_the_wrong_order_events_wait_and_a_finding_says_so(tmp_path: Path):
    def found(name: str) -> bool:
        return any(each["name"] == name for each in ready(run.stack).get("findings", ()))

    with rolling(tmp_path, "1.0.0", 6_000, 6) as (run, old):
        stack = run.stack
        run.step(ROOT, stack.replace_ingest)
        wait_for(lambda: found("workers_too_old"), "the finding")
        for place in (0, 1):
            run.step(ROOT, partial(stack.replace_worker, place))
        wait_for(lambda: not found("workers_too_old"), "the end of the finding")
        for place in (0, 1):
            run.step(old, partial(stack.replace_worker, place))
            wait_for(lambda: found("workers_too_old"), "the finding")
        # Its events wait, so that it can't have them processed.
        run.step(old, partial(stack.replace_ingest, status=1))
        run.check(old / STRATEGIES)
