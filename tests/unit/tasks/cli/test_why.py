"""`python -m tasks why` over recordings: the same signal, another one, none, or nothing to run again."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tasks.cli.main import app
from tasks.errors import LedgerError, RealtimeStrategiesError
from tasks.frames.model import parse_stream
from tasks.history import recordings
from tasks.protocol.digest import canonical
from tasks.protocol.routing import Pool
from tasks.why import recording_frames
from tasks.why.lane import StrategyLane
from tests.support.events import TIME_MS
from tests.support.market import SKEW, write_market

NOBODY = "redis://127.0.0.1:1"


@pytest.fixture(autouse=True)
def strategies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "skew.toml"
    settings = "\n".join(f"{name} = {value}" for name, value in SKEW.items())
    file.write_text(f'[pools.depth]\nkinds = ["depth"]\n[pools.depth.strategies.orderbook_skew]\n{settings}\n')
    monkeypatch.setenv("STRATEGIES_FILE", str(file))
    monkeypatch.setenv("REDIS_URL", NOBODY)
    return file


@pytest.fixture
def market(tmp_path: Path) -> Path:
    return write_market(tmp_path / "market.jsonl")


@pytest.fixture
def written(market: Path, tmp_path: Path) -> Path:
    """The signals of a backtest."""
    file = tmp_path / "signals.jsonl"
    ran = CliRunner().invoke(app, ["backtest", str(market), "--jobs", "1", "--signals", str(file)])
    assert ran.exit_code == 0, ran.output
    return file


def signals(written: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written.read_text().splitlines()]


def asked(identity: str, *words: object) -> Result:
    return CliRunner().invoke(app, ["why", identity, *map(str, words)])


def told(result: Result) -> dict[str, Any]:
    """Return the one object that was printed."""
    [line] = result.stdout.splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


def changed(written: Path, **fields: object) -> str:
    """Change the last signal of the file; return its id."""
    *others, last = signals(written)
    written.write_bytes(b"".join(canonical(each) + b"\n" for each in (*others, last | fields)))
    return str(last["id"])


def test_every_signal_of_a_file_comes_out_again(market, written):
    found = [told(asked(each["id"], "--from", market, "--signals", written, "--json")) for each in signals(written)]
    assert len(found) == 6
    assert [each["signal"] for each in found] == signals(written)
    assert {each["verdict"] for each in found} == {"equal"}
    assert [each["decision"]["derived"] for each in found] == signals(written)


def test_what_is_told_is_the_state_the_numbers_the_gate_and_the_parameters(market, written):
    last = signals(written)[-1]
    found = told(asked(last["id"], "--from", market, "--signals", written, "--json"))
    decision = found["decision"]
    assert (decision["event"]["id"], decision["event"]["time_ms"]) == (last["trigger"]["id"], last["event_time_ms"])
    assert (decision["seen"], decision["state_before"]["side"], decision["state_after"]["side"]) == (15, 1, -1)
    assert len(decision["recent"]) == 12
    assert decision["recent"][-1]["changed"] == {"time_ms": [TIME_MS + 13_000, TIME_MS + 14_000]}
    [ratio] = [each for each in decision["numbers"] if each["name"] == "ratio"]
    assert (ratio["sign"], ratio["threshold"], ratio["met"]) == ("<", 1 / 3, True)
    assert decision["parameters"]["hold_s"] == 0
    assert (decision["gate"]["said"], decision["gate"]["signals_this_hour"]) == ("passed", 1)
    assert (found["configuration"]["known_from"], found["source"]) == ("file", str(market))


def test_people_get_the_same_whole(market, written):
    last = signals(written)[-1]
    result = asked(last["id"], "--from", market, "--signals", written)
    assert result.exit_code == 0
    for part in (
        last["rationale"],
        "the same signal came out, byte for byte",
        "ratio       0.111111 < 0.333333",
        "state before the event, after 15 others",
        "the last events that changed it",
        f"version  {last['config_version']} of the strategies file",
    ):
        assert part in result.stdout


def test_another_signal_is_told_with_the_fields_that_differ(market, written):
    identity = changed(written, confidence=0.99, indicators={"ratio": 0.2, "spread_bps": 1.5})
    result = asked(identity, "--from", market, "--signals", written, "--json")
    found = told(result)
    assert (result.exit_code, found["verdict"]) == (1, "differs")
    assert [each["field"] for each in found["differences"]] == [
        "confidence",
        "indicators.ratio",
        "indicators.spread_bps",
    ]
    assert "ANOTHER SIGNAL CAME OUT" in asked(identity, "--from", market, "--signals", written).stdout


def test_a_signal_that_no_longer_comes_out_is_told(market, written, strategies):
    strategies.write_text(strategies.read_text().replace("hold_s = 0", "hold_s = 100"))
    result = asked(signals(written)[-1]["id"], "--from", market, "--signals", written, "--json")
    found = told(result)
    assert (result.exit_code, found["verdict"], found["decision"]["derived"]) == (1, "no_signal", None)
    assert found["decision"]["gate"]["said"] == "not_asked"
    assert "the signal ran under" in found["notes"][0]


def test_a_signal_that_the_gate_holds_back_now_is_told(market, written, strategies):
    with strategies.open("a") as file:
        file.write("[pools.depth.strategies.orderbook_skew.gate]\nkilled = true\n")
    found = told(asked(signals(written)[-1]["id"], "--from", market, "--signals", written, "--json"))
    assert found["verdict"] == "differs"
    assert {"field": "gate", "stored": "passed", "derived": "killed"} in found["differences"]
    assert (found["decision"]["gate"]["said"], found["decision"]["gate"]["reason"]) == ("held", "killed")


@pytest.mark.parametrize("kept", ["what comes before", "what comes behind"])
def test_a_signal_whose_event_is_gone_still_tells_what_is_stored(market, written, tmp_path, kept):
    last = signals(written)[-1]
    lines = [line.raw + b"\n" for line in recordings.read(market)]
    at_ns = str(last["event_time_ms"] * 10**6).encode()
    edge = next(number for number, line in enumerate(lines) if at_ns in line)
    part = tmp_path / "part.jsonl"
    part.write_bytes(b"".join(lines[:edge] if kept == "what comes before" else lines[edge + 6 :]))
    result = asked(last["id"], "--from", part, "--signals", written, "--json")
    found = told(result)
    assert (result.exit_code, found["verdict"], found["signal"], found["decision"]) == (1, "gone", last, None)
    assert found["notes"][0].startswith(f"{part} lacks the event that it answers, spot {last['symbol']} depth 15 of")
    behind = "15 events of its lane" if kept == "what comes before" else "it goes on with 16 of"
    assert behind in found["notes"][0]
    assert last["rationale"] in asked(last["id"], "--from", part, "--signals", written).stdout


def test_a_recording_that_begins_with_the_event_starts_from_an_empty_state(market, written, tmp_path):
    last = signals(written)[-1]
    lines = [line.raw + b"\n" for line in recordings.read(market)]
    part = tmp_path / "part.jsonl"
    part.write_bytes(b"".join(line for line in lines if str(last["event_time_ms"] * 10**6).encode() in line))
    found = told(asked(last["id"], "--from", part, "--signals", written, "--json"))
    assert (found["verdict"], found["decision"]["seen"], found["decision"]["recent"]) == ("equal", 0, [])


def test_a_signal_is_found_by_its_id_alone_without_any_ledger(market, written):
    last = signals(written)[-1]
    result = asked(last["id"], "--from", market, "--json")
    found = told(result)
    assert (result.exit_code, found["verdict"], found["status"]) == (0, "derived", "unknown")
    assert found["decision"]["derived"] == last
    assert found["notes"][0].startswith("Redis does not answer at")
    assert found["notes"][1].endswith("as it is now")


def said(identity: str, *words: object) -> str:
    """Return the one line of a command that can't answer."""
    error = asked(identity, *words).exception
    assert isinstance(error, RealtimeStrategiesError), error
    [line] = str(error).splitlines()
    return line


