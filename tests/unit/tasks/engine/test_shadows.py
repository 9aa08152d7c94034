"""Versions that do not emit: what they say is kept apart, and what the others do is as without them."""

import msgspec

from tasks.configuration.bound_strategy import BoundStrategy, PaperBinding
from tasks.configuration.gate import Gate
from tasks.engine import MemoryLedger
from tasks.paper import PaperTerms, closed_position
from tasks.protocol import dead_letters, shadowed
from tests.support.strategies import BAD, Echo, Grumpy, trades

POOL, VERSION = "trade", "c1"
PAPER = PaperBinding("trade", PaperTerms(0.0, 0.0, 0.0, {}), {})


def original(*, emits: bool = True) -> BoundStrategy:
    return msgspec.structs.replace(BoundStrategy.of(Echo.create({}), paper=PAPER), emits=emits)


def shadow(strategy: type[Echo] = Echo, gate: Gate | None = None, *, emits: bool = False) -> BoundStrategy:
    made = BoundStrategy.of(strategy.create({"notional": 7}), gate or Gate(), paper=PAPER)
    return msgspec.structs.replace(made.as_shadow("shadow~", "echo"), emits=emits)


def run(*strategies: BoundStrategy) -> MemoryLedger:
    ledger = MemoryLedger("source")
    ledger.run(POOL, trades(1, 2, BAD, 3), strategies, VERSION)
    return ledger


def originals(ledger: MemoryLedger) -> dict[str, bytes]:
    return {name: packed for name, packed in ledger.fields[POOL].items() if "shadow~" not in name}


def test_an_original_is_as_without_its_shadow():
    alone, beside = run(original()), run(original(), shadow())
    assert beside.signals == alone.signals != []
    assert originals(beside) == alone.fields[POOL]
    assert (beside.counts.by_label("signals"), beside.counts.of("held")) == ({"echo": 4}, 0)
    assert beside.counts.by_label("shadowed") == {"shadow~echo": 4}


def test_a_shadow_says_and_earns_what_it_would_by_itself():
    alone, beside = run(msgspec.structs.replace(shadow(emits=True), name="echo")), run(original(), shadow())
    found = list(map(shadowed.unpack, beside.shadowed))
    assert {each.version for each in found} == {"shadow~echo"}
    assert [bytes(each.signal) for each in found] == alone.signals
    names = ("state:spot:BTCUSDT:", "paper:spot:BTCUSDT:")
    assert [beside.fields[POOL][f"{name}shadow~echo"] for name in names] == [
        alone.fields[POOL][f"{name}echo"] for name in names
    ]
    closed = list(map(closed_position.unpack, beside.positions))
    mine = [each for each in closed if each.strategy == "shadow~echo"]
    theirs = list(map(closed_position.unpack, alone.positions))
    pairs = zip(mine, theirs, strict=True)
    assert [msgspec.structs.replace(each, strategy="echo", id=other.id) for each, other in pairs] == theirs != []
    assert len({each.id for each in closed}) == len(closed)
    assert beside.counts.by_label("positions") == {"echo": len(mine), "shadow~echo": len(mine)}


def test_what_a_shadow_raises_is_its_own():
    beside = run(original(), shadow(Grumpy))
    [letter] = map(dead_letters.unpack, beside.letters)
    assert letter.strategy == "shadow~grumpy"
    assert beside.counts.by_label("errors") == {"shadow~grumpy": 1}
    assert (beside.signals, originals(beside)) == (run(original()).signals, originals(run(original())))
    assert len(beside.shadowed) == 3


def test_a_shadow_behind_a_closed_gate_is_silent():
    ledger = MemoryLedger("source")
    outcome = ledger.run(POOL, trades(1, 2), (original(), shadow(gate=Gate(paused=True))), VERSION)
    assert (outcome.shadowed, outcome.held, outcome.counts.of("held")) == ([], [], 0)
    assert outcome.counts.by_label("shadowed") == {}


def test_a_promoted_shadow_emits_under_the_name_of_its_class():
    promoted = run(original(emits=False), shadow(emits=True))
    assert [msgspec.json.decode(each)["quantity"] for each in promoted.signals] == [
        msgspec.json.decode(bytes(shadowed.unpack(each).signal))["quantity"]
        for each in run(original(), shadow()).shadowed
    ]
    assert {msgspec.json.decode(each)["strategy"] for each in promoted.signals} == {"echo"}
    assert promoted.counts.by_label("signals") == {"echo": 4}
    assert promoted.counts.by_label("shadowed") == {"echo": 4}
    assert [shadowed.unpack(each).version for each in promoted.shadowed] == ["echo"] * 4
    assert promoted.fields[POOL].keys() == run(original(), shadow()).fields[POOL].keys()


def test_the_outcome_tells_which_version_each_signal_is_of():
    outcome = MemoryLedger("source").run(POOL, trades(1), (original(emits=False), shadow(emits=True)), VERSION)
    assert outcome.emitters == ["shadow~echo"]
    assert outcome.actions == {("echo", "buy"): 1}
