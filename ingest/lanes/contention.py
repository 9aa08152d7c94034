"""Whether tasks at the same time get in each other's way. Pure: time is an argument, in monotonic seconds.

Worker processes with cores of their own do not. Where they share cores, with each other or with the servers, two small
tasks at once take longer than one after the other, and what waits meanwhile would have made one task of a better size.
Ingest can't know which it is, so it is measured: how long a task takes that has the workers to itself, and how long
one takes while others run, by the same number of events. One of each is tried every second.
"""

from collections.abc import Iterator

import msgspec

from ingest.lanes.task_packing import PoolGroup

#: The fixed cost of a task, in events: a task of n events takes about as long as n + TASK_EVENTS events by themselves.
TASK_EVENTS = 10
#: Two tasks at once are worth it while each takes less than so many times as long as alone. With cores of their own it
#: is 1.0, and what cold caches add; where two workers, ingest and servers shared two cores it was 2.0 to 3.2.
SLOWER = 1.2
TRY_EVERY_S = 1.0
#: No task is held back for others longer than that.
MAX_HOLD_BACK_S = 0.025
_SMOOTHING = 0.25


class _TaskTimings(msgspec.Struct):
    """Smoothed duration of one kind of task, in seconds an event."""

    #: Seconds an event, smoothed; None: none was seen.
    event_s: float | None = None
    #: When it was last tried.
    tried_s: float = float("-inf")

    def take(self, event_s: float, now_s: float) -> None:
        before_s = event_s if self.event_s is None else self.event_s
        self.event_s, self.tried_s = before_s + _SMOOTHING * (event_s - before_s), now_s

    def due(self, now_s: float) -> bool:
        return now_s - self.tried_s > TRY_EVERY_S


class _GroupTimings(msgspec.Struct):
    """Timings of a group of pools: tasks that run alone and tasks that run concurrently."""

    alone: _TaskTimings = msgspec.field(default_factory=_TaskTimings)
    concurrent: _TaskTimings = msgspec.field(default_factory=_TaskTimings)
    #: Since when something waits for tasks to come back.
    waits_s: float | None = None


class _SentTask(msgspec.Struct):
    """A task in flight."""

    group: PoolGroup
    #: How many of its batches are not known to be committed.
    batches: int
    events: int
    sent_s: float
    #: Whether another task was in flight at some time.
    concurrent: bool


class ContentionEstimator:
    """Estimates whether concurrent tasks slow each other down, for each group of pools that the same workers serve."""

    def __init__(self) -> None:
        self._groups: dict[PoolGroup, _GroupTimings] = {}
        self._sent_tasks: dict[int, _SentTask] = {}

    @property
    def groups_in_flight(self) -> Iterator[PoolGroup]:
        """The group of each task in flight."""
        return (each.group for each in self._sent_tasks.values())

    def sent(self, task: int, group: PoolGroup, batches: int, events: int, now_s: float) -> None:
        """Note that task number `task` goes out, with so many batches and events, at `now_s` (monotonic seconds).

        Other tasks of its group that are in flight run concurrently with it, and it with them. Each of its batches is
        to be noted with `committed`, or the task with `lost`.
        """
        others = [each for each in self._sent_tasks.values() if each.group == group]
        for each in others:
            each.concurrent = True
        self._sent_tasks[task] = _SentTask(group, batches, events, now_s, bool(others))
        self._of(group).waits_s = None

    def committed(self, task: int, now_s: float) -> None:
        """Note that a batch of a task is committed; with the last one the task is measured.

        An unknown task is ignored.
        """
        each = self._sent_tasks.get(task)
        if each is None:
            return
        each.batches -= 1
        if not each.batches:
            del self._sent_tasks[task]
            timings = self._of(each.group)
            measured = timings.concurrent if each.concurrent else timings.alone
            measured.take((now_s - each.sent_s) / (each.events + TASK_EVENTS), now_s)

    def lost(self, task: int) -> None:
        """Forget a task of which something is sent again, or everything counts as not sent."""
        self._sent_tasks.pop(task, None)

    def slows(self, group: PoolGroup, now_s: float) -> bool:
        """Whether a small task should wait until no other of its group is in flight. Asked when there is one."""
        timings = self._of(group)
        if timings.waits_s is None:
            timings.waits_s = now_s
        if now_s - timings.waits_s >= MAX_HOLD_BACK_S:
            timings.alone.tried_s = now_s  # those in flight take long: it is tried again later
            return False
        if timings.alone.due(now_s):
            return True
        if timings.alone.event_s is None or timings.concurrent.event_s is None or timings.concurrent.due(now_s):
            return False
        return timings.concurrent.event_s > SLOWER * timings.alone.event_s

    def _of(self, group: PoolGroup) -> _GroupTimings:
        return self._groups.setdefault(group, _GroupTimings())
