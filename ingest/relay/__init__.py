"""The relay: publishes the committed signals on NATS, and into the stream that keeps them where there is one.

Only `components` makes it, and monitoring and the service use it. It knows the ledger, transport and streams.
"""

from ingest.relay.relay import CONSUMER, GROUP, TRIM_INTERVAL_S, Relay
from ingest.relay.relays import Relays
from ingest.relay.signal_streams import SignalStreams

__all__ = [
    "CONSUMER",
    "GROUP",
    "TRIM_INTERVAL_S",
    "Relay",
    "Relays",
    "SignalStreams",
    "outgoing_signal",
    "relay",
    "relays",
    "signal_streams",
    "stream_publishing",
]
