"""The last events of all streams: the one that a signal answers is among them when the signal goes out."""

from collections import deque

from tasks.events import AnyEvent

#: A second of 2,000 events/s, 50 ms of 40,000; a signal goes out a few milliseconds after its event came in.
EVENTS_KEPT = 2_000


class RecentEvents:
    """The last events, whatever they are of."""

    def __init__(self, most: int = EVENTS_KEPT) -> None:
        self._events: deque[AnyEvent] = deque(maxlen=most)
        #: Note an event. Called for each, so this is all that is done here.
        self.observe = self._events.append

    def find(self, venue: str, symbol: str, kind: str, event_id: int) -> AnyEvent | None:
        """Return an event; None: it is not among the last ones."""
        for event in reversed(self._events):
            if event.id == event_id and (event.venue, event.symbol, event.kind) == (venue, symbol, kind):
                return event
        return None
