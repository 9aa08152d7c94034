"""Decides which queue each task goes to, and notes what comes of it. Pure: time is an argument, in monotonic seconds.

A task goes to the queue of its pool, which all workers of the pool read: Redis hands it to the one that has waited
longest. So at small loads they take turns, and each finds that the processor's caches hold nothing of it any more. Small
tasks that have the workers to themselves, from the second in a row on, therefore go to the queue of one worker, always
the same. No guarantee depends on that: what is sent again goes to the pool's queue, and from then on another worker is
preferred.
"""

import itertools
from collections.abc import Iterable, Sequence

from ingest.lanes.contention import ContentionEstimator
from ingest.lanes.lane import Lane
from ingest.lanes.task_packing import FULL_EVENTS, PoolGroup, Workforce


class TaskRouter:
    """Numbers the tasks of an epoch, and chooses the queue of each."""

    def __init__(self, shard: int) -> None:
        """Take the shard's number: each begins with another worker."""
        self._shard = shard
        self._numbers = itertools.count(1)
        self._contention = ContentionEstimator()
        #: The task that each group sent last to the queue of a worker, and that queue.
        self._preferred: dict[PoolGroup, tuple[int, str]] = {}
        #: The groups whose last task was small and had the workers to itself. Where full ones come in between, the preferred
        #: worker may still be busy with what follows a commit, and an idle one would begin at once.
        self._quiet: set[PoolGroup] = set()
        #: The group of each task in flight that was sent again: any worker may be at a copy, also the preferred one.
        self._sent_again: dict[int, PoolGroup] = {}
        #: The queues of workers that did not commit in time what was sent to them, and are taken for alive.
        self._avoided: set[str] = set()

    def restart(self) -> None:
        """Forget what is in flight: another epoch begins."""
        self._contention = ContentionEstimator()
        self._preferred.clear()
        self._sent_again.clear()
        self._quiet.clear()

    def send(self, lanes: Sequence[Lane], workforce: Workforce | None, now_s: float) -> str:
        """Note that the batches in flight in these lanes go out in one task; return the queue, empty: the pool's."""
        number = next(self._numbers)
        again = {lane.task for lane in lanes if lane.task}
        for task in again:
            self._lose(task)
        for lane in lanes:
            lane.sent(now_s, number)
        group = workforce.group(lanes[0].id.pool) if workforce else None
        if group and again:
            self._sent_again[number] = group
        if not workforce or not group or again:
            return ""
        events, was_quiet = sum(len(lane.flight) for lane in lanes), group in self._quiet
        is_quiet = events < FULL_EVENTS and self._has_workers_to_itself(group, workforce)
        (self._quiet.add if is_quiet else self._quiet.discard)(group)
        self._contention.sent(number, group, len(lanes), events, now_s)
        return self._prefer(number, group, workforce) if is_quiet and was_quiet else ""

    def committed(self, task: int, now_s: float) -> None:
        """Note that a batch of a task is committed."""
        self._contention.committed(task, now_s)
        self._sent_again.pop(task, None)

    def is_contended(self, group: PoolGroup, now_s: float) -> bool:
        """Whether a small task should wait until no other of its group is in flight. Asked when there is one."""
        return self._contention.slows(group, now_s)

    def left_behind(self, lanes: Iterable[Lane], workforce: Workforce | None) -> list[Lane]:
        """Return those lanes whose batches in flight were sent to the queue of a worker that is gone."""
        if not workforce:
            return []
        gone = {task for group, (task, queue) in self._preferred.items() if queue not in workforce.own_queues(group)}
        return [lane for lane in lanes if lane.task in gone] if gone else []

    def _has_workers_to_itself(self, group: PoolGroup, workforce: Workforce) -> bool:
        others = itertools.chain(self._contention.groups_in_flight, self._sent_again.values())
        return not any(workforce.processes(group[0], other[0]) for other in others)

    def _prefer(self, task: int, group: PoolGroup, workforce: Workforce) -> str:
        queues = workforce.own_queues(group)
        if len(queues) <= 1:
            return ""
        self._avoided.intersection_update(workforce.own_queues(()))
        able = [queue for queue in queues if queue not in self._avoided]
        if not able:  # each gets another chance
            self._avoided.difference_update(queues)
            able = [*queues]
        queue = able[self._shard % len(able)]
        self._preferred[group] = task, queue
        return queue

    def _lose(self, task: int) -> None:
        """Forget a task of which something is sent again, and prefer another worker than the one that had it."""
        self._contention.lost(task)
        self._sent_again.pop(task, None)
        for group, (sent, queue) in list(self._preferred.items()):
            if sent == task:
                del self._preferred[group]
                self._avoided.add(queue)
