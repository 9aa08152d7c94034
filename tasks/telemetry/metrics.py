"""Every metric that a process of ours exports: name, type, unit, labels and help text.

One table; nothing is counted here.

Names follow Prometheus: base units, `_total` on counters (added by the exposition). Labels are bounded: lanes, pools,
strategies and reasons are few and come from code or configuration. No metric has a symbol, because there may be
thousands; the page and the ledger's records know them.
"""

from typing import Literal, NamedTuple

#: Upper bounds in seconds of every latency: 1 ms to 10 s, finest where the service level stands.
LATENCY_BUCKETS_S = (
    0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
#: Upper bounds of the events in one batch.
BATCH_BUCKETS = (1, 2, 5, 10, 20, 50, 100, 200, 500)

Type = Literal["counter", "gauge", "histogram"]


class Metric(NamedTuple):
    """One metric. The unit is part of its name."""

    name: str
    type: Type
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def samples(self) -> tuple[str, ...]:
        """The names under which Prometheus finds its samples."""
        if self.type == "counter":
            return (f"{self.name}_total",)
        if self.type == "histogram":
            return tuple(f"{self.name}_{end}" for end in ("bucket", "sum", "count"))
        return (self.name,)


def _counter(name: str, text: str, *labels: str) -> Metric:
    return Metric(name, "counter", text, labels)


def _gauge(name: str, text: str, *labels: str) -> Metric:
    return Metric(name, "gauge", text, labels)


def _seconds(name: str, text: str, *labels: str) -> Metric:
    return Metric(name, "histogram", text, labels, LATENCY_BUCKETS_S)


#: Exported by both roles; `role` is ingest, worker or deliver.
BUILD_INFO = _gauge("realtime_strategies_build_info", "Always 1; what runs here", "version", "python", "role")

#: Exported by ingest. The comment before a group names the source of its values.
INGEST: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        # What came in from NATS.
        _counter("ingest_frames", "Frames received from NATS"),
        _counter("ingest_frames_skipped", "Frames that are no event of a kind that is read, by what they are", "kind"),
        _counter(
            "ingest_frames_refused", "Malformed frames of kinds that are read, kept in the dead letters", "reason"
        ),
        _counter("ingest_events", "Valid events", "venue", "kind"),
        _counter("ingest_slow_consumer", "Times that NATS dropped frames because ingest was too slow"),
        _gauge("ingest_feed_age_seconds", "Age of the newest event by its receipt, to a second", "venue", "kind"),
        # The lanes.
        _counter("ingest_events_dropped", "Events dropped unprocessed: overload, or a stop", "reason"),
        _counter("ingest_events_committed", "Events whose commit is known, once for each pool"),
        _counter("ingest_batches_sent", "Batches sent to the queue, copies not counted"),
        _counter("ingest_batches_resent", "Copies of batches sent because no commit was known in time"),
        Metric("ingest_batch_events", "histogram", "Events in a batch when it is first sent", (), BATCH_BUCKETS),
        _seconds("ingest_round_trip_seconds", "From sending a batch once to knowing its commit"),
        _gauge("ingest_lane_held_events", "Events that wait or are in flight", "lane"),
        _gauge("ingest_lane_oldest_seconds", "Age of the lane's oldest event that is not committed; 0: none", "lane"),
        _gauge("ingest_lane_full", "1 while the lane is full, so that a stream is not read on", "lane"),
        _gauge("ingest_stream_unread", "Messages of the stream that are not read yet; 0 without a stream"),
        _gauge("ingest_oldest_event_seconds", "Age of the oldest event of all lanes; 0: nothing waits"),
        _gauge("ingest_held_bytes", "Bytes of the events that are not committed yet"),
        _gauge("ingest_held_bytes_limit", "Bound of ingest_held_bytes: above it events are dropped"),
        # End to end, in the leading ingest's clock.
        _seconds("pipeline_latency_seconds", "From receiving an event to knowing its commit, once for each pool"),
        _seconds("pipeline_event_age_seconds", "From the exchange's time of an event to knowing its commit"),
        # Signals that go out.
        _counter("ingest_signals_relayed", "Signals published to NATS"),
        _counter("ingest_signals_held", "Signals that were not relayed, or not at once (refused)", "reason"),
        _counter("ingest_signals_unpublishable", "Signals that can never be published, now dead letters"),
        _gauge("ingest_signals_waiting", "Committed signals that are not relayed yet"),
        # The paper accounts, by shard 0. Quote currency; a position's profit is after fees and funding.
        _gauge("strategy_pnl", "Profit of closed positions and, at the last price, of open ones", "strategy"),
        _gauge("strategy_drawdown", "How far strategy_pnl is below the highest at a closing; 0 or more", "strategy"),
        _gauge("strategy_hit_rate", "Share of closed positions that won, 0 to 1; absent before the first", "strategy"),
        # Dead letters.
        _gauge("ingest_deadletters", "Dead letters in the ledger"),
        _gauge("ingest_deadletters_written", "Dead letters ever written to this ledger"),
        _gauge("ingest_deadletter_age_seconds", "Age of the oldest dead letter; 0: there is none"),
        _counter("ingest_deadletters_lost", "Refused frames that were not kept: Redis was unavailable too long"),
        # The parts.
        _gauge("ingest_finding", "1 while this problem is found; /ready, the page and the doctor describe it", "name"),
        _gauge("ingest_part_up", "1 while this server is available", "part"),
        _gauge("ingest_workers", "Workers with a heartbeat in the last 10 s"),
        _gauge("ingest_queue_tasks", "Tasks that wait in the queue of a pool", "pool"),
        _gauge("ingest_redis_used_bytes", "Memory that Redis uses"),
        _gauge("ingest_redis_limit_bytes", "Redis's maxmemory; 0: it has none"),
        _gauge("ingest_redis_full", "1 while Redis is so full that no new batches go out"),
        _gauge("ingest_redis_save_failing", "1 while Redis can't write to its disk"),
        _counter("ingest_redis_went_back", "Times that Redis came back without data that it had acknowledged"),
    )
}

