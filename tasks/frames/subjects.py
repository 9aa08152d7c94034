"""The NATS subjects of frames that are published by partition: `binance.<partition>.<stream>`. Pure.

The partition is the second token of a subject, whatever its first one is, and the last token stays the stream's name or
the symbol: NATS_SUBJECTS names the subjects without it. So a shard of ingest subscribes to what it owns and no more.
"""

from collections.abc import Iterable
from typing import NamedTuple

#: Tokens of the subjects below `NAME.>` without a partition that are told from those with one: a stream's, and that of
#: a venue-neutral frame.
_UNPARTITIONED = ("*", "*.*.*")


def insert(subject: str, partition: int | str) -> str:
    """Return a subject, which may have wildcards, with a partition as its second token."""
    first, dot, rest = subject.partition(".")
    if first == ">":
        return f"*.{partition}.>"
    return f"{first}.{partition}{dot}{rest}"


def partition_of(subject: str) -> int | None:
    """Return the partition that a subject names; None: it names none."""
    second = subject.split(".", 2)[1:2]
    return int(second[0]) if second and second[0].isdecimal() and second[0].isascii() else None


def in_partition(subject: str, partition: int) -> str:
    """Return a subject with this partition, instead of one that it names."""
    if partition_of(subject) is None:
        return insert(subject, partition)
    first, _, *rest = subject.split(".")
    return ".".join((first, str(partition), *rest))


class FrameSubjects(NamedTuple):
    """What NATS_SUBJECTS and NATS_PARTITIONS come to."""

    #: NATS_SUBJECTS one by one.
    patterns: tuple[str, ...]
    #: NATS_PARTITIONS; 0: subjects have no partition.
    partitions: int = 0

    @classmethod
    def read(cls, subjects: str, partitions: int = 0) -> "FrameSubjects":
        """Read both settings."""
        return cls(tuple(subject.strip() for subject in subjects.split(",")), partitions)

    @property
    def all(self) -> tuple[str, ...]:
        """The subjects of all frames, with a partition and without one."""
        if not self.partitions:
            return self.patterns
        return tuple(dict.fromkeys(each for pattern in self.patterns for each in _with_and_without(pattern)))

    def of(self, numbers: Iterable[int]) -> tuple[str, ...]:
        """Return the subjects of some partitions."""
        return tuple(insert(pattern, number) for number in numbers for pattern in self.patterns)

    @property
    def unpartitioned(self) -> tuple[str, ...]:
        """The subjects of frames without a partition. Some of them take what has one, too."""
        found: list[str] = []
        for pattern in self.patterns:
            first = pattern.partition(".")[0].replace(">", "*")
            found += [f"{first}.{rest}" for rest in _UNPARTITIONED] if _has_both(pattern) else [pattern]
        return tuple(dict.fromkeys(found))

    def names(self, subject: str) -> bool:
        """Whether a subject names one of the partitions."""
        number = partition_of(subject)
        return number is not None and number < self.partitions


def _has_both(pattern: str) -> bool:
    """Whether a pattern takes the subjects with a partition as well."""
    return pattern == ">" or (pattern.endswith(".>") and pattern.count(".") == 1)


def _with_and_without(pattern: str) -> tuple[str, ...]:
    return (pattern,) if _has_both(pattern) else (pattern, insert(pattern, "*"))
