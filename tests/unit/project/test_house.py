"""What a reader of the code may count on: short modules and functions, small folders, faces, no circles."""

import ast
import re
import shutil
import subprocess
import tomllib
from collections import Counter
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

from compose.local.processes import ROOT
from tests import draw_packages

TOPS = ("tasks", "ingest", "compose")
MAX_LINES, MAX_FUNCTION_LINES, MAX_FILES = 300, 40, 25


@cache
def files() -> tuple[Path, ...]:
    git = shutil.which("git")
    assert git, "git"
    listed = subprocess.run([git, "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return tuple(path for path in (ROOT / line for line in listed.splitlines()) if path.is_file())


@cache
def modules_below(top: str) -> tuple[tuple[str, Path, ast.Module], ...]:
    return tuple(
        (
            ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"),
            path,
            ast.parse(path.read_text()),
        )
        for path in files()
        if path.suffix == ".py" and path.relative_to(ROOT).parts[0] == top
    )


def modules(*tops: str) -> Iterator[tuple[str, Path, ast.Module]]:
    """Yield name, path and syntax tree of each module below the folders."""
    for top in tops:
        yield from modules_below(top)


def packages() -> Iterator[tuple[str, ast.Module]]:
    """Yield the packages of tasks and ingest."""
    for name, path, tree in modules("tasks", "ingest"):
        if path.name == "__init__.py":
            yield name, tree


def names_of(tree: ast.Module) -> list[str]:
    """Return what the package's `__all__` names; nothing without one."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(to, ast.Name) and to.id == "__all__" for to in node.targets):
            names: list[str] = ast.literal_eval(node.value)
            return names
    return []


def test_no_module_has_more_than_300_lines():
    long = {name: len(path.read_text().splitlines()) for name, path, _ in modules(*TOPS, "tests")}
    assert {name: lines for name, lines in long.items() if lines > MAX_LINES} == {}


def test_no_function_has_more_than_40_lines():
    long = {}
    for name, _, tree in modules(*TOPS, "tests"):
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                if lines > MAX_FUNCTION_LINES:
                    long[f"{name}.{node.name}"] = lines
    assert long == {}


def test_no_test_has_a_name_of_more_than_70_characters():
    names = [
        node.name
        for *_, tree in modules("tests")
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    ]
    assert [name for name in names if len(name) > 70] == []


def test_no_folder_has_more_than_25_files():
    counts = Counter(path.parent.relative_to(ROOT) for path in files())
    assert {str(folder): count for folder, count in counts.items() if count > MAX_FILES} == {}


def test_each_package_says_what_it_is_and_names_what_others_may_use():
    faceless = [name for name, tree in packages() if not (ast.get_docstring(tree) and names_of(tree))]
    assert faceless == []


def test_each_package_says_who_may_use_it():
    silent = [
        name
        for name, tree in packages()
        if not re.search(r"\buse[sd]?\b", ast.get_docstring(tree) or "", re.IGNORECASE)
    ]
    assert silent == []


@pytest.mark.parametrize("top", ["tasks", "ingest"])
def test_a_face_names_each_module_of_its_package(top: str):
    for name, tree in packages():
        if name.split(".")[0] == top:
            below = {other.removeprefix(f"{name}.") for other, *_ in modules(top) if other.startswith(f"{name}.")}
            assert {module for module in below if "." not in module} - {"__main__"} <= set(names_of(tree)), name


@pytest.mark.parametrize("top", TOPS)
def test_no_modules_import_each_other_in_a_circle(top: str):
    graph = grimp.build_graph(top, cache_dir=None)
    imports = {each: graph.find_modules_directly_imported_by(each) for each in graph.modules}
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize("top", ["tasks", "ingest", "compose"])
def test_no_packages_import_each_other_in_a_circle(top: str):
    try:
        TopologicalSorter(draw_packages.imports(top)).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_what_calls_itself_pure_is_held_to_it():
    document = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = document["tool"]["importlinter"]["contracts"]
    held = {name for each in contracts if "pure" in each["name"] for name in each["source_modules"]}
    says = {
        name
        for name, _, tree in modules("tasks", "ingest")
        if "Pure." in (said := ast.get_docstring(tree) or "") or "Pure:" in said
    }
    assert {name for name in says if not any(name == each or name.startswith(f"{each}.") for each in held)} == set()


#: A Celery task takes its payload and nothing else.
MAY_BE_PATCHED = {"tasks.worker.task._ledger"}


def imported(tree: ast.Module) -> dict[str, str]:
    """Return what each name that a module imports stands for, dotted."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names |= {each.asname or each.name: f"{node.module}.{each.name}" for each in node.names}
        elif isinstance(node, ast.Import):
            names |= {each.asname: each.name for each in node.names if each.asname}
    return names


def patched(tree: ast.Module) -> Iterator[str]:
    """Yield what a module replaces by `monkeypatch.setattr`, `patch`, `patch.object` or an assignment, dotted."""
    names = imported(tree)

    def dotted(node: ast.expr) -> str:
        first, _, rest = ast.unparse(node).partition(".")
        return f"{names.get(first, first)}.{rest}".rstrip(".")

    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr="setattr" | "object") | ast.Name(id="setattr" | "patch"), args=args):
                match args:
                    case [ast.Constant(value=str(path)), *_]:
                        yield path
                    case [owner, ast.Constant(value=str(name)), *_]:
                        yield f"{dotted(owner)}.{name}"
            case ast.Attribute(value=owner, ctx=ast.Store()):
                yield f"{dotted(owner)}.{node.attr}"


def is_given_by_argument(path: str) -> bool:
    """Whether what a test replaces is a constant, or a private part of our modules."""
    name = path.rpartition(".")[2]
    return name.isupper() or (name.startswith("_") and path.partition(".")[0] in TOPS)


def test_tests_set_limits_and_timings_by_arguments_and_patch_no_constant():
    found = {path: name for name, _, tree in modules("tests") for path in patched(tree) if is_given_by_argument(path)}
    assert found.keys() == MAY_BE_PATCHED, found


@pytest.mark.parametrize(
    "line",
    [
        "monkeypatch.setattr(relay, 'RETRY_S', 0.1)",
        "monkeypatch.setattr('ingest.relay._entries', len)",
        "patch.object(relay, '_entries', len)",
        "relay.RETRY_S = again.relay.RETRY_S = 0.1",
        "setattr(relay, '_entries', len)",
    ],
)
def test_the_rule_on_patches_sees_each_way_to_patch(line: str):
    assert any(map(is_given_by_argument, patched(ast.parse(f"from ingest import relay\n{line}"))))
