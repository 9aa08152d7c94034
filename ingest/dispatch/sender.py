"""Sends batches and follows their commits: carries out what `Lane` decides."""

import asyncio
import itertools
import time
from collections.abc import Sequence
from contextlib import ExitStack

import msgspec
import structlog

from ingest.counters import Counters
from ingest.dispatch.active_configuration import ActiveConfiguration
from ingest.dispatch.celery_publisher import CeleryPublisher, OutgoingTask
from ingest.dispatch.conditions import SenderConditions
from ingest.dispatch.noticed_lanes import NoticedLanes
from ingest.dispatch.redis_refusals import RedisRefusals
from ingest.dispatch.stored_positions import is_behind, report_damaged
from ingest.lanes import Lanes, task_packing
from ingest.lanes.contention import MAX_HOLD_BACK_S
from ingest.lanes.lane import Lane
from ingest.lanes.layout import Layout
from ingest.lanes.task_routing import TaskRouter
from ingest.ledger import IngestLedger, LanePositions
from ingest.sources.base import Source
from tasks.clients.redis_client import FAILED
from tasks.events import AnyEvent, Position
from tasks.ledger.lease import SupersededError
from tasks.protocol.batches import Batch, Epoch, describe, task_id
from tasks.protocol.notice import Notice, Refusal
from tasks.protocol.routing import LaneId
from tasks.telemetry import tracing

log = structlog.get_logger()


