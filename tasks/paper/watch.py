"""A cheap test, at each event, whether anything can happen to an account; most events only change what it is worth. Pure."""

import math

from tasks.events import STEP_BACK_MS
from tasks.paper.account import PaperContext
from tasks.paper.state import SymbolAccount

_NEVER, _ALWAYS = math.inf, -math.inf


class AccountWatch:
    """What an account waits for, from one change of it to the next: prices, a time, a clock that steps back."""

    __slots__ = (
        "_base", "_drawdown", "_due_ms", "_earliest_ms", "_high", "_is_long", "_low", "_mid", "_peak", "_slope",
        "account", "context",
    )  # fmt: skip

    def __init__(self, account: SymbolAccount, context: PaperContext) -> None:
        self.account, self.context, terms = account, context, context.terms
        position, totals = account.position, account.totals
        self._due_ms, self._earliest_ms, self._low, self._high = _NEVER, _ALWAYS, -math.inf, math.inf
        self._is_long, self._base, self._slope, self._mid = True, totals.realised, 0.0, 0.0
        self._peak, self._drawdown = totals.peak, totals.drawdown
        if account.orders:
            self._due_ms = account.orders[0].sent_ms + terms.latency_ms
            self._earliest_ms = max(order.sent_ms for order in account.orders) - STEP_BACK_MS
        if position is None:
            return
        self._is_long = position.direction > 0
        stop, target = position.stop_loss, position.take_profit
        below, above = (stop, target) if self._is_long else (target, stop)
        self._low, self._high = -math.inf if below is None else below, math.inf if above is None else above
        if terms.max_holding_s is not None:
            self._due_ms = min(self._due_ms, position.opened_ms + terms.max_holding_s * 1_000)
        if position.exit_reason:
            self._due_ms = _ALWAYS
        self._earliest_ms = max(self._earliest_ms, position.opened_ms - STEP_BACK_MS)
        self._slope = position.direction * (position.quantity - position.exit_quantity)
        spent = position.direction * (position.exit_value - position.entry_value)
        self._base = totals.realised + spent - position.fees - position.funding
        self._mid = position.mark

    def passes(self, bid: float, ask: float, time_ms: int) -> bool:
        """Note the prices of an event where they are all that changes; return whether they are."""
        price = bid if self._is_long else ask
        if not (self._low < price < self._high and self._earliest_ms <= time_ms < self._due_ms):
            return False
        self._mid = mid = (bid + ask) / 2
        equity = self._base + self._slope * mid
        if equity > self._peak:
            self._peak = equity
        elif self._peak - equity > self._drawdown:
            self._drawdown = self._peak - equity
        return True

    def store(self) -> None:
        """Put what was noted into the account."""
        totals = self.account.totals
        totals.peak, totals.drawdown = self._peak, self._drawdown
        if self.account.position is not None:
            self.account.position.mark = self._mid
