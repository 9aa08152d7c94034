"""Requests to one pull consumer, and the replies. Pure: time is an argument, in monotonic seconds."""

from collections.abc import Mapping
from typing import NamedTuple

#: While there is nothing to deliver, the server sends a heartbeat this often.
HEARTBEAT_S = 1.0
#: Of the status 409: how a request ends that has got what it might get. Every other one is trouble.
FILLED = {"Batch Completed", "Message Size Exceeds MaxBytes"}


class Pacing(NamedTuple):
    """Sizes of pull requests, and timeouts and intervals in seconds."""

    #: Messages in flight at most; more are asked for when half of them have come.
    batch: int = 1_000
    #: How long nothing may come while a request is open.
    silence_s: float = 3.5 * HEARTBEAT_S
    #: Between an opening that failed, or a consumer that was of no use, and the next one.
    pause_s: float = 1.0
    #: How long no frame may come before the consumer is checked at the server.
    check_s: float = 2.0


class PullRequest:
    """Requests to one consumer, and the messages that it sends. Once in doubt, it is not used any more."""

    def __init__(self, pacing: Pacing, connection: int, now_s: float) -> None:
        """Begin without a request; `connection` is the number of the client's connection that it was opened on."""
        self._pacing, self.connection, self.opened_s = pacing, connection, now_s
        #: When a message last came, or the word that there is none.
        self._heard_s = now_s
        #: How many messages have come, each the next one.
        self.received = 0
        #: How many messages are asked for and have not come.
        self._asked = 0
        #: Why nothing is taken from it any more.
        self.doubt = ""

    @property
    def missing(self) -> int:
        """How many messages to ask for, if there is room; 0 while more than half of a batch is in flight."""
        asked, batch = self._asked, self._pacing.batch
        return batch - asked if not self.doubt and asked <= batch // 2 else 0

    def requested(self, count: int, now_s: float) -> None:
        """Note that so many messages are asked for."""
        if not self._asked:  # nothing was to be heard before
            self._heard_s = now_s
        self._asked += count

    @property
    def is_open(self) -> bool:
        """Whether a message that the stream has would be sent."""
        return bool(self._asked) and not self.doubt

    def is_silent(self, now_s: float) -> bool:
        """Whether nothing has come for too long, though a request is open."""
        return bool(self._asked) and now_s - self._heard_s > self._pacing.silence_s

    def receive(self, consumer_seq: int, now_s: float) -> bool:
        """Return whether a message is the next one; `doubt` is set if one is missing before it."""
        self._heard_s = now_s
        if consumer_seq == self.received + 1:
            self.received += 1
            self._asked = max(0, self._asked - 1)
            return True
        if consumer_seq > self.received:
            self.give_up("a gap")
        return False

    def give_up(self, why: str) -> None:
        """Doubt the consumer from now on; the first reason stays."""
        self.doubt = self.doubt or why

    def hear(self, headers: Mapping[str, str], now_s: float) -> None:
        """Take the server's status reply to a request."""
        status, description = headers.get("Status", ""), headers.get("Description", "")
        if status == "100":  # nothing to deliver
            self._heard_s = now_s
        elif status == "408" or description in FILLED:
            # The request is over, unfilled: it expired, or it took as many bytes as it might.
            self._asked = max(0, self._asked - int(headers.get("Nats-Pending-Messages") or self._asked))
        elif status == "503":
            self.give_up("nobody answers for the consumer")
        else:  # it was deleted, its leader changed, or something that is not known yet
            self.give_up(f"{status} {description}".strip() or "an unknown status")

    def has_all(self, delivered: int | None) -> bool:
        """Whether so many messages have come; None: the server does not know how many it has sent."""
        return delivered is not None and delivered <= self.received
