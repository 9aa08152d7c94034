"""What the commands about strategies print."""

from pathlib import Path

import pytest

from tasks.cli import main

MINE = """
from tasks.strategy import Params, Signal, State, Strategy

class Wordless(Strategy[Params, State]):
    name = "wordless"

    def on_trade(self, trade, state):
        yield Signal(action="buy", confidence=0.6, price=trade.price, current_price=trade.price)
"""


@pytest.fixture(autouse=True)
def wordless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wordless.py").write_text(MINE)
    file = tmp_path / "mine.toml"
    file.write_text('[pools.trade]\nkinds = ["trade"]\n[pools.trade.strategies."wordless:Wordless"]\nalias = "mute"\n')
    monkeypatch.setenv("STRATEGIES_FILE", str(file))
    monkeypatch.setenv("STRATEGIES_PATH", str(tmp_path))


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    with pytest.raises(SystemExit) as ended:
        main.app(["strategies", *words])
    assert ended.value.code == 0
    return capsys.readouterr().out.splitlines()


def test_a_strategy_without_a_docstring_has_no_words_of_others(capsys: pytest.CaptureFixture[str]):
    [line] = [line for line in printed(capsys, "list") if line.startswith("wordless:Wordless")]
    assert line.split() == ["wordless:Wordless", "mute", "trade", "trade"]
    for name in ("wordless", "mute"):
        assert printed(capsys, "describe", name)[0] == "It has no docstring."


def test_a_strategys_own_words_are_told(capsys: pytest.CaptureFixture[str]):
    assert printed(capsys, "describe", "iceberg")[0].startswith("Watch the price levels")
