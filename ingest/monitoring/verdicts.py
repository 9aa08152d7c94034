"""What ingest says of its own health to other systems: a verdict, and what somebody has to see to now. Pure."""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from ingest.monitoring.hysteresis import Hysteresis
from tasks.protocol.findings import Finding, pages

Level = Literal["healthy", "unhealthy", "unknown"]
#: Warnings under which no strategy gives signals, or none on new prices; /ready does not fail by them.
IDLE = frozenset({"feed_quiet", "frames_unstored", "no_workers"})
#: Of a reason, so much is said.
REASON_CHARS = 200


class HealthVerdict(NamedTuple):
    """A verdict, and why."""

    health: Level
    reason: str


class Verdicts:
    """Judges by faults, as /ready does, and by `IDLE`; changes its mind only after several samples in a row."""

    def __init__(self) -> None:
        self._health: Hysteresis[Level] = Hysteresis("unknown")
        self._fault = ""

    def take(self, found: Sequence[Finding]) -> HealthVerdict:
        """Return the verdict after one more sample."""
        at_fault = [each for each in found if each.sign == "fault" or each.name in IDLE]
        if at_fault:
            self._fault = f"{at_fault[0].what}: {at_fault[0].says}"[:REASON_CHARS]
        health = self._health.take("unhealthy" if at_fault else "healthy")
        reasons = {"healthy": "no fault is found", "unhealthy": self._fault, "unknown": "it leads since a moment ago"}
        return HealthVerdict(health, reasons[health])


class Alerts:
    """Tells each finding that pages once: when it has been there for several samples in a row, until it is over."""

    def __init__(self) -> None:
        self._there: dict[tuple[str, str], Hysteresis[bool]] = {}
        self._findings: dict[tuple[str, str], Finding] = {}
        self._told: set[tuple[str, str]] = set()

    def take(self, found: Iterable[Finding]) -> list[Finding]:
        """Take a sample; return the findings that are due to be told, until `told` is called."""
        paging = {(each.name, each.what): each for each in found if each.name and pages(each)}
        self._findings |= paging
        for key in [*(self._there.keys() | paging.keys())]:
            there = self._there.setdefault(key, Hysteresis(value=False))
            if not there.take(key in paging) and key not in paging:
                del self._there[key], self._findings[key]
                self._told.discard(key)
        return [self._findings[key] for key, there in self._there.items() if there.value and key not in self._told]

    def told(self, finding: Finding) -> None:
        """Note that a finding was told."""
        self._told.add((finding.name, finding.what))
