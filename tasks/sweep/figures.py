"""What a parameter set earned: figures of one segment of a unit, and rows of all of them together. Pure."""

import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from tasks.paper import StoredAccount
from tasks.paper.position_statistics import DAY_MS, DAYS_A_YEAR

MINUTE_MS = 60_000


class Figures(msgspec.Struct, array_like=True):
    """Sums of one parameter set over one segment of a part. Values are in quote currency, after fees and funding."""

    signals: int = 0
    positions: int = 0
    wins: int = 0
    open: int = 0
    #: Of closed positions; `won` and `lost` are its two parts, both 0 or more.
    pnl: float = 0.0
    won: float = 0.0
    lost: float = 0.0
    #: What closing the open ones at the last price would leave.
    unrealised: float = 0.0
    fees: float = 0.0
    funding: float = 0.0
    turnover: float = 0.0
    #: The deepest fall of the profit of one symbol from its peak, at every price.
    drawdown: float = 0.0
    #: How long positions were held, and how long they could have been, milliseconds.
    held_ms: int = 0
    span_ms: int = 0
    #: Event times of the segment's first and last event; 0: it had none.
    first_ms: int = 0
    last_ms: int = 0
    #: Profit of the positions that were closed in each minute; minutes since 1970.
    by_minute: dict[int, float] = {}


class UnitResult(msgspec.Struct, array_like=True):
    """The result of a unit."""

    #: Of each segment; none where the strategy failed.
    segments: list[Figures] = []
    #: The traceback of what the strategy raised, or why it was ended; empty: it did not fail.
    error: str = ""


def of_accounts(
    accounts: Iterable[StoredAccount], signals: int, by_minute: dict[int, float], first_ms: int, last_ms: int
) -> Figures:
    """Return the figures of a segment from its paper accounts."""
    found = Figures(signals=signals, first_ms=first_ms, last_ms=last_ms, by_minute=by_minute)
    for each in accounts:
        totals, position = each.account.totals, each.account.position
        found.positions += totals.positions
        found.wins += totals.wins
        found.pnl += totals.realised
        found.won += totals.won
        found.lost += totals.lost
        found.fees += totals.fees
        found.funding += totals.funding
        found.turnover += totals.turnover
        found.drawdown = max(found.drawdown, totals.drawdown)
        found.held_ms += totals.held_ms
        found.span_ms += last_ms - first_ms
        if position is not None:
            found.open += 1
            found.unrealised += position.unrealised
            found.held_ms += max(0, last_ms - position.opened_ms)
    found.span_ms = found.span_ms or last_ms - first_ms
    return found


class SweepRow(msgspec.Struct):
    """What a parameter set came to over all that it was tried on. Values are in quote currency, after fees and funding."""

    strategy: str
    parameters: dict[str, Any]
    signals: int = 0
    #: How many are closed, and how many are open.
    positions: int = 0
    open: int = 0
    hit_rate: float | None = None
    #: `pnl` and `unrealised` together.
    profit: float = 0.0
    pnl: float = 0.0
    unrealised: float = 0.0
    fees: float = 0.0
    funding: float = 0.0
    turnover: float = 0.0
    average_win: float | None = None
    #: 0 or less.
    average_loss: float | None = None
    #: The deepest fall of the profit from its peak: of one symbol of one recording at every price, else at the end of
    #: each minute.
    max_drawdown: float = 0.0
    #: A year's, of the days' profits; None with fewer than two days.
    sharpe: float | None = None
    #: The share of the time in which a position was held.
    exposure: float | None = None
    #: Why there are no figures: the traceback of what the strategy raised.
    error: str | None = None


#: Columns by which sets can be ranked.
NUMERIC_COLUMNS = tuple(
    field.name for field in msgspec.structs.fields(SweepRow) if field.name not in {"strategy", "parameters", "error"}
)


#: Of these, less is better.
COSTS = frozenset({"fees", "funding", "turnover", "max_drawdown"})


def value(row: SweepRow, objective: str) -> float | None:
    """Return the value of the objective; None: it has none."""
    found: float | None = None if row.error else getattr(row, objective)
    return found


def merit(of: float | None, objective: str) -> float:
    """Return a number that is the higher the better a value of the objective is; no value is worse than any."""
    if of is None:
        return float("-inf")
    return float(-of if objective in COSTS else of)


def row(strategy: str, parameters: dict[str, Any], parts: Sequence[Figures], error: str | None = None) -> SweepRow:
    """Return the row of a set from its figures of several parts, given in an order that is always the same."""
    if error:
        return SweepRow(strategy, parameters, error=error)
    made = SweepRow(strategy, parameters)
    wins, won, lost, held_ms, span_ms = 0, 0.0, 0.0, 0, 0
    for each in parts:
        made.signals += each.signals
        made.positions += each.positions
        made.open += each.open
        made.pnl += each.pnl
        made.unrealised += each.unrealised
        made.fees += each.fees
        made.funding += each.funding
        made.turnover += each.turnover
        wins, won, lost = wins + each.wins, won + each.won, lost + each.lost
        held_ms, span_ms = held_ms + each.held_ms, span_ms + each.span_ms
    made.profit = made.pnl + made.unrealised
    made.hit_rate = wins / made.positions if made.positions else None
    made.average_win = won / wins if wins else None
    made.average_loss = -lost / (made.positions - wins) if made.positions > wins else None
    made.exposure = min(1.0, held_ms / span_ms) if span_ms else None
    minutes = profit_by_minute(parts)
    made.max_drawdown = parts[0].drawdown if len(parts) == 1 else _drawdown(minutes, made.unrealised)
    made.sharpe = _sharpe(minutes, parts) if made.positions else None
    return made


def profit_by_minute(parts: Iterable[Figures]) -> dict[int, float]:
    """Return the profit of the positions that were closed in each minute, in the order of time."""
    together: dict[int, float] = {}
    for each in parts:
        for minute, pnl in each.by_minute.items():
            together[minute] = together.get(minute, 0.0) + pnl
    return dict(sorted(together.items()))


def _drawdown(minutes: dict[int, float], unrealised: float) -> float:
    profit = peak = deepest = 0.0
    for pnl in (*minutes.values(), unrealised):
        profit += pnl
        peak = max(peak, profit)
        deepest = max(deepest, peak - profit)
    return deepest


def _sharpe(minutes: dict[int, float], parts: Iterable[Figures]) -> float | None:
    by_day: dict[int, float] = {}
    for each in parts:
        if each.first_ms:
            # A day without a closed position counts as 0; one without events does not count.
            by_day |= dict.fromkeys(range(each.first_ms // DAY_MS, each.last_ms // DAY_MS + 1), 0.0)
    for minute, pnl in minutes.items():
        day = minute * MINUTE_MS // DAY_MS
        by_day[day] = by_day.get(day, 0.0) + pnl
    if len(by_day) < 2:
        return None
    deviation = statistics.stdev(by_day.values())
    return statistics.fmean(by_day.values()) / deviation * math.sqrt(DAYS_A_YEAR) if deviation else None
