"""Every command of the how-tos: run in a fresh clone beside a pipeline, with ids that are there, or read by its program.

These are read and not run:

* `docker`, `kind`, `kubectl`, and a sweep that uploads through a forwarded port: they need Docker or a cluster,
* `git`, `pip`, `ingest binance`, `ingest ccxt`: they need the Internet, and the first two would change what is installed,
* `wheel` and `realtime-strategies`: `test_wheel.py` builds it and runs its program, though not with all of these words,
* `INGEST_SHARD=...`: the pipeline has one shard, and `test_growth.py` adds the second,
* `ingest move-ledger`: it needs shards that have stopped, which `test_move_ledger.py` has,
* `deliver webhook`, `deliver telegram`: they need somebody who receives, which `test_deliver.py` has,
* `demo --record`: it starts a pipeline of its own, and the README's test runs it.
"""

import gzip
import json
import re
import shlex
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pytest
import typer
import yaml

from compose.local import commands as demo_commands
from compose.local.processes import ROOT
from compose.local.stack import Stack
from ingest import __main__ as ingest_commands
from tasks.cli import main as tasks_commands
from tasks.history import packed
from tasks.ledger.configurations import ConfigurationStore
from tasks.ledger.reader import LedgerReader
from tests.data import RECORDING
from tests.support.events import TIME_MS, trade
from tests.support.files.writers import vision_csv
from tests.support.needs import missing
from tests.support.stacks import letters
from tests.support.stacks.page_commands import Clone, addresses, blocks, service_output, without_comment
from tests.support.stacks.pipeline import in_simulated_market
from tests.support.waiting import wait_for
from website import staging
from website.pages import listed, pages

#: Recordings that a reader has.
RECORDINGS = ("monday", "recording", "yesterday", "today")
TRADES = [trade(id=number, time_ms=TIME_MS + 100 * number, seq=number) for number in range(1, 1001)]
#: What begins a command; other indented lines are settings, or what something prints.
_COMMAND = re.compile(
    r"(\w+=\S+ )*(\./run|realtime-strategies|python|celery|docker|kubectl|kind|git|curl|promtool|pip|sed|\.venv/bin/\w+)\b"
)
#: What is read and not run, as above.
_READ = re.compile(
    r"(?<!-)\b(docker|kubectl|kind|git|pip|realtime-strategies) |INGEST_SHARD=|--upload$|"
    r"\./run (demo --record|wheel$|ingest (ccxt|binance|move-ledger) |tasks deliver (webhook|telegram) )"
)
#: Ids as the pages have them.
_LETTER, _SIGNAL, _VERSION = "1763859000123-0", "0c35cde6-573d-5a10-a495-a12bfbd031eb", "VERSION"
#: What is shorter here than on the page.
_SHORTER = {"--seconds 60": "--seconds 1", "--speed 20": "--speed max", "train=2h,test=30m": "train=30s,test=15s"}
#: What is there already.
_OTHER_NAMES = {"ingest record monday": "ingest record another"}
#: What has to be there first, by the beginning of a command.
_BEFORE = {
    "./run tasks strategies reset": "./run tasks strategies set orderbook_skew levels={number}",
    "./run tasks strategies rollback": "./run tasks strategies set orderbook_skew levels={number}",
}
#: These need a ledger of their own, because that of the pipeline knows later events.
_OWN_LEDGER = ("./run tasks state seed", "./run tasks state prune", "./run ingest replay")
_APPS = {"tasks": tasks_commands.app, "ingest": ingest_commands.app, "demo": demo_commands.app}


class PageCommand(NamedTuple):
    """A line of a block of commands, without its comment."""

    page: str
    line: str


def how_tos() -> list[str]:
    """Return the pages of the how-tos, as the navigation names them."""
    [places] = [each["How-to"] for each in staging.navigation() if isinstance(each, dict) and "How-to" in each]
    by_place = {place: page for page, place in pages().items()}
    return [by_place[place] for place in listed(places)]


def commands() -> Iterator[PageCommand]:
    for page in how_tos():
        for block in blocks((ROOT / page).read_text(encoding="utf-8")):
            # A line that ends with a backslash or a pipe goes on.
            whole = re.sub(r"(?:\\|(?<=\|))\n +", " ", "\n".join(block))
            yield from (PageCommand(page, without_comment(line)) for line in whole.splitlines() if _COMMAND.match(line))


COMMANDS = [*dict.fromkeys(commands())]


def each_command(*, is_run: bool) -> pytest.MarkDecorator:
    chosen = [each for each in COMMANDS if bool(_READ.search(each.line)) != is_run]
    return pytest.mark.parametrize("command", chosen, ids=lambda each: f"{each.page}: {each.line}")


def test_the_how_tos_have_commands():
    assert len(COMMANDS) > 50
    assert {command.page for command in COMMANDS} > {"docs/backtest.md", "k8s/README.md", "docs/runbook.md"}


@pytest.mark.parametrize("page", how_tos())
def test_commands_stand_in_indented_blocks_where_tests_look_for_them(page: str):
    assert re.findall(r"^```(?:ba|z)?sh\b|^```(?:shell|console)\b", (ROOT / page).read_text(), re.MULTILINE) == []


