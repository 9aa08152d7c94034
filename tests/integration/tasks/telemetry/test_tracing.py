"""One trace from a frame to its signal, through real processes, told to a real OTLP receiver."""

from collections.abc import Iterator
from contextlib import closing
from typing import NamedTuple

import msgspec
import pytest

from tasks.configuration import registry
from tasks.configuration.revisions import revision
from tasks.deliver.petrosa_dialect import PetrosaDialect
from tasks.deliver.signal_fields import read
from tasks.ledger.deliveries import DeliveryStore
from tasks.settings import Settings
from tests.support.servers.otlp import Collector, Span, collecting
from tests.support.stacks.traced import Trace, pipeline
from tests.support.waiting import wait_for


class Story(NamedTuple):
    """The spans of one pipeline's life, from first frame to last span."""

    collector: Collector
    #: The spans that had come before anything was stopped.
    early: list[Span]
    traces: dict[str, Trace]
    #: The headers of the signals by the names of their frames.
    signals: dict[str, dict[str, str]]
    ids: dict[str, int]
    settings: Settings

    def below(self, parent: Trace | Span, name: str) -> list[Span]:
        """Return the spans of this name that continue another one."""
        return [span for span in self.collector.named(name) if span.parent_id == parent.span_id]

    def way(self, frame: str) -> tuple[Span, Span, list[Span]]:
        """Return ingest's span, the run and the strategies of the batch that continues a frame's trace.

        A batch that waits for the first worker is sent again: of its copies, any may be the one that is committed.
        """
        copies = self.below(self.traces[frame], "ingest batch")
        ran = [(sent, run) for sent in copies for run in self.below(sent, "run/") if "rs.signals" in run.attributes]
        ((sent, run),) = ran
        return sent, run, self.below(run, "strategy")


@pytest.fixture(scope="module", params=["prefork", pytest.param("solo", marks=pytest.mark.slow)])
def story(request, nats_url: str, redis_url: str, tmp_path_factory) -> Iterator[Story]:
    """Traced frames in a batch of one, in a batch of many, and others, until all is stopped.

    Spans would be sent after a minute: what arrives was flushed by the end of a process.
    """
    traces = {name: Trace.begin() for name in ("alone", "first", "second", "petrosa")}
    traces["unsampled"] = traces["unsampled in a batch"] = Trace.begin("00")
    with (
        collecting() as collector,
        pipeline(
            nats_url, redis_url, tmp_path_factory.mktemp("story"),
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_BSP_SCHEDULE_DELAY="60000",
        ) as running,
        running.connected() as wire,
    ):  # fmt: skip
        ids = {"alone": wire.publish({"traceparent": str(traces["alone"]), "tracestate": "vendor=7"})}
        sent = "ingest_batches_sent_total 1.0"
        wait_for(lambda: sent in running.ingest.get("/metrics")[1], "the first batch to go out")
        # No worker yet: these gather behind it.
        for name in ("unsampled in a batch", "first", "second"):
            ids[name] = wire.publish({"traceparent": str(traces[name])})
        # Of five tasks, one of two children gets three, and is replaced.
        running.start_worker("--pool", request.param, "-c", "2", "--max-tasks-per-child", "3")
        wire.hear(ids["second"])
        ids["petrosa"] = wire.publish(_otel_trace_context={"traceparent": str(traces["petrosa"])})
        wire.hear(ids["petrosa"])
        ids["unsampled"] = wire.publish({"traceparent": str(traces["unsampled"])})
        wire.hear(ids["unsampled"])
        ids["untraced"] = wire.publish()
        signals = {name: wire.hear(number) for name, number in ids.items()}
        if request.param == "prefork":
            collector.wait_named("run/", 2)
        early = list(collector.received)
        wire.hear(wire.publish())  # whichever child runs it, its spans come later
        running.stop_s()
        yield Story(collector, early, traces, signals, ids, running.ingest.settings)


@pytest.mark.parametrize("frame", ["alone", "petrosa"])
def test_a_frames_trace_runs_through_ingest_worker_strategy_and_signal(story: Story, frame: str):
    sent, run, strategies = story.way(frame)
    (echo,) = [span for span in strategies if span.name == "strategy echo"]
    publisher, said = story.traces[frame], Trace.of(story.signals[frame])
    assert {sent.trace_id, run.trace_id, echo.trace_id} == {publisher.trace_id}
    assert said == (publisher.trace_id, echo.span_id, "01")
    assert (sent.name, sent.kind, run.name, run.kind) == (
        "ingest batch trade-0", "PRODUCER", "run/tasks.process", "CONSUMER",
    )  # fmt: skip
    assert sent.links == [(publisher.trace_id, publisher.span_id)]
    assert sent.start_ns <= sent.end_ns
    assert run.start_ns <= echo.start_ns <= echo.end_ns <= run.end_ns


