"""Where a sweep runs, and how its progress is shown."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Self

from rich.console import RenderableType
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from tasks.cli import command_line
from tasks.clients.redis_client import FAILED, connect, connection_options
from tasks.errors import SettingsError
from tasks.ledger import LedgerKeys, heartbeats
from tasks.protocol.task_name import RESEARCH_QUEUE
from tasks.settings import Settings
from tasks.sweep.datasets.dataset import Dataset
from tasks.sweep.local_executor import LocalExecutor
from tasks.sweep.sweep_run import Executor

if TYPE_CHECKING:
    from tasks.sweep.celery_executor import ResearchWorker


class _TwoLines(Progress):
    """A bar, and below it what is best so far: in one line a terminal of 80 columns would have no room for the bar."""

    def get_renderables(self) -> Iterator[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        for task in self.tasks:
            if task.description:
                yield Text(task.description, no_wrap=True, overflow="ellipsis")


class ProgressDisplay:
    """Shows how much is done, how long it will take, and the best set so far; on a terminal only."""

    def __init__(self, err: command_line.Console, total: int) -> None:
        """Begin with nothing of `total` done."""
        self._progress = _TwoLines(
            TextColumn("{task.percentage:>3.0f} %"),
            BarColumn(bar_width=20),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[sets]}"),
            console=err,
            transient=True,
            disable=not err.is_terminal,
        )
        self._bar = self._progress.add_task("", total=total, sets="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def advance(self, work: int) -> None:
        """Show further work as done."""
        self._progress.advance(self._bar, work)

    def describe(self, text: str) -> None:
        """Show a line."""
        self._progress.update(self._bar, description=text)

    def count(self, done: int, sets: int) -> None:
        """Show how many sets are done."""
        self._progress.update(self._bar, sets=f"{done:,} of {sets:,} sets")


def live_processes(settings: Settings) -> tuple[int, int]:
    """Return how many workers take tasks of the research queue now, and their processes; none where Redis is unavailable."""
    client = connect(settings, settings.ledger, **connection_options())
    try:
        with closing(client):
            living = heartbeats.read(client, LedgerKeys(settings.namespace))
    except FAILED:
        return 0, 0
    taking = [worker for worker in living if RESEARCH_QUEUE in worker.queues]
    return len(taking), sum(worker.processes for worker in taking)


def upload(settings: Settings, datasets: Sequence[Dataset], err: command_line.Console) -> None:
    """Put the datasets into NATS' object store. Raises DatasetError, ServerUnavailableError."""
    from tasks.sweep.datasets import upload as to_nats  # noqa: PLC0415 brings NATS, which only --upload needs

    total = sum(each.size for dataset in datasets for each in dataset.files)
    with command_line.progress(err) as progress:
        bar = progress.add_task("bytes sent", total=total)
        for dataset in datasets:
            to_nats.upload(dataset, settings, lambda size: progress.advance(bar, size))


def workers(settings: Settings, datasets: Sequence[Dataset], *, fetch: bool) -> Sequence["ResearchWorker"]:
    """Return the workers that answer that they take slices; none where Redis is unavailable.

    Raises SettingsError: one can't read the datasets, which are not to be fetched.
    """
    from tasks.sweep.celery_executor import ask_workers  # noqa: PLC0415 brings Celery, which no other command needs

    known, _ = live_processes(settings)
    answering = ask_workers([dataset.key for dataset in datasets], known) if known else []
    for worker in answering:
        if worker.missing and not fetch:
            raise SettingsError(
                f"worker {worker.name} does not have the recordings: it looks in {worker.directory}, this command "
                f"writes to {settings.research_path} (RESEARCH_DIR); let both be one folder, or add --upload"
            )
    return answering


@contextmanager
def on_workers(settings: Settings, processes: int, warn: Callable[[str], None], *, fetch: bool) -> Iterator[Executor]:
    """Yield an executor of workers that have so many processes together."""
    from tasks.sweep.celery_executor import CeleryExecutor  # noqa: PLC0415 brings Celery, which no other command needs

    with closing(CeleryExecutor(settings, fetch=fetch, processes=max(1, processes), warn=warn)) as executor:
        yield executor


@contextmanager
def on_this_machine(settings: Settings, processes: int) -> Iterator[LocalExecutor]:
    """Yield an executor of processes of this machine."""
    with closing(LocalExecutor(settings.research_path, processes, settings.run_limit_s)) as executor:
        yield executor


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))
