"""A delivery as a process: its endpoints, its lease, and a clean end at SIGTERM."""

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

import stamina.instrumentation
import structlog
from prometheus_client import CollectorRegistry

from tasks.deliver.delivery import Delivery
from tasks.deliver.selection import Selection
from tasks.deliver.send_rate import SendRate
from tasks.deliver.sinks import Sink
from tasks.deliver.status import DeliveryStatus
from tasks.event_loop import end, on_signals
from tasks.ledger.deliveries import DeliveryStore, Start
from tasks.settings import Settings
from tasks.telemetry.build_info import BuildInfo
from tasks.telemetry.http_server import Address, serve
from tasks.telemetry.logs import configure_logging

#: How long a stop waits for the signal that is being sent.
STOP_S = 15.0
log = structlog.get_logger()


class DeliveryOptions(NamedTuple):
    """What a delivery is asked to do."""

    kind: str
    name: str
    start: Start
    selection: Selection
    #: Messages a second; 0: any number.
    rate: float


def run(settings: Settings, options: DeliveryOptions, make_sink: Callable[[], Sink]) -> int:
    """Deliver until SIGTERM or SIGINT; return the exit status. Raises SettingsError, LedgerError, BrokenPipeError."""
    configure_logging(settings, "deliver")
    # What holds a delivery up is told once, by the delivery.
    stamina.instrumentation.set_on_retry_hooks([])
    return asyncio.run(_serve(settings, options, make_sink()))


async def _serve(settings: Settings, options: DeliveryOptions, sink: Sink) -> int:
    status = DeliveryStatus(options.name, options.kind)
    registry = CollectorRegistry()
    registry.register(BuildInfo("deliver"))
    registry.register(status)
    server, _ = serve(Address.of_delivery(settings), status.healthz, status.ready, registry)
    store = DeliveryStore(settings, options.name, options.kind, options.start)
    delivery = Delivery(options.name, store, sink, options.selection, SendRate(options.rate), status)
    stop, received = asyncio.Event(), list[signal.Signals]()

    def on_signal(what: signal.Signals) -> None:
        received.append(what)
        stop.set()

    try:
        await sink.open()
        with on_signals(on_signal):
            working, renewing = asyncio.create_task(delivery.run()), asyncio.create_task(delivery.renew())
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
        status.stop()
        if not working.done():
            # A second signal ends the process as it is.
            with suppress(TimeoutError):
                await asyncio.wait_for(delivery.finish(), STOP_S)
        await end(working, renewing)
    finally:
        await sink.close()
        await store.close()
        server.stop()
    if not working.cancelled():
        working.result()
    log.info("stopped", delivery=options.name, sent=status.counts["sent"], waiting=status.waiting)
    return 130 if received == [signal.SIGINT] else 0
