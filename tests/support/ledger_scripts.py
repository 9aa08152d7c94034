"""Every script of ours in a state in which it does all that it can do, and a look at what it did."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import redis

import tasks.ledger
from tasks.ledger import LedgerKeys, commit_arguments, script
from tasks.ledger.lua import pack
from tasks.protocol.counters import CounterKey, Counts
from tasks.protocol.outcome import Outcome
from tasks.protocol.strikes import MAX_STRIKES, RunningBatch, Strike
from tasks.worker.run_guard import strike_arguments
from tests.support.ledger import EPOCH, SOURCE, batch

FOLDER = Path(tasks.ledger.__file__).with_name("scripts")
#: What stands before the others and is none of its own.
BEFORE = "before_writing"
#: Those that write.
NAMES = sorted(
    file.stem for file in FOLDER.glob("*.lua") if file.stem != BEFORE and "flags=no-writes" not in file.read_text()
)
_COMMAND = re.compile(r"redis\.p?call\(\s*'(\w+)'")
_ANY_COMMAND = re.compile(r"redis\.p?call\b|\bserver\.p?call\b")

Argument = bytes | str | int


def commands(name: str) -> list[str]:
    """Return the commands that a script's own text names."""
    text = (FOLDER / f"{name}.lua").read_text()
    named: list[str] = _COMMAND.findall(text)
    assert len(named) == len(_ANY_COMMAND.findall(text)), f"{name}.lua calls a command that its text does not name"
    return sorted(set(named))


class Scene(NamedTuple):
    """What a script is called with."""

    script: str
    keys: list[str]
    arguments: list[Argument]

    def run(self, client: redis.Redis) -> Any:
        """Run it. Raises what Redis raises."""
        return client.eval(script(self.script), len(self.keys), *self.keys, *self.arguments)


def _begin(client: redis.Redis, keys: LedgerKeys) -> Iterator[Scene]:
    both = [batch(), batch(partition=1)]
    client.hset(keys.pool("trade"), "record:x", "r")
    client.hset(keys.starts(both[0].lane), both[0].identity, 1)
    client.hset(keys.starts(both[1].lane), "another", 1)
    wanted = [(each.identity, [f"lane:{each.partition}", "resets", "record:x"]) for each in both]
    yield Scene("begin", [keys.shard(0), *keys.of_batches(both)], [3600, msgspec.msgpack.encode(wanted)])


def _release_start(client: redis.Redis, keys: LedgerKeys) -> Iterator[Scene]:
    starts = keys.starts(batch().lane)
    client.hset(starts, mapping={"once": 1, "twice": 2})
    for identity in ("once", "twice"):
        yield Scene("release_start", [starts], [identity])


def _commit(client: redis.Redis, keys: LedgerKeys) -> Iterator[Scene]:
    worked = []
    for number, sent in enumerate([batch(), batch(partition=1)]):
        client.hset(keys.starts(sent.lane), sent.identity, 1)
        fields = {f"record:{number}": b"r", f"state:{number}": b"s"}
        outcome = Outcome(
            fields,
            [b"1", b"2"],
            [b"letter"],
            [b"line"],
            Counts({CounterKey("applied"): 2}),
            held=[b"held"],
            traces=["", "a trace"],
            revisions=["a revision", ""],
        )
        worked.append((sent, outcome, b""))
    names, arguments = commit_arguments(keys, worked)
    yield Scene("commit", names, list(arguments))


def _checkpoint(client: redis.Redis, keys: LedgerKeys) -> Iterator[Scene]:
    client.hset(keys.pool("trade"), "lane:0", f"{SOURCE}@2")
    head: list[Argument] = [str(EPOCH), "once", f"{SOURCE}@2", f"{SOURCE}@3", "a frame", 100]
    rest = [["letter 1", "letter 2"], ["lane:0", f"{SOURCE}@2"], ["frames", 3, "refused", 2]]
    names = [keys.shard(0), keys.counters, keys.deadletters, keys.pool("trade")]
    yield Scene("checkpoint", names, [pack([*head, *rest])])


