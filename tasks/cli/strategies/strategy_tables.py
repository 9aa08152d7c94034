"""The tables of `strategies list`."""

from collections.abc import Iterator
from contextlib import suppress

from rich.table import Table
from rich.text import Text

from tasks.cli import command_line
from tasks.configuration import Configuration, catalog
from tasks.configuration.catalog import ListedStrategy
from tasks.errors import NothingInForceError
from tasks.protocol.strategy_counts import StrategyCounts, strategy_counts
from tasks.settings import Settings


def described(chosen: Configuration) -> Table:
    """Return what each strategy does, and where it runs."""
    table = command_line.table("strategy", "alias", "pools", "sees", "what it does")
    for each in catalog.listed(chosen):
        table.add_row(Text(each.name, "bold"), each.alias, _pools(each), ", ".join(each.kinds), each.summary)
    return table


def counted(chosen: Configuration, settings: Settings) -> Table:
    """Return what the ledger counted of each strategy, and how far it has warmed up. Raises ServerUnavailableError."""
    # Without the option, none of this is needed.
    from tasks.ledger.configurations import ConfigurationStore  # noqa: PLC0415
    from tasks.ledger.reader import LedgerReader  # noqa: PLC0415
    from tasks.ops.warm_ups import warm_ups  # noqa: PLC0415

    reader = LedgerReader.reach(settings)
    with suppress(NothingInForceError):  # the strategies file is what ingest will start with
        chosen = ConfigurationStore(settings).in_force().configuration
    counts, warming = strategy_counts(reader.counters()), warm_ups(reader, chosen)
    table = command_line.table("strategy", "pools", "signals", "held back", "errors", "us an event", "warming up")
    for each in catalog.listed(chosen):
        warm_up = warming.get(each.signal_name)
        cells = _cells(counts.get(each.signal_name, StrategyCounts()))
        table.add_row(
            Text(each.name, "bold"), _pools(each), *cells, warm_up.text if warm_up and warm_up.warming else "-"
        )
    return table


def _pools(of: ListedStrategy) -> str:
    return ", ".join((*of.pools, *(f"{pool} (shadow)" for pool in of.shadow_pools))) or "none"


def _cells(of: StrategyCounts) -> Iterator[str]:
    yield f"{of.signals:,}"
    yield ", ".join(f"{count:,} {reason}" for reason, count in sorted(of.held.items())) or "0"
    yield f"{of.errors:,}"
    yield "-" if of.event_us is None else f"{of.event_us:.1f}"
