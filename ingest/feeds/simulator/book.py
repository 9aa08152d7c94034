"""A simulated order book: twenty levels a side that change as a recorded one does. Pure; all randomness is given."""

import math
from random import Random

from ingest.feeds.simulator.profiles import Instrument
from tasks.events import Venue

LEVELS = 20
#: How often the quantity at the best price is a new one rather than the old one, a bit changed: a recorded imbalance
#: keeps 0.93 of itself from one book to the next.
_NEW_TOP = 0.06
_CHANGED_TOP = 0.6
#: Deep levels that differ from one book to the next, on average.
_CHANGED_LEVELS = 2.0
#: How often a gap that an order ate is still open in the next book.
_OPEN_GAP = 0.03
#: How far the twentieth level may be, as a multiple of its ordinary distance.
_REACH = 1.5
#: How strongly the price is pulled back to where it started: at 10 % off, as strongly as it ever is.
_PULL = 2.0


def change_share(instrument: Instrument) -> float:
    """Return the share of the tenths of a second in which the book changes."""
    liveliness = math.sqrt(instrument.pace)
    deep_stays = 1 - math.exp(-1 / (_CHANGED_LEVELS * liveliness))
    top_stays = max(0.0, 1 - (_NEW_TOP + _CHANGED_TOP) * liveliness)
    return 1 - (deep_stays * top_stays) ** 2


class SimulatedSide:
    """One side of a book: prices in ticks, best first, and each level as it is printed."""

    def __init__(self, outward: int, instrument: Instrument, venue: Venue, rng: Random) -> None:
        """Make an empty side; `outward` is the direction from the best price to worse ones: +1 for asks, -1 for bids."""
        self.outward = outward
        self.ticks: list[int] = []
        self.texts: list[str] = []
        self.quantity = 0.0
        #: A multiple of the ordinary quantities.
        self.supply = 1.0
        self._instrument = instrument
        self._rng = rng
        self._scale = math.pow(10, instrument.price_digits)
        digits = instrument.price_digits if instrument.printed_digits is None else instrument.printed_digits
        # Spot prints eight decimals, whatever the tick.
        self._price = f"%.{8 if venue == 'spot' else digits}f"
        self._quantity = f"%.{8 if venue == 'spot' else instrument.quantity_digits}f"
        self._step = math.pow(10, -instrument.quantity_digits)

    def price(self, ticks: int) -> str:
        """Print a price."""
        return self._price % (ticks / self._scale)

    def amount(self, usd: float, ticks: int) -> float:
        """Return the quantity, at least the smallest one, that is worth about `usd`."""
        quantity = usd * self._instrument.size * self._scale / ticks
        return max(self._step, math.floor(quantity / self._step + 0.5) * self._step)

    def amount_text(self, quantity: float) -> str:
        """Print a quantity."""
        return self._quantity % quantity

    def _level(self, ticks: int, quantity: float) -> str:
        return f'["{self._price % (ticks / self._scale)}","{self._quantity % quantity}"]'

    def _deep(self, ticks: int) -> str:
        return self._level(ticks, self.amount(self._instrument.profile.deep_usd.draw(self._rng) * self.supply, ticks))

    def set_top(self, usd: float) -> None:
        """Set the quantity of the best level."""
        self.quantity = self.amount(usd * self.supply, self.ticks[0])
        self.texts[0] = self._level(self.ticks[0], self.quantity)

    def vary_top(self, factor: float) -> None:
        """Multiply the quantity of the best level."""
        self.set_top(self.quantity * factor * self.ticks[0] / self._scale / self._instrument.size / self.supply)

    def rebuild(self, best: int) -> None:
        """Throw all levels away and build the side from `best` on."""
        self.ticks, self.texts = [best], [self._deep(best)]
        self.extend()

    def extend(self) -> None:
        """Cut the side, or add levels at its far end, so that there are twenty where prices allow, none far away."""
        gap = self._instrument.profile.level_gap
        while abs(self.ticks[-1] - self.ticks[0]) > _REACH * LEVELS * gap.mean:
            del self.ticks[-1], self.texts[-1]
        while len(self.ticks) < LEVELS and (ticks := self.ticks[-1] + self.outward * round(gap.draw(self._rng))) > 0:
            self.ticks.append(ticks)
            self.texts.append(self._deep(ticks))
        del self.ticks[LEVELS:], self.texts[LEVELS:]

    def eat(self, levels: int) -> None:
        """Take the best `levels` away; at least one stays."""
        levels = min(levels, len(self.ticks) - 1)
        del self.ticks[:levels], self.texts[:levels]

    def come(self, best: int) -> None:
        """Put levels in front, `best` the foremost; what was best becomes an ordinary level."""
        gap, before = self._instrument.profile.level_gap, self.ticks[0]
        ticks = [best]
        while (
            following := ticks[-1] + self.outward * round(gap.draw(self._rng))
        ) * self.outward < before * self.outward:
            ticks.append(following)
        self.texts[:1] = [self._deep(level) for level in (*ticks, before)]
        self.ticks[:0] = ticks

    def change_level(self) -> None:
        """Change one deep level: its quantity, its absence, or a new one in a gap."""
        rng = self._rng
        if len(self.ticks) < 2:
            return
        place = rng.randrange(1, len(self.ticks))
        choice = rng.random()
        if choice < 0.5:
            self.texts[place] = self._deep(self.ticks[place])
        elif choice < 0.75 and len(self.ticks) > 2:
            del self.ticks[place], self.texts[place]
        elif (room := abs(self.ticks[place] - self.ticks[place - 1]) - 1) > 0:
            ticks = self.ticks[place - 1] + self.outward * rng.randint(1, room)
            self.ticks.insert(place, ticks)
            self.texts.insert(place, self._deep(ticks))


