"""Slices on a queue that loses tasks, seen from the command; the test plays the workers."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import redis

from tasks.settings import Settings
from tasks.sweep import slice_task
from tasks.sweep.block import Block
from tasks.sweep.celery_executor import CeleryExecutor, ResendTimes, SliceTask
from tasks.sweep.slice_run import BlockState
from tasks.sweep.slice_task import SliceReply
from tasks.sweep.sweep_run import SliceAnswer, SliceJob
from tests.support.files import sweeps
from tests.support.waiting import wait_for

NEVER_S = 10_000.0
IMPATIENT = ResendTimes(empty_s=0.01, queued_s=NEVER_S, silence_s=NEVER_S)
DONE = BlockState(segment=1)


class Played:
    """An executor, and what workers would do."""

    def __init__(self, settings: Settings, client: redis.Redis, patience: ResendTimes) -> None:
        self.sent: list[SliceTask] = []
        self.warnings: list[str] = []
        self._prefix, self.client = settings.celery_prefix, client
        self.executor = CeleryExecutor(
            settings, fetch=False, processes=1, warn=self.warnings.append, patience=patience, publish=self.sent.extend
        )

    def send(self, block: Block) -> None:
        self.executor.submit([SliceJob(block, BlockState(), 0.5, 0)])

    def begin(self, id_: str) -> None:
        self.client.set(slice_task.lease_key(self._prefix, id_), b"")
        assert self.executor.answers(0) == []

    def end(self, id_: str) -> None:
        self.client.delete(slice_task.lease_key(self._prefix, id_))

    def answer(self, id_: str) -> None:
        self.client.set(slice_task.answer_key(self._prefix, id_), slice_task.pack(SliceReply(DONE)))

    def queue(self) -> None:
        """Have something wait in the queue."""
        self.client.lpush(f"{self._prefix}research", b"a task")

    def sends(self, count: int) -> None:
        """Ask for answers, of which there are none, until so many tasks were sent."""
        wait_for(lambda: self.executor.answers(0) or len(self.sent) == count, f"{count} tasks")


@pytest.fixture
def block(tmp_path: Path) -> Block:
    return sweeps.blocks([sweeps.dataset(tmp_path, sweeps.prices())], sweeps.moods("calm"))[0]


@pytest.fixture
def played(settings: Settings, client: redis.Redis) -> Iterator[Played]:
    made = Played(settings, client, IMPATIENT)
    with closing(made.executor):
        yield made


def test_an_answer_is_taken_and_soon_forgotten(played: Played, block: Block):
    played.send(block)
    (task,) = played.sent
    played.answer(task.id)
    assert played.executor.answers(0) == [SliceAnswer(block.key, DONE)]
    assert 0 < played.client.ttl(slice_task.answer_key(played._prefix, task.id)) <= slice_task.READ_EXPIRES_S
    assert played.executor.room() == 2


def test_a_slice_that_no_worker_begins_is_sent_again_and_not_lost(played: Played, block: Block):
    played.send(block)
    played.sends(4)
    assert len({task.id for task in played.sent}) == 4, "no `revoke` of one stops another"
    played.answer(played.sent[1].id)
    assert played.executor.answers(0) == [SliceAnswer(block.key, DONE)]


def test_a_slice_is_not_sent_again_while_it_may_be_in_the_queue(played: Played, block: Block):
    played.queue()
    played.send(block)
    for _ in range(20):
        assert played.executor.answers(0.01) == []
    assert len(played.sent) == 1


def test_a_slice_that_runs_is_waited_for(played: Played, block: Block):
    played.send(block)
    played.begin(played.sent[0].id)
    sent = len(played.sent)
    for _ in range(20):
        assert played.executor.answers(0.01) == []
    assert len(played.sent) == sent


def test_a_slice_whose_process_ended_is_lost_and_its_late_answer_counts(played: Played, block: Block):
    played.send(block)
    first = played.sent[0].id
    played.begin(first)
    played.end(first)
    assert played.executor.answers(0) == [SliceAnswer(block.key, None)]
    played.send(block)
    played.answer(first)
    assert played.executor.answers(0) == [SliceAnswer(block.key, DONE)]


def test_an_answer_counts_although_its_lease_is_gone(played: Played, block: Block):
    played.send(block)
    id_ = played.sent[0].id
    played.begin(id_)
    played.answer(id_)
    played.end(id_)
    assert played.executor.answers(0) == [SliceAnswer(block.key, DONE)]


def test_two_sweeps_of_the_same_share_an_answer(settings: Settings, played: Played, block: Block):
    other = Played(settings, played.client, IMPATIENT)
    with closing(other.executor):
        for each in (played, other):
            each.send(block)
        assert played.sent[0] == other.sent[0]
        played.answer(played.sent[0].id)
        assert [each.executor.answers(0) for each in (played, other)] == 2 * [[SliceAnswer(block.key, DONE)]]


def test_it_is_said_once_that_no_worker_is_heard(settings: Settings, client: redis.Redis, block: Block):
    played = Played(settings, client, ResendTimes(NEVER_S, NEVER_S, silence_s=0.0))
    with closing(played.executor):
        assert played.executor.answers(0) == []
        assert played.warnings == [], "nothing was sent"
        played.send(block)
        for _ in range(3):
            played.executor.answers(0)
        assert len(played.warnings) == 1
    assert played.warnings[0].startswith("nothing is heard of any worker")
