"""Faults of workers and of ingest: killed, stopped, ended, at any moment and in the windows that matter."""

import signal
from collections.abc import Iterator
from contextlib import suppress

import psutil

from tests.faults.rig import Setup
from tests.faults.run import Case, FaultRun
from tests.faults.wrapped import STEP_EVERY_S, Fault
from tests.support.waiting import wait_for

#: Longer than every timer of the pipeline.
STOPPED_S = 12.0
WORKERS = 2


def killed_workers(run: FaultRun) -> Iterator[float]:
    while run.feeding:
        worker = run.dice.choice(run.stack.workers)
        try:
            parent = psutil.Process(worker.pid)
            run.dice.choice([parent, *parent.children()]).kill()
            run.hit()
        except psutil.NoSuchProcess:
            pass
        yield 1.0


def stopped_worker(run: FaultRun) -> Iterator[float]:
    worker = run.stack.workers[0]
    yield 1.0
    run.signal(worker, signal.SIGSTOP)
    yield STOPPED_S
    run.signal(worker, signal.SIGCONT)
    run.hit()


def stopped_children(run: FaultRun) -> Iterator[float]:
    children = [child for worker in run.stack.workers for child in psutil.Process(worker.pid).children()]
    for child in children:
        child.suspend()
    yield STOPPED_S
    for child in children:
        with suppress(psutil.NoSuchProcess):
            child.resume()
    run.hit(len(children))


def ended_workers(run: FaultRun) -> Iterator[float]:
    while run.feeding:
        for worker in run.stack.workers:
            if worker.returncode is None:
                worker.send(signal.SIGTERM)
                run.hit()
            yield 2.0


def inside(run: FaultRun) -> Iterator[float]:
    """Whatever happens, happens inside of a process."""
    while run.feeding:
        yield 1.0


def clock_steps(run: FaultRun) -> Iterator[float]:
    while run.feeding:
        yield STEP_EVERY_S
        run.hit()


def killed_ingest(run: FaultRun) -> Iterator[float]:
    for _ in range(6):
        yield run.dice.uniform(1, 4)
        run.kill(run.stack.ingest)
        run.hit()


def stopped_ingest(run: FaultRun) -> Iterator[float]:
    yield 1.0
    run.signal(run.stack.ingest, signal.SIGSTOP)
    yield STOPPED_S
    run.signal(run.stack.ingest, signal.SIGCONT)
    run.hit()


def ended_ingest(run: FaultRun) -> Iterator[float]:
    for _ in range(3):
        yield 1.5
        run.restart(run.stack.ingest)
        run.hit()


def stand_by(run: FaultRun) -> None:
    """Start a second ingest process beside the one that leads, unless there is one."""
    if len(run.stack.ports) > 1:
        return
    run.stack.ingest.restart = True
    other = run.stack.start_ingest("ingest-2")
    wait_for(lambda: run.ask(other, "/ready")[0] == 200, "the second to stand by")


def killed_leader(run: FaultRun) -> Iterator[float]:
    stand_by(run)
    for _ in range(3):
        run.leader.send(signal.SIGKILL)
        run.hit()
        yield 5.0


def stopped_leader(run: FaultRun) -> Iterator[float]:
    stand_by(run)
    leader = run.leader
    run.signal(leader, signal.SIGSTOP)
    yield STOPPED_S
    run.signal(leader, signal.SIGCONT)
    run.hit()


def _worker(name: str, target: str, when: str, every: int, pool: str = "prefork") -> Case:
    return Case(name, inside, Setup(WORKERS, pool, {"worker": _die(target, when, every)}))


def _die(target: str, when: str, every: int, at_most: int = 1_000_000) -> Fault:
    return Fault(
        kind="die", target=target, when="before" if when == "before" else "after", every=every, at_most=at_most
    )


def _ingest(name: str, target: str, when: str, every: int) -> Case:
    return Case(name, inside, Setup(inside={"ingest": _die(target, when, every, 1)}), core_loses=True)


CASES = (
    Case("workers and children killed", killed_workers, Setup(3, "prefork")),
    Case("a worker stopped for 12 s", stopped_worker),
    Case("all pool children stopped for 12 s", stopped_children, Setup(WORKERS, "prefork")),
    Case("workers told to end", ended_workers, Setup(WORKERS, "prefork")),
    _worker(
        "worker killed: popped, not started", "kombu.transport.virtual.base:Transport._deliver", "before", 25, "solo"
    ),
    _worker("child killed: taken, not started", "tasks.ledger:Ledger.begin", "before", 15),
    _worker("child killed: started, not committed", "tasks.ledger:Ledger.begin", "after", 15),
    _worker("child killed: about to commit", "tasks.ledger:Ledger.commit", "before", 15),
    _worker("child killed: just committed", "tasks.ledger:Ledger.commit", "after", 15),
    Case(
        "notices lost, one of five",
        inside,
        Setup(inside={"ingest": Fault(kind="ignore", target="ingest.dispatch.sender:Sender.on_notice", every=5)}),
    ),
    Case("ingest killed", killed_ingest, core_loses=True),
    Case("ingest stopped for 12 s", stopped_ingest),
    Case("ingest told to end", ended_ingest, core_loses=True),
    Case("leader killed, another stands by", killed_leader, core_loses=True),
    Case("leader stopped for 12 s, another stands by", stopped_leader, core_loses=True),
    _ingest(
        "ingest killed: about to publish a batch", "ingest.dispatch.celery_publisher:CeleryPublisher.send", "before", 20
    ),
    _ingest(
        "ingest killed: batch published, no notice",
        "ingest.dispatch.celery_publisher:CeleryPublisher.send",
        "after",
        20,
    ),
    _ingest("ingest killed: about to write a checkpoint", "ingest.ledger:IngestLedger.checkpoint", "before", 6),
    _ingest("ingest killed: checkpoint written", "ingest.ledger:IngestLedger.checkpoint", "after", 6),
    _ingest("ingest killed: epoch claimed", "ingest.ledger:IngestLedger.claim", "after", 1),
    Case("clock of workers steps by an hour", clock_steps, Setup(inside={"worker": Fault(kind="clock")})),
    Case("clock of ingest steps by an hour", clock_steps, Setup(inside={"ingest": Fault(kind="clock")})),
)
