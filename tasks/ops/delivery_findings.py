"""What is wrong with the deliveries of signals, and what to do."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack

from tasks.ledger import LedgerKeys, delivery_states
from tasks.ledger.delivery_states import DeliveryState
from tasks.ops import doctor_probes
from tasks.protocol.findings import Finding, age
from tasks.settings import Settings

#: From the commit of a signal on; a rate limit or a receiver takes time.
LATE_S = 60.0


def ask(settings: Settings) -> list[DeliveryState]:
    """Return where each delivery stands. Raises what Redis raises."""
    with ExitStack() as stack:
        clients = [stack.enter_context(doctor_probes.client(settings, url)) for url in settings.ledgers]
        return delivery_states.read_all(clients, LedgerKeys(settings.namespace))


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
