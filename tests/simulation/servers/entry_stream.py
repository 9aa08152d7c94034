"""A stream of Redis with its consumer groups, as far as the relay uses them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

Name = tuple[int, int]
Entry = list[bytes | list[bytes]]


@dataclass
class Group:
    """A consumer group."""

    last: Name = (0, 0)
    #: By entry: who has it, and since when in seconds.
    pending: dict[Name, tuple[bytes, float]] = field(default_factory=dict)


@dataclass
class EntryStream:
    """Entries in their order, by name."""

    entries: dict[Name, list[bytes]] = field(default_factory=dict)
    last: Name = (0, 0)
    groups: dict[bytes, Group] = field(default_factory=dict)

    def add(self, now_ms: int, fields: Sequence[bytes]) -> bytes:
        self.last = (now_ms, 0) if now_ms > self.last[0] else (self.last[0], self.last[1] + 1)
        self.entries[self.last] = list(fields)
        return _text(self.last)

    def between(self, first: bytes, last: bytes, count: int | None) -> list[Entry]:
        begin, end = _name(first), _name(last)
        if begin > self.last:
            return []
        return [_entry(name, self.entries[name]) for name in self.entries if begin <= name <= end][:count]

    def make_group(self, name: bytes) -> bool:
        """Make a group that begins at the first entry; return False where there is one of this name."""
        if name in self.groups:
            return False
        self.groups[name] = Group()
        return True

    def read_new(self, group: bytes, consumer: bytes, count: int, now_s: float) -> list[Entry]:
        reader = self.groups[group]
        found = [name for name in self.entries if name > reader.last][:count]
        for name in found:
            reader.last, reader.pending[name] = name, (consumer, now_s)
        return [_entry(name, self.entries[name]) for name in found]

    def claim(
        self, group: bytes, consumer: bytes, before_s: float, start: bytes, count: int, now_s: float
    ) -> tuple[bytes, list[Entry]]:
        reader, begin = self.groups[group], _name(start)
        names = [name for name, (_, since_s) in sorted(reader.pending.items()) if name >= begin and since_s <= before_s]
        for name in names[:count]:
            reader.pending[name] = (consumer, now_s)
        following = _text(names[count]) if len(names) > count else b"0-0"
        return following, [_entry(name, self.entries[name]) for name in names[:count]]

    def acknowledge(self, group: bytes, names: Iterable[bytes]) -> int:
        reader = self.groups.get(group, Group())
        return sum(reader.pending.pop(_name(name), None) is not None for name in names)

    def lag(self, group: Group) -> int:
        return sum(name > group.last for name in self.entries)


def _name(text: bytes) -> Name:
    if text in {b"-", b"+"}:
        return (0, 0) if text == b"-" else (2**64, 0)
    first, _, second = text.partition(b"-")
    return int(first), int(second or 0)


def _text(name: Name) -> bytes:
    return b"%d-%d" % name


def _entry(name: Name, fields: list[bytes]) -> Entry:
    return [_text(name), fields]