class SimulatedBook:
    """Both sides, and the slow tide between them that makes buyers or sellers the heavier ones."""

    def __init__(self, instrument: Instrument, venue: Venue, rng: Random) -> None:
        """Open at the instrument's starting price."""
        self._instrument = instrument
        self._rng = rng
        #: Standard normal, mean-reverting within about a second; above zero: bids are heavier.
        self.tide = 0.0
        self.bids = SimulatedSide(-1, instrument, venue, rng)
        self.asks = SimulatedSide(+1, instrument, venue, rng)
        self._start = round(instrument.price * 10**instrument.price_digits)
        self._open_around(self._start, instrument.spread_ticks)

    def _open_around(self, middle: int, spread: int) -> None:
        self.spread = spread
        bid = max(LEVELS, middle - spread // 2)
        self.bids.rebuild(bid)
        self.asks.rebuild(bid + spread)
        self._new_tops()

    def _new_tops(self) -> None:
        for side in (self.bids, self.asks):
            self._new_top(side)

    def _new_top(self, side: SimulatedSide) -> None:
        normal = self._rng.gauss(0, 0.4) - side.outward * 1.2 * self.tide
        side.set_top(self._instrument.profile.top_usd.at(normal))

    def set_liquidity(self, spread_ticks: int, supply: float) -> None:
        """Let market makers leave or come back: another ordinary spread, another share of the ordinary quantities."""
        self.bids.supply = self.asks.supply = supply
        self._open_around((self.bids.ticks[0] + self.asks.ticks[0]) // 2, spread_ticks)

    def step(self) -> bool:
        """Move on by a tenth of a second; return whether anything changed."""
        rng = self._rng
        self.tide = 0.93 * self.tide + rng.gauss(0, 0.37)
        changed = self._close_gap()
        for side in (self.bids, self.asks):
            side.extend()
            for _ in range(int(rng.expovariate(1 / (_CHANGED_LEVELS * math.sqrt(self._instrument.pace))))):
                side.change_level()
                changed = True
            side.extend()
            choice = rng.random() / math.sqrt(self._instrument.pace)
            if choice < _NEW_TOP:
                self._new_top(side)
            elif choice < _NEW_TOP + _CHANGED_TOP:
                side.vary_top(rng.uniform(0.85, 1.17))
            changed = changed or choice < _NEW_TOP + _CHANGED_TOP
        return changed

    def _close_gap(self) -> bool:
        """Close what taker orders tore open: the price comes back, or the other side follows."""
        bid, ask = self.bids.ticks[0], self.asks.ticks[0]
        if ask - bid == self.spread or self._rng.random() < _OPEN_GAP:
            return False
        if ask - bid < self.spread:
            (self.bids if self._rng.random() < 0.5 else self.asks).eat(1)
            return True
        # The tide moves the price; the start pulls it back, so that it stays a price however long the market runs.
        pull = _PULL * (self._start / bid - 1)
        if self._rng.random() < 0.5 + 0.1 * max(-3.0, min(3.0, self.tide)) + max(-0.2, min(0.2, pull)):
            self.bids.come(ask - self.spread)
            self._new_top(self.bids)
        else:
            self.asks.come(bid + self.spread)
            self._new_top(self.asks)
        return True
