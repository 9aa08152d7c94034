"""An event loop in virtual time: one seed decides which process goes on next, and time passes only when none can.

Each simulated process has its own first-in, first-out queue, as a real event loop has; between processes the order is
the seed's. A process that is killed never runs again, not even what it would do at its end; one that is frozen goes on
later. What runs belongs to the process in whose context it was started.
"""

import asyncio
import itertools
import random
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from contextvars import Context, ContextVar, copy_context
from heapq import heappop, heappush
from typing import Any, TypeVar

from greenlet import getcurrent, greenlet

T = TypeVar("T")


class Process:
    """A simulated process: what is ready to run, its clock, and whether it lives."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.ready: deque[_Ready] = deque()
        self.is_alive = True
        #: Until then it is stopped, as by SIGSTOP.
        self.frozen_until_s = 0.0
        #: What its wall clock says beyond the true time, and how much faster than that its clocks run.
        self.ahead_s = 0.0
        self.rate = 1.0


class _Handle:
    """A callback with its arguments, as asyncio's own handles are."""

    __slots__ = ("call", "context")

    def __init__(self, call: tuple[Any, ...], context: Context) -> None:
        self.call, self.context = call, context

    def cancel(self) -> None:
        self.call = (_do_nothing,)


def _do_nothing() -> None:
    pass


#: What is ready to run: a callback, or a future that somebody sleeps on.
_Ready = _Handle | asyncio.Future[None]

#: The process that what runs belongs to; None: to the world around them all.
CURRENT: ContextVar[Process | None] = ContextVar("process", default=None)
#: The same; `Context.get` has a type for variables without a default only.
_CURRENT: Any = CURRENT


#: For a loop that does what it is asked for here, and no more.
_Future: Any = asyncio.Future
#: It is replaced while a simulation runs.
_SLEEP = asyncio.sleep


class DeadlockError(Exception):
    """Nothing can go on, and no time will change that."""


