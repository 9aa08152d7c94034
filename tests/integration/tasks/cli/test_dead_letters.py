"""`python -m tasks deadletters`: looking through the letters in a real stream, and removing them."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from typer.testing import CliRunner, Result

from tasks.cli.main import app
from tasks.ledger import LedgerKeys
from tasks.ledger.dead_letters import PAGE
from tasks.protocol import dead_letters
from tasks.protocol.dead_letters import DeadLetter
from tasks.settings import load
from tests.support.events import book, trade

LETTERS = {
    "1000000-0": dead_letters.refused("crossed", "best bid above", "binance.btcusdt@depth20", b"{}"),
    "2000000-0": dead_letters.raised(ValueError("two"), "depth", "iceberg", book(symbol="ETHUSDT")),
    "3000000-0": DeadLetter("condemned", "5 runs", pool="trade", event=trade(symbol="ETHUSDT")),
    "4000000-0": dead_letters.refused("not_json", "no", "binance.x", b"\xff"),
}
WHYS = ("best bid above", "ValueError: two", "5 runs", "no")


@pytest.fixture
def stream(redis_url: str, client: redis.Redis, keys: LedgerKeys, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A stream with the four letters."""
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("NAMESPACE", keys.namespace)
    load.cache_clear()
    for name, letter in LETTERS.items():
        client.xadd(keys.deadletters, {"letter": dead_letters.pack(letter)}, id=name)
    yield keys.deadletters
    load.cache_clear()


def asked(*words: str, answer: str = "") -> Result:
    return CliRunner().invoke(app, ["deadletters", *words], input=answer)


def left(client: redis.Redis, stream: str) -> str:
    """Return which letters are left: the first digit of each id."""
    entries: Any = client.xrange(stream)
    return "".join(name.decode()[0] for name, _ in entries)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), "1234"),
        (("--reason", "refused"), "14"),
        (("--reason", "crossed", "--reason", "condemned"), "13"),
        (("--strategy", "iceberg"), "2"),
        (("--strategy", "tasks.strategies.iceberg:Iceberg"), "2"),
        (("--symbol", "ethusdt"), "23"),
        (("--symbol", "BTCUSDT", "--symbol", "ETHUSDT", "--reason", "refused"), "1"),
        (("--since", "1970-01-01T00:33:20"), "234"),
        (("--until", "1970-01-01T00:33:20"), "12"),
        (("--since", "1970-01-01T00:33:20", "--until", "1970-01-01T00:50"), "23"),
        (("--until", "2h"), "1234"),
        (("--since", "2h"), ""),
        (("--last", "2"), "34"),
        (("--last", "9"), "1234"),
        (("--last", "0"), ""),
        (("--last", "1", "--reason", "refused", "--until", "1970-01-01T00:50"), "1"),
    ],
)
def test_letters_are_chosen_by_what_they_say_and_when_they_were_written(stream: str, words, expected):
    lines = asked("list", "--json", *words).output.splitlines()
    assert "".join(json.loads(line)["id"][0] for line in lines) == expected


def test_any_number_of_letters_is_read_page_by_page(client: redis.Redis, stream: str):
    count = 2 * PAGE + 50
    packed = dead_letters.pack(DeadLetter("condemned", "", event=trade(symbol="MANY")))
    for number in range(count):
        client.xadd(stream, {"letter": packed}, id=f"5000000-{number}")
    assert len(asked("list", "--symbol", "MANY").output.splitlines()) == count
    newest = asked("list", "--json", "--last", str(PAGE + 1), "--symbol", "MANY").output.splitlines()
    assert [json.loads(newest[at])["id"] for at in (0, -1)] == [f"5000000-{count - PAGE - 1}", f"5000000-{count - 1}"]
    assert json.loads(asked("list", "--json", "--last", "1", "--reason", "crossed").output)["id"] == "1000000-0"


