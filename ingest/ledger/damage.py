"""What the ledger was found to hold that nobody wrote, or to have lost: told for a while, because it is replaced at once."""

import time
from collections.abc import Callable, Iterator

from tasks.protocol.findings import Finding

#: Long enough for an alert, and for a person who looks because of it.
TOLD_S = 600.0


class LedgerDamage:
    """The keys and fields that were damaged."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        #: By what was damaged: what there was to say, and until when it is told.
        self._told: dict[str, tuple[str, float]] = {}

    def record(self, where: str, says: str) -> None:
        """Note what is wrong with a key, or a field of it, and what follows."""
        self._told[where] = says, self._now() + TOLD_S

    def findings(self) -> Iterator[Finding]:
        """Yield a warning for each."""
        do = "check Redis's memory and disk (`INFO`), and who writes there (`CLIENT LIST`)"
        for where, (says, until_s) in list(self._told.items()):
            if self._now() < until_s:
                yield Finding("warning", f"key {where}", says, do, "ledger_damaged")
            else:
                del self._told[where]
