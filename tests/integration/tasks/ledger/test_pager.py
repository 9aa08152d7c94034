"""A stream is read page by page, in both directions."""

import pytest

from tasks.ledger.pager import entries

STREAM = "pages"


@pytest.fixture
def stream(client, namespace: str) -> str:
    name = f"{namespace}:{STREAM}"
    for number in range(1, 8):
        client.xadd(name, {"number": number}, id=f"{number}-0")
    return name


@pytest.mark.parametrize("page", [1, 2, 7, 8])
@pytest.mark.parametrize("backwards", [False, True])
def test_each_entry_comes_once_in_order_whatever_the_page(client, stream: str, page: int, backwards: bool):  # noqa: FBT001 a case
    found = [(name, fields[b"number"]) for name, fields in entries([client], stream, page=page, backwards=backwards)]
    wanted = [(f"{number}-0", b"%d" % number) for number in range(1, 8)]
    assert found == (wanted[::-1] if backwards else wanted)


@pytest.mark.parametrize("backwards", [False, True])
def test_both_ends_are_included(client, stream: str, backwards: bool):  # noqa: FBT001 a case
    found = [name for name, _ in entries([client], stream, "3-0", "6", page=2, backwards=backwards)]
    assert sorted(found) == ["3-0", "4-0", "5-0", "6-0"]


def test_a_stream_that_is_not_there_has_no_entries(client, namespace: str):
    assert list(entries([client], f"{namespace}:none")) == []
