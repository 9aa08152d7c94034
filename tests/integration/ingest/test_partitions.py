"""Shards that read their own partitions only, on real servers."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest

from compose.local.processes import Instance
from compose.local.servers import start_nats
from tasks.frames.subjects import insert
from tasks.ledger.reader import LedgerReader
from tasks.protocol import dead_letters
from tasks.protocol.routing import partition
from tests.support.service import Ingest, ingest, publish
from tests.support.waiting import wait_for

Q = 16
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "BNBUSDT", "XRPUSDT", "ADAUSDT")
STRATEGIES = """
[pools.trade]
kinds = ["trade"]
partitions = 8

[pools.trade.strategies.trade_momentum]
"""
BASKET = """
[pools.basket]
kinds = ["trade"]
key = "all"

[pools.basket.strategies.market_dominance]
"""


def frame(symbol: str, number: int = 1) -> bytes:
    return (
        b'{"e":"trade","E":1723161255343,"s":"%b","t":%d,"p":"61837.63","q":"0.02","T":1723161255342,"m":true,"M":true}'
        % (symbol.encode(), number)
    )


def subject(namespace: str, symbol: str, shift: int = 0) -> str:
    """Return where a symbol's trades are published, or so many partitions further."""
    return insert(f"{namespace}.{symbol.lower()}@trade", (partition("spot", symbol, Q) + shift) % Q)


@contextmanager
def sharded(
    nats_url: str, redis_url: str, namespace: str, tmp_path: Path, total: int, **more: str
) -> Iterator[list[Ingest]]:
    """Start so many shards; each is ready."""
    file = tmp_path / "strategies.toml"
    file.write_text(STRATEGIES)
    common = {"NATS_PARTITIONS": str(Q), "STRATEGIES_FILE": str(file), **more}
    with ExitStack() as stack:
        shards = [
            stack.enter_context(ingest(nats_url, redis_url, namespace, INGEST_SHARD=f"{number}/{total}", **common))
            for number in range(total)
        ]
        for shard in shards:
            shard.wait_ready()
        yield shards


def counted(service: Ingest, frames: int) -> bool:
    return LedgerReader(service.settings).counters().of("frames") == frames


def read_by(service: Ingest) -> int:
    """Return how many frames a shard has counted."""
    lines = service.get("/metrics")[1].splitlines()
    [line] = [line for line in lines if line.startswith("ingest_frames_total ")]
    return int(float(line.split()[1]))


def letters(service: Ingest) -> list[tuple[str, str]]:
    reader = LedgerReader(service.settings)
    kept = [dead_letters.unpack(each) for _, each in reader.entries(reader.keys.deadletters, b"letter")]
    return sorted((each.refusal, each.subject) for each in kept)


def test_a_shard_reads_and_counts_the_frames_of_its_own_partitions(nats_url, redis_url, namespace, tmp_path):
    own = [sum(partition("spot", symbol, Q) % 2 == number for symbol in SYMBOLS) for number in range(2)]
    with sharded(nats_url, redis_url, namespace, tmp_path, 2) as shards:
        asyncio.run(publish(nats_url, *((subject(namespace, symbol), frame(symbol)) for symbol in SYMBOLS)))
        wait_for(partial(counted, shards[0], len(SYMBOLS)), "all frames to be counted")
        held = [(shard.ready() or {})["held_events"] for shard in shards]
        assert [read_by(shard) for shard in shards] == held == own
        assert all(own)


def test_a_servers_mappings_by_name_give_frames_their_partition(redis_url, namespace, tmp_path):
    lines = [f'"{namespace}.{symbol.lower()}@trade": "{subject(namespace, symbol)}"' for symbol in SYMBOLS]
    (file := tmp_path / "nats.conf").write_text("mappings {\n%s\n}" % "\n".join(lines))
    with Instance("mapped") as instance:
        _, url = start_nats(instance, jetstream=False, options=("--config", str(file)))
        with sharded(url, redis_url, namespace, tmp_path, 2) as shards:
            asyncio.run(publish(url, *((f"{namespace}.{symbol.lower()}@trade", frame(symbol)) for symbol in SYMBOLS)))
            wait_for(partial(counted, shards[0], len(SYMBOLS)), "all frames to be counted")
            assert sum((shard.ready() or {})["held_events"] for shard in shards) == len(SYMBOLS)
            assert letters(shards[0]) == []


@pytest.mark.parametrize("total", [1, 2])
def test_frames_elsewhere_are_refused_once_and_reported(nats_url, redis_url, namespace, tmp_path, total):
    wrong = {
        subject(namespace, "BTCUSDT", shift=1),
        subject(namespace, "ETHUSDT", shift=2),
        f"{namespace}.solusdt@trade",
        f"{namespace}.{Q + 5}.bnbusdt@trade",
        f"{namespace}.kraken.trade.XRPUSDT",
    }
    with sharded(nats_url, redis_url, namespace, tmp_path, total) as shards:
        frames = [(each, frame(symbol)) for each in wrong for symbol in SYMBOLS if symbol.lower() in each.lower()]
        asyncio.run(publish(nats_url, *frames, (subject(namespace, "ADAUSDT"), frame("ADAUSDT"))))
        wait_for(partial(counted, shards[0], len(wrong) + 1), "all frames to be counted")
        assert letters(shards[0]) == sorted(("wrong_partition", each) for each in wrong)
        assert sum((shard.ready() or {})["held_events"] for shard in shards) == 1
        found = [finding["name"] for shard in shards for finding in (shard.ready() or {})["findings"]]
    assert "wrong_partition" in found


def test_what_would_part_a_symbol_from_its_lane_is_refused_at_the_start(nats_url, redis_url, namespace, tmp_path):
    file = tmp_path / "strategies.toml"
    file.write_text(STRATEGIES + BASKET)
    for shard, partitions, says in (
        ("0/3", "16", "NATS_PARTITIONS 16 is no multiple of the 3 shards"),
        ("0/16", "16", "the 8 partitions of pool trade must be a multiple of the 16 shards"),
        ("0/2", "16", "pool basket, keyed all, must name its symbols"),
    ):
        more = {"INGEST_SHARD": shard, "NATS_PARTITIONS": partitions, "STRATEGIES_FILE": str(file)}
        with ingest(nats_url, redis_url, namespace, **more) as service:
            assert service.wait_end() == 1
            [line] = service.logged("can't start")
        assert says in line["why"]
