"""Every command of the README runs as it stands there: in a folder with nothing but the project, beside a pipeline."""

import importlib.util
import json
import re
import shlex
import signal
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from functools import partial
from urllib.parse import urlsplit

import pytest
from typer.main import get_command
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from compose.local.processes import ROOT
from ingest import __main__ as ingest_commands
from tests.bench import commands as bench_commands
from tests.data import RECORDING
from tests.soak import commands as soak_commands
from tests.support.events import TIME_MS, trade
from tests.support.files.writers import vision_csv
from tests.support.needs import site_generator
from tests.support.servers.exchange import recorded
from tests.support.service import get
from tests.support.stacks.page_commands import (
    Clone,
    Started,
    addresses,
    blocks,
    in_prose,
    service_output,
    without_comment,
)
from tests.support.stacks.pipeline import backtested, in_simulated_market
from tests.support.waiting import wait_for

pytestmark = pytest.mark.ci

README = (ROOT / "README.md").read_text(encoding="utf-8")
#: What makes the benchmark short.
SHORT_BENCH = "--only latency --seconds 0.5"
#: The same for tests: a file that takes a moment; of the faults, which take minutes each, the list.
SHORT_TEST = {
    "./run test": ("-q tests/unit/tasks/test_events.py", r"\d+ passed"),
    "./run test -m faults": ("-q --collect-only tests/faults/test_faults.py", r"\d+ tests collected"),
}
#: The file of Binance's history that the README names, and what it holds here.
VISION_FILE = "BTCUSDT-trades-2024-08-08.zip"
TRADES = [trade(id=number, time_ms=TIME_MS + 100 * number, seq=number) for number in range(1, 1001)]
#: Each once, as it stands there.
COMMANDS = {
    without_comment(line): line
    for line in [*(line for block in blocks(README) for line in block if without_comment(line)), *in_prose(README)]
}
#: Those that run until Ctrl-C.
DEMOS = [command for command in COMMANDS if re.match(r"\./run demo($| --(feed binance|source|record))", command)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    clone = Clone(tmp_path_factory.mktemp("clone"))
    for name, language, holding in (
        ("mine.py", "python", "class Jump"),
        ("mine.toml", "toml", "mine:Jump"),
        ("consume.py", "python", "async def main"),
        ("sweep.toml", "toml", "[sweep."),
    ):
        [code] = [c for c in re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL) if holding in c]
        (clone.folder / name).write_text(code)
    with zipfile.ZipFile(clone.folder / VISION_FILE, "w") as archive:
        archive.writestr(VISION_FILE.replace(".zip", ".csv"), vision_csv(TRADES, header=False, unit=1))
    return clone


@pytest.fixture(scope="module")
def beside() -> Iterator[Mapping[str, str]]:
    """Return the environment that leads commands to a pipeline as the demo's, in a market that costs little to follow."""
    with in_simulated_market(2) as stack:
        yield addresses(stack)


@pytest.fixture(scope="module")
def exchange() -> Iterator[str]:
    """Stand in for the exchange: push the same trades to everybody; return the address."""
    frames = recorded(RECORDING, 100, "spot")

    def push(connection: ServerConnection) -> None:
        for frame in frames:
            connection.send(frame)
        with suppress(ConnectionClosed):
            connection.recv()

    with serve(push, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}/stream"
        server.shutdown()
        thread.join()


def try_options(command: str) -> None:
    """Look whether a command that takes too long here, or needs the Internet, is there with its options."""
    program, *words = shlex.split(command)[1:]
    words = words if program == "ingest" else [program, *words]
    apps = {"bench": bench_commands.app, "ingest": ingest_commands.app, "soak": soak_commands.app}
    group = get_command(apps[program])
    name, parsed, rest = group.resolve_command(group.make_context("./run", words), words)  # type: ignore[attr-defined]  # it is a group
    assert parsed.make_context(name, rest)


def test_every_block_of_the_readme_holds_commands_and_comments_only():
    lines = [line for block in blocks(README) for line in block]
    assert len(lines) > 20
    known = re.compile(r"\s*#|(\w+=\S+ )*(\./run|python|celery|docker|source|bash)\b")
    assert [line for line in lines if not known.match(line)] == []


@pytest.mark.parametrize("command", ["python consume.py", *(each for each in COMMANDS if each not in DEMOS)])
def test_a_command_of_the_readme_runs(command: str, place: Clone, beside: Mapping[str, str], exchange: str):
    if command.startswith("docker"):
        assert shlex.split(command)[1] == "compose"
    elif command.startswith(("./run bench", "./run ingest ccxt", "./run soak")):
        try_options(command)
    elif command.startswith("./run test"):
        options, says = SHORT_TEST[command]
        with place.started(f"{command} {options}") as started:
            assert started.ends() == 0, started.output
            assert re.search(says, started.output)
    else:
        if command == "./run site":
            site_generator()
        run(command, place, beside, exchange)


def run(command: str, place: Clone, beside: Mapping[str, str], exchange: str) -> None:
    # Word for word, with its comment.
    with place.started(COMMANDS.get(command, command), BINANCE_SPOT_URL=exchange, **beside) as started:
        started.end(command, service_output(command))
        if "--feed tests/data" in command or "--digest" in command:
            assert backtested([RECORDING]).digest in started.output


def has_events(demo: Started) -> bool:
    """Return whether events came to the ingest of a demo."""
    [url] = re.findall(r"^  ingest +(\S+)", demo.output, re.MULTILINE)
    return bool(json.loads(get(urlsplit(url).port or 0, "/ready")[1] or "{}").get("feed", {}).get("streams"))


def test_the_demos_and_the_benchmark_of_the_readme_run(place: Clone, exchange: str):
    """All at once: most of the time they wait for a start or an end."""
    assert len(DEMOS) == 4
    with ExitStack() as stack:
        bench = stack.enter_context(place.started(f"./run bench --quick {SHORT_BENCH}"))
        run = [stack.enter_context(place.started(COMMANDS[each], BINANCE_SPOT_URL=exchange)) for each in DEMOS]
        for demo in run:
            demo.shows("  env ")
            wait_for(partial(has_events, demo), f"events: {demo.output}")
            demo.press_ctrl_c()
        assert {demo.ends() for demo in run} == {128 + signal.SIGINT}, [demo.output for demo in run]
        assert bench.ends() == 0, bench.output
        assert "Latency from receipt to commit" in bench.output
        assert not [each for each in (bench, *run) if "Traceback" in each.output]
        digests = [re.findall(r"^ +digest +([0-9a-f]{64})$", demo.output, re.MULTILINE) for demo in run]
    recorded_digest = backtested([place.folder / "mine.jsonl.gz"]).digest
    assert digests[["--record" in each for each in DEMOS].index(True)] == [recorded_digest]
    assert all(digests)


@pytest.mark.slow
def test_the_quick_benchmark_of_the_readme_runs_whole(place: Clone, exchange: str):
    if not importlib.util.find_spec("dramatiq"):
        pytest.skip("the benchmark's contenders are not installed: ./run bench installs them")
    run("./run bench --quick", place, {}, exchange)
