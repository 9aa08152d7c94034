"""Dead letters: what could not be worked on, with all that is needed to find out why and to try again. Pure.

Each kind has a function here, which words it and cuts what is too long: `refused`, `implausible_id`, `raised`,
`ended_process`, `condemned`, `unreadable`, and, for signals that can't be published, `no_signal`, `signal_too_large`,
`signal_refused`, `no_subject` and `undeliverable`. An entry of a queue that a worker refused is `refused_entry`.
"""

import re
import traceback
from contextlib import suppress
from typing import Literal

import msgspec

from tasks.errors import UNREADABLE
from tasks.events import AnyEvent
from tasks.frames.model import parse_stream
from tasks.protocol.records import NO_LAST_ID

#: How much of a frame or a traceback is kept.
MAX_KEPT_BYTES = 64 * 1024
#: About how many dead letters the stream keeps; the oldest go first.
KEEP = 100_000
#: Why an event was refused whose id nothing confirmed.
IMPLAUSIBLE_ID = "implausible_id"

#: Why an entry of a queue was refused, in one word; those of frames are in `tasks.frames`.
QUEUE_ENTRY = "queue_entry"

Reason = Literal["refused", "strategy_error", "condemned", "unpublishable", "unreadable"]


class DeadLetter(msgspec.Struct, frozen=True, omit_defaults=True):
    """A dead letter. When it was written is the id of its stream entry (Redis's clock, unix milliseconds)."""

    reason: Reason
    #: What exactly was wrong: the refusal's words, or the traceback.
    detail: str
    #: Why a frame was refused, in one word.
    refusal: str = ""
    #: NATS subject and bytes of a refused frame, or a signal that could not be published.
    subject: str = ""
    raw: bytes = b""
    pool: str = ""
    strategy: str = ""
    #: The event on which a strategy raised or a worker died; None for a state that could not be saved.
    event: AnyEvent | None = None

    @property
    def symbol(self) -> str:
        """The event's symbol; of a frame or a signal the one that it seems to name, or none."""
        if self.event:
            return self.event.symbol
        if kept := _KEPT_SYMBOL.search(self.raw):
            with suppress(*UNREADABLE):
                return str(msgspec.json.decode(kept[1]))
        stream = parse_stream(self.subject.rpartition(".")[2][:_MAX_NAME]) if self.subject else None
        named = _SYMBOL.search(self.raw)
        return stream.symbol if stream else named[1].decode(errors="replace").upper() if named else ""

    @property
    def author(self) -> str:
        """The strategy that raised, or whose signal it is; or none."""
        said = _STRATEGY.search(self.raw) if self.reason == "unpublishable" else None
        return said[1].decode(errors="replace") if said else self.strategy

    @property
    def is_cut(self) -> bool:
        """Whether there was more of it than was kept. One that just fits counts as cut."""
        return len(self.raw) >= MAX_KEPT_BYTES


_decoder = msgspec.json.Decoder(DeadLetter)
_MAX_NAME = 100
#: Of Binance's frames, in either case; of signals and venue-neutral frames, as it is.
_SYMBOL = re.compile(rb'"(?:stream|s)"\s*:\s*"([^"@]{1,40})["@]')
_KEPT_SYMBOL = re.compile(rb'"symbol"\s*:\s*("(?:[^"\\]|\\.){1,400}")')
_STRATEGY = re.compile(rb'"strategy"\s*:\s*"([^"]{1,100})"')


def refused(refusal: str, detail: str, subject: str, raw: bytes) -> DeadLetter:
    """Return the letter of a refused frame.

    `refusal` is the reason in one word, `detail` says what was wrong; of `raw` it keeps the first `MAX_KEPT_BYTES`
    (64 KiB).
    """
    return DeadLetter("refused", detail, refusal=refusal, subject=subject, raw=raw[:MAX_KEPT_BYTES])


def refused_entry(detail: str, queue: str, raw: bytes) -> DeadLetter:
    """Return the letter of an entry of a queue that is no task of ours.

    `detail` says why; of `raw` it keeps the first `MAX_KEPT_BYTES`.
    """
    return DeadLetter("refused", detail, refusal=QUEUE_ENTRY, pool=queue, raw=raw[:MAX_KEPT_BYTES])


