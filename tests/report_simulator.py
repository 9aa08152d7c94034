"""Draws the simulator beside a recording, and prints their quantiles: python -m tests.report_simulator [spot|usdm] [PICTURE]."""

import argparse
import itertools
import os
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

from ingest.feeds.simulator.market import SimulatedMarket
from ingest.feeds.simulator.profiles import instrument
from tasks import frames
from tasks.events import AnyEvent, Depth, Trade, Venue
from tasks.frames import model
from tasks.history import recordings

mpl.use("Agg")
import matplotlib.pyplot as plt

Numbers = NDArray[np.float64]
ROOT = Path(__file__).parents[1]
RECORDINGS = Path(os.environ.get("RECORDINGS_DIR") or ROOT / "../shared/data")
SYMBOLS = ("BTCUSDT", "ETHUSDT")
COLOURS = {"BTCUSDT": "#e07b00", "ETHUSDT": "#2b5fb8"}
SIMULATED_S = 650
START_NS = 1_723_161_254 * 10**9
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


def events(lines: Iterable[tuple[str, bytes]]) -> dict[str, list[AnyEvent]]:
    found: dict[str, list[AnyEvent]] = defaultdict(list)
    for seq, (stream, raw) in enumerate(lines, start=1):
        event = frames.parse(raw, model.FrameMetadata(f"binance.{stream}", seq, START_NS))
        if isinstance(event, Depth | Trade):
            found[f"{event.symbol} {event.kind}"].append(event)
    return found


def recorded(venue: Venue, folder: Path = RECORDINGS) -> dict[str, list[AnyEvent]]:
    lines = recordings.read(folder / f"binance-{venue}-20240808.jsonl.gz")
    return events((line.stream, line.raw) for line in lines)


def simulated(venue: Venue, seconds: int = SIMULATED_S) -> dict[str, list[AnyEvent]]:
    market = SimulatedMarket(
        [instrument(name, venue) for name in SYMBOLS], venue, seed=7, first_id=1, start_ns=START_NS, rate=None
    )
    end_ns = START_NS + seconds * 10**9
    return events(
        (frame.stream, frame.raw) for frame in itertools.takewhile(lambda f: f.at_ns < end_ns, market.frames())
    )


def orders(trades: list[AnyEvent]) -> list[list[Trade]]:
    """Taker orders: neighbouring trades of one millisecond and side."""
    kept = [trade for trade in trades if isinstance(trade, Trade)]
    return [list(group) for _, group in itertools.groupby(kept, key=lambda trade: (trade.time_ms, trade.side))]


def books(found: list[AnyEvent]) -> list[Depth]:
    return [book for book in found if isinstance(book, Depth)]


def spread_bps(found: list[AnyEvent]) -> list[float]:
    return [book.spread_bps for book in books(found)]


def trade_value(found: list[AnyEvent]) -> list[float]:
    return [trade.price * trade.quantity for trade in found if isinstance(trade, Trade)]


def level_value(found: list[AnyEvent]) -> list[float]:
    return [price * quantity for book in books(found) for price, quantity in book.bids + book.asks]


def order_gap_ms(found: list[AnyEvent]) -> list[float]:
    starts = [order[0].time_ms for order in orders(found)]
    return [max(0.5, later - earlier) for earlier, later in itertools.pairwise(starts)]


def trades_each_s(found: list[AnyEvent]) -> list[float]:
    seconds = np.array([event.time_ms // 1000 for event in found])
    return [float(count) for count in np.bincount(seconds - seconds[0])]


def imbalance(found: list[AnyEvent]) -> list[float]:
    sums = [(sum(q for _, q in book.bids[:5]), sum(q for _, q in book.asks[:5])) for book in books(found)]
    return [(bid - ask) / (bid + ask) for bid, ask in sums]


Measure = tuple[str, str, Callable[[list[AnyEvent]], list[float]], bool]
PANELS: list[Measure] = [
    ("Spread (basis points)", "depth", spread_bps, True),
    ("Value of one trade (USDT)", "trade", trade_value, True),
    ("Value of one price level (USDT)", "depth", level_value, True),
    ("From one taker order to the next (ms)", "trade", order_gap_ms, True),
    ("Trades in one second", "trade", trades_each_s, True),
    ("Imbalance of the best five levels", "depth", imbalance, False),
]


def tail(values: list[float]) -> tuple[Numbers, Numbers]:
    """Return sorted values and the share of all values that is at least as large."""
    ordered = np.sort(np.array(values))
    return ordered, 1 - np.arange(len(ordered)) / len(ordered)


def draw(venue: Venue, sources: dict[str, dict[str, list[AnyEvent]]], picture: Path) -> None:
    plt.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    figure, axes = plt.subplots(2, 3, figsize=(12, 6.6), constrained_layout=True)
    for axis, (title, kind, measure, logarithmic) in zip(axes.flat, PANELS, strict=True):
        for (source, found), symbol in itertools.product(sources.items(), SYMBOLS):
            is_real = source == "recorded"
            axis.plot(
                *tail(measure(found[f"{symbol} {kind}"])),
                color=COLOURS[symbol],
                linewidth=3.2 if is_real else 1.3,
                alpha=0.35 if is_real else 1.0,
                label=f"{symbol} {source}",
            )
        axis.set_title(title)
        axis.margins(x=0.02)
        axis.grid(color="#dddddd", linewidth=0.6)
        if logarithmic:
            axis.set_xscale("log")
            axis.set_yscale("log")
        else:
            axis.set_xticks([-1, -0.5, 0, 0.5, 1])
    for axis in axes[:, 0]:
        axis.set_ylabel("share of values at least as large")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    figure.suptitle(
        f"The simulator beside ten minutes of Binance {venue}"
        if venue == "spot"
        else "The simulator beside Binance USD-M futures"
    )
    figure.savefig(picture, dpi=110)


def table(sources: dict[str, dict[str, list[AnyEvent]]]) -> str:
    """Return the quantiles as a Markdown table."""
    rows = [
        "| | | " + " | ".join(f"{quantile:.0%}" for quantile in QUANTILES) + " |",
        "|---|---|" + "---:|" * len(QUANTILES),
    ]
    for (title, kind, measure, _), symbol in itertools.product(PANELS, SYMBOLS):
        for source, found in sources.items():
            values = np.quantile(measure(found[f"{symbol} {kind}"]), QUANTILES)
            cells = " | ".join(f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}" for value in values)
            rows.append(f"| {title}, {symbol[:3]} | {source} | {cells} |")
    return "\n".join(rows)


def main(venue: Venue = "spot", picture: str = "") -> None:
    sources = {"recorded": recorded(venue), "simulated": simulated(venue)}
    draw(venue, sources, Path(picture or ROOT / "docs/pictures/simulator.png"))
    print(table(sources))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.report_simulator", description=__doc__)
    parser.add_argument("venue", nargs="?", choices=("spot", "usdm"), default="spot")
    parser.add_argument("picture", nargs="?", default="")
    main(**vars(parser.parse_args()))
