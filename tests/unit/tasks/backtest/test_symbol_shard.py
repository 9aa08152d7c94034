"""How the symbols of a recording are partitioned among processes."""

from hypothesis import given
from hypothesis import strategies as st

from tasks.backtest.symbol_shard import SymbolShard
from tasks.history.recordings import RecordingLine

NAMES = st.lists(st.sampled_from(["BTCUSDT", "ETHUSDT", "SOLUSDT", "BNBUSDT", ""]), max_size=30)


@given(NAMES, st.integers(1, 5))
def test_each_symbol_is_one_processs_whenever_it_is_asked_for(names: list[str], processes: int):
    shards = [SymbolShard(number, processes) for number in range(processes)]
    owners = [[shard.claim(name) for shard in shards].index(True) for name in names]
    assert all(sum(shard.claim(name) for shard in shards) == 1 for name in names)
    assert len(set(zip(names, owners, strict=True))) == len(set(names))
    assert {tuple(shard.symbols) for shard in shards} == {tuple(sorted(set(names) - {""}))}


def test_symbols_are_dealt_in_turn_so_that_no_process_gets_two_more():
    first, second = SymbolShard(0, 2), SymbolShard(1, 2)
    assert [first.claim(name) for name in "ABC"] == [True, False, True]
    assert [second.claim(name) for name in "ABC"] == [False, True, False]
    assert (first.is_first, second.is_first) == (True, False)


def test_one_alone_has_every_symbol():
    alone = SymbolShard()
    assert alone.is_first
    assert all(alone.claim(name) for name in ("BTCUSDT", ""))


def test_the_name_of_a_stream_tells_the_symbol_where_it_can():
    named = SymbolShard.stream(RecordingLine(b"", "btcusdt@depth20@100ms", 0))
    assert named is not None
    assert named.symbol == "BTCUSDT"
    assert SymbolShard.stream(RecordingLine(b"", "nonsense", 0)) is None


def test_a_line_belongs_to_whose_symbol_its_stream_names():
    shards, line = [SymbolShard(number, 2) for number in range(2)], RecordingLine(b"", "ethusdt@trade", 0)
    assert [shard.claim("BTCUSDT") for shard in shards] == [True, False]
    assert [[shard.claim_stream(line) for shard in shards] for _ in range(2)] == [[False, True]] * 2
    assert [shard.claim("ETHUSDT") for shard in shards] == [False, True]
    assert shards[0].claim_stream(RecordingLine(b"", "nonsense", 0)) is None
