"""A dataset: the events of one recording, parsed once and packed for each symbol, so that any part is cheap to read.

Pure, with the codec.
"""

from typing import Annotated

import msgspec

from tasks.events import AnyEvent, Kind

#: Raised with whatever changes what stands in a dataset: those of another format are prepared again.
FORMAT = 1
#: An array of more events would need a longer head.
MAX_CHUNK_EVENTS = 2**16 - 1


class EventChunk(msgspec.Struct, frozen=True, array_like=True):
    """Events of one symbol that stand together in its file, and are decoded together."""

    #: In the file, bytes.
    offset: int
    size: int
    events: int
    #: Numbers of its first and last event in the recording.
    first_seq: int
    last_seq: int
    #: The earliest and the latest time of an event.
    min_ms: int
    max_ms: int


#: Names a folder, so it is no path to anywhere else.
DATASET_KEY = r"^\w+\Z"
DatasetKey = Annotated[str, msgspec.Meta(pattern=DATASET_KEY)]


class SymbolEvents(msgspec.Struct, frozen=True):
    """The file with the events of one venue's symbol, of every kind, in the order in which they were recorded."""

    venue: str
    symbol: str
    #: Its name, within the dataset; no path to anywhere else.
    file: Annotated[str, msgspec.Meta(pattern=r"^\w+\.events\Z")]
    #: How many, by kind.
    events: dict[Kind, int]
    #: The lowest and the highest id that the exchange gave, by kind; kinds without ids are missing.
    ids: dict[Kind, tuple[int, int]]
    #: The earliest and the latest time of an event.
    min_ms: int
    max_ms: int
    #: The earliest and the latest time of receipt, unix nanoseconds.
    first_ns: int
    last_ns: int
    #: Of the file's content, in hexadecimal.
    sha256: str
    chunks: list[EventChunk]

    @property
    def size(self) -> int:
        """The file's size in bytes."""
        return sum(chunk.size for chunk in self.chunks)


class Damage(msgspec.Struct, frozen=True):
    """Where a recording can't be read on."""

    #: Number of the last line that is whole.
    line: int
    error: str


class Dataset(msgspec.Struct, frozen=True):
    """What is in a dataset: its index."""

    #: Equal for recordings of equal content that are read alike.
    key: DatasetKey
    #: Of the recording's file, without its folder.
    name: str
    files: list[SymbolEvents]
    #: Lines that were read, and those without an event, by why they have none, as a backtest counts them.
    frames: int
    skipped: dict[str, int]
    refused: dict[str, int]
    #: The first frame that was refused for each reason.
    refusals: dict[str, str]
    #: What a person should know of the recording, a sentence each.
    notes: list[str]
    damage: Damage | None = None

    @property
    def events(self) -> int:
        """The number of events of all symbols."""
        return sum(sum(each.events.values()) for each in self.files)


_encoder = msgspec.msgpack.Encoder()
_events: msgspec.msgpack.Decoder[list[AnyEvent]] = msgspec.msgpack.Decoder(list[AnyEvent])
_index = msgspec.json.Decoder(Dataset)


def append_event(event: AnyEvent, packed: bytearray) -> None:
    """Pack an event behind others."""
    _encoder.encode_into(event, packed, -1)


def chunk_head(events: int) -> bytes:
    """Return what stands before so many packed events, at most MAX_CHUNK_EVENTS, to make them one chunk."""
    return b"\xdc" + events.to_bytes(2, "big")


def unpack_chunk(packed: bytes) -> list[AnyEvent]:
    """Return the events of a chunk. Raises what `tasks.errors.UNREADABLE` lists."""
    return _events.decode(packed)


def pack_index(dataset: Dataset) -> bytes:
    """Return a dataset's index as it is stored."""
    return msgspec.json.encode(dataset)


def unpack_index(packed: bytes) -> Dataset:
    """Undo `pack_index`. Raises what `tasks.errors.UNREADABLE` lists."""
    return _index.decode(packed)
