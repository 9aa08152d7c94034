"""What the ledger holds: ours, unless somebody else writes there too, or another release does."""

import re
from contextlib import suppress

import msgspec

from ingest.lanes.layout import Layout
from ingest.ledger.damage import LedgerDamage
from ingest.ledger.stored_shard import StoredShard, frames_read, read_epoch
from ingest.page.page_state import PageState
from ingest.sources.resume import LastFrame
from tasks import engine
from tasks.cli import format_dead_letters, format_signals
from tasks.configuration import Configuration, registry
from tasks.configuration.bound_strategy import BoundStrategy
from tasks.configuration.overlay import Overlay, merge, of_pool, of_strategy
from tasks.configuration.overlay_findings import runtime_values
from tasks.configuration.stored import StoredConfiguration, kept_overlay, pack_overlay
from tasks.engine import strategy_run
from tasks.errors import UNREADABLE, LedgerError
from tasks.events import Position
from tasks.frames.subjects import FrameSubjects
from tasks.ledger import heartbeats, read_position
from tasks.ledger.dead_letters import StoredLetter
from tasks.ops import dead_letter_facts, retry
from tasks.protocol import dead_letters, records
from tasks.protocol.outcome import Outcome
from tests.fuzz.samples import DEFAULT, EVENTS, FRAMES, ROUTER, SOURCE
from tests.fuzz.targets import target
from tests.support.frames.wire import packed


@target(b"core-1@42", b"jetstream-FRAMES-1@7", b"7.3f9a02c1", b"js-FRAMES-1.2@7@1700000000000000000")
def positions(raw: bytes) -> None:
    with suppress(LedgerError):
        found = read_position(raw, "k f")
        assert found is None or Position.parse(str(found)) == found
    with suppress(LedgerError):
        read_epoch(raw, "shard:0")
    with suppress(LedgerError):
        read = frames_read({"shard:0 read": raw})
        assert [LastFrame.parse(str(each)) for each in read] == read
    with suppress(LedgerError):
        StoredShard("shard:0", b"7.ab", raw, b"7.ab#1 7.ab s@3", None, None).frontiers(LedgerDamage())
        StoredShard("shard:0", b"7.ab", b"s@3", raw, None, None).frontiers(LedgerDamage())


LETTERS = (
    dead_letters.raised(ValueError("x\ny"), "trade", "echo", EVENTS[0]),
    dead_letters.raised(ValueError("x\ny"), "depth", "echo", EVENTS[1]),
    dead_letters.refused("not_json", "expected value", "binance.btcusdt@trade", FRAMES[3]),
    dead_letters.no_subject(b'{"strategy":"a","symbol":"BTCUSDT"}', "a b"),
)


@target(*map(dead_letters.pack, LETTERS))
def letters(raw: bytes) -> None:
    letter = StoredLetter("1723161254087-0", dead_letters.read(raw))
    msgspec.json.encode(dead_letter_facts.facts(letter))
    said = [format_dead_letters.line(letter), *format_dead_letters.whole(letter)]
    assert all(each.isprintable() for text in said for each in text if each not in "\n\t")
    retry.prepare(letter, FrameSubjects.read("binance.>"))


STRATEGIES: tuple[BoundStrategy, ...] = tuple(each for pool in registry.build(DEFAULT).values() for each in pool)


def _worked(strategy: BoundStrategy, held: dict[str, bytes | None]) -> Outcome:
    return engine.BatchRun("trade", SOURCE, [strategy], "abc", held).finish(EVENTS)


STORED = [_worked(strategy, {}).fields for strategy in STRATEGIES]
_NAMES = sorted({name for fields in STORED for name in fields})


@target(
    *(
        bytes([number, _NAMES.index(name)]) + each
        for number, fields in enumerate(STORED)
        for name, each in fields.items()
    )
)
def states(raw: bytes) -> None:
    """A strategy (first byte) finds this in the ledger as a record or a state (second byte)."""
    if len(raw) < 2:
        return
    strategy, name = STRATEGIES[raw[0] % len(STRATEGIES)], _NAMES[raw[1] % len(_NAMES)]
    with suppress(strategy_run.NewerStateError):
        outcome = _worked(strategy, {name: raw[2:]})
        again = _worked(strategy, dict(outcome.fields))
        assert "unreadable" not in {dead_letters.unpack(letter).reason for letter in again.letters}
        assert all(records.unpack(packed) for name, packed in outcome.fields.items() if name.startswith("record:"))


@target(DEFAULT.canonical(), Layout(ROUTER).encode())
def configurations(raw: bytes) -> None:
    for read in (Configuration.parse, Layout(ROUTER).other_shards):
        said = ""
        try:
            read(raw)
        except LedgerError as error:
            said = str(error)
        assert "\n" not in said


def _kept(overlay: Overlay) -> bytes:
    """Return it without a checksum, as an earlier release wrote it: else next to nothing that is changed is read."""
    return re.sub(rb',"checksum":"\w+"', b"", pack_overlay("1", overlay))


@target(
    _kept(of_strategy("trade_momentum", {"notional": 7}, symbol="BTCUSDT")),
    _kept(of_strategy("trade_momentum", {"gate.killed": True})),
    _kept(of_pool("depth", paused=True)),
    _kept(of_strategy("gone", {"a.b": [1]}, pool="depth")),
)
def overlays(raw: bytes) -> None:
    """What was set at run time never ends a start, whatever it says."""
    overlay = kept_overlay(StoredConfiguration("1", "", raw))
    if overlay is not None and len(overlay) < 20:
        merged = merge(DEFAULT, overlay, registry.build)
        assert all("\n" not in unused.why for unused in merged.unused)
        assert len(list(runtime_values(DEFAULT, overlay))) >= len(merged.unused)


SIGNAL = packed({
    "id": "a", "strategy": "b", "symbol": "C", "action": "buy", "price": 1.5, "confidence": 0.5, "event_time_ms": 1,
    "rationale": "why", "trigger": {"kind": "trade", "id": 1},
})  # fmt: skip


@target(SIGNAL)
def signals(raw: bytes) -> None:
    PageState._read(b"1723161254087-0", raw)
    with suppress(*UNREADABLE):
        format_signals.plain(format_signals.decode(raw))


ENTRY = b'{"clock_ms":1723161600000,"queues":["trade"],"processes":2,"version":"1","seen_s":1723161600.5}'


@target(ENTRY)
def workers(raw: bytes) -> None:
    """What a worker says of itself; one that says nonsense hides no other."""
    assert heartbeats.alive({raw: raw, b"ours@host": ENTRY}, 1_723_161_601.0)
