"""The digest of paper accounts."""

import msgspec
import pytest

from tasks.paper import PaperOrder, PaperState, SymbolAccount, positions_digest, state

ORDER = PaperOrder("s", "buy", 5, 100.0, None, None)
FIRST = b'{"closed_ms":1,"config_version":"a","id":"x","pnl":1.5,"schema_version":"1.0"}'
SECOND = b'{"closed_ms":2,"config_version":"a","id":"w","pnl":-1.0,"schema_version":"1.0"}'


def account(*orders: PaperOrder) -> tuple[str, str, bytes]:
    packed = state.pack(PaperState(symbols={"BTCUSDT": SymbolAccount(list(orders))}))
    return "depth", "paper:spot:BTCUSDT:skew", packed


def test_the_order_of_commits_and_the_configurations_name_change_nothing():
    told = positions_digest([FIRST, SECOND], [account(ORDER), account(ORDER)])
    assert told == positions_digest([SECOND, FIRST.replace(b'"a"', b'"b"')], [account(ORDER)])


@pytest.mark.parametrize("other", [FIRST.replace(b"1.5", b"1.6"), FIRST.replace(b'"x"', b'"y"')])
def test_anything_else_about_a_position_changes_it(other: bytes):
    assert positions_digest([FIRST], []) != positions_digest([other], [])


def test_what_an_account_holds_changes_it():
    assert positions_digest([], [account(ORDER)]) != positions_digest([], [account()])
    assert positions_digest([FIRST], []) != positions_digest([FIRST, SECOND], [])


@pytest.mark.parametrize(
    ("packed", "why"),
    [
        (msgspec.msgpack.encode([2, {}]), "version 2, this release reads 1"),
        (b"\xc1", "."),
        (msgspec.msgpack.encode({"a": 1}), "array"),
    ],
)
def test_an_account_of_another_version_or_none_at_all_is_told(packed: bytes, why: str):
    with pytest.raises(state.UnusableStateError, match=why):
        state.unpack(packed)
