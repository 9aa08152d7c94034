"""The frames of every benchmark: recorded ones, spread over many symbols, for as long as is wanted.

The recordings' frames are dealt out over clones of their symbols, spot and futures evenly mixed, and come again under
higher ids when they are used up. One frame a millisecond of event time: so `received_at` gives any pace, and with 40
symbols each has about as many events a second as one of the recorded ones had.
"""

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from compose.local.processes import ROOT
from ingest.feeds import simulate
from tasks.events import Venue
from tasks.frames.model import parse_stream
from tasks.history import recordings
from tasks.protocol.routing import ALONE, Shard, partition

VENUES: tuple[Venue, Venue] = ("spot", "usdm")
#: One of each venue.
NAMES = ("binance-spot-20240808.jsonl.gz", "binance-usdm-20240808.jsonl.gz")
SYMBOLS = 40
#: Frames a second of event time.
NATURAL_RATE = 1000
#: Symbols are chosen so that each of so many lanes gets as many.
_LANES = 8
#: So much a lane has that gets none.
_CLOSED = 10**9
_SEED = 7
_SIMULATED_FRAMES = 20_000
#: The ids of a lap are so much above those of the one before.
_LAP = 10**12
_IDS = ("t", "u", "lastUpdateId")


class Original(NamedTuple):
    """A frame to make others of."""

    venue: Venue
    stream: str
    data: dict[str, Any]


class Mix:
    """Frames without end; the same ones each time."""

    def __init__(
        self, symbols: int = SYMBOLS, originals: Sequence[Original] | None = None, shard: Shard = ALONE
    ) -> None:
        """Spread `originals` (default: the recordings, or else a simulated market) over so many (venue, symbol).

        All of them are symbols of `shard`.
        """
        self.originals = originals or load()
        streams = {(each.venue, _symbol(each.stream)): None for each in self.originals}
        each, more = divmod(symbols, len(streams))
        taken = [0 if lane % shard.total == shard.number else _CLOSED for lane in range(_LANES)]
        self._clones = {stream: clones(*stream, each + (number < more), taken) for number, stream in enumerate(streams)}

    @property
    def symbols(self) -> list[tuple[Venue, str]]:
        """All (venue, symbol)."""
        return [(venue, name) for (venue, _), names in self._clones.items() for name in names]

    def frames(self) -> Iterator[bytes]:
        """Yield envelopes as a recording has them, from the first."""
        dealt = {stream: itertools.cycle(names) for stream, names in self._clones.items() if names}
        start_ms = _time_ms(self.originals)
        used = (each for lap in itertools.count() for each in map(partial(_lapped, lap), self.originals))
        known = (each for each in used if (each.venue, _symbol(each.stream)) in dealt)
        for number, each in enumerate(known):
            symbol = _symbol(each.stream)
            yield _envelope(each, next(dealt[each.venue, symbol]), start_ms + number)

    def write(self, path: Path, count: int, skip: int = 0) -> Path:
        """Write so many frames, after the first `skip`, as a recording."""
        with path.open("wb") as file:
            file.writelines(frame + b"\n" for frame in itertools.islice(self.frames(), skip, skip + count))
        return path


def load() -> list[Original]:
    """Read the recordings, or make as much of a market."""
    folder = Path(os.environ.get("RECORDINGS_DIR") or ROOT.parent / "shared" / "data")
    files = [folder / name for name in NAMES]
    if os.environ.get("RECORDINGS_DIR") == "" or not all(file.is_file() for file in files):
        return simulated()
    read = [(line.raw for line in recordings.read(file)) for file in files]
    return list(shuffled([[_original(venue, raw) for raw in raws] for venue, raws in zip(VENUES, read, strict=True)]))


def simulated(count: int = _SIMULATED_FRAMES) -> list[Original]:
    """Return so many frames of each venue of a simulated market."""
    made: list[list[Original]] = []
    for venue in VENUES:
        plan = simulate.SimulationPlan(["BTCUSDT", "ETHUSDT"], venue, None, _SEED, None)
        frames = itertools.islice(simulate.market(plan, 1_700_000_000_000_000_000).frames(), count)
        made.append([_original(venue, frame.raw) for frame in frames])
    return list(shuffled(made))


def shuffled(parts: Sequence[Sequence[Original]]) -> Iterator[Original]:
    """Mix lists of different lengths evenly, each in its own order."""
    places = [(index / len(part), number) for number, part in enumerate(parts) for index in range(len(part))]
    rest = [iter(part) for part in parts]
    return (next(rest[number]) for _, number in sorted(places))


def clones(venue: Venue, symbol: str, count: int, taken: list[int]) -> list[str]:
    """Name `count` symbols like `symbol`, itself first, so that the lanes in `taken` fill up evenly."""
    names: list[str] = []
    base = symbol.removesuffix("USDT")
    candidates = itertools.chain([symbol], (f"{base}{number}USDT" for number in itertools.count(1)))
    while len(names) < count:
        name = next(candidates)
        lane = partition(venue, name, _LANES)
        if taken[lane] == min(taken) or (name == symbol and taken[lane] < _CLOSED):
            names.append(name)
            taken[lane] += 1
    return names


def _original(venue: Venue, raw: bytes) -> Original:
    envelope: dict[str, Any] = msgspec.json.decode(raw)
    return Original(venue, envelope["stream"], envelope["data"])


def _symbol(stream: str) -> str:
    named = parse_stream(stream)
    if named is None:
        raise ValueError(f"not a stream: {stream}")
    return named.symbol


def _time_ms(originals: Iterable[Original]) -> int:
    time_ms: int = next(each.data["E"] for each in originals if "E" in each.data)
    return time_ms


def _lapped(lap: int, original: Original) -> Original:
    ids = {name: original.data[name] + lap * _LAP for name in _IDS if name in original.data}
    return original._replace(data=original.data | ids) if lap else original


def _envelope(original: Original, symbol: str, time_ms: int) -> bytes:
    data = original.data | {name: time_ms for name in ("E", "T") if name in original.data}
    if "s" in data:
        data["s"] = symbol
    stream = f"{symbol.lower()}@{original.stream.partition('@')[2]}"
    return msgspec.json.encode({"stream": stream, "data": data, "received_at": time_ms * 1_000_000})
