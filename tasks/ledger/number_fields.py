"""Fields of the ledger that count, and hold no number: somebody else wrote them. Scripts leave them as they are."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from tasks.ledger.keys import RESETS, LedgerKeys
from tasks.protocol.counters import read_count
from tasks.protocol.findings import Finding, named_some

#: So many fields of a hash are looked at, about: what others put there is no reason to read more.
_LOOKED_AT = 1_000
#: Of a field's name so much is told.
_NAME_CHARS = 60


class NumberFields(NamedTuple):
    """The fields of a hash that are numbers, and what it means where one is none."""

    key: str
    #: Empty: all fields of the hash.
    field: str
    means: str
    afterwards: str

    @property
    def probe(self) -> tuple[str | int, ...]:
        """A command that reads them."""
        return ("HMGET", self.key, self.field) if self.field else ("HSCAN", self.key, 0, "COUNT", _LOOKED_AT)

    def finding(self, answer: object) -> Finding | None:
        """Return the warning by the answer to the probe; None: all is well, or Redis refuses to tell."""
        odd = [
            field.decode(errors="replace")[:_NAME_CHARS]
            for field, stored in self._stored(answer).items()
            if read_count(stored) is None
        ]
        if not odd:
            return None
        says = f"holds no number that can be added to in {named_some(odd)}: {self.means}"
        do = f"find who writes there, and `HDEL {self.key} FIELD`; {self.afterwards}"
        return Finding("warning", f"key {self.key}", says, do, "no_number")

    def _stored(self, answer: object) -> Mapping[bytes, bytes]:
        match answer:
            case (int(), dict() as fields):
                return fields
            case [bytes() as stored]:
                return {self.field.encode(): stored}
        return {}


def number_fields(keys: LedgerKeys, pools: Iterable[str]) -> list[NumberFields]:
    """Return all of them but those of a lane, which the scripts name themselves."""
    sums = NumberFields(keys.counters, "", "that is not counted", "it begins at 0")
    refused = "its states can't be reset, seeded or pruned"
    return [sums, *(NumberFields(keys.pool(name), RESETS, refused, "nothing is lost") for name in pools)]


def findings(asked: Sequence[NumberFields], answers: Sequence[object]) -> Iterator[Finding]:
    """Yield a warning for each hash with such a field; `answers` are those to the probes."""
    found = (each.finding(answer) for each, answer in zip(asked, answers, strict=True))
    yield from filter(None, found)
