"""One sweep, from its file and datasets to its report."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from typing import NamedTuple

from tasks.cli import command_line
from tasks.cli.backtest import note
from tasks.cli.sweep import display, execution
from tasks.cli.sweep.display import SweepReport
from tasks.cli.sweep.execution import ProgressDisplay
from tasks.configuration import Configuration
from tasks.settings import Settings
from tasks.sweep import ParameterSet, Sweep, figures, results, walk_forward
from tasks.sweep import work_plan as plans
from tasks.sweep.datasets.dataset import Dataset
from tasks.sweep.datasets.folder import DatasetHold
from tasks.sweep.figures import SweepRow, UnitResult
from tasks.sweep.store import ResultStore
from tasks.sweep.sweep_run import Executor, SweepRun
from tasks.sweep.walk_forward import Window, WindowLengths
from tasks.sweep.work_plan import WorkPlan

#: Sets of each strategy that are asked of Optuna at a time, whatever the number of workers: what it proposes depends on
#: what it was told.
OPTUNA_BATCH = 20


class SweepOptions(NamedTuple):
    """How a sweep runs."""

    #: None: no walk-forward.
    windows: WindowLengths | None
    local: bool
    #: Of this machine; 0: one a core.
    processes: int
    upload: bool
    resume: bool
    allow_huge: bool
    #: Whether the report has a row for each part too.
    parts: bool


class SweepSession:
    """One sweep."""

    def __init__(
        self,
        settings: Settings,
        configuration: Configuration,
        sweep: Sweep,
        options: SweepOptions,
        err: command_line.Console,
    ) -> None:
        """Check the sets before anything is read. Raises SettingsError."""
        self._settings, self._configuration, self._sweep = settings, configuration, sweep
        self._options, self._err = options, err
        self._results: dict[str, UnitResult] = {}
        self._sets: list[ParameterSet] = []
        if sweep.method == "optuna":
            self._searches = sweep.searches(configuration)
        else:
            planned = sweep.plan(configuration, allow_huge=options.allow_huge)
            self._sets = planned.sets
            for text in planned.notes:
                note(text)
        if configuration.paper is None:
            note("the strategies file has no [paper]: accounts have the default terms (docs/paper.md)")

    def run(self, datasets: Sequence[Dataset]) -> SweepReport:
        """Return the report; where Ctrl-C ends it, of what is done. Raises RealtimeStrategiesError."""
        windows: list[Window] = []
        if self._options.windows is not None:
            windows = walk_forward.windows(self._options.windows, *plans.span(datasets))
        plan = self._plan(datasets, windows)
        directory = self._settings.research_path
        with ExitStack() as stack:
            for dataset in datasets:
                stack.enter_context(DatasetHold(directory, dataset.key))
            store = stack.enter_context(closing(ResultStore(directory)))
            executor = stack.enter_context(self._executor(datasets, most=sum(1 for _ in plan.units()) or OPTUNA_BATCH))
            try:
                if self._sweep.method == "optuna":
                    plan = self._search(datasets, store, executor)
                else:
                    self._work(plan, store, executor)
            except KeyboardInterrupt:
                note("ended before all is done; what is done is kept: add --resume to go on")
        return self._report(plan, windows)

    def _plan(self, datasets: Sequence[Dataset], windows: Sequence[Window] = ()) -> WorkPlan:
        return WorkPlan(self._configuration, datasets, self._sets, windows)

    def _search(self, datasets: Sequence[Dataset], store: ResultStore, executor: Executor) -> WorkPlan:
        """Ask Optuna for sets and tell it what they came to, batch after batch; return the plan of all of them."""
        while batch := [each for search in self._searches for each in search.ask(OPTUNA_BATCH)]:
            plan = WorkPlan(self._configuration, datasets, batch)
            self._sets += batch
            self._work(plan, store, executor)
            rows = results.rows(plan, self._results)
            merits = {each.canonical(): self._merit(row) for each, row in zip(batch, rows, strict=True)}
            for search in self._searches:
                mine = [each for each in batch if each.strategy == search.strategy]
                search.record((each, merits[each.canonical()]) for each in mine)
        return self._plan(datasets)

    def _merit(self, row: SweepRow) -> float | None:
        value = figures.value(row, self._sweep.objective)
        return None if value is None else figures.merit(value, self._sweep.objective)

    def _work(self, plan: WorkPlan, store: ResultStore, executor: Executor) -> None:
        """Bring every unit of a plan to its result."""
        begun: list[tuple[str, ...]] = []
        if self._options.resume:
            self._results |= store.results([each.unit.id for each in plan.units()])
            begun = store.begun()
        blocks = plan.blocks(self._results, executor.processes, begun)
        with ProgressDisplay(self._err, sum(map(plan.work, blocks))) as shown:
            observer = _Collector(plan, self._results, self._sweep.objective, shown)
            SweepRun(store, executor, observer).run(blocks, resume=self._options.resume)

    @contextmanager
    def _executor(self, datasets: Sequence[Dataset], *, most: int) -> Iterator[Executor]:
        """Yield what runs slices; of this machine's processes at most so many."""
        upload = self._options.upload
        workers = [] if self._options.local else execution.workers(self._settings, datasets, fetch=upload)
        if workers:
            if upload:
                execution.upload(self._settings, datasets, self._err)
            processes = sum(worker.processes for worker in workers)
            note(f"on {_count(len(workers), 'worker', 'workers')} with {_count(processes, 'process', 'processes')}")
            with execution.on_workers(self._settings, processes, note, fetch=upload) as executor:
                yield executor
            return
        own = min(self._options.processes or execution.cores(), most)
        if not self._options.local:
            said = _count(own, "process", "processes")
            note(f"no worker takes tasks of the queue research: in {said} of this machine")
        with execution.on_this_machine(self._settings, own) as local:
            yield local

    def _report(self, plan: WorkPlan, windows: Sequence[Window]) -> SweepReport:
        rows = results.rows(plan, self._results)
        report = SweepReport(
            self._sweep.objective,
            "test windows" if windows else "in-sample",
            rows,
            unfinished=len(plan.sets) - len(rows),
            parts=results.part_rows(plan, self._results) if self._options.parts else None,
        )
        if windows and not report.unfinished:
            report.walk_forward = results.walked_forward(plan, self._results, windows, self._sweep.objective)
        return report


class _Collector:
    """Takes results, and has the best set shown."""

    def __init__(self, plan: WorkPlan, taken: dict[str, UnitResult], objective: str, shown: ProgressDisplay) -> None:
        self._plan, self._taken, self._objective, self._shown = plan, taken, objective, shown
        self._best = float("-inf")
        self._done = 0

    def progress(self, work: int) -> None:
        self._shown.advance(work)

    def finished(self, found: Mapping[str, UnitResult]) -> None:
        self._taken.update(found)
        for id_ in found:
            each = self._plan.set_of(id_)
            units = self._plan.of(each)
            if not results.is_done(units, self._taken):
                continue
            self._done += 1
            value = figures.value(results.row(each, units, self._taken), self._objective)
            if value is not None and figures.merit(value, self._objective) > self._best:
                self._best = figures.merit(value, self._objective)
                said = f"{each.strategy} {display.words(each.parameters)}: {display.number(value)}"
                self._shown.describe(f"best in-sample {self._objective} so far: {said}")
        self._shown.count(self._done, len(self._plan.sets))


def _count(number: int, one: str, several: str) -> str:
    return f"{number} {one if number == 1 else several}"
