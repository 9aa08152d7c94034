"""What the paper account costs: CPU of the engine with it and without it, over the same batches, in turn."""

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice

from tasks import configuration
from tasks.configuration import Configuration, registry
from tasks.engine import MemoryLedger
from tasks.events import AnyEvent
from tasks.frames import parse
from tasks.frames.model import FrameMetadata, RefusedFrame, SkippedFrame
from tasks.protocol.batches import split
from tasks.protocol.routing import LaneId, Router
from tasks.settings import load
from tests.bench.mix import Mix
from tests.bench.noise import NoiseMeter, RoundRatio, Say, undisturbed

EVENTS = 20_000
#: Of a lane: what gathers at full speed.
BATCH = 100


def without(configured: Configuration) -> Configuration:
    """Return the configuration without the common table of the paper account."""
    return configured.model_copy(update={"paper": None})


def ratios(mix: Mix, rounds: int, say: Say) -> Iterator[RoundRatio]:
    """Yield the engine's CPU with the account over that without it, one for each round of both."""
    configured = configuration.read(load().strategies_file)
    batches = _batches(mix, configured)
    both = (configured, without(configured))

    def once(order: Sequence[Configuration]) -> RoundRatio:
        meter = NoiseMeter()
        spent_s = {each.version: _work_s(each, batches) for each in order}
        return RoundRatio(spent_s[both[0].version] / spent_s[both[1].version], meter.noise(0.0))

    for number in range(rounds):
        order = both if number % 2 else both[::-1]
        yield undisturbed(partial(once, order), lambda each: each.noise, say)


def _batches(mix: Mix, configured: Configuration) -> list[tuple[str, Sequence[AnyEvent]]]:
    router, lanes = Router(configured.routes()), defaultdict[LaneId, list[AnyEvent]](list)
    for seq, raw in enumerate(islice(mix.frames(), EVENTS), start=1):
        event = parse(raw, FrameMetadata("binance.frames", seq, 1))
        if not isinstance(event, SkippedFrame | RefusedFrame):
            for lane in router.lanes_of(event.venue, event.symbol, event.kind):
                lanes[lane].append(event)
    return [(lane.pool, some) for lane, events in lanes.items() for some in split(events, BATCH)]


def _work_s(configured: Configuration, batches: Sequence[tuple[str, Sequence[AnyEvent]]]) -> float:
    ledger, strategies = MemoryLedger("bench"), registry.running(configured)
    began_s = time.process_time()
    for pool, events in batches:
        ledger.run(pool, events, strategies[pool], configured.version)
    return time.process_time() - began_s
