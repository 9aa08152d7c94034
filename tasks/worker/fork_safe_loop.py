"""A thread with an event loop, beside a main thread that forks.

A process that forks while another of its threads holds a lock (of a log, of an import) gives its child a lock that
nobody ever releases. So this thread holds the `gate` whenever it does anything but wait for sockets, and a fork waits
for the gate: at the moment of a fork the thread holds no lock at all. Names are looked up outside the gate, in a thread
of asyncio's, so that a slow resolver holds up neither forks nor probes; they hold locks of the C library only.
"""

import asyncio
import os
import selectors
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from typing import Any


class _Selector(selectors.DefaultSelector):
    """A selector that opens the gate while it waits."""

    def __init__(self, gate: threading.Lock) -> None:
        super().__init__()
        self._gate = gate

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait for sockets."""
        self._gate.release()
        try:
            return super().select(timeout)
        finally:
            self._gate.acquire()


class ForkSafeLoopThread:
    """Runs one coroutine in a thread of its own."""

    def __init__(self) -> None:
        self._gate = threading.Lock()
        self._selector = _Selector(self._gate)
        self._loop = asyncio.SelectorEventLoop(self._selector)
        self._thread: threading.Thread | None = None

    def start(self, main: Callable[[Callable[[], None]], Coroutine[Any, Any, None]]) -> None:
        """Run `main`, which gets a function to call once it is up; return then. Raises what `main` raised before."""
        os.register_at_fork(
            before=self._gate.acquire, after_in_parent=self._gate.release, after_in_child=self._after_in_child
        )
        up: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(main, up), name="status", daemon=True)
        self._thread.start()
        up.result()

    def call(self, function: Callable[[], object]) -> None:
        """Have the loop call `function` soon."""
        with suppress(RuntimeError):  # the loop has ended: by a fault, which was raised in its thread
            self._loop.call_soon_threadsafe(function)

    def join(self, timeout_s: float) -> None:
        """Wait for the end of `main`."""
        if self._thread:
            self._thread.join(timeout_s)

    def _run(self, main: Callable[[Callable[[], None]], Coroutine[Any, Any, None]], up: "Future[None]") -> None:
        with self._gate, asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            try:
                runner.run(main(lambda: up.set_result(None)))
            except BaseException as error:
                if up.done():
                    raise
                up.set_exception(error)

    def _after_in_child(self) -> None:
        # The child must not hold the sockets: its parent's port would be taken as long as it lives. Their numbers
        # stay in use, so that nothing closes what is not theirs.
        nothing = os.open(os.devnull, os.O_RDWR)
        for key in self._selector.get_map().values():
            os.dup2(nothing, key.fd, inheritable=False)
        os.close(nothing)
        self._gate.release()
