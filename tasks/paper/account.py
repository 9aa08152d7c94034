"""The account of one strategy: pending orders, open positions, what closed ones earned. Pure.

At each event of a symbol, before the strategy sees it: funding; then stop and target, which wait at the exchange; then
the orders that have arrived, in their order; then the longest holding time. An order opens a position where there is
none and closes one of the other side; one of the same side changes nothing. So a signal never trades at the prices of
its own event.
"""

from typing import Literal

import msgspec

from tasks.events import STEP_BACK_MS, AnyEvent, MarkPrice
from tasks.paper.closed_position import ClosedPosition, ExitReason, position_id
from tasks.paper.fills import MarketQuote, OrderFill, quote, spend, trade
from tasks.paper.state import OpenPosition, PaperOrder, SymbolAccount
from tasks.paper.terms import PaperTerms

#: More pending orders of a symbol are those of a strategy gone wrong.
MAX_ORDERS = 16
#: The oldest of them has found no price when it has waited so long.
NO_PRICE_MS = 60_000

#: Why a signal became no order, or an order no position, or a smaller one.
Unfilled = Literal["no_price", "inverse", "other_symbol", "too_many_orders", "partial"]


def submit(account: SymbolAccount, order: PaperOrder) -> Unfilled | None:
    """Send an order; return why it is not taken."""
    if order.action == "hold":
        return None
    if len(account.orders) < MAX_ORDERS:
        account.orders.append(order)
        return None
    if order.sent_ms - account.orders[0].sent_ms < NO_PRICE_MS:
        return "too_many_orders"
    account.orders = [*account.orders[1:], order]
    return "no_price"


class PaperContext(msgspec.Struct, frozen=True):
    """What an account needs to know beside an event."""

    terms: PaperTerms
    strategy: str
    config_version: str


class StepResult(msgspec.Struct):
    """What an event did to an account."""

    closed: list[ClosedPosition]
    #: Orders that were not filled, or not whole.
    unfilled: list[Unfilled]


def advance(account: SymbolAccount, event: AnyEvent, context: PaperContext) -> StepResult:
    """Move an account of the event's symbol on by an event that tells prices."""
    step = _SymbolStep(account, event, quote(event, context.terms.slippage_bps), context)
    step.run()
    return step.done


def fund(account: SymbolAccount, event: MarkPrice) -> None:
    """Pay or receive the funding that was announced last, if its time has come on an open position; note the next."""
    position, rate, due_ms = account.position, account.funding_rate, account.next_funding_ms
    if position and rate is not None and due_ms is not None and position.opened_ms <= due_ms <= event.time_ms:
        left = position.quantity - position.exit_quantity
        paid = position.direction * left * event.price * rate
        position.funding += paid
        account.totals.funding += paid
    # After a funding, an exchange may go on announcing it for a while: it is paid once.
    next_ms = event.next_funding_ms
    account.next_funding_ms = next_ms if next_ms is not None and next_ms > event.time_ms else None
    account.funding_rate = event.funding_rate


