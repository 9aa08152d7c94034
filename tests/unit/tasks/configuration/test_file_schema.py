"""The JSON Schema of strategies files: ours and those of the docs fit it, and mistakes that people make do not."""

import json
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it has no stubs here
from pydantic import BaseModel, Field, PlainValidator

from compose.local.processes import ROOT
from tasks.cli import main
from tasks.configuration import file_schema, model, registry
from tasks.strategy import Params, State, Strategy

WRITTEN = ROOT / "docs" / "schemas" / "strategies.json"
FILES = ("tasks/strategies.toml", "k8s/base/strategies.toml", "tests/faults/strategies.toml")
PAGES = ("README.md", "docs/bars.md", "docs/paper.md")
POOL = '[pools.depth]\nkinds = ["depth"]\n'
SKEW = POOL + "[pools.depth.strategies.orderbook_skew]\n"
SHADOW = SKEW + '[pools.depth.shadow.iceberg]\nof = "orderbook_skew"\n'


class Level(BaseModel):
    """A parameter that is a table."""

    size: Annotated[float, Field(gt=0)]


class OwnParams(Params):
    """Parameters of somebody's own."""

    needed: int
    levels: tuple[Level, ...] = ()
    odd: Annotated[Any, Field(description="anything")] = None
    size: Annotated[int, PlainValidator(int)] = 0


class Own(Strategy[OwnParams, State]):
    """Do nothing."""

    name = "own"


def faults(text: str, **strategies: Any) -> list[str]:
    known = {name: registry.find(name) for name in registry.builtin_names()} | strategies
    validator = Draft202012Validator(file_schema.build(known))
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(tomllib.loads(text))]


def completed(excerpt: str) -> str:
    """Return a part of a file as one whole."""
    [pool] = tomllib.loads(excerpt)["pools"].items()
    return excerpt if "kinds" in pool[1] else f'pools.{pool[0]}.kinds = ["depth"]\n{excerpt}'


def blocks(page: Path) -> list[str]:
    """Return the strategies files of a page: those that name pools."""
    return [code for code in re.findall(r"```toml\n(.*?)```", page.read_text(), re.DOTALL) if "[pools." in code]


def test_the_schema_in_the_docs_is_the_one_that_the_command_prints(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        main.app(["strategies", "schema"])
    assert WRITTEN.read_text() == capsys.readouterr().out, f"./run tasks strategies schema > {WRITTEN}"


def test_the_schema_is_one():
    Draft202012Validator.check_schema(json.loads(WRITTEN.read_text()))


@pytest.mark.parametrize("name", FILES)
def test_the_files_of_the_project_fit_and_name_it(name: str):
    text = (ROOT / name).read_text()
    assert faults(text) == []
    named = re.match(r"#:schema (.+)\n", text)
    assert named
    assert ((ROOT / name).parent / named[1]).resolve() == WRITTEN


@pytest.mark.parametrize("page", PAGES)
def test_the_examples_of_the_docs_fit(page: str):
    found = blocks(ROOT / page)
    assert found
    assert [faults(completed(text)) for text in found] == [[]] * len(found)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (POOL, "$.pools.depth"),
        ("", "$"),
        (SKEW.replace('"depth"', '"dept"'), "$.pools.depth.kinds[0]"),
        (SKEW.replace('["depth"]', '"depth"'), "$.pools.depth.kinds"),
        (SKEW.replace("skew", "scew"), "$.pools.depth.strategies"),
        (SKEW.replace("pools.depth", "pools.Depth"), "$.pools"),
        (SKEW.replace("pools.depth", "pools.research"), "$.pools"),
        (SKEW + 'levels = "x"', "$.pools.depth.strategies.orderbook_skew.levels"),
        (SKEW + "levels = 0", "$.pools.depth.strategies.orderbook_skew.levels"),
        (SKEW + "level = 5", "$.pools.depth.strategies.orderbook_skew"),
        (SKEW + "gate.min_confidence = 2", "$.pools.depth.strategies.orderbook_skew.gate.min_confidence"),
        (SKEW + "gate.kill = true", "$.pools.depth.strategies.orderbook_skew.gate"),
        (SKEW + "symbols.BTCUSDT.levels = 1.5", "$.pools.depth.strategies.orderbook_skew.symbols.BTCUSDT.levels"),
        (SKEW + "symbols.BTCUSDT.gate.off = true", "$.pools.depth.strategies.orderbook_skew.symbols.BTCUSDT"),
        (SHADOW.replace("of =", "for ="), "$.pools.depth.shadow.iceberg"),
        (SHADOW + "refills = 0", "$.pools.depth.shadow.iceberg.refills"),
        ("paper.latency_ms = -1\n" + SKEW, "$.paper.latency_ms"),
        ("paper.fees_bps.SPOT.taker = 1\n" + SKEW, "$.paper.fees_bps"),
        (SKEW + '[pools.depth.strategies."mine:Own"]\ngate.off = "x"', "$.pools.depth.strategies['mine:Own'].gate.off"),
    ],
)
def test_a_mistake_in_a_file_is_one_for_the_schema_too(text: str, where: str):
    assert any(fault.startswith(f"{where}: ") for fault in faults(text)), faults(text)
    with pytest.raises(Exception, match="can't be used"):
        registry.build(model.check(tomllib.loads(text), "it"))


def test_what_a_strategy_of_ones_own_takes_is_known_once_it_is_named():
    text = POOL + '[pools.depth.strategies."mine:Own"]\nlevels = [{size = 0}]\n'
    assert faults(text) == []
    where = "$.pools.depth.strategies['mine:Own']"
    said = faults(text, **{"mine:Own": Own})
    assert sorted(fault.partition(": ")[0] for fault in said) == [where, f"{where}.levels[0].size"]
    assert faults(text.replace("0", "1") + "needed = 1\nodd = {a = 1}\nsize = 1", **{"mine:Own": Own}) == []
