"""No command has a terminal obey what others wrote into Redis, NATS or a file, whichever prints it."""

import io
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis
import typer

from tasks.cli import command_line, doctor
from tasks.cli.main import app, main
from tasks.configuration import named_strategies
from tasks.ledger import LedgerKeys
from tasks.ledger.configurations import ConfigurationStore
from tasks.ops.states import StateReset
from tasks.paper import PaperState, SymbolAccount, state
from tasks.paper.state import OpenPosition
from tasks.protocol import dead_letters, records
from tasks.protocol.dead_letters import DeadLetter
from tasks.protocol.findings import Finding
from tasks.settings import Settings
from tests.support.events import TIME_MS, trade
from tests.support.runtime_configuration import put_in_force
from tests.support.strategies.positions import closed
from tests.unit.tasks.cli.test_signals import signal

NASTY = "WO\x1b]0;owned\x07\x1b[2J\x9b31m\u202e[/b]\rRD"
#: What rich itself sends to a terminal: colours, and where the cursor is while there is a bar.
OURS = re.compile(r"\r(?=\x1b\[(?:2K|1A))|\x1b\[([0-9;]*m|\?25[lh]|2K|1A)")
FILE = """
[pools.trade]
kinds = ["trade"]
[pools.trade.strategies.trade_momentum]
"""
SIGNAL_ID = "3f2b7a0c-58d1-5e0e-9b3a-0d1f1a2b3c4d"
#: By command: its arguments, each time it is to print NASTY.
SAYING: dict[str, Sequence[tuple[str, ...]]] = {
    "signals": [(), ("--json",)],
    "positions": [(), ("--json",), ("--open",), ("--open", "--json")],
    "deadletters list": [(), ("--json",)],
    "deadletters show": [("1-0",), ("1-0", "--json"), ("2-0",)],
    "state show": [(), ("--json",)],
    "state history": [(), ("--json",)],
    "strategies history": [(), ("--json",), ("--diff",)],
    "strategies get": [(), ("--json",)],
    "deliver list": [(), ("--json",)],
    "doctor": [(), ("--json",)],
    "config show": [(), ("--json",)],
    # Errors that quote what was typed or stored.
    "why": [(NASTY,)],
    "strategies describe": [(NASTY,)],
    "strategies set": [(NASTY, "a=b")],
    "strategies kill": [(NASTY,)],
    "strategies revive": [(NASTY,)],
    "strategies pause": [(NASTY,)],
    "strategies resume": [(NASTY,)],
    "strategies reset": [(NASTY,)],
    "strategies rollback": [(NASTY,)],
    "state reset": [(NASTY, "--yes")],
    "backtest": [(f"/none/{NASTY}",)],
    "export signals": [("/none/a", "--to", f"/none/{NASTY}.csv")],
    "export events": [("/none/a", "--to", f"/none/{NASTY}.csv")],
    "export bars": [("/none/a", "--to", f"/none/{NASTY}.csv")],
    "strategies report": [(f"/none/{NASTY}",)],
    "shadow promote": [(NASTY,)],
    "deliver forget": [(NASTY, "--yes")],
}
#: Prints nothing of others' text; or, as these say: through the functions that the ones above print with.
NOT_TRIED = {
    "schema": "the contract",
    "strategies list": "docstrings of modules that run here",
    "strategies check": "the same",
    "strategies new": "what the caller typed",
    "strategies schema": "the same, as JSON",
    "deadletters retry": "prints as list does, and needs ingest",
    "deadletters drop": "a number",
    "state seed": "reads recordings as backtest does",
    "state prune": "asks as `command_line.confirm` does, which is tried apart",
    "shadow report": "figures of strategies that run here",
    "sweep": "reads recordings as backtest does",
    "deliver stdout": "the contract's JSON for another program, byte for byte",
    "deliver webhook": "logs as every process does",
    "deliver telegram": "the same",
    "deliver discord": "the same",
    "deliver nats": "the same",
}


