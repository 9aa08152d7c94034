"""Publishes signals into a stream, pipelined: each is stored once JetStream has answered so.

Neither an echo nor the server's PONG says that: a server that shuts down still gives both, and has no JetStream any more.
"""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from ingest.relay.outgoing_signal import OutgoingSignal
from ingest.transport import stream_answers
from ingest.transport.flush import confirm_published
from ingest.transport.send_window import SendWindow
from tasks.clients.nats_client import NatsClient

#: How many signals may be in flight.
IN_FLIGHT = 256
#: Nothing was answered for so long: what is in flight is lost.
ANSWER_S = 5.0


_GAP = stream_answers.Refused("signals before others were not confirmed")


class StoreResult(NamedTuple):
    """Result of publishing some signals into a stream."""

    #: So many of the first ones are stored.
    stored: int
    #: Why the next one is not; empty: all are, or this login may not publish it.
    why: str = ""
    #: The stream will never take the next one.
    is_too_large: bool = False
    #: Subjects that this login may not publish to, in lower case.
    refused: frozenset[str] = frozenset()


class StreamPublishing:
    """Publishes signals into streams over one connection; a call at a time."""

    def __init__(self, client: NatsClient, answer_s: float = ANSWER_S) -> None:
        self._client, self._answer_s = client, answer_s
        self._inbox, self._session = "", 0
        #: Before the number of a signal, in the subject of its answer.
        self._prefix = b""
        self._window = SendWindow(IN_FLIGHT)
        self._failure: stream_answers.Refused | None = None
        #: The number of the signal that it is about; 0: of none.
        self._failed = 0
        self._changed = asyncio.Event()

    async def publish(self, signals: Sequence[OutgoingSignal]) -> StoreResult:
        """Publish signals of one stream in their order, until one fails. Raises what NATS raises."""
        await self._begin(signals)
        connections, subjects = self._client.stats["reconnects"], {signal.subject.lower() for signal in signals}
        with self._client.refusals(self._changed.set) as refused:
            while self._window.held and not (self._failure or refused & subjects):
                self._changed.clear()
                for number, _, _ in self._window.take_due():
                    signal = signals[number - 1]
                    reply = f"{self._prefix.decode()}{number}"
                    await self._client.publish(signal.subject, signal.packed, reply=reply, headers=signal.headers)
                await self._answers()
                if self._has_gap():
                    # One before was refused; that comes by another way, which may take longer.
                    await confirm_published(self._client)
                if self._client.stats["reconnects"] != connections or not self._client.is_connected:
                    self._failure = stream_answers.Refused("the connection was lost")
            return self._result(frozenset(refused & subjects))

    def _has_gap(self) -> bool:
        return self._failure is _GAP

    async def _begin(self, signals: Sequence[OutgoingSignal]) -> None:
        if not self._inbox:
            self._inbox = self._client.new_inbox()
            await self._client.subscribe_directly(f"{self._inbox}.>", self._on_answer)
        self._session += 1
        self._prefix = f"{self._inbox}.{self._session}.".encode()
        self._window, self._failure, self._failed = SendWindow(IN_FLIGHT), None, 0
        for signal in signals:
            self._window.add(signal.subject.encode(), signal.packed)

    async def _answers(self) -> None:
        try:
            async with asyncio.timeout(self._answer_s):
                await self._changed.wait()
        except TimeoutError:
            self._failure = stream_answers.Refused(f"nothing was confirmed for {self._answer_s:g} s")

    def _on_answer(self, subject: bytes, _: bytes, data: bytes, headers: bytes | None) -> None:
        number = subject[len(self._prefix) :]
        # Those to an earlier call say nothing any more, and others may write to any subject.
        if not number.isdigit() or not subject.startswith(self._prefix) or self._failure:
            return
        answer = stream_answers.read(data, headers)
        if isinstance(answer, stream_answers.Refused):
            self._failure, self._failed = answer, int(number)
        elif answer and not self._window.confirm(int(number), answer.seq):
            self._failure = _GAP
        self._changed.set()

    def _result(self, refused: frozenset[str]) -> StoreResult:
        failure, stored = self._failure, self._window.confirmed
        self._failure, self._prefix = None, b"\0"
        if failure is None or (refused and failure is _GAP):
            return StoreResult(stored, refused=refused)
        is_too_large = failure.number == stream_answers.TOO_LARGE and self._failed == stored + 1
        return StoreResult(stored, failure.why, is_too_large, refused)
