"""Whether tasks at the same time get in each other's way. Pure: time is an argument, in monotonic seconds.

Worker processes with cores of their own do not. Where they share cores, with each other or with the servers, two small
tasks at once take longer than one after the other, and what waits meanwhile would have made one task of a better size.
Nobody tells ingest which it is, so it is measured: how long a task takes that has the workers to itself, and how long
one beside others, by the same number of events. One of each is tried every second.
"""

import msgspec

from ingest.lanes.task_packing import Team

#: A task takes as long as so many events more.
TASK_EVENTS = 10
#: Two at once pay while each takes less than so many times as long as alone. With cores of their own it is 1.0; where two
#: workers, ingest and servers shared two cores it was 1.4 to 1.9.
SLOWER = 1.2
TRY_EVERY_S = 1.0
#: No task waits for others longer than that.
PATIENCE_S = 0.025
_SMOOTHING = 0.25


class _Measured(msgspec.Struct):
    """Tasks of one kind."""

    #: Seconds an event, smoothed; None: none was seen.
    event_s: float | None = None
    #: When it was last tried.
    tried_s: float = float("-inf")

    def take(self, event_s: float, now_s: float) -> None:
        before_s = event_s if self.event_s is None else self.event_s
        self.event_s, self.tried_s = before_s + _SMOOTHING * (event_s - before_s), now_s

    def due(self, now_s: float) -> bool:
        return now_s - self.tried_s > TRY_EVERY_S


class _PoolGroup(msgspec.Struct):
    """What is known of a team."""

    alone: _Measured = msgspec.field(default_factory=_Measured)
    beside: _Measured = msgspec.field(default_factory=_Measured)
    #: Since when something waits for tasks to come back.
    waits_s: float | None = None


class _UnderWay(msgspec.Struct):
    """A task that was sent."""

    team: Team
    #: How many of its batches are not known to be committed.
    batches: int
    events: int
    sent_s: float
    #: Whether another task was under way at some time.
    beside: bool


class ContentionEstimator:
    """Measures tasks, by the team of workers that runs them."""

    def __init__(self) -> None:
        self._teams: dict[Team, _PoolGroup] = {}
        self._under_way: dict[int, _UnderWay] = {}

    def sent(self, task: int, team: Team, batches: int, events: int, now_s: float) -> None:
        """Note that a task goes out."""
        others = [each for each in self._under_way.values() if each.team == team]
        for each in others:
            each.beside = True
        self._under_way[task] = _UnderWay(team, batches, events, now_s, bool(others))
        self._of(team).waits_s = None

    def committed(self, task: int, now_s: float) -> None:
        """Learn that a batch of a task is committed."""
        each = self._under_way.get(task)
        if each is None:
            return
        each.batches -= 1
        if not each.batches:
            del self._under_way[task]
            team = self._of(each.team)
            measured = team.beside if each.beside else team.alone
            measured.take((now_s - each.sent_s) / (each.events + TASK_EVENTS), now_s)

    def lost(self, task: int) -> None:
        """Forget a task of which something is sent again, or everything counts as not sent."""
        self._under_way.pop(task, None)

    def slows(self, name: Team, now_s: float) -> bool:
        """Whether a small task should wait until no other of its team is under way. Asked when there is one."""
        team = self._of(name)
        if team.waits_s is None:
            team.waits_s = now_s
        if now_s - team.waits_s >= PATIENCE_S:
            team.alone.tried_s = now_s  # those under way take long: it is tried again later
            return False
        if team.alone.due(now_s):
            return True
        if team.alone.event_s is None or team.beside.event_s is None or team.beside.due(now_s):
            return False
        return team.beside.event_s > SLOWER * team.alone.event_s

    def _of(self, team: Team) -> _PoolGroup:
        return self._teams.setdefault(team, _PoolGroup())
