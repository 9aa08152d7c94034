"""What of tracing needs no collector: how traces are read and written, and when it is on at all."""

import sys
from collections.abc import Iterator

import pytest
from opentelemetry.sdk import environment_variables
from structlog.testing import capture_logs

from ingest.lanes.lane import LaneEvent
from tasks import settings
from tasks.protocol.batches import pack_event
from tasks.telemetry import trace_context, tracing
from tests.support.events import trade
from tests.support.frames.wire import SPOT_TRADE, enveloped

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
FRAME = enveloped("btcusdt@trade", SPOT_TRADE)
PETROSA = enveloped("btcusdt@trade", SPOT_TRADE, _otel_trace_context={"traceparent": PARENT, "tracestate": "a=b"})
NOBODY = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("ENDPOINT", "TRACES_ENDPOINT"):
        monkeypatch.delenv(f"OTEL_EXPORTER_OTLP_{name}", raising=False)
    # Its thread tries again and again, at random moments, and hypothesis takes that for randomness of its tests.
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.01")
    tracing.prepare.cache_clear()
    yield
    tracing.stop(5)
    tracing.prepare.cache_clear()


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", NOBODY)
    tracing.start("ingest")


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": NOBODY}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": NOBODY}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": NOBODY, "OTEL_SDK_DISABLED": "True"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": NOBODY, "OTEL_TRACES_EXPORTER": "none"}, False),
    ],
)
def test_traces_are_wanted_when_an_endpoint_is_set_and_nothing_says_no(monkeypatch, environment, wanted):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert tracing.wanted() is wanted


def test_while_off_no_frame_no_task_and_no_signal_has_a_trace():
    tracing.start("ingest")
    assert tracing.extract_trace({"traceparent": PARENT}, PETROSA) == ""
    with tracing.batch("trade-3", [], resend=False) as headers:
        assert headers == {}
    assert tracing.strategies(0, {"a": 1}, ["a"]) == []


def test_without_the_packages_there_is_one_warning_and_everything_goes_on(monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", NOBODY)
    monkeypatch.delitem(sys.modules, "tasks.telemetry.otel", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with capture_logs() as logs:
        for _ in range(3):
            tracing.start("worker")
    assert [line["log_level"] for line in logs] == ["warning"]
    assert tracing.extract_trace({"traceparent": PARENT}, FRAME) == ""


@pytest.mark.parametrize(
    ("headers", "raw", "trace"),
    [
        ({"traceparent": PARENT}, FRAME, PARENT),
        ({"Traceparent": PARENT, "Tracestate": "a=b,c=d"}, FRAME, f"{PARENT} a=b,c=d"),
        (None, PETROSA, f"{PARENT} a=b"),
        ({"Other": "header"}, PETROSA, f"{PARENT} a=b"),
        ({"traceparent": PARENT.replace("4bf9", "0000")}, PETROSA, PARENT.replace("4bf9", "0000")),
        ({"traceparent": PARENT, "tracestate": "a" * 513}, FRAME, PARENT),
        ({"traceparent": PARENT, "tracestate": "a\r\nb: c"}, FRAME, PARENT),
        ({"traceparent": PARENT.upper()}, FRAME, ""),
        ({"traceparent": f"00-{'0' * 32}-00f067aa0ba902b7-01"}, FRAME, ""),
        ({"traceparent": f"ff{PARENT[2:]}"}, FRAME, ""),
        ({"traceparent": f"{PARENT}\n"}, FRAME, ""),
        (None, b'{"_otel_trace_context": {"traceparent": 7}}', ""),
        (None, b'{"_otel_trace_context": {traceparent}}', ""),
        (None, b'{"_otel_trace_context": {"traceparent": "\xa0"}}', ""),
        (None, b'{"_otel_trace_context": {"traceparent": %b}}' % (b"[" * 5_000), ""),
        (None, b'{"_otel_trace_context": null}', ""),
        (None, b'"_otel_trace_context"', ""),
        (None, FRAME, ""),
    ],
)
def test_a_frames_trace_is_that_of_its_headers_else_of_its_envelope(on, headers, raw, trace):
    """An invalid trace is never taken."""
    assert tracing.extract_trace(headers, raw) == trace


@pytest.mark.parametrize("trace", [PARENT, f"{PARENT} a=b, c=d"])
def test_headers_say_what_was_packed(trace: str):
    headers = trace_context.headers(trace)
    assert trace_context.packed(headers["traceparent"], headers.get("tracestate")) == trace


@pytest.mark.parametrize("text", ["", "no trace", f"{PARENT}0", f"{PARENT} ", f"{PARENT} a\r\nb", "\n"])
def test_what_is_no_trace_has_no_headers(text: str):
    assert trace_context.headers(text) == {}


def item(seq: int, trace: str = "") -> LaneEvent:
    raw = pack_event(trade(id=seq, seq=seq))
    return LaneEvent(seq, raw, len(raw), "trade", ("spot", "BTCUSDT"), 1_000, 1_000, trace)


@pytest.mark.parametrize(
    ("traces", "parent"),
    [
        ([PARENT], PARENT),
        (["", PARENT], PARENT),
        ([PARENT[:-1] + "0", PARENT.replace("4bf9", "1111")], PARENT.replace("4bf9", "1111")),
        ([PARENT[:-1] + "0"], PARENT[:-1] + "0"),
    ],
)
def test_a_task_has_the_trace_of_its_first_sampled_or_first_traced_frame(on, traces, parent):
    """A sampled frame comes before any that only has a trace."""
    events = [item(number, trace) for number, trace in enumerate(traces)]
    with tracing.batch("trade-3", events, resend=False) as headers:
        version, trace_id, span_id, flags = headers["traceparent"].split("-")
    assert (version, trace_id, flags) == (parent[:2], parent[3:35], parent[53:])
    assert span_id != parent[36:52]


def test_tracestate_goes_on_with_the_trace(on):
    with tracing.batch("trade-3", [item(1, f"{PARENT} vendor=7")], resend=False) as headers:
        assert headers["tracestate"] == "vendor=7"


def test_no_variable_of_opentelemetry_is_taken_for_a_misspelt_setting():
    names = {value for name, value in vars(environment_variables).items() if name.startswith("OTEL_")}
    assert len(names) > 30
    assert settings.unknown_names(dict.fromkeys(names, "x")) == ([], [])


def test_a_signal_of_a_run_without_a_trace_has_none(on):
    assert tracing.strategies(1, {"a": 5, "b": 6}, ["a"]) == [""]