@pytest.fixture(autouse=True)
def planted(
    redis_url: str, settings: Settings, client: redis.Redis, keys: LedgerKeys, tmp_path: Path, monkeypatch: Any
) -> Iterator[None]:
    """Have NASTY wherever somebody else's text may stand."""
    file = tmp_path / "strategies.toml"
    file.write_text(FILE)
    monkeypatch.setenv("BINANCE_SPOT_REST_URL", "https://h/" + NASTY.replace("\r", "").replace("\x07", ""))
    client.xadd(keys.signals, {"signal": signal(strategy=NASTY, symbol=NASTY, action=NASTY, rationale=NASTY, id="1")})
    client.xadd(keys.positions, {"position": closed(symbol=NASTY, strategy=NASTY).pack()})
    position = OpenPosition("signal", -1, 2.0, 200.0, TIME_MS, None, None, 0.1, 101.0)
    held = state.pack(PaperState(symbols={NASTY: SymbolAccount(position=position)}))
    client.hset(keys.pool("trade"), f"paper:spot:{NASTY}:{NASTY}", held)
    client.hset(keys.pool("trade"), records.named("spot", NASTY, "trade"), b"\x91" + NASTY.encode())
    refused = dead_letters.refused("crossed", NASTY, NASTY, f'{{"a":"{NASTY}"}}'.encode())
    condemned = DeadLetter("condemned", NASTY, pool=NASTY, event=trade(symbol=NASTY))
    for number, letter in enumerate((refused, condemned), 1):
        client.xadd(keys.deadletters, {"letter": dead_letters.pack(letter)}, id=f"{number}-0")
    reset = StateReset(NASTY, NASTY, NASTY, NASTY, author=NASTY, reason=NASTY)
    client.xadd(keys.resets, {"reset": msgspec.json.encode(reset), "states": 1})
    client.hset(keys.delivery(NASTY), "trouble", NASTY)
    with put_in_force(file, settings, redis_url, monkeypatch) as store:
        _change(store)
        yield


def _change(store: ConfigurationStore) -> None:
    store.set(
        lambda found: named_strategies.values(found.configuration, "trade_momentum", {"window": 7}, "", NASTY),
        NASTY,
        NASTY,
    )


class _Output(io.TextIOWrapper):
    def __init__(self, *, terminal: bool) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", write_through=True)
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


def said(words: Sequence[str], out: _Output, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a command, with standard output and error there; return both."""
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, out)
    monkeypatch.setattr(sys, "argv", ["tasks", *words])
    monkeypatch.setattr(doctor, "examine", lambda: [Finding("fault", NASTY, NASTY, NASTY, "strategy_raises")])
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "200")
    with suppress(SystemExit):
        main()
    assert isinstance(out.buffer, io.BytesIO)
    return out.buffer.getvalue().decode()


def commands() -> Iterator[str]:
    def walk(command: Any, path: tuple[str, ...]) -> Iterator[str]:
        inner = getattr(command, "commands", {})
        if not inner:
            yield " ".join(path)
        for word, each in inner.items():
            yield from walk(each, (*path, word))

    return walk(typer.main.get_command(app), ())


@pytest.mark.parametrize("where", ["terminal", "pipe"])
@pytest.mark.parametrize(
    "words", [pytest.param((*name.split(), *more), id=name) for name, all_ in SAYING.items() for more in all_]
)
def test_nothing_that_others_wrote_is_obeyed(words: tuple[str, ...], where: str, monkeypatch: pytest.MonkeyPatch):
    terminal = where == "terminal"
    shown = said(words, _Output(terminal=terminal), monkeypatch)
    assert "Traceback" not in shown
    assert "owned" in shown, shown
    if "--json" in words and not terminal:
        return  # for a program: as it was stored
    if terminal:
        shown = OURS.sub("", shown)
    assert all(c.isprintable() or c in "\n\t" for c in shown), repr(shown)


def test_no_command_is_forgotten():
    assert set(commands()) - SAYING.keys() - NOT_TRIED.keys() == set()


def test_a_question_has_no_terminal_obey_what_others_wrote(capsys: pytest.CaptureFixture[str], monkeypatch: Any):
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    command_line.confirm(f"remove {NASTY}?")
    asked = capsys.readouterr()
    shown = asked.out + asked.err
    assert shown.strip()
    assert all(c.isprintable() for c in shown.strip()), repr(shown)