def test_a_list_in_a_pipe_is_one_whole_line_each_and_says_if_it_is_empty(stream: str):
    lines = asked("list").output.splitlines()
    assert [line.split()[2] for line in lines] == list(LETTERS)
    assert lines[1].endswith("ValueError: two")
    assert asked("list", "--symbol", "XRPUSDT").output == "no dead letters\n"


def test_show_tells_everything_of_the_letters_that_are_named(stream: str):
    text = asked("show", "2000000-0", "4000000-0").output
    assert "\nreason          strategy_error\n" in text
    assert "\nbids            ((1999.0, 1.0),)\n" in text
    assert "raw, 1 bytes:\n\\xff" in text


def test_show_tells_the_same_to_programs(stream: str):
    shown = [json.loads(line) for line in asked("show", "--json", "2000000-0", "4000000-0").output.splitlines()]
    listed = [json.loads(line) for line in asked("list", "--json").output.splitlines()]
    assert shown == [listed[1], listed[3]]
    assert shown[0]["detail"].strip().endswith("ValueError: two")
    assert (shown[0]["event"]["symbol"], shown[1]["raw"], shown[1]["raw_encoding"]) == ("ETHUSDT", "/w==", "base64")


@pytest.mark.parametrize("terminal", [True, False])
def test_a_list_is_whole_on_a_narrow_terminal_too(stream: str, monkeypatch, terminal):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FORCE_COLOR" if terminal else "NO_COLOR", "1")
    assert "depth iceberg ETHUSDT" in (shown := asked("list").output)
    assert [line[-len(why) :] for line, why in zip(shown.splitlines(), WHYS, strict=True)] == [*WHYS]


@pytest.mark.parametrize("name", ["1-1", "1000000", "-", "*", "1000000-0-0"])
@pytest.mark.parametrize("command", ["show", "drop", "retry"])
def test_an_id_that_is_none_is_named_and_nothing_is_dropped(client: redis.Redis, stream: str, command: str, name: str):
    failed = asked(command, "--", "1000000-0", name)
    assert failed.exit_code == 1
    assert f"no dead letter {name};" in str(failed.exception)
    assert left(client, stream) == "1234"


@pytest.mark.parametrize("words", [(), ("1000000-0", "--reason", "refused")])
@pytest.mark.parametrize("command", ["drop", "retry"])
def test_which_letters_to_drop_or_to_retry_has_to_be_said_in_one_way(stream: str, command: str, words):
    assert "either ids, or filters" in str(asked(command, *words).exception)


def test_one_letter_is_dropped_without_a_question(client: redis.Redis, stream: str):
    assert asked("drop", "2000000-0").output == "dropped 1\n"
    assert left(client, stream) == "134"


def test_more_than_one_are_dropped_after_a_yes_and_counted(client: redis.Redis, stream: str):
    refused = asked("drop", "--symbol", "ETHUSDT", answer="n\n")
    assert refused.exit_code == 1
    assert left(client, stream) == "1234"
    agreed = asked("drop", "--symbol", "ETHUSDT", answer="y\n")
    assert "drop 2 dead letters for good?" in agreed.output
    assert agreed.output.endswith("dropped 2\n")
    assert left(client, stream) == "14"
    assert asked("drop", "--until", "2h", "--yes").output == "dropped 2\n"
    assert asked("drop", "--until", "2h", "--yes").output == "dropped 0\n"


def test_a_letter_of_another_release_is_listed_and_can_be_dropped(client: redis.Redis, stream: str):
    client.xadd(stream, {"letter": b'{"reason":"bored","detail":"x"}'}, id="5000000-0")
    client.xadd(stream, {"other": b"?"}, id="6000000-0")
    assert asked("list", "--reason", "unreadable").output.count("not a dead letter") == 2
    assert asked("drop", "--reason", "unreadable", "--yes").output == "dropped 2\n"


def test_the_time_of_an_option_that_is_none_is_refused_by_the_options_name(stream: str):
    assert "--until takes 90s" in str(asked("list", "--until", "soon").exception)