class Sender:
    """Sends the batches of this process's lanes, under one epoch at a time."""

    def __init__(
        self,
        lanes: Lanes,
        ledger: IngestLedger,
        publisher: CeleryPublisher,
        counters: Counters,
        active_configuration: ActiveConfiguration,
        source: Source,
        conditions: SenderConditions,
    ) -> None:
        self.lanes, self._source, self.conditions = lanes, source, conditions
        self._ledger, self._publisher, self._counters = ledger, publisher, counters
        self._active_configuration = active_configuration
        self.epoch = Epoch(0, "")
        self.refusals = RedisRefusals()
        self._noticed = NoticedLanes(ledger, lanes, lambda: self.epoch, self._settle)
        self._sending: set[asyncio.Task[None]] = set()
        self._router = TaskRouter(lanes.router.shard.number)
        #: Whether `_pump` will run when everything that is at hand now has been taken.
        self._pumping = False
        #: Pools of which something waits for room: when there is some, a commit, a timer or `poll` calls `pump`.
        self._without_room: set[str] = set()
        #: Whether a timer is set that sends what contention held back.
        self._waiting = False
        #: Held while the ledger is read and acted on: two readers that see the same loss would start two epochs.
        self._asking = asyncio.Lock()

    # Epochs

    async def begin(self) -> None:
        """Start a new epoch. Raises SupersededError, and what Redis raises."""
        async with self._asking:
            if await self._begin():
                self._counters.add("redis_went_back")

    async def _begin(self) -> bool:
        """Start a new epoch; return whether the ledger was found damaged."""
        await self._active_configuration.refresh()
        layout = Layout(self.lanes.router, has_own_ledger=self._ledger.servers.has_own_ledger)
        mine = Position(self.lanes.source, self.lanes.frontier) if self.lanes.source else None
        configuration = self._active_configuration.configuration
        claimed = await self._ledger.claim(
            self.epoch.number, layout, configuration, lambda stored: self._source.begin(stored, mine)
        )
        self.epoch = claimed.epoch
        self._router.restart()
        self.refusals.begin()
        if claimed.start is None:
            self.lanes.begin(f"core-{self.epoch}", claimed.positions, time.monotonic())
        else:
            self.lanes.restart(claimed.start)
            self.conditions.on_restart(claimed.counted)
            self._source.resume(claimed.start)
        log.info(
            "epoch started",
            epoch=str(self.epoch),
            configuration=self._active_configuration.version,
            held=self.lanes.held,
        )
        self.pump()
        return claimed.is_damaged

    def check_epoch(self, stored: Epoch | None) -> bool:
        """Whether `stored` is this epoch. False: Redis went back, or the answer to a claim got lost.

        Raises SupersededError.
        """
        if stored == self.epoch:
            return True
        if stored is not None and stored.number >= self.epoch.number and not self._ledger.issued(stored):
            raise SupersededError(f"another ingest process has taken over: epoch {stored} instead of {self.epoch}")
        return False

    # Events in, batches out

    def offer(self, event: AnyEvent, trace: str = "", stored_at_ns: int = 0) -> None:
        """Put an event into its lanes and send what can be sent; `stored_at_ns` is when a stream stored its frame."""
        offered = self.lanes.offer(event, trace, stored_at_ns)
        for reason, _ in offered.dropped:
            self._counters.add("dropped", reason)
        if not self._pumping and any(map(self._may_go, offered.lanes)):
            self.pump()

    def _may_go(self, lane: Lane) -> bool:
        """Whether it is worth looking for room for a lane that has just got an event."""
        is_full = len(lane.waiting) == task_packing.FULL_EVENTS
        return not lane.flight and (is_full or lane.id.pool not in self._without_room)

    def pump(self) -> None:
        """Send what can be sent, once everything that is at hand now has been taken."""
        if not self._pumping:
            self._pumping = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        self._pumping = False
        if self.conditions.may_send() and (tasks := self._launch()):
            self._send(tasks)

    def _launch(self) -> list[list[Lane]]:
        """Make batches of what waits and may go out; return the lanes of each task."""
        held = self.conditions.held_pools()
        waiting = (lane for lane in self.lanes if not lane.flight and self._has_something(lane))
        ready = [lane for lane in waiting if lane.id.pool not in held]
        if not ready:
            self._without_room = set()
            return []
        tasks = task_packing.plan_tasks(
            self.lanes.by_pool, ready, self.conditions.workforce(), time.monotonic(), self._is_contended
        )
        for lane in itertools.chain.from_iterable(tasks):
            lane.launch(self._active_configuration.version)
            self._counters.add("batches_sent")
            self._counters.batch_events.add(len(lane.flight))
        self._without_room = {lane.id.pool for lane in ready if not lane.flight}
        return tasks

    def _is_contended(self, group: task_packing.PoolGroup) -> bool:
        slows = self._router.is_contended(group, time.monotonic())
        if slows and not self._waiting:
            self._waiting = True
            asyncio.get_running_loop().call_later(MAX_HOLD_BACK_S, self._wait_no_longer)
        return slows

    def _wait_no_longer(self) -> None:
        self._waiting = False
        self.pump()

    def _has_something(self, lane: Lane) -> bool:
        if lane.waiting and (expired := self.lanes.expire(lane, time.time_ns())):
            self._counters.add("dropped", "expired", by=expired)
        return bool(lane.waiting)

    def _batch(self, lane: Lane) -> Batch[msgspec.Raw]:
        return lane.batch(self.lanes.router.shard.number, self.epoch)

    def _send(self, tasks: Sequence[Sequence[Lane]]) -> None:
        """Send tasks, each of the batches that are in flight in some lanes."""
        sending = asyncio.ensure_future(self._publish([self._task(lanes) for lanes in tasks]))
        self._sending.add(sending)
        sending.add_done_callback(self._sending.discard)

    def _task(self, lanes: Sequence[Lane]) -> tuple[OutgoingTask, tracing.Span]:
        carried = [self._batch(lane) for lane in lanes]
        events = [item for lane in lanes for item in lane.flight]
        span = tracing.batch(" ".join(str(lane.id) for lane in lanes), events, resend=lanes[0].tries > 0)
        queue = self._router.send(lanes, self.conditions.workforce(), time.monotonic())
        described = describe([item.stream[1] for item in events])
        return OutgoingTask(carried, described, tries=max(lane.tries for lane in lanes), queue=queue), span

    async def _publish(self, tasks: Sequence[tuple[OutgoingTask, tracing.Span]]) -> None:
        if not self._ledger.lease.held:
            return  # As good as lost: it is sent again when it is overdue and this process leads.
        try:
            with ExitStack() as spans:
                await self._publisher.send([task._replace(headers=spans.enter_context(span)) for task, span in tasks])
        except FAILED as error:
            # It may have arrived all the same; if not, it is sent again when it is overdue.
            log.debug(
                "publish failed", task_ids=[task_id(task.carried, task.tries) for task, _ in tasks], error=str(error)
            )

    # Commits

    def on_notice(self, text: str) -> None:
        """Take a notice from the ledger's channel: a line for each batch of a commit."""
        for line in text.split("\n"):
            try:
                notice = Notice.parse(line)
            except ValueError:
                self._on_refusal(line)
                continue
            if notice.epoch != str(self.epoch) or notice.lane not in self.lanes:
                continue
            if self._ledger.confirmation.is_needed:
                self._noticed.add(notice.lane)
            else:
                self._settle(notice.lane, notice.to, noticed=True)

    def _on_refusal(self, line: str) -> None:
        try:
            refusal = Refusal.parse(line)
        except ValueError:
            log.warning("not a notice", text=line[:100])
            return
        is_ours = refusal.epoch == str(self.epoch) and refusal.lane in self.lanes
        if is_ours and (lane := self.lanes[refusal.lane]).flight:
            lane.ended()
            self.refusals.refused(refusal)

    def _settle(self, name: LaneId, position: Position, *, noticed: bool) -> None:
        lane, now_s = self.lanes[name], time.monotonic()
        task = lane.task
        sent_s = lane.sent_s[0] if lane.sent_s and lane.tries == 1 else None
        done = self.lanes.settle(name, position, now_s, noticed=noticed)
        if done:
            self.refusals.committed(name)
            came = ((item.ingested_at_ns, item.time_ms) for item in done)
            self._counters.committed(time.time_ns(), came)
            self._router.committed(task, now_s)
            if sent_s is not None:
                self._counters.round_trip_s.add(now_s - sent_s)
            self.pump()

    # What the ledger says

    async def poll(self, *, all_lanes: bool = False) -> None:
        """Read overdue lanes, or all of them, from the ledger; settle, resend, halve or quarantine their batches.

        Raises SupersededError, and what Redis raises.
        """
        async with self._asking:
            now_s = time.monotonic()
            for lane in self._router.left_behind(self.lanes, self.conditions.workforce()):
                lane.ended(now_s)
            lanes = [lane for lane in self.lanes if all_lanes or lane.overdue(now_s)]
            if lanes or all_lanes:  # of more shards than partitions, one has no lanes, and an epoch all the same
                await self._ask(lanes)
        # More tasks may go out now: some are overdue, workers have come, or Redis has room again.
        self.pump()

    async def _ask(self, lanes: list[Lane]) -> None:
        asked = [(lane, self._batch(lane) if lane.flight else None) for lane in lanes]
        # A notice may move a lane on before the answer arrives: that is no fall.
        known = {lane.id: lane.prev for lane in lanes}
        positions = await self._ledger.read(asked)
        fell = any(is_behind(known[lane.id], positions.lanes[lane.id][0], self.lanes.source) for lane in lanes)
        if went_back := not self.check_epoch(positions.epoch) or fell:
            log.warning(
                "Redis went back in time: starting a new epoch", epoch=str(self.epoch), stored=str(positions.epoch)
            )
        if went_back or report_damaged(lanes, positions, self._ledger.keys, self._ledger.damage):
            self._counters.add("redis_went_back")
            await self._begin()
            return
        for lane, batch in asked:
            await self._follow(lane, batch, positions)

    async def _follow(self, lane: Lane, batch: Batch[msgspec.Raw] | None, positions: LanePositions) -> None:
        """Settle a lane from the ledger; if it is still overdue with the same batch, do what `Lane.decide` decides."""
        position, starts = positions.lanes[lane.id]
        if position is not None:
            self._settle(lane.id, position, noticed=False)
        now_s = time.monotonic()
        is_held = lane.id.pool in self.conditions.held_pools()
        # A notice may have settled it while the ledger was asked.
        if batch is None or not lane.overdue(now_s) or self._batch(lane).identity != batch.identity or is_held:
            return
        full = positions.queued.get(lane.id.pool, 0) >= sum(1 for each in self.lanes if each.id.pool == lane.id.pool)
        decision = lane.decide(starts, now_s, copy_life_s=self.conditions.run_limit_s, queue_full=full)
        if decision == "resend":
            self._counters.add("resends")
            self._send([[lane]])
        elif decision == "quarantine":
            log.error("an event ends every worker that runs it", lane=str(lane.id), task_id=batch.task_id)
            await self._ledger.quarantine(batch, starts)
