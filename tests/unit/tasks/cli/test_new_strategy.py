"""What `strategies new` writes, and the names that it refuses."""

import json
import sys
import tomllib
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it has no stubs here

from tasks import configuration
from tasks.cli import main
from tasks.configuration import registry
from tasks.settings.model import load


def written(folder: Path, name: str = "dip_buyer") -> None:
    with pytest.raises(SystemExit) as ended:
        main.app(["strategies", "new", name, "--dir", str(folder)])
    assert ended.value.code == 0


def refusal(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return the one line in which a call is refused."""
    with pytest.raises(SystemExit) as ended:
        main.main(lambda: main.app(["strategies", "new", *words], standalone_mode=False))
    assert ended.value.code == 1
    return capsys.readouterr().err


def test_the_project_is_written_whole_and_its_strategies_file_can_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = tmp_path / "mine"
    monkeypatch.setenv("STRATEGIES_FILE", str(folder / "strategies.toml"))
    written(folder)
    assert {each.name for each in folder.iterdir()} == {
        "dip_buyer.py", "test_dip_buyer.py", "strategies.toml", "strategies.schema.json", "pyproject.toml", "Dockerfile",
        "README.md",
    }  # fmt: skip
    [bound] = registry.build(configuration.read(folder / "strategies.toml"))["trade"]
    assert bound.name == "dip_buyer"
    sys.modules.pop("dip_buyer")


def test_the_schema_beside_it_knows_the_strategys_parameters(tmp_path: Path):
    written(tmp_path)
    schema = Draft202012Validator(json.loads((tmp_path / "strategies.schema.json").read_text()))
    text = (tmp_path / "strategies.toml").read_text()
    assert text.startswith("#:schema strategies.schema.json\n")
    assert schema.is_valid(tomllib.loads(text))
    assert not schema.is_valid(tomllib.loads(text.replace("half_life_s = 30", "half_life_s = 0")))


def test_the_schema_beside_it_is_what_its_command_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
):
    written(tmp_path)
    monkeypatch.setenv("STRATEGIES_FILE", str(tmp_path / "strategies.toml"))
    load.cache_clear()
    capfdbinary.readouterr()
    with pytest.raises(SystemExit) as ended:
        main.app(["strategies", "schema"])
    assert ended.value.code == 0
    assert (tmp_path / "strategies.schema.json").read_bytes() == capfdbinary.readouterr().out
    load.cache_clear()
    sys.modules.pop("dip_buyer")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Dip", "small letters, digits and _"),
        ("dip-buyer", "small letters, digits and _"),
        ("lambda", "small letters, digits and _"),
        ("../dip", "small letters, digits and _"),
        ("iceberg", "is a built-in strategy"),
        ("tasks", "Python has a module of this name"),
        ("json", "Python has a module of this name"),
        ("redis", "Python has a module of this name"),
        ("trade", "Trade is a class that it needs"),
    ],
)
def test_a_name_that_can_not_be_one_is_refused(
    name: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder = tmp_path / "new"
    line = refusal(capsys, name, "--dir", str(folder))
    assert said in line
    assert line.count("\n") == 1
    assert not folder.exists()


def test_a_folder_that_holds_something_is_left_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "mine.txt").write_text("mine")
    assert "is there and not empty: name another folder with --dir" in refusal(
        capsys, "dip_buyer", "--dir", str(tmp_path)
    )
    assert [each.name for each in tmp_path.iterdir()] == ["mine.txt"]
    assert "is there and not empty" in refusal(capsys, "dip_buyer", "--dir", str(tmp_path / "mine.txt"))
