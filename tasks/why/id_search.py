"""Finds the event of a signal of which only the id is known: the id is made of it. Pure."""

from collections.abc import Iterable
from hashlib import sha1
from typing import NamedTuple, get_args
from uuid import UUID

from tasks.engine.signal_message import ID_NAMESPACE, signal_id, signal_name
from tasks.events import AnyEvent
from tasks.protocol.routing import Pool
from tasks.strategy import Action

#: Bytes of the hash that UUIDv5 keeps whole: its version stands behind them.
_KEPT = 6
_ACTIONS: tuple[Action, ...] = get_args(Action)


class FoundTrigger(NamedTuple):
    """An event whose signal would have the id."""

    pool: Pool
    strategy: str
    event: AnyEvent


class IdSearch:
    """Tries each event with each strategy that sees it, and each action."""

    def __init__(self, identity: str, strategies: Iterable[tuple[Pool, str]]) -> None:
        """Look for an id among the signals of strategies. Raises ValueError: it is no UUID."""
        self._identity = str(UUID(identity))
        self._kept = UUID(identity).bytes[:_KEPT]
        self._strategies = tuple(strategies)
        #: Symbols so far: a strategy of all symbols may give a signal for another than the event's.
        self._symbols: dict[str, None] = {}

    def match(self, event: AnyEvent) -> FoundTrigger | None:
        """Return the strategy whose signal on this event would have the id; None: none."""
        self._symbols.setdefault(event.symbol)
        for pool, strategy in self._strategies:
            if not pool.wants(event.symbol, event.kind):
                continue
            for symbol in (event.symbol,) if pool.key == "symbol" else self._symbols:
                if self._is_of(strategy, symbol, event):
                    return FoundTrigger(pool, strategy, event)
        return None

    def _is_of(self, strategy: str, symbol: str, event: AnyEvent) -> bool:
        for action in _ACTIONS:
            name = signal_name(strategy, action, symbol, event)
            # As uuid5 makes it, without making the UUID: five times as fast.
            kept = sha1(ID_NAMESPACE.bytes + name.encode(), usedforsecurity=False).digest()[:_KEPT]
            if kept == self._kept and signal_id(strategy, action, symbol, event) == self._identity:
                return True
        return False
