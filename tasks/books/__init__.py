"""Local order books: the best N levels of a market, kept from the changes that an exchange tells. Pure.

`LocalOrderBook` follows Binance's diff depth, `BookSampler` the level updates of historical files. The live feed and the
readers of files use it; it knows `tasks.errors` only.
"""

from tasks.books.diffs import Diff, Snapshot
from tasks.books.local_book import LocalOrderBook
from tasks.books.order_book import OrderBook, TopLevels
from tasks.books.sampler import BookSampler

__all__ = [
    "BookSampler",
    "Diff",
    "LocalOrderBook",
    "OrderBook",
    "Snapshot",
    "TopLevels",
    "book_frames",
    "diffs",
    "local_book",
    "order_book",
    "sampler",
]
