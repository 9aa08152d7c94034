"""The columns of bars. Pure."""

from tasks.export.columns import TableSchema, column, moment

TABLE = TableSchema(
    "bars",
    (
        moment("open_time", "first millisecond of its interval, or time of its first trade, UTC", "open_ms"),
        moment("close_time", "last millisecond of its interval, or time of its last trade, UTC", "close_ms"),
        column("venue", "string", "spot, usdm, coinm, or another publisher's own"),
        column("symbol", "string", "as the exchange writes it"),
        column("bar", "string", "which bar it is, as asked for: 1m, 1000tick", "spec"),
        column("open", "float64", "first price, in quote currency"),
        column("high", "float64", "highest price"),
        column("low", "float64", "lowest price"),
        column("close", "float64", "last price"),
        column("volume", "float64", "volume, in base currency; in contracts on COIN-M futures"),
        column("quote_volume", "float64", "volume, in quote currency"),
        column("vwap", "float64", "average price, weighted by volume"),
        column("trade_count", "int64", "number of trades; an aggregate counts as those in it", "trades"),
        column("taker_buy_volume", "float64", "what takers bought of `volume`"),
        column("is_partial", "bool", "whether trades may lack that belong to it"),
    ),
)
