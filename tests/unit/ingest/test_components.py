"""How the components of ingest are put together."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from compose.local.processes import ROOT
from ingest.components import Components
from ingest.counters import Counted
from tasks.errors import SettingsError
from tasks.settings import Settings

#: Celery's own pool and other programs' classes have no other place for it.
THEIRS = {
    "tasks/worker/consumer.py: pool.on_process_down",
    "tasks/worker/entries/control_answers.py: mailbox._publish_reply",
    "tasks/cli/aligned_lines.py: cell.plain",
}


def targets(node: ast.AST) -> Iterator[ast.expr]:
    """Yield what a statement assigns to."""
    assigned = node.targets if isinstance(node, ast.Assign) else [node.target] if hasattr(node, "target") else []
    for target in assigned:
        yield from target.elts if isinstance(target, ast.Tuple) else [target]


def attributes(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield owner and name of each attribute that is assigned to."""
    for node in ast.walk(tree):
        for target in targets(node):
            if isinstance(target, ast.Attribute):
                yield ast.unparse(target.value), target.attr


def made_by(tree: ast.Module) -> tuple[set[str], set[str]]:
    """Return the attributes that the classes of a module make in `__init__`, and the fields that they declare."""
    bodies = [each for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for each in node.body]
    makers = [each for each in bodies if isinstance(each, ast.FunctionDef) and each.name == "__init__"]
    made = {name for each in makers for owner, name in attributes(each) if owner == "self"}
    return made, {each.target.id for each in bodies if isinstance(each, ast.AnnAssign) and hasattr(each.target, "id")}


def set_from_outside(trees: Mapping[str, ast.Module]) -> Iterator[str]:
    """Yield the attributes, callbacks and private ones of components that another module than theirs sets.

    Fields of records, which are declared and not made in `__init__`, are data: whoever has the record may set them.
    """
    made = {file: made_by(tree) for file, tree in trees.items()}
    fields = set().union(*(declared for _, declared in made.values()))
    for file, tree in trees.items():
        elsewhere = set().union(*(attributes for other, (attributes, _) in made.items() if other != file))
        components = elsewhere - made[file][0] - fields
        for owner, name in attributes(tree):
            if owner not in {"self", "cls"} and (name.startswith(("_", "on_")) or name in components):
                yield f"{file}: {owner}.{name}"


def test_no_component_is_given_its_attributes_or_callbacks_later():
    files = [file for top in ("tasks", "ingest", "compose") for file in (ROOT / top).rglob("*.py")]
    found = set(set_from_outside({str(file.relative_to(ROOT)): ast.parse(file.read_text()) for file in files}))
    assert found - THEIRS == set()


def test_an_attribute_that_is_given_later_is_found():
    part = "class Part:\n    def __init__(self):\n        self.port = 0\n"
    whole = "def run(part, record):\n    server, part.port = 1, 2\n    part._hidden = 3\n    record.field = 4\n"
    found = set(set_from_outside({"part.py": ast.parse(part), "whole.py": ast.parse(whole)}))
    assert found == {"whole.py: part.port", "whole.py: part._hidden"}


def test_a_restart_forgets_what_was_counted_since():
    """The source is read again from further back: the ledger is not to learn of those frames twice."""
    components = Components(Settings())
    components.frame_handler.deliver("a", b"\xff{")
    assert (
        len(components.refused.letters),
        components.counters.unwritten.of("frames"),
        components.checkpoints.left,
    ) == (1, 1, True)
    components.sender.conditions.on_restart(Counted(40))
    assert (len(components.refused.letters), components.checkpoints.left, components.counters.counted) == (0, False, 40)


def test_batches_wait_while_redis_is_almost_full():
    components = Components(Settings())
    assert components.sender.conditions.may_send()
    components.memory_guard.poll("redis://a", 999, 1_000)
    assert not components.sender.conditions.may_send()


@pytest.mark.parametrize(("content", "says"), [(None, "can't read"), (b"{}", "is not what a backtest wrote")])
def test_a_bad_file_of_expected_returns_is_refused_by_name(tmp_path: Path, content: bytes | None, says: str):
    file = tmp_path / "expected.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match=says) as refused:
        Components(Settings(expected_returns_file=str(file)))
    assert str(refused.value).startswith("EXPECTED_RETURNS_FILE: ")