def _claim(client: redis.Redis, keys: LedgerKeys) -> Iterator[Scene]:
    client.set(keys.layout, "old")
    client.hset(keys.shard(1), mapping={"epoch": "3.ab", "frontier": "log@1"})
    ours = [keys.shard(0), keys.layout, keys.configurations, keys.pool("depth"), keys.pool("trade")]
    head: list[Argument] = [str(EPOCH), "8.aa", "old", "new", "c1", "{}"]
    for start, counted in (("log@7", "log@9,8"), ("", "")):
        names = [*ours, keys.lease(1), keys.shard(1)]
        yield Scene("claim", names, [pack([*head, start, ["lane:0", "lane:0"], 1, ["", ""], counted])])


def _configure(client: redis.Redis, keys: LedgerKeys) -> Iterator[Scene]:
    client.hset(keys.configuration, "version", "c1")
    names, versions = [keys.configuration, keys.configurations, keys.history], ["c1", "c2", "{}"]
    yield Scene("configure", names, [*versions, "change", "file", keys.notices, "configuration", "", "overlay", "{}"])


def _heartbeat(client: redis.Redis, keys: LedgerKeys) -> Iterator[Scene]:
    client.hset(keys.workers, mapping={"gone": '{"seen_s":1.0,', "here": '{"seen_s":99999999999.0,'})
    for said in ('{"queues":[]}', ""):
        yield Scene("heartbeat", [keys.workers], ["here", said, keys.notices, "workers"])


def _reset(client: redis.Redis, keys: LedgerKeys) -> Iterator[Scene]:
    client.hset(keys.pool("trade"), mapping={"state:x": "s", "record:x": "r", "resets": 1})
    yield Scene("reset", [keys.pool("trade"), keys.resets], ["who and why", 100, "state:x", "state:y"])


def _seed(client: redis.Redis, keys: LedgerKeys) -> Iterator[Scene]:
    client.hset(keys.pool("trade"), mapping={"state:x": "s", "resets": 1})
    client.hset(keys.configuration, "version", "c1")
    pools = [
        ["who and why", 1, ["state:x", "s", "record:x", ""], ["state:x", "t", "record:x", "r"]],
        ["who and why", 1, ["state:y", ""], ["state:y", "t"]],
    ]
    names = [keys.resets, keys.configuration, keys.pool("trade"), keys.pool("depth")]
    yield Scene("seed", names, [100, "c1", pack(pools)])


def _prune(client: redis.Redis, keys: LedgerKeys) -> Iterator[Scene]:
    client.hset(keys.pool("trade"), mapping={"record:x": "r", "state:x": "s", "record:y": "r", "resets": 1})
    client.hset(keys.pool("depth"), mapping={"record:x": "r", "paper:x": "p"})
    lines: list[Any] = [client.xadd(keys.audit, {"line": str(number)}) for number in range(3)]
    held = [1, "record:x", "r", 1, "state:x", "s", 2, "record:x", "r", 2, "paper:x", "p", 1, "record:z", ""]
    symbols = [[held, [line.decode() for line in lines[:2]]], [[1, "record:y", "changed"], []]]
    names = [keys.resets, keys.audit, keys.pool("trade"), keys.pool("depth")]
    yield Scene("prune", names, [100, pack(symbols), pack(["who and why"] * 2)])


def _with_signals(client: redis.Redis, keys: LedgerKeys, count: int) -> list[bytes]:
    client.xgroup_create(keys.signals, "relay", id="0", mkstream=True)
    ids: Any = [client.xadd(keys.signals, {"signal": str(number)}) for number in range(count)]
    client.xreadgroup("relay", "relay", {keys.signals: ">"})
    return ids  # type: ignore[no-any-return]  # a sync client


def _acknowledge(client: redis.Redis, keys: LedgerKeys) -> Iterator[Scene]:
    ids = _with_signals(client, keys, 3)
    yield Scene("acknowledge", [keys.signals, keys.deadletters], ["relay", 100, 1, "letter", *ids[:2]])


def _delivery_read(client: redis.Redis, keys: LedgerKeys) -> Iterator[Scene]:
    _with_signals(client, keys, 3)
    key = keys.delivery("hook")
    client.set(f"{key}:lease", "holder")
    yield Scene("delivery_read", [key, f"{key}:lease"], ["holder", 10, "now", keys.signals])


