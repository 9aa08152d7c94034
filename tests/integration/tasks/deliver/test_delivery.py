"""The loop of a delivery, on a real ledger, with a receiver in this process."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from tasks.deliver.answers import HeldUpError, RefusedError
from tasks.deliver.delivery import Backoff, Delivery
from tasks.deliver.selection import Selection
from tasks.deliver.send_rate import SendRate
from tasks.deliver.signal_fields import SignalFields
from tasks.deliver.status import DeliveryStatus
from tasks.event_loop import end
from tasks.ledger import delivery_states
from tasks.ledger.deliveries import DeliveryStep, DeliveryStore, Start
from tasks.ledger.delivery_states import DeliveryState
from tasks.ledger.lease import NotLeadingError
from tasks.ops.entry_filters import SignalFilter
from tasks.protocol import dead_letters
from tests.support.servers.receiver import identified
from tests.support.waiting import HANGS_S

ALL = Selection()
QUICK = Backoff(0.001, 0.001, 0.0)


class Sink:
    """Keeps what it is sent; `fails` may raise."""

    def __init__(self, fails: Callable[[SignalFields], None] = lambda _: None) -> None:
        self.ids: list[str] = []
        self._fails = fails

    async def open(self) -> None: ...

    async def send(self, signal: SignalFields, packed: bytes) -> None:  # noqa: ARG002 as every sink
        self._fails(signal)
        self.ids.append(signal.id)

    async def close(self) -> None: ...


@asynccontextmanager
async def running_delivery(
    settings,
    sink: Sink,
    selection: Selection = ALL,
    start: Start = "start",
    clock: Callable[[], float] = time.time,
) -> AsyncIterator[DeliveryStatus]:
    store, status = DeliveryStore(settings, "d", "stdout", start), DeliveryStatus("d", "stdout", clock)
    delivery = Delivery("d", store, sink, selection, SendRate(0), status, QUICK)
    tasks = [asyncio.create_task(delivery.run()), asyncio.create_task(delivery.renew())]
    try:
        yield status
    finally:
        await delivery.finish()
        await end(*tasks)
        await store.close()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(HANGS_S):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.fixture
def commit(client, keys):
    def commit(*numbers: int, **fields: object) -> None:
        for number in numbers:
            client.xadd(keys.signals, {"signal": identified(number, **fields)})

    return commit


@pytest.fixture
def standing(client, keys):
    nothing = DeliveryState(
        "", "", running=False, waiting=0, oldest_s=0, sent=0, filtered=0, refused=0, trimmed=0, trouble=""
    )
    return lambda: next(iter(delivery_states.read_all([client], keys)), nothing)


async def test_a_new_name_begins_with_the_next_signal(settings, client, keys, commit):
    commit(1, 2)
    async with running_delivery(settings, sink := Sink(), start="now"):
        await until(lambda: client.hexists(keys.delivery("d"), "position"))
        commit(3)
        await until(lambda: sink.ids == ["3"])


async def test_a_known_name_goes_on_where_it_was(settings, commit, standing):
    commit(1, 2)
    async with running_delivery(settings, Sink()):
        await until(lambda: standing().sent == 2)
    commit(3, 4)
    async with running_delivery(settings, sink := Sink(), start="now"):
        await until(lambda: standing().sent == 4)
    assert (sink.ids, standing().waiting, standing().running) == (["3", "4"], 0, False)


async def test_a_signal_that_is_refused_is_a_dead_letter_and_others_go_on(settings, client, keys, commit, standing):
    def fails(signal: SignalFields) -> None:
        if signal.id == "2":
            raise RefusedError("the receiver answers 422")

    commit(1, 2, 3)
    client.xadd(keys.signals, {"signal": b"{}"})
    commit(4)
    async with running_delivery(settings, sink := Sink(fails)):
        await until(lambda: standing().sent == 3)
    assert sink.ids == ["1", "3", "4"]
    letters = [dead_letters.unpack(fields[b"letter"]) for _, fields in client.xrange(keys.deadletters)]
    assert [letter.reason for letter in letters] == ["unpublishable", "unpublishable"]
    assert "the delivery d refuses it: the receiver answers 422" in letters[0].detail
    assert standing().refused == 2


async def test_a_signal_waits_with_all_behind_it_until_it_is_taken(settings, commit, standing):
    left = [3]

    def fails(signal: SignalFields) -> None:
        if signal.id == "2" and left[0]:
            left[0] -= 1
            raise HeldUpError("closed")

    commit(1, 2, 3)
    async with running_delivery(settings, sink := Sink(fails)) as status:
        await until(lambda: standing().sent == 3)
        assert (sink.ids, status.counts["held_up"]) == (["1", "2", "3"], 3)
        await until(lambda: not standing().trouble)


async def test_what_holds_it_up_stands_in_the_ledger_for_the_doctor(settings, commit, standing):
    def fails(_: SignalFields) -> None:
        raise HeldUpError("closed")

    commit(1, 2)
    async with running_delivery(settings, Sink(fails)):
        await until(lambda: standing().trouble == "closed")
        assert (standing().running, standing().waiting) == (True, 2)
    assert not standing().running


async def test_while_it_is_held_up_the_metrics_go_on_as_signals_wait(settings, commit, standing):
    closed, later_s = [True], [0.0]

    def fails(_: SignalFields) -> None:
        if closed[0]:
            raise HeldUpError("closed")

    def shown(status: DeliveryStatus, name: str) -> float:
        return next(each.samples[0].value for each in status.collect() if each.name == name)

    commit(1)
    async with running_delivery(settings, Sink(fails), clock=lambda: time.time() + later_s[0]) as status:
        await until(lambda: status.counts["held_up"])
        later_s[0] = 100.0
        assert 100 <= shown(status, "deliver_oldest_seconds") < 100 + HANGS_S
        commit(2, 3)
        await until(lambda: shown(status, "deliver_waiting") == 3)
        closed[0] = False
        await until(lambda: standing().sent == 3)
        await until(lambda: shown(status, "deliver_oldest_seconds") == 0)
        assert shown(status, "deliver_waiting") == 0
        status.take_role(leads=True)
        status.note_waiting(3, oldest_ms=1)
        status.take_role(leads=False)
        assert (shown(status, "deliver_waiting"), shown(status, "deliver_oldest_seconds")) == (0, 0)


async def test_signals_that_filters_pass_over_are_counted_and_not_read_again(settings, commit, standing):
    commit(1, 2, symbol="A")
    commit(3, symbol="B")
    commit(4, symbol="A")
    only = Selection(SignalFilter(symbols=frozenset({"B"})))
    async with running_delivery(settings, sink := Sink(), only):
        await until(lambda: standing().filtered == 3)
    assert (sink.ids, standing().sent, standing().waiting) == (["3"], 1, 0)


async def test_signals_that_were_trimmed_before_are_counted_and_told(settings, client, keys, commit, standing):
    commit(1, 2)
    async with running_delivery(settings, Sink()):
        await until(lambda: standing().sent == 2)
    commit(3, 4, 5, 6)
    client.xtrim(keys.signals, maxlen=1, approximate=False)
    async with running_delivery(settings, sink := Sink()):
        await until(lambda: standing().sent == 3)
    assert (sink.ids, standing().trimmed, standing().waiting) == (["6"], 3, 0)


async def test_a_stream_that_was_created_again_is_read_from_its_first_signal(settings, client, keys, commit, standing):
    commit(1, 2, 3)
    async with running_delivery(settings, Sink()):
        await until(lambda: standing().sent == 3)
    client.delete(keys.signals)
    commit(4)
    async with running_delivery(settings, sink := Sink()):
        await until(lambda: standing().sent == 4)
    assert (sink.ids, standing().trimmed) == (["4"], 0)


async def test_who_lost_the_lease_reads_and_commits_nothing(settings, client, keys, commit, standing):
    commit(1, 2)
    late, other = (DeliveryStore(settings, "d", "stdout", "start") for _ in range(2))
    try:
        assert await late.lease.take()
        unread = await late.read(10)
        assert [entry.packed for entry in unread.entries] == [identified(1), identified(2)]
        client.delete(keys.delivery("d") + ":lease")
        assert await other.lease.take()
        with pytest.raises(NotLeadingError):
            await late.commit(unread.position, DeliveryStep(unread.position.after(unread.entries[0].name), sent=1))
        with pytest.raises(NotLeadingError):
            await late.read(10)
        await other.read(10)
        await other.commit(unread.position, DeliveryStep(unread.position.after(unread.entries[0].name), sent=1))
        with pytest.raises(NotLeadingError):  # it stands elsewhere by now
            await other.commit(unread.position, DeliveryStep(unread.position.after(unread.entries[0].name), sent=1))
        assert standing().sent == 1
    finally:
        await late.close()
        await other.close()
