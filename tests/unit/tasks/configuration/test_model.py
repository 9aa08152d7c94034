"""The strategies file."""

import pytest

from tasks.configuration import Configuration, read, registry
from tasks.configuration.gate import Gate
from tasks.errors import LedgerError, SettingsError

FILE = """
[pools.depth]
kinds = ["depth"]
partitions = 4
[pools.depth.strategies.spread_liquidity]
history = 30
[pools.depth.strategies.orderbook_skew]

[pools.basket]
kinds = ["trade"]
key = "all"
symbols = ["ETHUSDT", "BTCUSDT"]
[pools.basket.strategies."somebody.module:Theirs"]
"""


@pytest.fixture
def written(tmp_path):
    def write(text: str):
        path = tmp_path / "strategies.toml"
        path.write_text(text)
        return path

    return write


def test_a_file_gives_pools_strategies_and_parameters(written):
    configuration = read(written(FILE))
    assert list(configuration.pools) == ["depth", "basket"]
    strategies = configuration.pools["depth"].strategies
    assert {name: chosen.params for name, chosen in strategies.items()} == {
        "spread_liquidity": {"history": 30},
        "orderbook_skew": {},
    }
    assert configuration.pools["basket"].symbols == {"BTCUSDT", "ETHUSDT"}


def test_routing_sees_the_pools_of_the_file(written):
    depth, basket = read(written(FILE)).routes()
    assert (depth.name, depth.kinds, depth.key, len(depth.lanes)) == ("depth", ("depth",), "symbol", 4)
    assert (basket.name, basket.key, len(basket.lanes)) == ("basket", "all", 1)
    assert basket.wants("BTCUSDT", "trade")
    assert not basket.wants("BNBUSDT", "trade")


@pytest.mark.parametrize(
    ("table", "tables"),
    [
        ("", ()),
        ("[paper]", ("paper",)),
        ("[pools.depth.strategies.orderbook_skew.paper]", ("paper",)),
        ("[pools.depth.strategies.orderbook_skew.symbols.BTCUSDT.paper]", ("paper",)),
        ('[pools.depth.shadow.orderbook_skew]\nof = "orderbook_skew"', ("shadow",)),
    ],
)
def test_routing_sees_which_tables_older_workers_cannot_read(written, table, tables):
    assert {pool.tables for pool in read(written(f"{FILE}{table}\n")).routes()} == {tables}


# The version.
def test_the_version_is_16_hexadecimal_digits_and_the_same_each_time(written):
    versions = {read(written(FILE)).version for _ in range(3)}
    assert len(versions) == 1
    assert len(bytes.fromhex(versions.pop())) == 8


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("partitions = 4", "partitions = 1"),
        ('["ETHUSDT", "BTCUSDT"]', '["BTCUSDT", "ETHUSDT"]'),
        ("[pools.depth]", "# x\n[pools.depth]"),
    ],
)
def test_partitions_order_of_symbols_and_comments_keep_the_version(written, old, new):
    assert read(written(FILE.replace(old, new))).version == read(written(FILE)).version


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("history = 30", "history = 31"),
        ("history = 30", ""),
        ('"BTCUSDT"]', '"BNBUSDT"]'),
        ("pools.depth", "pools.books"),
    ],
)
def test_what_changes_the_signals_changes_the_version(written, old, new):
    assert read(written(FILE.replace(old, new))).version != read(written(FILE)).version


def test_what_workers_read_is_the_configuration_but_for_partitions(written):
    configuration = read(written(FILE))
    copy = Configuration.parse_as(configuration.version, configuration.canonical())
    assert copy.version == configuration.version
    assert {name: pool.strategies for name, pool in copy.pools.items()} == {
        name: pool.strategies for name, pool in configuration.pools.items()
    }
    assert copy.pools["basket"].symbols == configuration.pools["basket"].symbols


def test_content_that_was_changed_under_its_version_is_refused(written):
    configuration = read(written(FILE))
    changed = configuration.canonical().replace(b'"history":30', b'"history":31')
    assert changed != configuration.canonical()
    found = Configuration.parse(changed).version
    with pytest.raises(LedgerError, match=f"configuration {configuration.version} was changed: .* that of {found}"):
        Configuration.parse_as(configuration.version, changed)


# What can't be read.
@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("", ["pools: is missing"]),
        ("[pools]", ["pools: must have at least 1"]),
        (
            '[pools.depth]\nkinds = ["depth", "dept"]\npartitions = 0\ncolour = 1\n[pools.depth.strategies.x]\n',
            [
                "pools.depth.kinds.1: must be 'depth', 'trade', 'agg_trade', 'book_ticker', 'kline', 'mark_price' or 'liquidation'",
                "pools.depth.partitions: must be at least 1",
                "pools.depth.colour: there is no such name",
            ],
        ),
        (
            "[pools.depth]\nkinds = []\n[pools.depth.strategies]\n",
            [
                "pools.depth.kinds: must have at least 1",
                "pools.depth.strategies: must have at least 1",
            ],
        ),
    ],
)
def test_every_fault_of_a_file_is_in_one_message(written, text, faults):
    path = written(text)
    with pytest.raises(SettingsError) as refusal:
        read(path)
    assert refusal.value.faults == tuple(faults)
    between = " " if len(faults) == 1 else "\n  "
    assert str(refusal.value) == between.join([f"{path} can't be used:", *faults])


