"""Decides which lanes' batches go out now, and which of them travel together in one task. Pure.

A task costs about the same whether it carries one event or a hundred: the queue, a worker's main process, its child,
round trips. So no more tasks are in flight than the workers have processes, and a second one for each process only once
`FULL_EVENTS` have gathered. While processes outnumber the lanes that have something, each of these lanes gets a task of
its own; otherwise lanes share tasks, also lanes of several pools where the same workers serve them.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import chain

from ingest.lanes.lane import Lane
from tasks.protocol.batches import MAX_BATCH_BYTES
from tasks.protocol.task_name import WORKER_QUEUE_PREFIX

#: So many events make a task that is worth its cost: lanes share no larger one, it does not wait for others to come
#: back, and a process has its next one at hand before it has done with this one. Of fewer, more gather while they wait.
FULL_EVENTS = 100
AHEAD_TASKS = 2
#: Parts of processes are added up.
_ROUNDING = 1e-6

#: Pools that the same workers serve.
PoolGroup = tuple[str, ...]


class Workforce:
    """The workers: which pools they serve, with how many processes."""

    def __init__(self, workers: Iterable[tuple[Collection[str], int]]) -> None:
        """Take the queues and the processes of each: those of its pools, and one of its own."""
        self._workers = [(frozenset(served), count) for served, count in workers]
        self._own_queues: dict[PoolGroup, list[str]] = {}
        self._counted: dict[PoolGroup, int] = {}
        self._groups = {pool: group for group in self._find_groups() for pool in group}

    @property
    def listening(self) -> list[frozenset[str]]:
        """The pools that each worker serves."""
        return [served for served, _ in self._workers]

    def processes(self, *pools: str) -> int:
        """Count the processes that serve all of these pools."""
        if pools not in self._counted:
            self._counted[pools] = sum(count for served, count in self._workers if served.issuperset(pools))
        return self._counted[pools]

    def own_queues(self, group: PoolGroup) -> Sequence[str]:
        """Return the queues, by name, of those workers that have one of their own and serve a group of pools."""
        if group not in self._own_queues:
            serving = chain.from_iterable(
                served for served, count in self._workers if count and served.issuperset(group)
            )
            self._own_queues[group] = sorted({queue for queue in serving if queue.startswith(WORKER_QUEUE_PREFIX)})
        return self._own_queues[group]

    def group(self, pool: str) -> PoolGroup | None:
        """Return the pools that the same workers serve as this one, itself among them; None: no worker serves it."""
        return self._groups.get(pool)

    def _find_groups(self) -> Iterable[PoolGroup]:
        groups: dict[tuple[int, ...], list[str]] = {}
        queues = set[str]().union(*(served for served, _ in self._workers))
        # The queue of a worker is no pool: where there is one worker, the group would change with its name.
        for pool in sorted(queue for queue in queues if not queue.startswith(WORKER_QUEUE_PREFIX)):
            servers = tuple(number for number, (served, count) in enumerate(self._workers) if count and pool in served)
            groups.setdefault(servers, []).append(pool)
        return (tuple(group) for servers, group in groups.items() if servers)

    def has_room(self, group: PoolGroup, in_flight_tasks: Mapping[PoolGroup, int], ahead: int = 1) -> bool:
        """Return whether there is room for another task of a group, with so many in flight by group.

        A task of another group takes room as far as the processes that may run it serve this one too. For one task
        there is always room: else a group whose processes are shared with a busier one might wait endlessly.
        """
        if not in_flight_tasks.get(group):
            return True
        taken = sum(count * self._part(group, other) for other, count in in_flight_tasks.items() if count)
        return ahead * self.processes(group[0]) - taken > 1 - _ROUNDING

    def _part(self, group: PoolGroup, other: PoolGroup) -> float:
        """Return the part of another group's processes that serve this one too."""
        return self.processes(group[0], other[0]) / (self.processes(other[0]) or 1)