async def test_intents_name_alias_trace_and_revision_of_signals_of_workers(story: Story):
    dialect = PetrosaDialect(story.settings, revisions=True)
    store = DeliveryStore(story.settings, "d", "nats", "start")
    with closing(dialect):
        assert await store.lease.take()
        entries = (await store.read(100)).entries
        packed = [
            (await dialect.intent(read(each.packed, each.trace, each.revision), each.packed)).packed for each in entries
        ]
    await store.close()
    intents = list(map(msgspec.json.decode, packed))
    assert {each["strategy_id"] for each in intents} == {"theirs"}
    assert {each["strategy_revision_id"] for each in intents} == {
        revision(registry.create("tests.support.strategies:Echo", {}))
    }
    of_petrosas = next(each for each in intents if each["trigger"]["id"] == story.ids["petrosa"])
    headers = {name: value for name, value in story.signals["petrosa"].items() if name != "Nats-Msg-Id"}
    assert of_petrosas["_otel_trace_context"] == headers


def test_each_span_says_what_it_is_about(story: Story):
    sent, run, strategies = story.way("first")
    assert sent.attributes.items() >= {
        "messaging.system": "celery", "messaging.destination.name": "trade", "messaging.batch.message_count": 3,
        "rs.lane": "trade-0", "rs.seq_first": 2, "rs.seq_last": 4, "rs.frames_sampled": 2,
    }.items()  # fmt: skip
    assert run.attributes.items() >= {
        "celery.task_name": "tasks.process", "rs.lane": "trade-0", "rs.seq_last": 4, "rs.events": 3, "rs.signals": 3,
    }.items()  # fmt: skip
    by_name = {span.name: span for span in strategies}
    assert {name: span.attributes["rs.signals"] for name, span in by_name.items()} == {
        "strategy echo": 3,
        "strategy raising": 0,
    }
    for span in strategies:
        assert 0 < span.attributes["rs.busy_s"] <= (span.end_ns - span.start_ns) / 1e9


def test_a_batch_continues_its_first_sampled_frame_and_links_all_sampled(story: Story):
    sent, _, _ = story.way("first")
    first, second = story.traces["first"], story.traces["second"]
    assert sent.trace_id == first.trace_id
    assert sent.links == [(first.trace_id, first.span_id), (second.trace_id, second.span_id)]
    assert {Trace.of(story.signals[name]).trace_id for name in ("unsampled in a batch", "first", "second")} == {
        first.trace_id
    }


def test_what_was_not_sampled_is_not_recorded_and_its_signal_says_so(story: Story):
    trace_id = story.traces["unsampled"].trace_id
    assert [span for span in story.collector.received if span.trace_id == trace_id] == []
    said = Trace.of(story.signals["unsampled"])
    assert (said.trace_id, said.flags) == (trace_id, "00")
    assert said.span_id != story.traces["unsampled"].span_id


def test_a_frame_without_a_trace_begins_one(story: Story):
    said = Trace.of(story.signals["untraced"])
    (root,) = [span for span in story.collector.named("ingest batch") if span.trace_id == said.trace_id]
    assert (root.parent_id, root.links) == ("", [])


def test_tracestate_reaches_the_signal_and_the_id_to_drop_repeats_by_stays(story: Story):
    headers = story.signals["alone"]
    assert headers["tracestate"] == "vendor=7"
    assert headers["Nats-Msg-Id"]


def test_spans_name_their_service_and_a_process_sends_the_rest_at_its_end(story: Story, request):
    services = {(span.name.split()[0], span.resource["service.name"]) for span in story.collector.received}
    assert services == {("ingest", "ingest"), ("run/tasks.process", "worker"), ("strategy", "worker")}
    assert all(span.resource["service.namespace"] == "realtime-strategies" for span in story.collector.received)
    early, late = story.early, [span for span in story.collector.received if span not in story.early]
    assert {span.resource["service.name"] for span in early} == (
        {"worker"} if "prefork" in request.node.callspec.id else set()
    )
    assert {span.resource["service.name"] for span in late} == {"ingest", "worker"}