@pytest.mark.parametrize("name", ["Depth", "a.b", "a b", "9lives", "x" * 33])
def test_a_pools_name_is_a_short_lower_case_word(written, name):
    with pytest.raises(SettingsError, match="must match"):
        read(written(f'[pools."{name}"]\nkinds = ["depth"]\n[pools."{name}".strategies.x]\n'))


def test_no_pool_has_the_name_of_the_queue_of_sweeps(written):
    with pytest.raises(SettingsError, match="research is the queue of sweeps: name the pool otherwise"):
        read(written('[pools.research]\nkinds = ["depth"]\n[pools.research.strategies.x]\n'))


def test_a_file_that_is_not_there_is_one_clear_line(tmp_path):
    with pytest.raises(SettingsError) as refusal:
        read(tmp_path / "nowhere.toml")
    assert (
        str(refusal.value) == f"can't read the strategies file {tmp_path / 'nowhere.toml'}: No such file or directory"
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[pools", "end of document: expected ']' at the end of a table declaration"),
        (b"a = 1\na = 2", "end of document: cannot overwrite a value"),
        (b"a = ", "end of document: invalid value"),
        (b"[pools]\nkinds = depth", "line 2, column 9: invalid value"),
        (b"\xff\xfe", "it is not text in UTF-8"),
        (b"[pools.trade]\n[pools.trade]", "line 2, column 13: cannot declare pools.trade twice"),
        (b"[pools]\n[pools]", "line 2, column 7: cannot declare pools twice"),
        (b'[a."m:C\')"]\n[a."m:C\')"]', 'line 2, column 11: cannot declare a."m:C\')" twice'),
        (b"a = {b = 1}\n[a.b]", "line 2, column 5: cannot declare a.b twice"),
    ],
)
def test_a_file_that_is_not_toml_is_one_line_that_says_where(tmp_path, content, said):
    path = tmp_path / "strategies.toml"
    path.write_bytes(content)
    with pytest.raises(SettingsError) as refusal:
        read(path)
    assert str(refusal.value) == f"{path} is not TOML: {said}"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            'kinds = ["depth"]',
            'kinds = ["trades"]',
            "pools.depth.kinds.0: must be 'depth', 'trade', 'agg_trade', 'book_ticker', 'kline', 'mark_price' or 'liquidation'",
        ),
        ('kinds = ["depth"]', "kinds = []", "pools.depth.kinds: must have at least 1"),
        ("min_confidence = 0.7", "min_confidence = nan", "must be a finite number"),
        ("min_confidence = 0.7", "min_confidence = inf", "must be at most 1.0"),
    ],
)
def test_one_mistake_is_one_true_line(written, old, new, said):
    with pytest.raises(SettingsError) as refusal:
        read(written(OVERRIDES.replace(old, new)))
    [fault] = refusal.value.faults
    assert fault.endswith(said)


OVERRIDES = """
[pools.depth]
kinds = ["depth"]
[pools.depth.strategies.orderbook_skew]
levels = 5
[pools.depth.strategies.orderbook_skew.symbols.BTCUSDT]
levels = 10
[pools.depth.strategies.orderbook_skew.gate]
min_confidence = 0.7
[gate]
max_signals_per_hour = 100
"""


def test_a_symbol_may_have_parameters_of_its_own_and_gates_add_up(written):
    chosen = read(written(OVERRIDES))
    [bound] = registry.build(chosen)["depth"]
    assert bound.strategy.params.levels == bound.for_symbol("ETHUSDT").params.levels == 5
    assert bound.for_symbol("BTCUSDT").params.levels == 10
    assert bound.gate == Gate(min_confidence=0.7, max_signals_per_hour=100)


def test_a_parameter_fault_names_its_symbol_and_a_common_one_is_told_once(written):
    """A common fault is one that all symbols have."""
    with pytest.raises(SettingsError) as refusal:
        registry.build(read(written(OVERRIDES.replace("levels = 10", "levels = 0"))))
    assert list(refusal.value.faults) == ["pool depth: BTCUSDT: orderbook_skew: levels: must be at least 1"]
    with pytest.raises(SettingsError) as refusal:
        registry.build(read(written(OVERRIDES.replace("levels = 5", "levls = 5"))))
    assert str(refusal.value).count("did you mean 'levels'?") == 1


def test_gates_and_overrides_reach_the_workers_and_change_the_version(written):
    chosen, plain = read(written(OVERRIDES)), read(written(OVERRIDES.replace("0.7", "0.0")))
    assert Configuration.parse(chosen.canonical()) == chosen
    assert chosen.version != plain.version
