"""Where a delivery stands in the signals of each ledger. Pure."""

from typing import NamedTuple

from tasks.ledger.entry_id import EntryId
from tasks.protocol.counters import read_count

#: Stands for how many signals are passed in a ledger that has not said yet.
UNKNOWN = -1


class DeliveryPosition(NamedTuple):
    """A position in the stream of each ledger: their clocks differ, so that none says where the others stand."""

    #: The id of the last signal that was passed, as its ledger has it; empty: it stands nowhere yet.
    ids: tuple[str, ...]
    #: How many signals of the stream lie there and before, trimmed ones included; or `UNKNOWN`.
    passed: tuple[int, ...]

    @classmethod
    def read(cls, position: bytes | None, passed: bytes | None, ledgers: int) -> "DeliveryPosition":
        """Read what is stored: a value for each ledger, with blanks between. In new ledgers it stands nowhere."""
        ids, counts = (position or b"").decode(errors="replace").split(), (passed or b"").split()
        more = ledgers - len(ids)
        return cls(
            (*ids[:ledgers], *[""] * more),
            tuple(map(_read_passed, (*counts, *[b"0"] * ledgers)[:ledgers])),
        )

    def after(self, name: str) -> "DeliveryPosition":
        """Return the position behind the next signal of a ledger, by the name of its entry."""
        entry = EntryId.parse(name)
        before, behind = slice(entry.ledger), slice(entry.ledger + 1, None)
        return DeliveryPosition(
            (*self.ids[before], entry.stored, *self.ids[behind]),
            (*self.passed[before], self.passed[entry.ledger] + 1, *self.passed[behind]),
        )

    @property
    def stored_ids(self) -> str:
        """The positions as they are stored."""
        return " ".join(self.ids)

    @property
    def stored_passed(self) -> str:
        """The counts as they are stored."""
        return " ".join(map(str, self.passed))


def _read_passed(stored: bytes) -> int:
    return UNKNOWN if stored == str(UNKNOWN).encode() else read_count(stored) or 0
