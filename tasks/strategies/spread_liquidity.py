"""Sell when liquidity leaves the book, buy when a spread that was wide for long snaps back (book depth)."""

from collections.abc import Iterable, Mapping
from itertools import chain
from math import fsum
from typing import Annotated, NamedTuple

import msgspec
from pydantic import Field

from tasks.events import AnyEvent, Depth
from tasks.once_per_event import once_per_event
from tasks.strategy import Params, Signal, State, Strategy


class SpreadLiquidityParams(Params):
    """Thresholds of width, speed and duration."""

    min_signal_interval_s: Annotated[
        float,
        Field(ge=0, le=86_400, description="Event time between two signals of one symbol and action, in seconds."),
    ] = 60.0
    history: Annotated[int, Field(ge=2, le=100, description="Books compared, the present one included.")] = 20
    levels: Annotated[int, Field(ge=1, le=20, description="Best levels of each side that count as depth.")] = 5
    wide_ratio: Annotated[float, Field(gt=1, le=1_000, description="Spread over its mean that counts as wide.")] = 2.5
    wide_bps: Annotated[
        float, Field(ge=0, le=10_000, description="A spread up to this is never wide, in basis points of mid.")
    ] = 0.5
    min_episode_s: Annotated[
        float, Field(ge=0, le=86_400, description="An episode must be older than this for a buy, in seconds.")
    ] = 5.0
    fall: Annotated[float, Field(gt=0, lt=1, description="Share of the oldest spread that must be gone for a buy.")] = (
        0.5
    )
    velocity_per_s: Annotated[
        float, Field(gt=0, le=1_000, description="Relative growth of the spread per second for a sell.")
    ] = 0.5
    leaving_ratio: Annotated[float, Field(gt=1, le=1_000, description="Spread over its mean for a sell.")] = 3.0
    leaving_reduction: Annotated[
        float, Field(ge=0, lt=1, description="Share of the mean depth that must be gone for a sell.")
    ] = 0.5


class Episode(msgspec.Struct):
    """A period of wide spread."""

    #: Event time of the book that began it, unix milliseconds.
    since_ms: int
    #: Mean spread before that book, price units; a spread is wide or not compared with it.
    normal: float
    #: Books in a row that were not wide.
    narrow: int = 0


class SpreadLiquidityState(State):
    """The books before the present one, oldest first; the three lists are equally long."""

    #: Price units.
    spreads: list[float] = msgspec.field(default_factory=list)
    #: Quantity of the best levels of both sides, base units.
    depths: list[float] = msgspec.field(default_factory=list)
    #: Event times, unix milliseconds.
    times_ms: list[int] = msgspec.field(default_factory=list)
    episode: Episode | None = None
    #: Whether liquidity was leaving at the last book.
    leaving: bool = False


class BookMeasures(NamedTuple):
    """Spread and depth of a book relative to those before it."""

    #: Mean spread before, price units.
    normal: float
    #: Spread over that mean.
    ratio: float
    #: Relative change of the spread since the oldest book, and the same per second.
    change: float
    velocity: float
    #: Share of the mean depth that is gone; negative when there is more.
    reduction: float


