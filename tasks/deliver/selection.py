"""Which signals a delivery takes."""

from typing import NamedTuple

from tasks.deliver.signal_fields import SignalFields
from tasks.ops.entry_filters import SignalFilter


class Selection(NamedTuple):
    """The signals that a delivery takes."""

    names: SignalFilter = SignalFilter()
    min_confidence: float = 0.0

    def takes(self, signal: SignalFields) -> bool:
        """Whether a signal is one of them."""
        return signal.confidence >= self.min_confidence and self.names.takes_names(
            signal.strategy, signal.symbol, signal.action
        )