@each_command(is_run=False)
def test_a_command_that_needs_more_than_a_machine_is_read(command: PageCommand):
    words = shlex.split(command.line, comments=True)
    paths = [word for word in words if re.match(r"(requirements|k8s|compose|tests|tasks|docs)/", word)]
    assert [path for path in paths if not (ROOT / path).exists()] == []
    if "docker compose exec" in command.line or "docker compose run" in command.line:
        services = yaml.safe_load((ROOT / "compose" / "stack.yaml").read_text())["services"]
        assert services.keys() & {*words}
    if of_ours := re.search(r"(?:python -m|\./run|realtime-strategies) (tasks|ingest|demo)\b(.*)", command.line):
        arguments = shlex.split(re.sub(r">.*| \|.*", "", of_ours[2]))
        read(of_ours[1], arguments)


def read(program: str, arguments: list[str]) -> None:
    """Have a program take its arguments apart, and run nothing."""
    command: Any = typer.main.get_command(_APPS[program])
    if program == "demo":
        arguments = ["demo", *arguments]
    context = command.make_context("./run", [*arguments])
    while hasattr(command, "commands") and arguments:
        name, command, arguments = command.resolve_command(context, arguments)
        context = command.make_context(name, [*arguments], context)
    assert context.command is command


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    clone = Clone(tmp_path_factory.mktemp("clone"))
    for name in RECORDINGS:
        shutil.copy(RECORDING, clone.folder / f"{name}.jsonl.gz")
    shutil.copy(RECORDING, clone.folder / "tuesday.jsonl.gz")
    (clone.folder / "tuesday.jsonl.zst").write_bytes(packed.ZSTD.compress(gzip.decompress(RECORDING.read_bytes())))
    with zipfile.ZipFile(clone.folder / "BTCUSDT-trades-2024-08-08.zip", "w") as archive:
        archive.writestr("BTCUSDT-trades-2024-08-08.csv", vision_csv(TRADES, header=False, unit=1))
    for page, name, language in (
        ("docs/bars.md", "ema_cross.py", "python"),
        ("docs/bars.md", "ema_cross.toml", "toml"),
        ("README.md", "mine.py", "python"),
        ("README.md", "mine.toml", "toml"),
    ):
        text = (ROOT / page).read_text(encoding="utf-8")
        [code] = re.findall(rf"```{language}\n(# {re.escape(name)}\n.*?)```", text, re.DOTALL)
        (clone.folder / name).write_text(code)
    (clone.folder / "sweep.toml").write_text("[sweep.spread_liquidity]\nmin_signal_interval_s = [5, 30]\n")
    return clone


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A pipeline like the demo's, with a stream."""
    with in_simulated_market(2, environment={"INGEST_SOURCE": "jetstream"}) as stack:
        yield stack


@pytest.mark.ci
@each_command(is_run=True)
def test_a_command_of_a_how_to_runs(command: PageCommand, place: Clone, stack: Stack):
    beside = addresses(stack)
    line = command.line.replace("127.0.0.1:8080", f"127.0.0.1:{beside['HTTP_PORT']}")
    for long, short in (_SHORTER | _OTHER_NAMES).items():
        line = line.replace(long, short)
    if line.startswith(("promtool ", "curl ")) and not shutil.which(program := line.split()[0]):
        missing(f"there is no {program} here")
    environment = {**beside, "WORKER_HTTP_PORT": "0", "DELIVER_HTTP_PORT": "0"}
    line = with_ids(line, COMMANDS.index(command), stack, place)
    if line.startswith(_OWN_LEDGER):
        environment["NAMESPACE"] = f"own{COMMANDS.index(command)}"
    for beginning, before in _BEFORE.items():
        if line.startswith(beginning):
            run(before.format(number=COMMANDS.index(command) % 15 + 1), place, environment)
    run(line, place, environment)


def with_ids(line: str, number: int, stack: Stack, place: Clone) -> str:
    """Return a command with ids of the pipeline, or of a recording, in place of those on the page."""
    if _LETTER in line:
        return line.replace(_LETTER, letters.add_condemned(stack, f"HOWTO{number}USDT"))
    if _VERSION in line:
        return line.replace(_VERSION, ConfigurationStore(stack.settings).version())
    if _SIGNAL in line and "--from" in line:
        run("./run tasks backtest recording.jsonl.gz --signals signals-of-a-backtest.jsonl", place, {})
        first = (place.folder / "signals-of-a-backtest.jsonl").read_text().partition("\n")[0]
        return line.replace(_SIGNAL, json.loads(first)["id"])
    if _SIGNAL in line:
        packed = wait_for(lambda: next(iter(LedgerReader(stack.settings).signals()), b""), "a signal")
        return line.replace(_SIGNAL, json.loads(packed)["id"])
    return line


def run(line: str, place: Clone, environment: Mapping[str, str]) -> None:
    with place.started(line, **environment) as started:
        started.end(line, service_output(line))
