"""An event loop in virtual time: one seed decides which process goes on next, and time passes only when none can.

Each simulated process has its own first-in, first-out queue, as a real event loop has; between processes the order is
the seed's. A process that is killed never runs again, not even what it would do at its end; one that is frozen goes on
later. What runs belongs to the process in whose context it was started.
"""

import asyncio
import heapq
import itertools
import random
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from typing import Any, TypeVar

from greenlet import getcurrent, greenlet

T = TypeVar("T")


class Process:
    """A simulated process: what is ready to run, its clock, and whether it lives."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.ready: deque[_Handle] = deque()
        self.is_alive = True
        #: Until then it is stopped, as by SIGSTOP.
        self.frozen_until_s = 0.0
        #: What its wall clock says beyond the true time, and how much faster than that its clocks run.
        self.ahead_s = 0.0
        self.rate = 1.0
        #: So that nothing of a killed process is ended properly, by the garbage collector.
        self.tasks: list[asyncio.Task[Any]] = []


class _Handle:
    """A callback, as asyncio's own handles are."""

    __slots__ = ("_when_s", "args", "callback", "context", "is_cancelled", "process")

    def __init__(
        self, callback: Callable[..., Any], args: tuple[Any, ...], context: Context, process: Process, when_s: float
    ) -> None:
        self.callback, self.args, self.context, self.process = callback, args, context, process
        self._when_s, self.is_cancelled = when_s, False

    def cancel(self) -> None:
        self.is_cancelled = True

    def cancelled(self) -> bool:
        return self.is_cancelled

    def when(self) -> float:
        return self._when_s


#: The process that what runs belongs to; None: to the world around them all.
CURRENT: ContextVar[Process | None] = ContextVar("process", default=None)
#: The same; `Context.get` has a type for variables without a default only.
_CURRENT: Any = CURRENT


#: It is replaced while a simulation runs.
_SLEEP = asyncio.sleep


class DeadlockError(Exception):
    """Nothing can go on, and no time will change that."""


class Scheduler:
    """The event loop of a simulation, as far as asyncio asks for one."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.world = Process("world")
        self.now_s = 0.0
        #: How many callbacks ran.
        self.steps = 0
        self.failures: list[dict[str, Any]] = []
        self._timers: list[tuple[float, int, _Handle]] = []
        self._numbers = itertools.count()
        #: For what does not ask in which context it runs.
        self._anywhere = Context()
        #: Those with something to run, each once.
        self._busy: list[Process] = []

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
        return asyncio.Future(loop=self)  # type: ignore[arg-type]  # all that it asks for is here

    def create_task(self, coro: Coroutine[Any, Any, T], *, name: str | None = None, context: Any = None) -> Any:
        task: Any = asyncio.Task(coro, loop=self, name=name, context=context)  # type: ignore[arg-type]  # as above
        # Of a killed process all tasks are pending.
        task._log_destroy_pending = False
        self.current.tasks.append(task)
        return task

    def run_in_executor(self, _: object, call: Callable[..., T], *args: Any) -> Any:
        return self.create_task(blocking(lambda: call(*args)))

    @property
    def current(self) -> Process:
        """The process that runs now."""
        return CURRENT.get() or self.world

    def call_soon(self, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> Any:
        if context is None:
            context = copy_context()
        process = context.get(_CURRENT) or self.world
        handle = _Handle(callback, args, context, process, self.now_s)
        if process.is_alive:
            if not process.ready:
                self._busy.append(process)
            process.ready.append(handle)
        return handle

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> Any:
        return self.call_at(self.now_s + delay, callback, *args, context=context)

    def call_at(self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> Any:
        if context is None:
            context = copy_context()
        handle = _Handle(callback, args, context, context.get(_CURRENT) or self.world, when)
        heapq.heappush(self._timers, (when, next(self._numbers), handle))
        return handle

    async def sleep(self, delay: float, result: Any = None) -> Any:
        """Sleep as `asyncio.sleep` does, in half of its time."""
        if delay <= 0:
            await _SLEEP(0)
            return result
        future: asyncio.Future[Any] = asyncio.Future(loop=self)  # type: ignore[arg-type]  # as above
        when_s = self.now_s + delay
        handle = _Handle(_wake, (future, result), self._anywhere, CURRENT.get() or self.world, when_s)
        heapq.heappush(self._timers, (when_s, next(self._numbers), handle))
        try:
            return await future
        finally:
            handle.cancel()

    # Running

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run until `main` ends; return or raise what it does."""
        asyncio._set_running_loop(self)  # type: ignore[arg-type]  # as above
        try:
            task = self.create_task(main)
            self._run_until(task.done)
            result: T = task.result()
            return result
        finally:
            asyncio._set_running_loop(None)

    def _run_until(self, is_done: Callable[[], bool]) -> None:
        # Millions of turns: nothing is called or looked up here that need not be.
        timers, busy, draw, pop_timer = self._timers, self._busy, self.random.random, heapq.heappop
        while not is_done():
            now_s = self.now_s
            while timers and timers[0][0] <= now_s:
                handle = pop_timer(timers)[2]
                process = handle.process
                if process.is_alive:
                    if not process.ready:
                        busy.append(process)
                    process.ready.append(handle)
            # Most of the time there is one, and none of them is frozen.
            if len(busy) == 1 and busy[0].frozen_until_s <= now_s:
                process = busy[0]
            elif runnable := [each for each in busy if each.frozen_until_s <= now_s]:
                process = runnable[int(draw() * len(runnable))] if len(runnable) > 1 else runnable[0]
            elif timers and not busy:
                self.now_s = timers[0][0]
                continue
            else:
                self._pass_time()
                continue
            handle = process.ready.popleft()
            if not process.ready:
                busy.remove(process)
            self.steps += 1
            if not handle.is_cancelled:
                handle.context.run(handle.callback, *handle.args)

    def _pass_time(self) -> None:
        wakes = [process.frozen_until_s for process in self._busy]
        if self._timers:
            wakes.append(self._timers[0][0])
        if not wakes:
            raise DeadlockError
        self.now_s = max(self.now_s, min(wakes))

    # Processes

    def start(self, process: Process, main: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Start a process with a task."""
        context = copy_context()
        context.run(CURRENT.set, process)
        context.run(lambda: self.create_task(main()))

    def kill(self, process: Process) -> None:
        """Kill a process: nothing of it runs any more."""
        process.is_alive = False
        process.ready.clear()
        if process in self._busy:
            self._busy.remove(process)


def _wake(future: "asyncio.Future[Any]", result: Any) -> None:
    if not future.cancelled():
        future.set_result(result)


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
