"""Whose fault it is: exceptions out of a strategy's code, raised as they are in earnest."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import billiard.common
import pytest
from billiard.exceptions import SoftTimeLimitExceeded
from billiard.pool import soft_timeout_sighandler

from tasks.fatal_errors import is_fatal

_shutdown_cleanup: Any = vars(billiard.common)["_shutdown_cleanup"]


def error_of(call: Callable[[], object]) -> BaseException:
    try:
        call()
    except BaseException as error:  # noqa: BLE001 what is tested
        return error
    raise AssertionError("nothing was raised")


@contextmanager
def handled_by(received: signal.Signals, handler: Any) -> Iterator[None]:
    before = signal.signal(received, handler)
    try:
        yield
    finally:
        signal.signal(received, before)


def raising(error: BaseException) -> Callable[[], None]:
    def call() -> None:
        raise error

    return call


@pytest.mark.parametrize(
    "error",
    [ValueError(), SystemExit(0), KeyboardInterrupt(), GeneratorExit(), asyncio.CancelledError(), MemoryError(),
     SoftTimeLimitExceeded()],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_what_a_raise_statement_raised_is_not_fatal(error: BaseException):
    assert not is_fatal(error_of(raising(error)))


def test_a_soft_time_limit_of_celery_is_fatal():
    with handled_by(signal.SIGUSR1, soft_timeout_sighandler):
        error = error_of(lambda: signal.raise_signal(signal.SIGUSR1))
    assert isinstance(error, SoftTimeLimitExceeded)
    assert is_fatal(error)


def test_the_end_of_a_worker_is_fatal_also_if_a_strategy_raises_in_turn(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(billiard.common, "_should_have_exited", [False])
    with handled_by(signal.SIGUSR1, _shutdown_cleanup):
        error = error_of(lambda: signal.raise_signal(signal.SIGUSR1))
    assert isinstance(error, SystemExit)
    assert is_fatal(error)


def test_ctrl_c_is_fatal():
    with handled_by(signal.SIGINT, signal.default_int_handler):
        error = error_of(lambda: signal.raise_signal(signal.SIGINT))
    assert isinstance(error, KeyboardInterrupt)
    assert is_fatal(error)


def test_asking_for_more_memory_than_there_can_be_is_not_fatal():
    assert not is_fatal(error_of(lambda: bytearray(1 << 62)))


def test_memory_that_is_used_up_is_fatal():
    assert is_fatal(error_of(raising(MemoryError())), room_bytes=1 << 62)


def test_what_a_strategy_held_at_a_memory_error_is_freed_before_judging():
    kept: list[Any] = []

    class Held:
        def __del__(self) -> None:
            kept.append("gone")

    def call() -> None:
        held = Held()
        bytearray(1 << 62)
        del held

    error = error_of(call)
    assert kept == []
    assert not is_fatal(error)
    assert kept == ["gone"]
