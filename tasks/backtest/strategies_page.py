"""The words of docs/strategies.md around its tables."""

import inspect
from collections.abc import Mapping

from tasks.configuration import registry

_HEAD = """# Strategies

Seven strategies come with the project; each is one file in `tasks/strategies`. This page is written by

    python -m tasks strategies report FILE... > docs/strategies.md

from the docstrings of the strategies and from recordings; nothing in it is typed by hand but these words.

## What they did

Each strategy runs by itself, with the parameters of `tasks/strategies.toml`, through the engine that also runs live.

* **confidence**: minimum, lower quartile, median, upper quartile, maximum of the signals.
* **after 1, 10, 60 s**: the mean return of the mid price (of the last trade, where there are no books) from the signal
  on, in basis points, with the sign of the action: above zero is right. The price that was there is the last one that
  had arrived, and the time runs on the clock of the prices: trades carry another one. In brackets: of how many signals;
  those outside of the prices, too near their end, or without a price for 10 s at either end are left out.
* **µs an event**: processor time of engine, record, state, codec and signals included, in one process, on the machine that wrote the page.

**A few minutes of two symbols show whether a strategy speaks and what it costs. They do not show that it earns: the
returns are gross of fees and spread, the signals of one minute share their market, and most cells hold few of them.
The defaults below were chosen with these recordings in view, so the returns are no test of them.**
"""

_MENDED = """
## What was fixed, and why

The definitions these strategies started from were tried on the recordings and on the simulator. Where one never spoke,
spoke all the time, or gave every signal the same confidence, its default or a detail was changed.

| strategy | what was found | what it is now |
|---|---|---|
| depth_pressure | crossed 0.4 between none and 7 times a recorded book; at a crossing the confidence was always near 0.75 | threshold 0.3; the book of the moment counts in the confidence; ten seconds of warm-up; a hole in the feed counts as one second |
| iceberg | counted at every level, 18 to 147 signals a symbol and minute, nine of ten away from the best price, where quotes come and go; levels steady for 120 s were orders that nobody touched; confidence 0.80 or 0.85 | falls count at the best price only; a steady level must have been the best price; confidence 0.70 with the third refill, 0.05 more with each; forgets what lies before a hole in the feed |
| market_dominance | a price a minute of three symbols and the dominance are 51 KiB by count, read and written with every batch | the window is kept in 96 steps, so the state stays within 4 KiB |
| orderbook_skew | nine of ten recorded books were beyond 0.8 and 1.2, so only the cool-down paced it; three of four buys had confidence 0.95 | 3 and 1/3, held for 2 s without a break; confidence by the logarithm of the ratio |
| price_velocity | the fastest recorded minute was 0.39 %, so 0.5 % never spoke | 0.25 %; a side holds down to half of it; how straight the way was counts in the confidence |
| spread_liquidity | no recorded book is wider than 10 bps; the sell did not ask for it, so a tick was enough, at confidence 0.95; the buy asked for a velocity that 20 books can hardly reach, and for 30 s where no recorded spread stayed wide for more than 0.2 s | a floor of 0.5 bps for both; velocity without a bound no longer saturates the confidence; the buy asks that half of the oldest spread is gone, after 5 s |
| trade_momentum | no signal has a score below 0.7, so the confidence lay between 0.79 and 0.85 | 0.65 at the threshold, 0.95 at a score of 1 |

What stays silent on these recordings, and why: **market_dominance** needs BNBUSDT, which was not recorded.
**spread_liquidity** buys after an episode of 5 s; none was
recorded, nor did half an hour of the simulator have one. **iceberg**'s steady level did not occur: no best
price of two such busy symbols holds its quantity for two minutes. On futures, **price_velocity** had no fast minute.

## Definitions
"""


def page(tables: Mapping[str, str]) -> str:
    """Return the whole page; `tables` by the recording's name."""
    parts = [_HEAD]
    for name, table in tables.items():
        parts.append(f"\n### {name}\n\n{table}\n")
    parts.append(_MENDED)
    for name in registry.builtin_names():
        definition = inspect.getdoc(registry.find(name)) or ""
        parts.append(f"\n### {name}\n\n```text\n{definition.rstrip()}\n```\n")
    return "".join(parts)
