"""The interface of a source of frames."""

from collections.abc import Mapping
from typing import Protocol

from ingest.sources.resume import LastFrame, StoredOffsets
from tasks.events import Position


class FrameCallback(Protocol):
    """Called for each frame, in order, on the event loop. Must not block or raise."""

    def __call__(
        self,
        subject: str,
        raw: bytes,
        headers: Mapping[str, str] | None,
        seq: int = 0,
        stored_at_ns: int | None = None,
        /,
    ) -> None:
        """Take a frame, with its number and time if the source has them."""


class Source(Protocol):
    """A source of frames: in order, each once."""

    #: Whether what is not worked off at a stop is there for the next start.
    keeps: bool

    @property
    def outdated(self) -> bool:
        """Whether it is not what it was any more: then a new epoch has to begin."""

    @property
    def read(self) -> LastFrame | None:
        """The furthest frame that was delivered, where it can be found again."""

    @property
    def read_seq(self) -> int:
        """The number in the source of the last frame that was taken; 0: none, or it has no numbers of its own."""

    def compare_end(self, read_seq: int, end_seq: int) -> bool:
        """Compare the last message that the source holds with what was read before that was asked for.

        Return whether there is more, and whoever asks is not given it.
        """

    @property
    def unread(self) -> int:
        """How many frames wait at the source to be read, as far as is known."""

    @property
    def left(self) -> int | None:
        """How many frames the source held when `close` was called that are not read; None: unknown."""

    async def prepare(self) -> None:
        """Make or check what is read. Raises SettingsError for what a person must fix, and what NATS raises."""

    async def begin(self, stored: StoredOffsets, mine: Position | None) -> Position | None:
        """Return the position after which a new epoch begins; None where nothing can be read again.

        `mine` is where this process stands. Raises what NATS raises.
        """

    def resume(self, position: Position) -> None:
        """Read on after this position; what was read before is ignored."""

    async def poll(self) -> None:
        """Called several times a second: do what is to be done next, such as to reopen what is broken."""

    async def open(self, deliver: FrameCallback) -> None:
        """Start to deliver. Called once, when everything behind it is ready."""

    async def close(self) -> None:
        """Stop the flow; everything that had arrived is delivered before this returns."""