def _delivery_commit(client: redis.Redis, keys: LedgerKeys) -> Iterator[Scene]:
    key = keys.delivery("hook")
    client.set(f"{key}:lease", "holder")
    client.hset(key, mapping={"position": "1-0", "passed": 1, "refused": 1})
    counts: list[Argument] = ["refused", 1, "filtered", 2]
    arguments: list[Argument] = ["holder", "1-0", "4-0", 4, "webhook", 100, "letter", *counts]
    yield Scene("delivery_commit", [key, f"{key}:lease", keys.deadletters], arguments)


def _strike(_: redis.Redis, keys: LedgerKeys) -> Iterator[Scene]:
    for seq in (1, 2):
        strike = Strike(RunningBatch.of(batch(), ["grumpy"]), "grumpy", seq, MAX_STRIKES, "hung")
        names, arguments = strike_arguments(keys, strike)
        yield Scene("strike", names, list(arguments))


def _trim(client: redis.Redis, keys: LedgerKeys) -> Iterator[Scene]:
    # Redis trims whole nodes of 100 entries.
    client.xack(keys.signals, "relay", *_with_signals(client, keys, 250))
    yield Scene("trim", [keys.signals], ["relay", 0])


_SCENES: dict[str, Callable[[redis.Redis, LedgerKeys], Iterator[Scene]]] = {
    "acknowledge": _acknowledge,
    "begin": _begin,
    "checkpoint": _checkpoint,
    "claim": _claim,
    "commit": _commit,
    "configure": _configure,
    "delivery_commit": _delivery_commit,
    "delivery_read": _delivery_read,
    "heartbeat": _heartbeat,
    "prune": _prune,
    "reset": _reset,
    "seed": _seed,
    "strike": _strike,
    "release_start": _release_start,
    "trim": _trim,
}


class Stage:
    """The keys of one script's scenes, put back as they were as often as wanted."""

    def __init__(self, client: redis.Redis, name: str) -> None:
        self.client: Any = client
        self.keys = LedgerKeys("scripts")
        client.flushall()
        client.hset(self.keys.shard(0), mapping={"epoch": str(EPOCH), "frontier": f"{SOURCE}@1", "counted": "log@5"})
        self.scenes = list(_SCENES[name](client, self.keys))
        self._before = self.dump()

    def reset(self) -> None:
        """Put everything back."""
        self.client.flushall()
        for key, (dumped, _) in self._before.items():
            self.client.restore(key, 0, dumped)

    def dump(self) -> dict[bytes, tuple[bytes, bool]]:
        """Return every key byte by byte, and whether it runs out."""
        return {key: (self.client.dump(key), self.client.ttl(key) >= 0) for key in self.client.scan_iter()}

    def content(self) -> dict[str, tuple[object, bool]]:
        """Return what is in every key, without what depends on when it was written."""
        return {key.decode(): (self._of(key), self.client.ttl(key) >= 0) for key in sorted(self.client.scan_iter())}

    def _of(self, key: bytes) -> object:
        kind = self.client.type(key)
        if kind == b"hash":
            return {field: re.sub(rb"[\d.]{10,}", b"", value) for field, value in self.client.hgetall(key).items()}
        if kind == b"stream":
            groups = [(group["name"], group["pending"]) for group in self.client.xinfo_groups(key)]
            return [fields for _, fields in self.client.xrange(key)], groups
        return self.client.get(key) if kind == b"string" else kind

    def numbers(self) -> list[tuple[str, bytes]]:
        """Return key and field of every number in a hash."""
        hashes = {key: held for key, (held, _) in self.content().items() if isinstance(held, dict)}
        return [(key, field) for key, held in hashes.items() for field, value in held.items() if value.isdigit()]

    def whole(self, scene: Scene) -> dict[str, tuple[object, bool]]:
        """Return what a run leaves behind that nothing disturbs."""
        self.reset()
        scene.run(self.client)
        assert self.dump() != self._before, f"{scene} does nothing"
        return self.content()
