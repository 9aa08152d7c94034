"""A parameter set: what a sweep tries of one strategy. Pure."""

from typing import Any

import msgspec


class ParameterSet(msgspec.Struct, frozen=True, eq=True):
    """Values that differ from the strategies file for one strategy."""

    #: As the strategies file names it: `orderbook_skew`, or `mine:Boom`.
    strategy: str
    #: By name as `--set` takes them: `levels`, `gate.min_confidence`, `paper.latency_ms`.
    parameters: dict[str, Any]

    def canonical(self) -> bytes:
        """Return the same bytes for equal sets, whatever the order of their parameters."""
        return msgspec.json.encode([self.strategy, self.parameters], order="sorted")