class Scheduler:
    """The event loop of a simulation, as far as asyncio asks for one."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.world = Process("world")
        #: The process that runs now.
        self.current = self.world
        self.now_s = 0.0
        #: How many callbacks ran.
        self.steps = 0
        self.failures: list[dict[str, Any]] = []
        #: When, a number that decides between those of the same moment, whose, and what.
        self._timers: list[tuple[float, int, Process, _Ready]] = []
        self._numbers = itertools.count()
        #: Those with something to run, each once.
        self._busy: list[Process] = []
        #: Until then some process is frozen.
        self._thawed_s = 0.0
        #: Whether a process is frozen, or something became due without time passing: then a turn has more to look at.
        self._is_special = False
        #: Whether what it runs has ended.
        self._is_done = False
        #: Nothing of a killed process is ended by the garbage collector: they stay until the end.
        self._tasks: list[asyncio.Task[Any]] = []

    # What asyncio asks of a loop

    def time(self) -> float:
        return self.now_s

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.failures.append(context)

    def create_future(self) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = _Future(loop=self)
        return future

    def create_task(self, coro: Coroutine[Any, Any, T], *, name: str | None = None, context: Any = None) -> Any:
        task: Any = asyncio.Task(coro, loop=self, name=name, context=context)  # type: ignore[arg-type]  # as above
        # Of a killed process all tasks are pending.
        task._log_destroy_pending = False
        self._tasks.append(task)
        return task

    def run_in_executor(self, _: object, call: Callable[..., T], *args: Any) -> Any:
        return self.create_task(blocking(lambda: call(*args)))

    def call_soon(self, *call: Any, context: Context | None = None) -> Any:
        if context is None:
            context = copy_context()
        process = context.get(_CURRENT) or self.world
        handle = _Handle(call, context)
        if process.is_alive:
            ready = process.ready
            if not ready:
                self._busy.append(process)
            ready.append(handle)
        return handle

    def call_later(self, delay: float, *call: Any, context: Context | None = None) -> Any:
        return self.call_at(self.now_s + delay, *call, context=context)

    def call_at(self, when: float, *call: Any, context: Context | None = None) -> Any:
        if context is None:
            context = copy_context()
        if when <= self.now_s:
            self._is_special = True
        handle = _Handle(call, context)
        heappush(self._timers, (when, next(self._numbers), context.get(_CURRENT) or self.world, handle))
        return handle

    def sleep(self, delay: float) -> Awaitable[None]:
        """Sleep as `asyncio.sleep` does, in a third of its time."""
        when_s = self.now_s + delay
        if when_s <= self.now_s:
            return _SLEEP(0)
        future: asyncio.Future[None] = _Future(loop=self)
        heappush(self._timers, (when_s, next(self._numbers), self.current, future))
        return future

    # Running

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run until `main` ends; return or raise what it does."""
        asyncio._set_running_loop(self)  # type: ignore[arg-type]  # as above
        try:
            task = self.create_task(self._to_its_end(main))
            self._run()
            result: T = task.result()
            return result
        finally:
            self._close()
            asyncio._set_running_loop(None)

    async def _to_its_end(self, main: Coroutine[Any, Any, T]) -> T:
        try:
            return await main
        finally:
            self._is_done = True

    def _run(self) -> None:
        # Millions of turns: nothing is called or looked up here that need not be.
        busy, draw = self._busy, self.random.random
        while not self._is_done:
            runnable = self._look_closely() if self._is_special else busy
            count = len(runnable)
            if count == 1:
                process = runnable[0]
            elif count:
                process = runnable[int(draw() * count)]
            else:
                self._pass_time()
                continue
            ready = process.ready
            item = ready.popleft()
            if not ready:
                busy.remove(process)
            self.steps += 1
            if isinstance(item, _Handle):
                self.current = process
                item.context.run(*item.call)
            elif not item.done():
                item.set_result(None)

    def _look_closely(self) -> list[Process]:
        """Make ready what is due by now; return those with something to run that are not frozen."""
        self._make_ready()
        return [process for process in self._busy if process.frozen_until_s <= self.now_s]

    def _pass_time(self) -> None:
        """Go to the next moment at which something is due, or somebody goes on."""
        timers = self._timers
        if self._busy or not timers:
            wakes = [process.frozen_until_s for process in self._busy]
            if timers:
                wakes.append(timers[0][0])
            if not wakes:
                raise DeadlockError
            self.now_s = max(self.now_s, min(wakes))
        else:
            self.now_s = timers[0][0]
        self._make_ready()

    def _make_ready(self) -> None:
        timers, now_s = self._timers, self.now_s
        self._is_special = self._thawed_s > now_s
        while timers and timers[0][0] <= now_s:
            _, _, process, item = heappop(timers)
            if process.is_alive:
                if not process.ready:
                    self._busy.append(process)
                process.ready.append(item)

    def _close(self) -> None:
        """End what will never go on: no garbage collector sees what the stack of a function holds that `blocking` runs."""
        for task in self._tasks:
            # What it does at its end may wait for something, or fail.
            with suppress(Exception):
                task.get_coro().close()

    # Processes

    def start(self, process: Process, main: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Start a process with a task."""
        context = copy_context()
        context.run(CURRENT.set, process)
        context.run(lambda: self.create_task(main()))

    def freeze(self, process: Process, until_s: float) -> None:
        """Stop a process until a moment."""
        process.frozen_until_s = until_s
        self._thawed_s = max(self._thawed_s, until_s)
        self._is_special = True

    def kill(self, process: Process) -> None:
        """Kill a process: nothing of it runs any more."""
        process.is_alive = False
        process.ready.clear()
        if process in self._busy:
            self._busy.remove(process)


async def blocking(call: Callable[[], T]) -> T:
    """Run a synchronous function, which may `wait` for what is awaitable; return or raise what it does."""
    runner = greenlet(call)
    runner.gr_context = copy_context()
    waits_for = runner.switch()
    while not runner.dead:
        try:
            result = await waits_for
        except BaseException as error:  # noqa: BLE001 whatever it is, it belongs to who waits
            waits_for = runner.throw(error)
        else:
            waits_for = runner.switch(result)
    done: T = waits_for
    return done


def wait(awaitable: Awaitable[T]) -> T:
    """Wait in a synchronous function that `blocking` runs."""
    result: T = getcurrent().parent.switch(awaitable)
    return result