#: Exported by each worker: the sum over its processes.
WORKER: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        _counter("worker_batches", "Batches committed", "pool"),
        _counter("worker_events", "Events of committed batches that were given to strategies", "pool"),
        _counter("worker_repeats", "Events of committed batches that repeat an earlier one", "pool"),
        _counter("worker_fenced", "Batches of which nothing was committed: copies, or fenced off", "pool"),
        _counter("worker_failed", "Runs that raised an exception, counted for each pool in them", "pool"),
        _seconds("worker_batch_seconds", "Time to run one batch, ledger included", "pool"),
        _counter("worker_strategy_seconds", "Time spent in a strategy", "strategy"),
        _counter("worker_strategy_errors", "Events on which a strategy raised", "strategy"),
        _counter("worker_signals", "Signals committed", "strategy", "action"),
        _counter("worker_signals_held", "Signals that the gate held back", "reason"),
        _counter("worker_orders_unfilled", "Signals that became no paper order, or a smaller one", "reason"),
        _counter("worker_refused_commands", "Control commands of Celery that were refused", "command"),
        _counter("worker_foreign_tasks", "Tasks in the queue that are not ours, refused"),
        _gauge("worker_broker_up", "1 while the worker listens to its queues"),
        _gauge("worker_heartbeat_age_seconds", "Seconds since the last turn of the worker's main loop"),
    )
}

#: Exported by each delivery (`./run tasks deliver`), for itself.
DELIVER: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        _counter("deliver_sent", "Signals that the receiver has taken", "delivery", "kind"),
        _counter("deliver_filtered", "Signals that were passed over, as the filters say", "delivery", "kind"),
        _counter("deliver_refused", "Signals that the receiver will never take, now dead letters", "delivery", "kind"),
        _counter("deliver_trimmed", "Signals that were trimmed before they were delivered", "delivery", "kind"),
        _counter("deliver_held_up", "Attempts that failed and are made again", "delivery", "kind"),
        _gauge("deliver_waiting", "Signals that are not delivered yet", "delivery", "kind"),
        _gauge("deliver_oldest_seconds", "Age of the oldest of them; 0: none waits", "delivery", "kind"),
        _gauge("deliver_leads", "1 in the process that delivers, 0 in one that stands by", "delivery", "kind"),
        _gauge("deliver_receiver_up", "1 while the receiver takes what it is sent", "delivery", "kind"),
    )
}
