"""Buy when the best bids outweigh the best asks, sell when they are outweighed (book depth)."""

from collections.abc import Iterable
from itertools import islice
from math import fsum
from typing import Annotated

from pydantic import Field

from tasks.events import Depth, Level
from tasks.strategy import Params, Signal, State, Strategy


class OrderbookSkewParams(Params):
    """When a book is lopsided, and when it is too wide to tell."""

    levels: Annotated[int, Field(ge=1, le=20, description="Best levels of each side that are weighed.")] = 5
    max_spread_bps: Annotated[
        float, Field(gt=0, le=1_000, description="No opinion on a book with a wider spread, in basis points of mid.")
    ] = 10.0
    buy_ratio: Annotated[float, Field(gt=1, le=1_000, description="Bids over asks above which to buy.")] = 1.2
    sell_ratio: Annotated[float, Field(gt=0, lt=1, description="Bids over asks below which to sell.")] = 0.8


class OrderbookSkewState(State):
    """What the last book said."""

    #: +1 buy, -1 sell, 0 neither.
    side: int = 0


class OrderbookSkew(Strategy[OrderbookSkewParams, OrderbookSkewState]):
    """Follow the heavier side of the book.

        ratio = sum of quantity of the best 5 bids / the same of the asks        (no unit)
        ratio > 1.2: buy  at best bid, confidence min(0.95, 0.60 + (ratio - 1.2) / 2)
        ratio < 0.8: sell at best ask, confidence min(0.95, 0.60 + (0.8 - ratio) / 2)

    A book whose spread is above 10 bps (0.1 %) of mid says neither. A signal comes with the book that changes what the
    books say: from neither, or from the other side. So a skew that vanishes for one book and comes back counts as new,
    and the cool-down is what keeps a flickering book quiet. A book needs no past to be judged, so there is no warm-up.

    Source: petrosa-realtime-strategies announces it in its README; the numbers are from there.
    """

    name = "orderbook_skew"

    def on_depth(self, book: Depth, state: OrderbookSkewState) -> Iterable[Signal]:
        """Weigh the two sides."""
        params = self.params
        bid_quantity, ask_quantity = _quantity(book.bids, params.levels), _quantity(book.asks, params.levels)
        ratio = bid_quantity / ask_quantity
        side = 0
        if book.spread_bps <= params.max_spread_bps:
            side = 1 if ratio > params.buy_ratio else -1 if ratio < params.sell_ratio else 0
        changed, state.side = side not in {0, state.side}, side
        if changed:
            yield self._signal(book, side, ratio)

    def _signal(self, book: Depth, side: int, ratio: float) -> Signal:
        beyond = ratio - self.params.buy_ratio if side > 0 else self.params.sell_ratio - ratio
        return Signal(
            action="buy" if side > 0 else "sell",
            confidence=min(0.95, 0.60 + beyond / 2),
            price=book.bids[0][0] if side > 0 else book.asks[0][0],
            current_price=book.mid,
            rationale=f"the best bids hold {ratio:.2f} times the quantity of the best asks",
            indicators={"ratio": ratio, "spread_bps": book.spread_bps},
        )


def _quantity(side: tuple[Level, ...], levels: int) -> float:
    # fsum, because it gives the same float on every Python: sum() adds floats differently since 3.12.
    return fsum([quantity for _, quantity in islice(side, levels)])
