"""Which lanes' batches go out now, and which of them travel together in one task. Pure.

A task costs about the same whether it carries one event or a hundred: the queue, a worker's main process, its child,
round trips. So no more tasks are on their way than the workers have processes. While there are fewer, each lane that
has something gets a task of its own; when there are not enough for all, lanes of a pool share.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from ingest.lane import Lane
from tasks.batches import MAX_BATCH_BYTES

#: So many events make a task that is worth its cost: lanes share no larger one, and a process has its next one at hand
#: before it has done with this one. Of fewer, more gather while they wait.
FULL_EVENTS = 100
AHEAD_TASKS = 2
#: Parts of processes are added up.
_ROUNDING = 1e-6


class Crew:
    """The workers: which pools they serve, with how many processes."""

    def __init__(self, workers: Iterable[tuple[Collection[str], int]]) -> None:
        """Take the pools and the processes of each."""
        self._workers = [(frozenset(served), count) for served, count in workers]
        self._counted: dict[tuple[str, ...], int] = {}

    def processes(self, *pools: str) -> int:
        """Count the processes that serve all of these pools."""
        if pools not in self._counted:
            self._counted[pools] = sum(count for served, count in self._workers if served.issuperset(pools))
        return self._counted[pools]

    def has_room(self, pool: str, on_their_way: Mapping[str, int], ahead: int = 1) -> bool:
        """Say whether there is room for another task of a pool, with so many on their way by pool.

        A task of another pool takes room as far as the processes that may run it serve this pool too. For one task
        there is always room: else a pool whose processes are shared with a busier one might wait for ever.
        """
        if not on_their_way.get(pool):
            return True
        taken = sum(count * self._part(pool, other) for other, count in on_their_way.items() if count)
        return ahead * self.processes(pool) - taken > 1 - _ROUNDING

    def _part(self, pool: str, other: str) -> float:
        """Give the part of another pool's processes that serve this pool too."""
        return self.processes(pool, other) / (self.processes(other) or 1)


def tasks_of(
    ready: Mapping[str, Sequence[Lane]], on_their_way: Mapping[str, int], crew: Crew | None
) -> list[list[Lane]]:
    """Give the lanes of each task that should go out now, while so many are on their way by pool.

    `ready` are the lanes that have something to send out, by pool. Where nobody knows who works for a pool, each of its
    lanes gets a task of its own.
    """
    counts, tasks = dict(on_their_way), list[list[Lane]]()
    manned = {pool: list(lanes) for pool, lanes in ready.items() if lanes and crew and crew.processes(pool)}
    tasks += [[lane] for pool, lanes in ready.items() if pool not in manned for lane in lanes]
    if crew is not None:
        tasks += _fill(manned, counts, crew, 1)
        gone = {lane.id for lanes in tasks for lane in lanes}
        full = {
            pool: [lane for lane in lanes if lane.id not in gone and len(lane.waiting) >= FULL_EVENTS]
            for pool, lanes in manned.items()
        }
        tasks += _fill({pool: lanes for pool, lanes in full.items() if lanes}, counts, crew, AHEAD_TASKS)
    return tasks


def _fill(ready: Mapping[str, Sequence[Lane]], counts: dict[str, int], crew: Crew, ahead: int) -> list[list[Lane]]:
    """Give the room that there is to the pools in turn, the one whose event has waited longest first."""
    in_turn = sorted(ready, key=lambda pool: min(map(_oldest, ready[pool])))
    given = dict.fromkeys(in_turn, 0)
    more = True
    while more:
        more = False
        for pool in in_turn:
            if given[pool] < len(ready[pool]) and crew.has_room(pool, counts, ahead):
                given[pool] += 1
                counts[pool] = counts.get(pool, 0) + 1
                more = True
    return [task for pool in in_turn for task in share_out(ready[pool], given[pool])]


def on_their_way(lanes: Iterable[Lane], now_s: float) -> int:
    """Count the tasks whose batches are not all known to be committed.

    What is overdue does not count: its task is lost, or its worker is. Nor do copies: they are bounded by themselves.
    """
    return len({lane.task for lane in lanes if lane.flight and lane.tries == 1 and not lane.overdue(now_s)})


def share_out(ready: Sequence[Lane], tasks: int) -> list[list[Lane]]:
    """Share lanes that have something to send out among at most so many tasks: who has waited longest goes first.

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
