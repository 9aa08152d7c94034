"""How the components of ingest are put together."""

import ast
from collections.abc import Iterator

from compose.local.processes import ROOT
from ingest.components import Components
from tasks.settings import Settings

#: Celery's own pool has no other place for it.
THEIRS = {"tasks/worker/consumer.py: pool.on_process_down"}


def set_from_outside(source: str) -> Iterator[str]:
    """Yield the private attributes and callbacks that a module sets on another object than `self`."""
    for node in ast.walk(ast.parse(source)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if hasattr(node, "target") else []
        for target in (each for one in targets for each in (one.elts if isinstance(one, ast.Tuple) else [one])):
            if isinstance(target, ast.Attribute) and target.attr.startswith(("_", "on_")):
                owner = ast.unparse(target.value)
                if owner not in {"self", "cls"}:
                    yield f"{owner}.{target.attr}"


def test_no_object_is_given_private_attributes_or_callbacks_later():
    files = [file for top in ("tasks", "ingest", "compose") for file in (ROOT / top).rglob("*.py")]
    found = {f"{file.relative_to(ROOT)}: {name}" for file in files for name in set_from_outside(file.read_text())}
    assert found - THEIRS == set()


def test_a_restart_forgets_what_was_counted_since():
    """The source is read again from further back: the ledger is not to learn of those frames twice."""
    components = Components(Settings())
    components.frame_handler.deliver("a", b"\xff{")
    assert (
        len(components.refused.letters),
        components.counters.unwritten.of("frames"),
        components.checkpoints.left,
    ) == (1, 1, True)
    components.sender.conditions.on_restart(40)
    assert (len(components.refused.letters), components.checkpoints.left, components.counters.counted) == (0, False, 40)


def test_batches_wait_while_redis_is_almost_full():
    components = Components(Settings())
    assert components.sender.conditions.may_send()
    components.memory_guard.poll("redis://a", 999, 1_000)
    assert not components.sender.conditions.may_send()
