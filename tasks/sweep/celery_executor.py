"""Runs slices on Celery workers that take tasks of the queue `research`.

Nothing relies on the queue, which may lose tasks and repeat them: a slice without an answer is given up after a while
and sent again, and the answer of whichever copy comes first counts, because all are alike.
"""

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from celery import group
from kombu.exceptions import OperationalError

from tasks.celery import app
from tasks.clients.redis_client import FAILED, connect, connection_options
from tasks.errors import DatasetError, ServerUnavailableError
from tasks.protocol.task_name import RESEARCH_QUEUE, RESEARCH_TASK_NAME
from tasks.settings import Settings
from tasks.sweep import slice_task
from tasks.sweep.slice_task import SliceRequest
from tasks.sweep.sweep_run import SliceAnswer, SliceJob

#: A slice without an answer is given up after this time; after twice that, the next time.
LOST_S = 3.0
#: How often answers are looked for.
POLL_S = 0.02
#: Slices that are sent for each process: one runs, one waits.
AHEAD = 2
#: What waits in the queue is given up so much later.
PATIENCE_S = 60.0
#: How long workers have to say whether they can run slices.
ASK_S = 3.0


class ResearchWorker(NamedTuple):
    """A worker that takes tasks of the queue."""

    name: str
    processes: int
    #: Keys of the datasets that it has not.
    missing: Sequence[str]
    #: Where it looked for them.
    directory: str


def ask_workers(datasets: Sequence[str], expected: int) -> list[ResearchWorker]:
    """Ask the workers that listen to the queue for what they have; `expected` is how many there should be.

    Raises ServerUnavailableError.
    """
    try:
        replies: Any = app.control.broadcast(
            slice_task.CONTROL_COMMAND,
            arguments={"datasets": list(datasets)},
            reply=True,
            timeout=ASK_S,
            limit=expected or None,
        )
    except (*FAILED, OperationalError) as error:
        raise ServerUnavailableError(f"can't reach the broker: {error}") from None
    said = [(name, reply) for each in replies for name, reply in each.items() if "missing" in reply]
    return [
        ResearchWorker(name, *(reply[key] for key in ("processes", "missing", "directory"))) for name, reply in said
    ]


class _SentBlock:
    """A slice that was sent and has no answer."""

    def __init__(self, job: SliceJob, id_: str, now_s: float) -> None:
        self.ids = [id_]
        self.lost_at_s = now_s + job.budget_s + LOST_S * 2**job.tries


class CeleryExecutor:
    """The workers of one Redis."""

    def __init__(self, settings: Settings, *, fetch: bool, processes: int) -> None:
        """Begin with so many processes; `fetch`: workers get datasets from NATS' object store."""
        self._settings, self._fetch, self.processes = settings, fetch, processes
        self._results = connect(settings, settings.results, **connection_options())
        self._broker = connect(settings, settings.broker, **connection_options())
        self._sent: dict[str, _SentBlock] = {}
        #: Ids of slices that were given up: their answer still counts.
        self._given_up: dict[str, list[str]] = {}

    def room(self) -> int:
        """Return how many more slices can be sent."""
        return max(0, AHEAD * self.processes - len(self._sent))

    def submit(self, jobs: Sequence[SliceJob]) -> None:
        """Send slices, as a group. What can't be sent is given up later, as lost ones are."""
        signatures = []
        now_s = time.monotonic()
        for job in jobs:
            payload = slice_task.pack(SliceRequest(*job, self._fetch))
            id_ = slice_task.task_id(payload)
            sent = self._sent[job.block.key] = _SentBlock(job, id_, now_s)
            sent.ids += self._given_up.pop(job.block.key, [])
            signatures.append(app.signature(RESEARCH_TASK_NAME, args=(payload,), task_id=id_, queue=RESEARCH_QUEUE))
        with suppress(*FAILED, OperationalError):
            group(signatures).apply_async()

    def answers(self, wait_s: float) -> list[SliceAnswer]:
        """Return the answers to slices since the last call; waits for the first for so long.

        Raises DatasetError: a worker has not what it needs.
        """
        end_s = time.monotonic() + wait_s
        while True:
            found = self._poll()
            if found or time.monotonic() >= end_s:
                return found
            time.sleep(POLL_S)

    def _poll(self) -> list[SliceAnswer]:
        try:
            found = self._read()
            waiting = bool(self._broker.llen(f"{self._settings.celery_prefix}{RESEARCH_QUEUE}"))
        except FAILED:
            # It comes back, or every slice is given up in turn; commands that are ended go on with --resume.
            return []
        return found + self._give_up(waiting=waiting)

    def _read(self) -> list[SliceAnswer]:
        asked = [(block, id_) for block, sent in self._sent.items() for id_ in sent.ids]
        if not asked:
            return []
        keys = [slice_task.answer_key(self._settings.celery_prefix, id_) for _, id_ in asked]
        packed: list[bytes | None] = self._results.mget(keys)  # type: ignore[assignment]  # a sync client
        answered = {
            block: (key, reply) for (block, _), key, reply in zip(asked, keys, packed, strict=True) if reply is not None
        }
        if answered:
            self._results.delete(*(key for key, _ in answered.values()))
        return [self._taken(block, reply) for block, (_, reply) in answered.items()]

    def _taken(self, block: str, packed: bytes) -> SliceAnswer:
        del self._sent[block]
        reply = slice_task.unpack_reply(packed)
        if reply.state is None:
            raise DatasetError(reply.refusal)
        return SliceAnswer(block, reply.state)

    def _give_up(self, *, waiting: bool) -> list[SliceAnswer]:
        """Give up what has no answer for too long; not while something waits in the queue, which may be it."""
        now_s = time.monotonic()
        patience_s = PATIENCE_S if waiting else 0.0
        lost = [block for block, sent in self._sent.items() if now_s >= sent.lost_at_s + patience_s]
        for block in lost:
            self._given_up[block] = self._sent.pop(block).ids
        return [SliceAnswer(block, None) for block in lost]

    def close(self) -> None:
        """Close the connections. What was sent runs to the end of its slice."""
        self._results.close()
        self._broker.close()
