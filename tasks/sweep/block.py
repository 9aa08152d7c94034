"""What a sweep computes: parts of recordings, units (a part and a parameter set) and blocks of units. Pure.

A unit is computed once and kept under the hash of its content. A block has units of one part and one strategy, which
run in one pass over the part's events.
"""

import hashlib
from typing import Any

import msgspec

from tasks.sweep.datasets.dataset import DatasetKey

#: Of ids and states; another one computes everything again.
FORMAT = 1
#: Event times of a part that is not cut.
EVER = (0, 2**63 - 1)
_UNIT_DIGITS = 16


class EventSource(msgspec.Struct, frozen=True):
    """The events of one symbol in one dataset."""

    dataset: DatasetKey
    venue: str
    symbol: str


class Part(msgspec.Struct, frozen=True):
    """What strategies see in one run: events of one symbol, or of all symbols of a pool keyed by `all`."""

    #: Of the recording, for people.
    recording: str
    #: Several are merged by the time of receipt.
    sources: tuple[EventSource, ...]
    #: Event times in unix milliseconds, rising. Between each two lies a segment: the strategies' states go through all
    #: segments, the paper accounts begin empty in each.
    cuts: tuple[int, ...] = EVER

    @property
    def symbol(self) -> str:
        """The symbol; of several, all of them."""
        return " ".join(dict.fromkeys(source.symbol for source in self.sources))

    @property
    def venue(self) -> str:
        """The venue; of several, all of them."""
        return " ".join(dict.fromkeys(source.venue for source in self.sources))


class Unit(msgspec.Struct, frozen=True):
    """One parameter set of a block."""

    #: Hash of all that its result depends on.
    id: str
    #: By name as `--set` takes them.
    parameters: dict[str, Any]


class Block(msgspec.Struct, frozen=True):
    """Units that run in one pass."""

    pool: str
    #: As the strategies file names it.
    strategy: str
    #: The canonical configuration with this strategy alone.
    configuration: bytes
    #: Of the code that runs it, as `variants.code_version` gives it.
    code: str
    part: Part
    units: tuple[Unit, ...]

    @property
    def key(self) -> str:
        """What names the block: a hash of its units' ids."""
        return hashlib.sha256(" ".join(unit.id for unit in self.units).encode()).hexdigest()[:32]

    def with_units(self, units: tuple[Unit, ...]) -> "Block":
        """Return a block of other units."""
        return msgspec.structs.replace(self, units=units)


def unit(pool: str, strategy: str, configuration: bytes, part: Part, parameters: dict[str, Any], code: str) -> Unit:
    """Return a parameter set of a strategy on a part; `code` names the version of the code that runs it."""
    # How the recording is called changes nothing.
    content = [FORMAT, pool, strategy, configuration, part.sources, part.cuts, parameters, code]
    packed = msgspec.json.encode(content, order="sorted")
    return Unit(hashlib.sha256(packed).hexdigest()[:_UNIT_DIGITS], parameters)