class _SymbolStep:
    """One event of an account."""

    def __init__(self, account: SymbolAccount, event: AnyEvent, prices: MarketQuote, context: PaperContext) -> None:
        self.account, self.event, self.prices, self.context = account, event, prices, context
        self.fees = context.terms.fees(event.venue)
        self.done = StepResult([], [])

    def run(self) -> None:
        self._step_back()
        position = self.account.position
        if position is not None:
            self._rest(position)
        if self.account.orders:
            self._arrived()
        position = self.account.position
        if position is not None:
            self._hold(position)

    def _step_back(self) -> None:
        """Take what lies ahead of this event's clock for sent or opened now: the clock of then was ahead."""
        now_ms, account = self.event.time_ms, self.account
        if any(order.sent_ms - now_ms > STEP_BACK_MS for order in account.orders):
            account.orders = [
                msgspec.structs.replace(each, sent_ms=min(each.sent_ms, now_ms)) for each in account.orders
            ]
        if account.position is not None and account.position.opened_ms - now_ms > STEP_BACK_MS:
            account.position.opened_ms = now_ms

    def _rest(self, position: OpenPosition) -> None:
        """Close the position where its stop or target is reached; go on with one that is being closed."""
        price = self._exit_price(position)
        if position.exit_reason:
            self._close(position, position.exit_reason, position.exit_signal_id)
        elif position.stop_loss is not None and (price - position.stop_loss) * position.direction <= 0:
            self._close(position, "stop_loss")
        elif position.take_profit is not None and self._has_reached_target(position):
            # It waited there as a limit order, so it has its own price and the fee of a maker.
            left = position.quantity - position.exit_quantity
            self._take_out(position, OrderFill(left, left * position.take_profit), self.fees.maker, "take_profit")

    def _arrived(self) -> None:
        latest_ms = self.event.time_ms - self.context.terms.latency_ms
        while self.account.orders and self.account.orders[0].sent_ms <= latest_ms:
            order = self.account.orders.pop(0)
            position = self.account.position
            if position is None:
                self._open(order)
            elif position.exit_reason:
                pass  # It is being closed already.
            elif order.action == "close" or (order.action == "buy") != (position.direction > 0):
                self._close(position, "signal", order.signal_id)

    def _hold(self, position: OpenPosition) -> None:
        """Close what was held for too long; else note what it is worth now."""
        limit_s = self.context.terms.max_holding_s
        is_due = limit_s is not None and self.event.time_ms - position.opened_ms >= limit_s * 1_000
        if is_due and not position.exit_reason:
            self._close(position, "max_holding")
        if self.account.position is not None:
            position.mark = self.prices.mid
            self._note_equity(position.unrealised)

    def _open(self, order: PaperOrder) -> None:
        if order.action not in {"buy", "sell"}:
            return
        direction = 1 if order.action == "buy" else -1
        got = spend(self.prices.asks if direction > 0 else self.prices.bids, order.notional)
        if got.value < order.notional:
            self.done.unfilled.append("partial")
        if not (got.quantity and got.value):
            return  # Quantities so small that a float can't tell their value.
        fee = got.value * self.fees.taker / 1e4
        self.account.position = OpenPosition(
            order.signal_id, direction, got.quantity, got.value, self.event.time_ms,
            order.stop_loss, order.take_profit, fee, self.prices.mid,
        )  # fmt: skip
        self.account.totals.fees += fee
        self.account.totals.turnover += got.value
        if self._has_reached_target(self.account.position):
            # Nothing waits at a price that the market has passed: what is left of it is closed at the next prices.
            self.account.position.exit_reason = "take_profit"

    def _exit_price(self, position: OpenPosition) -> float:
        return self.prices.bid if position.direction > 0 else self.prices.ask

    def _has_reached_target(self, position: OpenPosition) -> bool:
        price = self._exit_price(position)
        return position.take_profit is not None and (price - position.take_profit) * position.direction >= 0

    def _close(self, position: OpenPosition, reason: ExitReason, signal_id: str = "") -> None:
        """Close at the market; what the levels do not take is closed at the next events."""
        levels = self.prices.bids if position.direction > 0 else self.prices.asks
        got = trade(levels, position.quantity - position.exit_quantity)
        self._take_out(position, got, self.fees.taker, reason, signal_id)

    def _take_out(
        self, position: OpenPosition, got: OrderFill, fee_bps: float, reason: ExitReason, signal_id: str = ""
    ) -> None:
        fee, totals = got.value * fee_bps / 1e4, self.account.totals
        position.exit_value += got.value
        position.fees += fee
        totals.fees += fee
        totals.turnover += got.value
        whole = got.quantity >= position.quantity - position.exit_quantity
        position.exit_quantity = position.quantity if whole else position.exit_quantity + got.quantity
        # The first reason is the one that counts.
        position.exit_reason = position.exit_reason or reason
        position.exit_signal_id = position.exit_signal_id or signal_id
        if whole:
            self._settle(position, position.exit_reason)

    def _settle(self, position: OpenPosition, reason: ExitReason) -> None:
        account, event = self.account, self.event
        pnl = position.direction * (position.exit_value - position.entry_value) - position.fees - position.funding
        totals = account.totals
        totals.positions += 1
        totals.wins += pnl > 0
        totals.realised += pnl
        totals.won += max(pnl, 0.0)
        totals.lost += max(-pnl, 0.0)
        totals.held_ms += max(0, event.time_ms - position.opened_ms)
        account.position = None
        self._note_equity(0.0)
        self.done.closed.append(
            ClosedPosition(
                id=position_id(self.context.strategy, position.signal_id),
                strategy=self.context.strategy,
                venue=event.venue,
                symbol=event.symbol,
                side=position.side,
                quantity=position.quantity,
                entry_price=position.entry_value / position.quantity,
                exit_price=position.exit_value / position.quantity,
                opened_ms=position.opened_ms,
                closed_ms=event.time_ms,
                exit_reason=reason,
                fees=position.fees,
                funding=position.funding,
                pnl=pnl,
                return_bps=pnl / position.entry_value * 1e4,
                signal_id=position.signal_id,
                exit_signal_id=position.exit_signal_id,
                config_version=self.context.config_version,
            )
        )

    def _note_equity(self, unrealised: float) -> None:
        totals = self.account.totals
        equity = totals.realised + unrealised
        totals.peak = max(totals.peak, equity)
        totals.drawdown = max(totals.drawdown, totals.peak - equity)
