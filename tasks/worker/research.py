"""The Celery task of sweeps: one slice of a block. It gives way to live batches, and keeps nothing."""

import os
import re
import signal
from collections.abc import Collection
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import redis
import structlog
from celery.signals import worker_process_init
from celery.worker.control import Panel

from tasks.celery import app
from tasks.clients.redis_client import FAILED, connect, connection_options
from tasks.errors import RealtimeStrategiesError
from tasks.ledger import Ledger
from tasks.protocol.counters import CounterKey
from tasks.protocol.task_name import RESEARCH_QUEUE, RESEARCH_TASK_NAME
from tasks.settings import Settings, load
from tasks.sweep import slice_run, slice_task, variants
from tasks.sweep.block import Block
from tasks.sweep.datasets import upload
from tasks.sweep.datasets.dataset import DATASET_KEY
from tasks.sweep.datasets.folder import whole_dataset
from tasks.sweep.hang_limit import stuck_s
from tasks.sweep.slice_run import BlockState, SliceLimits
from tasks.sweep.slice_task import SliceReply, SliceRequest
from tasks.worker.entries.refused_entries import ignored_if_foreign
from tasks.worker.refused_by_redis import ignored_if_refused
from tasks.worker.run_note import noted, of_process
from tasks.worker.slice_lease import leased
from tasks.worker.time_limit import bounded

log = structlog.get_logger()


@lru_cache(maxsize=1)
def _results() -> redis.Redis:
    return connect(load(), load().results, **connection_options())


@lru_cache(maxsize=1)
def _broker() -> redis.Redis:
    return connect(load(), load().broker, **connection_options())


@lru_cache(maxsize=1)
def _ledger() -> Ledger:
    return Ledger.connect(load())


def _keep_letter(letter: bytes, counter: CounterKey) -> None:
    # Connected at the first one: a slice needs no ledger.
    _ledger().keep_letter(letter, counter)


@app.task(name=RESEARCH_TASK_NAME)
def research(payload: bytes) -> dict[str, Any]:
    """Run a slice, once; the result is a summary, also where it is done already: a chord counts on it."""
    with ignored_if_foreign(payload, _keep_letter):
        request = slice_task.unpack_request(payload)
    prefix, id_ = load().celery_prefix, slice_task.task_id(payload)
    key = slice_task.answer_key(prefix, id_)
    with ignored_if_refused():
        if _results().exists(key):
            return slice_task.summary(request, SliceReply())
        with leased(_results(), slice_task.lease_key(prefix, id_)):
            reply = _reply(request)
            _results().set(key, slice_task.pack(reply), ex=slice_task.ANSWER_EXPIRES_S)
    return slice_task.summary(request, reply)


def _reply(request: SliceRequest) -> SliceReply:
    settings, block = load(), request.block
    try:
        if variants.code_version(block.strategy) != block.code:
            return SliceReply(refusal=f"a worker has another version of {block.strategy} than this command: restart it")
        if request.fetch:
            _fetch(settings, block)
        return SliceReply(_run(request, settings))
    except RealtimeStrategiesError as error:
        return SliceReply(refusal=str(error).splitlines()[0])
    except Exception as error:
        # No strategy's, whose error is a result.
        log.exception("unexpected error in a slice of a sweep")
        return SliceReply(refusal=f"unexpected error on a worker, whose log has more: {type(error).__name__}: {error}")


def _run(request: SliceRequest, settings: Settings) -> BlockState:
    """Run the slice. Raises what reading does; what is stuck or takes all memory ends this process."""
    limit_s = stuck_s(settings.run_limit_s, request.budget_s)
    note = of_process()

    def alive() -> None:
        signal.setitimer(signal.ITIMER_REAL, limit_s)
        if note:
            # A strategy can disarm the timer: then the worker's main process, or its guard, ends this one.
            note.begin(limit_s)

    limits = SliceLimits(
        request.budget_s,
        settings.run_limit_s,
        alive=alive,
        is_unwanted=partial(live_batches_wait, _broker(), _live_queues()),
    )
    with noted(limit_s), bounded(limit_s):
        return slice_run.run(request.block, request.state, settings.research_path, limits)


def _fetch(settings: Settings, block: Block) -> None:
    """Have the datasets of a block on this machine. Raises DatasetError, ServerUnavailableError."""
    markets: dict[str, list[tuple[str, str]]] = {}
    for source in block.part.sources:
        markets.setdefault(source.dataset, []).append((source.venue, source.symbol))
    for key, of_dataset in markets.items():
        upload.fetch(key, of_dataset, settings)


def _live_queues() -> list[str]:
    """Return the keys of the other queues of this worker."""
    return [f"{load().celery_prefix}{queue}" for queue in app.amqp.queues.consume_from if queue != RESEARCH_QUEUE]


def live_batches_wait(broker: redis.Redis, queues: Collection[str]) -> bool:
    """Whether batches wait in one of these queues: they go first. Not where the broker is unavailable."""
    if not queues:
        return False
    try:
        with broker.pipeline(transaction=False) as pipe:
            for queue in queues:
                pipe.llen(queue)
            return any(pipe.execute())
    except FAILED:
        return False


@worker_process_init.connect
def _be_nice(**_: Any) -> None:
    """Give way to everything else on this machine, where a worker does nothing but research."""
    if set(app.amqp.queues.consume_from) == {RESEARCH_QUEUE}:
        os.nice(19)


def _has(directory: Path, key: str) -> bool:
    # Anybody who may send control commands asks, and hears nothing of other folders.
    return bool(re.fullmatch(DATASET_KEY, key)) and whole_dataset(directory, key) is not None


def _answer_control(state: Any, datasets: Any = (), **_: Any) -> dict[str, Any]:
    """Say what a sweep asks before it begins: see `sweep.celery_executor.ask_workers`."""
    if RESEARCH_QUEUE not in app.amqp.queues.consume_from:
        return {"error": f"this worker does not take tasks of the queue {RESEARCH_QUEUE}"}
    directory = load().research_path
    missing = [key for key in datasets if isinstance(key, str) and not _has(directory, key)]
    return {"processes": state.consumer.pool.num_processes, "missing": missing, "directory": str(directory)}


Panel.data[slice_task.CONTROL_COMMAND] = _answer_control
