"""A local book as a frame: what the exchange sends for a partial book, with the ids and times of the last diff. Pure."""

from typing import Any

import msgspec

from tasks.books.diffs import Diff
from tasks.books.order_book import TopLevels


def book_frame(stream: str, diff: Diff, top: TopLevels) -> bytes:
    """Return the envelope of a partial book; `stream` is its name, btcusdt@depth20@100ms.

    Its form is that of spot or of futures, as the diff's is; its time of receipt is the diff's.
    """
    return msgspec.json.encode({"stream": stream, "data": _payload(diff, top), "received_at": diff.received_at_ns})


def _payload(diff: Diff, top: TopLevels) -> dict[str, Any]:
    if diff.pu is None:
        return {"lastUpdateId": diff.u, "bids": top.bids, "asks": top.asks}
    head = {"e": "depthUpdate", "E": diff.E, "T": diff.E if diff.T is None else diff.T, "s": diff.s}
    return head | {"U": diff.U, "u": diff.u, "pu": diff.pu, "b": top.bids, "a": top.asks}
