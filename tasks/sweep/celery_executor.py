"""Runs slices on Celery workers that take tasks of the queue `research`.

Nothing relies on the queue, which may lose tasks and repeat them. A slice that no worker begins is sent again after a
while; one whose process ended, which the end of its lease tells, is lost. The answer of whichever copy comes first
counts, because all are alike.
"""

import time
from collections.abc import Callable, Collection, Sequence
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

#: How often answers are looked for.
POLL_S = 0.02
#: Slices that are sent for each process: one runs, one waits.
AHEAD = 2
#: Copies of a slice whose answers are looked for: the last ones.
COPIES = 8
#: How long workers have to say whether they can run slices.
ASK_S = 8.0


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


class SliceTask(NamedTuple):
    """A task to send."""

    id: str
    payload: bytes
    #: What Flower shows instead of the payload.
    description: str


def send_group(tasks: Sequence[SliceTask]) -> None:
    """Send tasks to the queue, as a group. Raises what Celery raises; any of them may have arrived all the same."""
    group(
        [
            app.signature(
                RESEARCH_TASK_NAME,
                args=(each.payload,),
                task_id=each.id,
                queue=RESEARCH_QUEUE,
                argsrepr=each.description,
                kwargsrepr="{}",
                # The answer stands elsewhere; for a result each client would listen to a channel of its own.
                ignore_result=True,
            )
            for each in tasks
        ]
    ).apply_async()


class ResendTimes(NamedTuple):
    """How long the executor waits, in seconds."""

    #: A slice that no worker begins is sent again after this time if the queue is empty; each time after twice as long.
    empty_s: float = 3.0
    #: The same if something waits in the queue, which may be it.
    queued_s: float = 60.0
    #: When nothing is heard of any worker for so long, it is said.
    silence_s: float = 15.0


class _SentSlice:
    """A slice that was sent and has no answer."""

    def __init__(self, job: SliceJob, ids: Sequence[str]) -> None:
        """`ids` are those of its copies that were lost, whose answers count too."""
        self.job = job
        self.ids = list(ids)
        #: How often in a row it was sent and not begun.
        self.unseen = 0
        self.sent_s = 0.0
        self.is_running = False

    def is_overdue(self, now_s: float, after_s: float) -> bool:
        """Whether it is to be sent again: no worker began it."""
        return not self.is_running and now_s - self.sent_s >= after_s * float(2 ** (self.unseen - 1))


class CeleryExecutor:
    """The workers of one Redis."""

    def __init__(
        self,
        settings: Settings,
        *,
        fetch: bool,
        processes: int,
        warn: Callable[[str], None] = lambda _: None,
        patience: ResendTimes = ResendTimes(),  # noqa: B008 it never changes
        publish: Callable[[Sequence[SliceTask]], None] = send_group,
    ) -> None:
        """Begin with so many processes; `fetch`: workers get datasets from NATS' object store; `warn` takes a line."""
        self._settings, self._fetch, self.processes, self._warn = settings, fetch, processes, warn
        self._patience, self._publish = patience, publish
        self._results = connect(settings, settings.results, **connection_options())
        self._broker = connect(settings, settings.broker, **connection_options())
        self._sent: dict[str, _SentSlice] = {}
        #: Ids of slices that were lost: their answer still counts.
        self._lost: dict[str, list[str]] = {}
        self._heard_s = time.monotonic()
        self._is_silent = False

    def room(self) -> int:
        """Return how many more slices can be sent."""
        return max(0, AHEAD * self.processes - len(self._sent))

    def submit(self, jobs: Sequence[SliceJob]) -> None:
        """Send slices, as a group. What can't be sent is sent again later, as lost ones are."""
        sent = [_SentSlice(job, self._lost.pop(job.block.key, [])) for job in jobs]
        self._sent |= {each.job.block.key: each for each in sent}
        self._send(sent)

    def _send(self, slices: Sequence[_SentSlice]) -> None:
        with suppress(*FAILED, OperationalError):
            self._publish([self._task(each) for each in slices])

    def _task(self, sent: _SentSlice) -> SliceTask:
        block, state, budget_s, _ = sent.job
        request = SliceRequest(block, state, budget_s, len(sent.ids), self._fetch)
        payload = slice_task.pack(request)
        if len(payload) > slice_task.MAX_PAYLOAD_BYTES:
            raise DatasetError(
                f"a slice of {block.strategy} takes {len(payload):,} bytes, which no worker takes: use --local"
            )
        id_ = slice_task.task_id(payload)
        sent.ids.append(id_)
        sent.unseen += 1
        sent.sent_s = time.monotonic()
        return SliceTask(id_, payload, slice_task.description(request))

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
        self._say_silence()
        # Where Redis is unavailable: it comes back, or the command is ended, and goes on with --resume.
        with suppress(*FAILED):
            found = self._read()
            self._send_again()
            return found
        return []

    def _read(self) -> list[SliceAnswer]:
        """Return answers, and what was lost."""
        asked = [(sent, id_) for sent in self._sent.values() for id_ in sent.ids[-COPIES:]]
        if not asked:
            return []
        prefix = self._settings.celery_prefix
        keys = [slice_task.answer_key(prefix, id_) for _, id_ in asked]
        leases = [slice_task.lease_key(prefix, id_) for _, id_ in asked]
        # At one moment: whoever answers lets go of the lease behind that.
        values: list[bytes | None] = self._results.mget(keys + leases)  # type: ignore[assignment]  # a sync client
        packed, held = values[: len(keys)], values[len(keys) :]
        running = {sent.job.block.key for (sent, _), lease in zip(asked, held, strict=True) if lease is not None}
        answered = {
            sent.job.block.key: (key, reply)
            for (sent, _), key, reply in zip(asked, keys, packed, strict=True)
            if reply is not None
        }
        if running or answered:
            self._heard_s = time.monotonic()
        for key, _ in answered.values():
            self._results.expire(key, slice_task.READ_EXPIRES_S)
        taken = [self._taken(block, reply) for block, (_, reply) in answered.items()]
        return taken + self._ended(running)

    def _taken(self, block: str, packed: bytes) -> SliceAnswer:
        del self._sent[block]
        reply = slice_task.unpack_reply(packed)
        if reply.state is None:
            raise DatasetError(reply.refusal)
        return SliceAnswer(block, reply.state)

    def _ended(self, running: Collection[str]) -> list[SliceAnswer]:
        """Note what runs; return what ran and does not any more."""
        lost = []
        for block, sent in list(self._sent.items()):
            if sent.is_running and block not in running:
                self._lost[block] = self._sent.pop(block).ids
                lost.append(SliceAnswer(block, None))
            sent.is_running = block in running
        return lost

    def _send_again(self) -> None:
        """Send what no worker began. That says nothing about the slice, so it is not lost."""
        now_s = time.monotonic()
        overdue = [each for each in self._sent.values() if each.is_overdue(now_s, self._patience.empty_s)]
        if overdue and self._broker.llen(f"{self._settings.celery_prefix}{RESEARCH_QUEUE}"):
            overdue = [each for each in overdue if each.is_overdue(now_s, self._patience.queued_s)]
        if overdue:
            self._send(overdue)

    def _say_silence(self) -> None:
        is_silent = bool(self._sent) and time.monotonic() - self._heard_s >= self._patience.silence_s
        if is_silent and not self._is_silent:
            self._warn("nothing is heard of any worker: the sweep goes on when one takes tasks of the queue research")
        self._is_silent = is_silent

    def close(self) -> None:
        """Close the connections. What was sent runs to the end of its slice."""
        self._results.close()
        self._broker.close()
