"""docs/security.md says who can do what to whom; each cell of its table leads to a test that tried it."""

import ast
import re

from compose.local.processes import ROOT
from tests.support.servers import security_page

ACTORS = [
    "a feed", "ingest", "a worker", "Flower", "the operator's commands", "sweep (research)", "a delivery",
    "anybody on the page's or a worker's port", "anybody on ingest's port without a token", "a caller of the HTTP API",
    "anybody on Flower's port", "a web site in somebody's browser",
    "anybody on NATS that has logins", "anybody on NATS without logins", "anybody who can write to all of Redis",
    "owner of the strategies file", "author of a strategy",
]  # fmt: skip
CELLS = security_page.cells("who")
LINK = r"\[[^\]]+\]\[([\w-]+)\]"
#: By label: file and test.
TESTS = {
    label: (file, name)
    for label, file, name in re.findall(r'^\[([\w-]+)\]: (\S+) "(\w+)"$', security_page.TEXT, re.MULTILINE)
}


def test_the_table_has_a_row_for_everybody():
    assert list(security_page.table("who")) == ACTORS


def test_each_cell_leads_to_tests_and_says_nothing_beside():
    odd = [(who, what, cell) for who, what, cell in CELLS if not re.fullmatch(f"{LINK}(, {LINK})*", cell)]
    assert odd == []
    assert {label for *_, cell in CELLS for label in re.findall(LINK, cell)} == set(TESTS)


def test_each_test_that_the_table_leads_to_is_there():
    missing = []
    for file, name in TESTS.values():
        tree = ast.parse((ROOT / "docs" / file).read_text(encoding="utf-8"))
        defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        if name not in defined:
            missing.append((file, name))
    assert missing == []
