"""The tables of docs/research/sweeps.md are the code's, and its sweep file can be used."""

import re
import tomllib
from pathlib import Path

import pytest
from typer.main import get_command

from compose.local.processes import ROOT
from tasks import configuration
from tasks.cli.sweep.commands import app
from tasks.cli.sweep.display import SweepReport
from tasks.sweep import Sweep, sweep_run
from tasks.sweep import work_plan as plans
from tasks.sweep.figures import COSTS, SweepRow
from tasks.sweep.walk_forward import WalkForward, WindowChoice

PAGE = (ROOT / "docs" / "research" / "sweeps.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def first_cells(title: str) -> list[str]:
    """Return the first cell of each row of the tables of a section, without their heads."""
    rows = re.findall(r"^\| (`.+?`) \|", section(title), re.MULTILINE)
    return [str(row) for row in rows]


def test_the_table_of_options_has_those_of_the_command():
    named = {option for cell in first_cells("Options") for option in re.findall(r"--[\w-]+", cell)}
    options = [parameter for parameter in get_command(app).params if parameter.param_type_name == "option"]
    ours = [set(each.opts) for each in options if "completion" not in str(each.name)]
    assert all(len(opts & named) == 1 for opts in ours), ours
    assert named == set().union(*(opts & named for opts in ours))


def test_the_table_of_columns_has_those_of_a_row_and_says_which_are_costs():
    assert [cell.strip("`") for cell in first_cells("Rows")] == list(SweepRow.__struct_fields__)
    costs = re.findall(r"^\| `(\w+)` \|.*\ba cost\b", section("Rows"), re.MULTILINE)
    assert set(costs) == COSTS


def test_the_fields_of_the_json_are_those_of_the_report():
    text = section("JSON")
    assert {f"`{name}`" for name in SweepReport.__struct_fields__} <= set(re.findall(r"`\w+`", text))
    assert [cell.strip("`") for cell in first_cells("JSON")] == list(WalkForward.__struct_fields__)
    own = set(WindowChoice.__struct_fields__) - {"strategy"}
    assert own <= set(re.findall(r"`(\w+)`", text))


@pytest.mark.parametrize("method", ["grid", "random"])
def test_the_sweep_file_of_the_page_can_be_used(method: str, tmp_path: Path):
    [text] = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    if method == "grid":
        text = re.sub(r"(?s)\[search\].*?\n\n", "", text).replace("to = 0.9 }", "to = 0.9, step = 0.1 }")
    (tmp_path / "sweep.toml").write_text(text)
    shipped = configuration.read(ROOT / "tasks" / "strategies.toml")
    sets = Sweep.read(tmp_path / "sweep.toml").plan(shipped).sets
    assert {each.strategy for each in sets} == {*tomllib.loads(text)["sweep"]}


def test_the_sizes_on_the_page_are_those_of_the_code():
    assert f"up to {plans.MOST_UNITS} units" in section("How work is split")
    assert f"at most {sweep_run.BUDGET_S:g} s of a block" in section("How work is split")