def raised(error: BaseException, pool: str, strategy: str, event: AnyEvent | None) -> DeadLetter:
    """Return the letter of an exception of a strategy; no event: its state could not be saved.

    It keeps the last `MAX_KEPT_BYTES` of the traceback, of at most 12 calls.
    """
    # Its words are the strategy's own: of any length, and perhaps no valid text. The end of them says most.
    detail = (
        "".join(traceback.format_exception(error, limit=-12))
        .encode(errors="backslashreplace")[-MAX_KEPT_BYTES:]
        .decode(errors="ignore")
    )
    return DeadLetter("strategy_error", detail, pool=pool, strategy=strategy, event=event)


def ended_process(pool: str, strategy: str, event: AnyEvent) -> DeadLetter:
    """Return the letter of an event that is the strategy's error because its processes ended on it (`strikes`)."""
    detail = "every run that gave this event to this strategy ended with its process"
    return DeadLetter("strategy_error", detail, pool=pool, strategy=strategy, event=event)


def condemned(starts: int, pool: str, event: AnyEvent) -> DeadLetter:
    """Return the letter of an event that ended every worker that ran it, `starts` times."""
    detail = f"{starts} runs of this event were started, and none came to its end"
    return DeadLetter("condemned", detail, pool=pool, event=event)


def jumped(event: AnyEvent, last_id: int) -> str:
    """Return what was wrong with an event whose id was impossibly far from `last_id`, its record's."""
    name = f"{event.venue} {event.symbol} {event.kind}"
    if last_id == NO_LAST_ID:
        return f"{name}: its record was reset while the id {event.id} waited for an event that goes on from it"
    return f"{name}: no exchange counts from {last_id} to {event.id} in that time, and the next event did not go on from it"


def implausible_id(pool: str, event: AnyEvent, last_id: int) -> DeadLetter:
    """Return the letter of an event whose id was impossibly far from `last_id`, and which no later one confirmed."""
    return DeadLetter("refused", jumped(event, last_id), refusal=IMPLAUSIBLE_ID, pool=pool, event=event)


def unreadable(name: str, why: str, packed: bytes, pool: str, strategy: str, event: AnyEvent) -> DeadLetter:
    """Return the letter of a record or a state of the ledger that can't be read and starts from empty with `event`.

    `name` is its field in the pool's hash, `why` what reading it raised, `packed` its bytes, of which the letter keeps
    the first `MAX_KEPT_BYTES`; `strategy` is "" for a record.
    """
    detail = f"{name} can't be read and starts from empty: {why}"
    return DeadLetter("unreadable", detail, raw=packed[:MAX_KEPT_BYTES], pool=pool, strategy=strategy, event=event)


def no_signal(packed: bytes, error: Exception) -> DeadLetter:
    """Return the letter of an entry of the signal stream that reading raised `error` on."""
    return _unpublishable(packed, f"not a signal: {error}")


def signal_too_large(packed: bytes, size_bytes: int, max_bytes: int) -> DeadLetter:
    """Return the letter of a signal whose message would have `size_bytes`, where NATS takes `max_bytes` at most."""
    return _unpublishable(packed, f"{size_bytes} bytes with its headers, and NATS takes {max_bytes} at most")


def signal_refused(packed: bytes, stream: str, why: str) -> DeadLetter:
    """Return the letter of a signal that a stream of NATS will never take."""
    return _unpublishable(packed, f"the stream {stream} refuses it: {why}")


def no_subject(packed: bytes, subject: str) -> DeadLetter:
    """Return the letter of a signal whose subject NATS does not take; it keeps the first 100 characters of that."""
    return _unpublishable(packed, f"not a NATS subject: {subject[:100]!r}")


def undeliverable(packed: bytes, delivery: str, why: str) -> DeadLetter:
    """Return the letter of a signal that the receiver of a delivery will never take."""
    return _unpublishable(packed, f"the receiver of the delivery {delivery} refuses it: {why}")


def _unpublishable(packed: bytes, why: str) -> DeadLetter:
    return DeadLetter("unpublishable", why, raw=packed[:MAX_KEPT_BYTES])


def pack(letter: DeadLetter) -> bytes:
    """Pack a letter for its stream: JSON, bytes as base64."""
    return msgspec.json.encode(letter)


def unpack(packed: bytes) -> DeadLetter:
    """Undo `pack`. Raises msgspec.MsgspecError."""
    return _decoder.decode(packed)


def read(packed: bytes) -> DeadLetter:
    """Undo `pack`, whatever it is: what can't be read, such as a newer release's, is one of its own kind."""
    try:
        return unpack(packed)
    except UNREADABLE as error:
        return DeadLetter("unreadable", f"not a dead letter: {error}", raw=packed)
