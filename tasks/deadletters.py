"""Dead letters: what could not be worked on, with all that is needed to find out why and to try again. Pure."""

from typing import Literal

import msgspec

from tasks.events import AnyEvent

#: How much of a frame or a traceback is kept.
MAX_KEPT_BYTES = 64 * 1024
#: About how many dead letters the stream keeps; the oldest go first.
KEEP = 100_000

Reason = Literal["refused", "strategy_error", "condemned", "unpublishable"]


class DeadLetter(msgspec.Struct, frozen=True, omit_defaults=True):
    """One of them. When it was written is the id of its stream entry (Redis's clock, unix milliseconds)."""

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
        """The event's symbol; empty for a frame that was refused."""
        return self.event.symbol if self.event else ""


_decoder = msgspec.json.Decoder(DeadLetter)


def refused(refusal: str, detail: str, subject: str, raw: bytes) -> DeadLetter:
    """Make the letter of a refused frame."""
    return DeadLetter("refused", detail, refusal=refusal, subject=subject, raw=raw[:MAX_KEPT_BYTES])


def raised(trace: str, pool: str, strategy: str, event: AnyEvent | None) -> DeadLetter:
    """Make the letter of an exception of a strategy; no event: its state could not be saved."""
    # Its words are the strategy's own: of any length, and perhaps no valid text. The end of them says most.
    detail = trace.encode(errors="backslashreplace")[-MAX_KEPT_BYTES:].decode(errors="ignore")
    return DeadLetter("strategy_error", detail, pool=pool, strategy=strategy, event=event)


def pack(letter: DeadLetter) -> bytes:
    """Pack a letter for its stream: JSON, bytes as base64."""
    return msgspec.json.encode(letter)


def unpack(packed: bytes) -> DeadLetter:
    """Undo `pack`. Raises msgspec.MsgspecError."""
    return _decoder.decode(packed)
