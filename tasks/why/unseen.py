"""Events of a live run that its strategy never saw, as the dead letters tell. Pure.

An event on which a strategy raises is none of them: it raises in a replay too.
"""

from collections.abc import Iterable
from typing import NamedTuple

from tasks.events import AnyEvent, Kind, Venue
from tasks.protocol import dead_letters
from tasks.protocol.dead_letters import DeadLetter
from tasks.protocol.utc_time import utc

#: What stands in the letters that tell of them.
UNSEEN = (b'"condemned"', b"every run that gave this event to this strategy ended with its process")
EventKey = tuple[Venue, str, Kind, int, int]


class UnseenEvents(NamedTuple):
    """The events of one pool that a strategy did not see."""

    #: Given to no strategy: every worker that ran them ended.
    quarantined: frozenset[EventKey] = frozenset()
    #: Given to the other strategies: this one ended its process on them.
    excluded: frozenset[EventKey] = frozenset()

    @property
    def notes(self) -> list[str]:
        """A line for each of them, for a person."""
        why = ((self.quarantined, "was quarantined"), (self.excluded, "ended the process of its strategy"))
        return [
            f"{venue} {symbol} {kind} {id_} of {utc(time_ms)} {what}: the replay leaves it out, as the live run did"
            for keys, what in why
            for venue, symbol, kind, id_, time_ms in sorted(keys)
        ]


ALL_SEEN = UnseenEvents()


def key_of(event: AnyEvent) -> EventKey:
    """Return what tells an event from all others of a run."""
    return event.venue, event.symbol, event.kind, event.id, event.time_ms


def of_letters(letters: Iterable[DeadLetter], pool: str, strategy: str) -> UnseenEvents:
    """Return the events that a strategy of a pool did not see."""
    quarantined, excluded = set[EventKey](), set[EventKey]()
    for letter in letters:
        if letter.event is None or letter.pool != pool:
            continue
        if letter.reason == "condemned":
            quarantined.add(key_of(letter.event))
        elif letter == dead_letters.ended_process(pool, strategy, letter.event):
            excluded.add(key_of(letter.event))
    return UnseenEvents(frozenset(quarantined), frozenset(excluded))
