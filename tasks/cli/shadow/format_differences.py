"""What `shadow report` prints for a person."""

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from tasks.backtest.shadow_report import ComparedRun, PriceReturn, ShadowDifference, ShadowRow, VersionFigures
from tasks.cli import command_line
from tasks.protocol.utc_time import utc
from tasks.scoring.forward_returns import HORIZONS_S
from tasks.scoring.signal_statistics import format_bps


def headline(found: ShadowDifference) -> str:
    """Return whom a difference is of, since when, and who emits."""
    since = "no event yet" if found.began_ms is None else f"since {utc(found.began_ms)}"
    emits = f"{found.emits} emits" if found.emits else "another shadow emits"
    return f"pool {found.pool}: {found.original} / {found.shadow}, {since}; {emits}"


def table(found: ShadowDifference) -> Table:
    """Return the rows of a difference; pairs are original / shadow."""
    horizons = [str(horizon_s) for horizon_s in HORIZONS_S] if found.total.original.returns is not None else []
    heads = ["both", "only original", "only shadow", "positions", "pnl", "unrealised", "hit rate"]
    rows = command_line.table("venue", "symbol", *heads, *(f"bps after {each} s" for each in horizons))
    for row in (*found.rows, found.total):
        rows.add_row(*_cells(row, horizons))
    return rows


def _cells(row: ShadowRow, horizons: list[str]) -> Iterator[Text]:
    yield Text(row.venue or "all", "bold")
    yield Text(row.symbol)
    for count in (row.both, row.only_original, row.only_shadow):
        yield Text(f"{count:,}")
    sides = row.original, row.shadow
    yield _pair(f"{each.positions:,}" for each in sides)
    yield _pair(f"{each.pnl:z,.2f}" for each in sides)
    yield _pair(f"{each.unrealised:z,.2f}" for each in sides)
    yield _pair("-" if each.hit_rate is None else f"{each.hit_rate:.0%}" for each in sides)
    for horizon in horizons:
        yield _pair(_after(each, horizon) for each in sides)


def _pair(sides: Iterator[str]) -> Text:
    return Text(" / ".join(sides))


def _after(figures: VersionFigures, horizon: str) -> str:
    found: PriceReturn | None = (figures.returns or {}).get(horizon)
    return format_bps(found.mean_bps) if found else "-"


def notes(run: ComparedRun) -> Iterator[str]:
    """Yield what the figures don't tell."""
    if run.kept_since_ms:
        yield f"note: of earlier signals not all are kept; compared is what answers events since {utc(run.kept_since_ms)}"
    if run.series is None:
        yield "note: the price after signals needs the prices of all events: --from RECORDING"
