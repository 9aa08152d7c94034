"""Feeds: what puts frames on NATS, the recorder, which writes them down, and the converter of files; each is a command of `./run ingest`.

Only `ingest.__main__` uses them. They know transport, the event loop and, for the recorder, the stream as a source.
"""

__all__ = [
    "binance",
    "book_plan",
    "ccxt_bridge",
    "convert",
    "diff_books",
    "frame_partition",
    "link",
    "proxy",
    "publisher",
    "publishing",
    "record",
    "replay",
    "request_pace",
    "run_feed",
    "simulate",
    "simulator",
    "snapshots",
    "stream_plan",
    "stream_publisher",
    "stream_reader",
    "stream_watch",
    "tunnel",
]