def plan_tasks(
    lanes: Mapping[str, Sequence[Lane]],
    ready: Collection[Lane],
    workforce: Workforce | None,
    now_s: float,
    is_contended: Callable[[PoolGroup], bool] = lambda _: False,
) -> list[list[Lane]]:
    """Return the lanes of each task that should go out now: of `lanes`, by pool, those that are `ready` to send.

    Where nobody knows who works for a pool, each of its lanes gets a task of its own. Of a contended group, a
    small task waits until no other is in flight.
    """
    if workforce is None:
        return [[lane] for lane in ready]
    waiting: dict[PoolGroup, list[Lane]] = {}
    tasks: list[list[Lane]] = []
    for lane in ready:
        group = workforce.group(lane.id.pool)
        if group:
            waiting.setdefault(group, []).append(lane)
        else:
            tasks.append([lane])
    groups = {group for pool in lanes if (group := workforce.group(pool))}
    counts = {
        group: in_flight_tasks(chain.from_iterable(lanes.get(pool, ()) for pool in group), now_s) for group in groups
    }
    small = {group for group, several in waiting.items() if sum(len(lane.waiting) for lane in several) < FULL_EVENTS}
    tasks += _fill(waiting, counts, workforce, 1, {group for group in small if is_contended(group)})
    gone = {lane.id for lanes in tasks for lane in lanes}
    full = {
        group: [lane for lane in several if lane.id not in gone and len(lane.waiting) >= FULL_EVENTS]
        for group, several in waiting.items()
    }
    return tasks + _fill(full, counts, workforce, AHEAD_TASKS)


def _fill(
    waiting: Mapping[PoolGroup, Sequence[Lane]],
    counts: dict[PoolGroup, int],
    workforce: Workforce,
    ahead: int,
    one_at_a_time: Collection[PoolGroup] = (),
) -> list[list[Lane]]:
    """Return the tasks that there is room for: groups take turns, the one whose event waited longest first."""
    in_turn = sorted(
        (group for group in waiting if waiting[group]), key=lambda group: min(map(_oldest, waiting[group]))
    )
    given = dict.fromkeys(in_turn, 0)
    more = True
    while more:
        more = False
        for group in in_turn:
            busy = counts.get(group) and group in one_at_a_time
            if given[group] < len(waiting[group]) and not busy and workforce.has_room(group, counts, ahead):
                given[group] += 1
                counts[group] = counts.get(group, 0) + 1
                more = True
    return [task for group in in_turn for task in split_lanes(waiting[group], given[group])]


def in_flight_tasks(lanes: Iterable[Lane], now_s: float) -> int:
    """Count the tasks whose batches are not all known to be committed.

    What is overdue does not count: its task is lost, or its worker is. Nor do copies: they are bounded by themselves.
    """
    return len({lane.task for lane in lanes if lane.flight and lane.tries == 1 and not lane.overdue(now_s)})


def split_lanes(ready: Sequence[Lane], tasks: int) -> list[list[Lane]]:
    """Split lanes that have something to send into at most so many tasks: who has waited longest goes first.

    Lanes share a task only until it is full; what does not fit waits for the next one.
    """
    if tasks <= 0:
        return []
    oldest = sorted(ready, key=_oldest)
    shared: list[list[Lane]] = []
    each = events = size = 0
    for place, lane in enumerate(oldest):
        fits = events + len(lane.waiting) <= FULL_EVENTS and size + lane.held_bytes <= MAX_BATCH_BYTES
        if shared and len(shared[-1]) < each and fits:
            shared[-1].append(lane)
        elif len(shared) < tasks:
            each = -(-(len(oldest) - place) // (tasks - len(shared)))
            shared.append([lane])
            events = size = 0
        else:
            break
        events += len(lane.waiting)
        size += lane.held_bytes
    return shared


def _oldest(lane: Lane) -> int:
    return lane.first.seq if lane.first else 0
