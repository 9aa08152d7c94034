"""What is wrong with the deliveries of signals, and what to do."""

from collections.abc import Iterable, Iterator

import redis

from tasks.ledger import LedgerKeys, deliveries
from tasks.ledger.deliveries import DeliveryState
from tasks.ops import doctor_probes
from tasks.protocol.findings import Finding, age
from tasks.settings import Settings

#: From the commit of a signal on; a rate limit or a receiver takes time.
LATE_S = 60.0


def ask(settings: Settings) -> list[DeliveryState]:
    """Return where each delivery stands. Raises what Redis raises."""
    server: redis.Redis
    with doctor_probes.client(settings, settings.ledger) as server:
        return deliveries.read_all(server, LedgerKeys(settings.namespace))


def findings(states: Iterable[DeliveryState]) -> Iterator[Finding]:
    """Yield the finding about each delivery."""
    for each in states:
        what, waiting = f"delivery {each.name}", f"signals that wait: {each.waiting:,}"
        if not each.running:
            do = f"start it, or `./run tasks deliver forget {each.name}`"
            yield Finding("warning", what, f"no process delivers; {waiting}", do)
        elif each.trouble:
            do = "see the receiver, and docs/operations/deliver.md"
            yield Finding("warning", what, f"{each.trouble}; {waiting}", do)
        elif each.waiting and each.oldest_s > LATE_S:
            do = "raise --rate, or see how fast the receiver answers"
            yield Finding("warning", what, f"{waiting}, the oldest since {age(each.oldest_s)}", do)
        else:
            yield Finding("ok", what, f"delivers; {waiting}")
