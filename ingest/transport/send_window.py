"""The frames of a feed, or signals, that are not known to be in the stream, in order, and which of them to send. Pure.

Go-back-N, with a probe: what fails is sent again from the first frame that is not confirmed, and the others follow when
that one is confirmed. So no frame is stored before an earlier one: on a connection a server takes them in order, and
one that refuses the first, because it has no stream yet, say, is sent nothing more.
"""

from collections import deque

#: How many frames may be in flight.
IN_FLIGHT = 1_024


#: Number, subject and bytes. A tuple, because there are so many; numbers count from 1, as frames come.
Frame = tuple[int, bytes, bytes]


class SendWindow:
    """The frames that are held until the stream confirms them. A session ends where a frame fails."""

    def __init__(self, in_flight: int = IN_FLIGHT) -> None:
        """Send at most `in_flight` frames without a confirmation."""
        self._limit = in_flight
        self._in_flight: deque[Frame] = deque()
        self._waiting: deque[Frame] = deque()
        #: Whether a frame was confirmed in this session.
        self._open = False
        self._added = 0
        self._last_seq = 0
        #: Frames that are held, and their bytes.
        self.held, self.held_bytes = 0, 0
        #: How many frames the stream has at another place than behind the frame before: it lost what it had confirmed,
        #: or a cluster changed its leader while they were in flight.
        self.misplaced = 0

    @property
    def confirmed(self) -> int:
        """How many frames are in the stream."""
        return self._added - self.held

    @property
    def in_flight(self) -> int:
        """How many frames are sent and not confirmed."""
        return len(self._in_flight)

    def add(self, subject: bytes, raw: bytes) -> None:
        """Hold one more frame, behind all others.

        There is no bound here: `held` and `held_bytes` are for who keeps one.
        """
        self._added += 1
        self.held += 1
        self.held_bytes += len(raw)
        self._waiting.append((self._added, subject, raw))

    def take_due(self) -> list[Frame]:
        """Return the frames that may be sent now; they are in flight from here on."""
        room = (self._limit if self._open else 1) - len(self._in_flight)
        due = [self._waiting.popleft() for _ in range(min(room, len(self._waiting)))]
        self._in_flight += due
        return due

    def confirm(self, number: int, seq: int) -> bool:
        """Note the place of a frame of this session in the stream; False: a frame before it was not confirmed."""
        if not self._in_flight:
            return True
        first, _, raw = self._in_flight[0]
        if number != first:
            return number < first
        self._in_flight.popleft()
        self.held -= 1
        self.held_bytes -= len(raw)
        self._open = True
        self.misplaced += seq <= self._last_seq
        self._last_seq = seq
        return True

    def go_back(self) -> None:
        """Begin another session: nothing is in flight, and the first frame goes alone."""
        self._waiting.extendleft(reversed(self._in_flight))
        self._in_flight.clear()
        self._open = False