class SpreadLiquidity(Strategy[SpreadLiquidityParams, SpreadLiquidityState]):
    """Compare the spread and the depth of a book with the 19 books before it.

        ratio     = spread / mean spread of the 19 books before                  (no unit)
        change    = (spread - oldest spread) / oldest spread                     (no unit)
        velocity  = change / seconds since the oldest book                       (1/s)
        reduction = 1 - depth / mean depth of the 19 books before                (no unit)

    Here spread = best ask - best bid in price units, and depth = quantity of the best 5 levels of both sides.

    * Sell when liquidity leaves: velocity > 0.5, ratio > 3, reduction > 0.5, and the spread is above 0.5 bps of mid.
      Only the first such book in a row signals. Confidence 0.70 + 0.10 velocity / (1 + velocity) + 0.15 reduction;
      stop at mid + 2 spreads, target at mid - 4 spreads.
    * An episode of wide spread begins with a book of ratio > 2.5 and a spread above 0.5 bps of mid. The mean spread
      before that book is remembered as normal, because the mean of 19 books itself becomes wide during an episode.
    * Buy when the spread normalises: the episode is older than 5 s, change < -0.5 and ratio < 2.5. That ends the
      episode. Confidence 0.70 + min(0.10, age / 60 s * 0.10); stop at mid - 2 spreads, target at mid + 4 spreads.
    * An episode ends without a signal after 20 books in a row that were not wide (at most 2.5 times normal, or at most
      0.5 bps): no wide spread is left in the history from which it could fall.

    Both signals have the mid as their price. A stop or target of zero or less is left out. Where the oldest book is
    not older than this one (equal times, or a step back), change and velocity are 0. If a step back in time puts the
    beginning of an episode into the future, the episode begins now.

    Source: Glosten and Milgrom (1985), Kyle (1985); the rules are those of petrosa-realtime-strategies.

    Changed: the minimum spread was 10 bps, more than in any recorded book, and only buys required it. BTC's spread is
    0.002 bps, so one more tick gave a sell, with confidence 0.95 because velocity has no upper bound. A buy required a
    velocity below -0.5; but a spread can fall by 100 % at most, and 20 books span two seconds. A buy also required an
    episode of 30 s; the longest was 0.2 s in the recordings and 8 s in the simulator.
    """

    name = "spread_liquidity"

    @property
    def warmup(self) -> int:
        """Books needed before there are enough to compare with."""
        return self.params.history - 1

    def on_depth(self, book: Depth, state: SpreadLiquidityState) -> Iterable[Signal]:
        """Measure the book against those before it, then remember it."""
        depth, spread_bps = _depth_and_spread(book, self.params.levels)
        # Of a narrow book that no episode waits for, nothing is asked but that it is remembered.
        if state.episode is None and spread_bps <= self.params.wide_bps:
            state.leaving = False
        elif state.spreads:
            measures = _measure(book, depth, state)
            yield from self._leaving(book, measures, state)
            yield from self._normalising(book, measures, state)
        self._remember(book, depth, state)

    def explain(self, event: AnyEvent, state: SpreadLiquidityState) -> Mapping[str, float]:
        """Return the measures of the book with the thresholds of a sell or, in an episode that is over, of a buy."""
        if not isinstance(event, Depth) or not state.spreads:
            return {}
        depth, spread_bps = _depth_and_spread(event, self.params.levels)
        params, now = self.params, _measure(event, depth, state)
        numbers = {"spread_bps": spread_bps, "spread_ratio": now.ratio, "change": now.change}
        if state.episode is not None and now.change < 0:
            age_s = (event.time_ms - min(state.episode.since_ms, event.time_ms)) / 1000
            bounds = {"spread_ratio_below": params.wide_ratio, "change_below": -params.fall}
            return numbers | bounds | {"episode_s": age_s, "episode_s_above": params.min_episode_s}
        return numbers | {
            "spread_bps_above": params.wide_bps,
            "spread_ratio_above": params.leaving_ratio,
            "spread_velocity_per_s": now.velocity,
            "spread_velocity_per_s_above": params.velocity_per_s,
            "depth_reduction": now.reduction,
            "depth_reduction_above": params.leaving_reduction,
            "was_leaving": float(state.leaving),
        }

    def _leaving(self, book: Depth, now: BookMeasures, state: SpreadLiquidityState) -> Iterable[Signal]:
        params, before = self.params, state.leaving
        state.leaving = (
            now.velocity > params.velocity_per_s
            and now.ratio > params.leaving_ratio
            and now.reduction > params.leaving_reduction
            and book.spread_bps > params.wide_bps
        )
        if state.leaving and not before:
            yield Signal(
                action="sell",
                confidence=0.70 + 0.10 * now.velocity / (1 + now.velocity) + 0.15 * now.reduction,
                price=book.mid,
                current_price=book.mid,
                stop_loss=book.mid + 2 * book.spread,
                take_profit=_above_zero(book.mid - 4 * book.spread),
                rationale=f"the spread grew to {now.ratio:.1f} times its mean while {now.reduction:.0%} of the depth left",
                indicators=_indicators(book, now),
            )

    def _normalising(self, book: Depth, now: BookMeasures, state: SpreadLiquidityState) -> Iterable[Signal]:
        params, episode = self.params, state.episode
        if episode is None:
            if now.ratio > params.wide_ratio and book.spread_bps > params.wide_bps:
                state.episode = Episode(book.time_ms, now.normal)
            return
        # If the clock was ahead when the episode began, it begins now.
        episode.since_ms = min(episode.since_ms, book.time_ms)
        age_s = (book.time_ms - episode.since_ms) / 1000
        if age_s > params.min_episode_s and now.change < -params.fall and now.ratio < params.wide_ratio:
            state.episode = None
            yield Signal(
                action="buy",
                confidence=0.70 + min(0.10, age_s / 60 * 0.10),
                price=book.mid,
                current_price=book.mid,
                stop_loss=_above_zero(book.mid - 2 * book.spread),
                take_profit=book.mid + 4 * book.spread,
                rationale=f"the spread normalises after {age_s:.0f} s",
                indicators=_indicators(book, now) | {"episode_s": age_s},
            )
            return
        wide = book.spread > params.wide_ratio * episode.normal and book.spread_bps > params.wide_bps
        episode.narrow = 0 if wide else episode.narrow + 1
        if episode.narrow >= params.history:
            state.episode = None

    def _remember(self, book: Depth, depth: float, state: SpreadLiquidityState) -> None:
        state.spreads.append(book.spread)
        state.depths.append(depth)
        state.times_ms.append(book.time_ms)
        if len(state.spreads) >= self.params.history:
            del state.spreads[0], state.depths[0], state.times_ms[0]


@once_per_event
def _depth_and_spread(book: Depth, levels: int) -> tuple[float, float]:
    """Return the quantity of the best levels of both sides, and the spread in basis points."""
    return fsum([quantity for _, quantity in chain(book.bids[:levels], book.asks[:levels])]), book.spread_bps


def _measure(book: Depth, depth: float, state: SpreadLiquidityState) -> BookMeasures:
    # fsum: summed again for each book, so nothing drifts, and rounded once, so every Python gives the same float.
    books = len(state.spreads)
    normal, oldest = fsum(state.spreads) / books, state.spreads[0]
    seconds = (book.time_ms - state.times_ms[0]) / 1000
    change = (book.spread - oldest) / oldest if seconds > 0 else 0.0
    velocity = change / seconds if seconds > 0 else 0.0
    return BookMeasures(normal, book.spread / normal, change, velocity, 1 - depth / (fsum(state.depths) / books))


def _indicators(book: Depth, now: BookMeasures) -> dict[str, float]:
    return {
        "spread_bps": book.spread_bps,
        "spread_ratio": now.ratio,
        "spread_velocity_per_s": now.velocity,
        "depth_reduction": now.reduction,
    }


def _above_zero(price: float) -> float | None:
    return price if price > 0 else None
