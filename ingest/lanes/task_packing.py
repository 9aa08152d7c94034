"""Which lanes' batches go out now, and which of them travel together in one task. Pure.

A task costs about the same whether it carries one event or a hundred: the queue, a worker's main process, its child,
round trips. So no more tasks are in flight than the workers have processes. While there are fewer, each lane that
has something gets a task of its own; when there are not enough for all, lanes share, also lanes of several pools where
the same workers serve them.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import chain

from ingest.lanes.lane import Lane
from tasks.protocol.batches import MAX_BATCH_BYTES

#: So many events make a task that is worth its cost: lanes share no larger one, it does not wait for others to come back,
#: and a process has its next one at hand before it has done with this one. Of fewer, more gather while they wait.
FULL_EVENTS = 100
AHEAD_TASKS = 2
#: Parts of processes are added up.
_ROUNDING = 1e-6

#: Pools that the same workers serve.
Team = tuple[str, ...]


class Workforce:
    """The workers: which pools they serve, with how many processes."""

    def __init__(self, workers: Iterable[tuple[Collection[str], int]]) -> None:
        """Take the pools and the processes of each."""
        self._workers = [(frozenset(served), count) for served, count in workers]
        self._counted: dict[Team, int] = {}
        self._teams = {pool: team for team in self._find_teams() for pool in team}

    @property
    def listening(self) -> list[frozenset[str]]:
        """The pools that each worker serves."""
        return [served for served, _ in self._workers]

    def processes(self, *pools: str) -> int:
        """Count the processes that serve all of these pools."""
        if pools not in self._counted:
            self._counted[pools] = sum(count for served, count in self._workers if served.issuperset(pools))
        return self._counted[pools]

    def team(self, pool: str) -> Team | None:
        """Return the pools that are served by the same workers as this one, itself among them; None: it by nobody."""
        return self._teams.get(pool)

    def _find_teams(self) -> Iterable[Team]:
        teams: dict[tuple[int, ...], list[str]] = {}
        for pool in sorted(set[str]().union(*(served for served, _ in self._workers))):
            servers = tuple(number for number, (served, count) in enumerate(self._workers) if count and pool in served)
            teams.setdefault(servers, []).append(pool)
        return (tuple(team) for servers, team in teams.items() if servers)

    def has_room(self, team: Team, in_flight_tasks: Mapping[Team, int], ahead: int = 1) -> bool:
        """Return whether there is room for another task of a team, with so many in flight by team.

        A task of another team takes room as far as the processes that may run it serve this one too. For one task
        there is always room: else a team whose processes are shared with a busier one might wait endlessly.
        """
        if not in_flight_tasks.get(team):
            return True
        taken = sum(count * self._part(team, other) for other, count in in_flight_tasks.items() if count)
        return ahead * self.processes(team[0]) - taken > 1 - _ROUNDING

    def _part(self, team: Team, other: Team) -> float:
        """Return the part of another team's processes that serve this one too."""
        return self.processes(team[0], other[0]) / (self.processes(other[0]) or 1)


def plan_tasks(
    lanes: Mapping[str, Sequence[Lane]],
    ready: Collection[Lane],
    workforce: Workforce | None,
    now_s: float,
    crowded: Callable[[Team], bool] = lambda _: False,
) -> list[list[Lane]]:
    """Return the lanes of each task that should go out now: of `lanes`, by pool, those that are `ready` to send.

    Where nobody knows who works for a pool, each of its lanes gets a task of its own. Of a team that is `crowded`, a
    small task waits until no other is in flight.
    """
    if workforce is None:
        return [[lane] for lane in ready]
    waiting: dict[Team, list[Lane]] = {}
    tasks: list[list[Lane]] = []
    for lane in ready:
        team = workforce.team(lane.id.pool)
        if team:
            waiting.setdefault(team, []).append(lane)
        else:
            tasks.append([lane])
    teams = {team for pool in lanes if (team := workforce.team(pool))}
    counts = {team: in_flight_tasks(chain.from_iterable(lanes.get(pool, ()) for pool in team), now_s) for team in teams}
    small = {team for team, several in waiting.items() if sum(len(lane.waiting) for lane in several) < FULL_EVENTS}
    tasks += _fill(waiting, counts, workforce, 1, {team for team in small if crowded(team)})
    gone = {lane.id for lanes in tasks for lane in lanes}
    full = {
        team: [lane for lane in several if lane.id not in gone and len(lane.waiting) >= FULL_EVENTS]
        for team, several in waiting.items()
    }
    return tasks + _fill(full, counts, workforce, AHEAD_TASKS)


def _fill(
    waiting: Mapping[Team, Sequence[Lane]],
    counts: dict[Team, int],
    workforce: Workforce,
    ahead: int,
    one_at_a_time: Collection[Team] = (),
) -> list[list[Lane]]:
    """Return the room that there is to the teams in turn, the one whose event has waited longest first."""
    in_turn = sorted((team for team in waiting if waiting[team]), key=lambda team: min(map(_oldest, waiting[team])))
    given = dict.fromkeys(in_turn, 0)
    more = True
    while more:
        more = False
        for team in in_turn:
            busy = counts.get(team) and team in one_at_a_time
            if given[team] < len(waiting[team]) and not busy and workforce.has_room(team, counts, ahead):
                given[team] += 1
                counts[team] = counts.get(team, 0) + 1
                more = True
    return [task for team in in_turn for task in share_out(waiting[team], given[team])]


def in_flight_tasks(lanes: Iterable[Lane], now_s: float) -> int:
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
