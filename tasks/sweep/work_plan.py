"""From datasets and parameter sets to blocks. Pure but for the code that a strategy's version is made of."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from tasks.configuration import Configuration
from tasks.configuration.model import PoolConfiguration
from tasks.errors import RecordingError
from tasks.events import Kind
from tasks.protocol.routing import Pool
from tasks.sweep import variants
from tasks.sweep.block import Block, EventSource, Part, Unit, unit
from tasks.sweep.datasets.dataset import Dataset, SymbolEvents
from tasks.sweep.parameter_set import ParameterSet
from tasks.sweep.walk_forward import Window

#: Of a block. More share the reading of events better, fewer spread over workers better.
MOST_UNITS, FEWEST_UNITS = 40, 5
#: So many blocks a process there should be, at least: the last ones end at about the same time.
BLOCKS_A_PROCESS = 4


class PlannedUnit(NamedTuple):
    """A unit, with what it is made of."""

    unit: Unit
    part: Part
    strategy: str
    pool: str
    configuration: bytes
    code: str


#: What the units of a block have in common.
_Shared = tuple[str, str, bytes, str, Part]


def _shared(each: PlannedUnit) -> _Shared:
    return each.pool, each.strategy, each.configuration, each.code, each.part


class WorkPlan:
    """The units of a sweep: every set on every part."""

    def __init__(
        self,
        configuration: Configuration,
        datasets: Sequence[Dataset],
        sets: Sequence[ParameterSet],
        windows: Sequence[Window] = (),
    ) -> None:
        """Plan. With `windows`, each part is cut into them. Raises SettingsError, RecordingError."""
        self.sets = sets
        self._units: dict[bytes, list[PlannedUnit]] = {}
        self._set_of: dict[str, ParameterSet] = {}
        self._symbols = {
            EventSource(dataset.key, each.venue, each.symbol): each for dataset in datasets for each in dataset.files
        }
        by_strategy: dict[str, list[ParameterSet]] = defaultdict(list)
        for each in sets:
            by_strategy[each.strategy].append(each)
        for strategy, of_strategy in by_strategy.items():
            places = list(_places(configuration, datasets, strategy, windows))
            if not places:
                raise RecordingError(f"no recording has events that {strategy} takes")
            code = variants.code_version(strategy)
            for each in of_strategy:
                units = self._units[each.canonical()] = [
                    PlannedUnit(
                        unit(pool, strategy, packed, part, each.parameters, code), part, strategy, pool, packed, code
                    )
                    for pool, packed, part in places
                ]
                self._set_of |= {planned.unit.id: each for planned in units}

    def set_of(self, unit_id: str) -> ParameterSet:
        """Return the set of a unit."""
        return self._set_of[unit_id]

    def of(self, each: ParameterSet) -> list[PlannedUnit]:
        """Return the units of a set, in the order in which figures are added up."""
        return self._units[each.canonical()]

    def units(self) -> Iterator[PlannedUnit]:
        """Yield every unit."""
        for of_set in self._units.values():
            yield from of_set

    def blocks(self, done: Mapping[str, object], processes: int, begun: Iterable[tuple[str, ...]] = ()) -> list[Block]:
        """Return blocks of the units that are not done, so that sets come to their end one after the other.

        First those of which an earlier run has `begun`, by the ids of their units.
        """
        waiting = {each.unit.id: each for each in self.units() if each.unit.id not in done}
        total = len(waiting)
        blocks: list[Block] = []
        for ids in begun:
            if all(id_ in waiting for id_ in ids):
                units = [waiting.pop(id_) for id_ in ids]
                blocks.append(Block(*_shared(units[0]), tuple(each.unit for each in units)))
        alike: dict[_Shared, list[Unit]] = defaultdict(list)
        for each in waiting.values():
            alike[_shared(each)].append(each.unit)
        size = max(FEWEST_UNITS, min(MOST_UNITS, -(-total // (BLOCKS_A_PROCESS * max(1, processes)))))
        cut = [
            (start, Block(*shared, tuple(units[start : start + size])))
            for shared, units in alike.items()
            for start in range(0, len(units), size)
        ]
        return blocks + [block for _, block in sorted(cut, key=lambda numbered: numbered[0])]

    def work(self, block: Block) -> int:
        """Return about how many events a block gives to strategies, each counted once for each unit."""
        first_ms, last_ms = block.part.cuts[0], block.part.cuts[-1]
        kinds = variants.kinds(block.configuration)
        events = sum(_events(self._symbols[source], kinds, first_ms, last_ms) for source in block.part.sources)
        return events * len(block.units)


def _events(symbol: SymbolEvents, kinds: Collection[Kind], from_ms: int, to_ms: int) -> int:
    wanted = sum(count for kind, count in symbol.events.items() if kind in kinds)
    if from_ms <= symbol.min_ms and symbol.max_ms < to_ms:
        return wanted
    inside = sum(chunk.events for chunk in symbol.chunks if chunk.max_ms >= from_ms and chunk.min_ms < to_ms)
    return wanted * inside // max(1, sum(symbol.events.values()))


def span(datasets: Iterable[Dataset]) -> tuple[int, int]:
    """Return the first and the last event time of all, unix milliseconds. Raises RecordingError: there is no event."""
    times = [(each.min_ms, each.max_ms) for dataset in datasets for each in dataset.files]
    if not times:
        raise RecordingError("there is no event in the recordings")
    return min(first for first, _ in times), max(last for _, last in times)


def _places(
    configuration: Configuration, datasets: Sequence[Dataset], strategy: str, windows: Sequence[Window]
) -> Iterator[tuple[str, bytes, Part]]:
    """Yield the pools of a strategy, its configuration there, and the parts."""
    for name, pool in configuration.pools.items():
        if strategy in pool.strategies:
            packed = variants.alone(configuration, strategy, name).canonical()
            for part in _parts(datasets, name, pool, chained=bool(windows)):
                if not windows:
                    yield name, packed, part
                for window in windows:
                    yield name, packed, msgspec.structs.replace(part, cuts=tuple(window))


class _SymbolSource(NamedTuple):
    """The events of one symbol in one dataset."""

    dataset: Dataset
    events: SymbolEvents

    @property
    def source(self) -> EventSource:
        return EventSource(self.dataset.key, self.events.venue, self.events.symbol)


def _parts(datasets: Sequence[Dataset], name: str, pool: PoolConfiguration, *, chained: bool) -> Iterator[Part]:
    """Yield a part for each recording, venue and symbol that a pool takes; `chained`: of all recordings together."""
    route = Pool(name, pool.kinds, pool.key, pool.partitions, pool.symbols)
    found: dict[tuple[str, str], list[_SymbolSource]] = defaultdict(list)
    for dataset in datasets:
        for each in dataset.files:
            if any(route.wants(each.symbol, kind) for kind in each.events):
                found[each.venue, each.symbol if pool.key == "symbol" else ""].append(_SymbolSource(dataset, each))
    for _, several in sorted(found.items()):
        for group in [several] if chained else _overlapping(several):
            recording = " + ".join(dict.fromkeys(each.dataset.name for each in group))
            yield Part(recording, tuple(each.source for each in group))


def _overlapping(several: Sequence[_SymbolSource]) -> list[list[_SymbolSource]]:
    """Group what was received at the same time: the same recording in several files, such as trades and books."""
    groups: list[list[_SymbolSource]] = []
    end_ns = -1
    for each in sorted(several, key=lambda found: found.events.first_ns):
        if groups and (each.events.first_ns <= end_ns or each.dataset.key == groups[-1][-1].dataset.key):
            groups[-1].append(each)
        else:
            groups.append([each])
        end_ns = max(end_ns, each.events.last_ns)
    return groups