def test_an_unknown_id_is_one_line(market, written):
    nobody = "5f0c7a0e-3c0b-5b7e-9a55-2f6f3f3f7c11"
    assert "no event of" in said(nobody, "--from", market)
    assert said("latest", "--from", market).endswith("'latest' is no id of a signal, which is a UUID")
    assert said(nobody, "--from", market, "--signals", written) == f"there is no signal {nobody} in {written}"
    assert "Redis does not answer" in said(nobody)


def test_files_that_can_not_be_read_are_one_line(market, written, tmp_path):
    identity = signals(written)[-1]["id"]
    assert "can't read" in said(identity, "--from", tmp_path / "none.jsonl", "--signals", written)
    assert "can't read" in said(identity, "--from", market, "--signals", tmp_path / "none.jsonl")
    assert "either --from or --stream" in said(identity, "--from", market, "--stream")


def test_without_a_source_what_is_stored_is_told(written):
    last = signals(written)[-1]
    result = asked(last["id"], "--signals", written, "--json")
    found = told(result)
    assert (result.exit_code, found["verdict"], found["signal"]) == (1, "no_source", last)
    assert f"why {last['id']} --from RECORDING" in found["notes"][-1]
    assert "./run demo --source jetstream" in found["notes"][-1]


@pytest.fixture
def reads_a_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INGEST_SOURCE", "jetstream")


@pytest.mark.usefixtures("reads_a_stream")
def test_where_ingest_reads_a_stream_the_option_for_it_is_named(written):
    found = told(asked(signals(written)[-1]["id"], "--signals", written, "--json"))
    assert found["notes"][-1].endswith("--from RECORDING, or --stream")


def test_a_strategy_that_the_configuration_lacks_is_one_line(market, written):
    identity = changed(written, strategy="another")
    with pytest.raises(LedgerError, match="has no pool in which another sees depth of"):
        raise asked(identity, "--from", market, "--signals", written).exception  # type: ignore[misc]


def test_only_the_frames_that_the_lane_needs_are_parsed(recording):
    """Why it is quick: most lines of a recording are another symbol's, or of a kind that the lane needs nothing of."""
    lines = list(recordings.read(recording))
    lane = StrategyLane.of(Pool("trade", ("trade",)), "spot", "BTCUSDT")
    frames = list(recording_frames.read([recording], lane.needs))
    streams = [parse_stream(frame.subject) for frame in frames]
    assert {(stream.symbol, stream.kind) for stream in streams if stream} == {("BTCUSDT", "trade")}
    assert 0 < len(frames) < len(lines) / 3
