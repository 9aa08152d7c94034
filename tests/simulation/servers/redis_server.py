"""A Redis in memory: the commands that ingest, workers and their scripts use, with real Lua, and no more.

Keys hold `bytes`, `dict`, `deque` or `EntryStream`. Replies are as they are on the wire of RESP2, before a client reads them.
"""

import copy
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from typing import Any

from redis.exceptions import NoScriptError, ResponseError

from tests.simulation.servers.entry_stream import EntryStream
from tests.simulation.servers.lua import Scripts
from tests.simulation.virtual_time import BEGIN_S

Reply = Any
WRONG_TYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"


class RedisServer:
    """One server. Time is given by who runs it, in seconds."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self.data: dict[bytes, Any] = {}
        self._expires_s: dict[bytes, float] = {}
        commands = {name: run.__get__(self) for name, run in _COMMANDS.items()}
        #: Scripts may write them in small letters.
        self._commands = commands | {name.lower(): run for name, run in commands.items()}
        self._scripts = Scripts(self._commands)
        #: By channel: what takes each message.
        self.subscribers: dict[bytes, list[Callable[[bytes], None]]] = defaultdict(list)
        #: By key of a list or a stream: what is called when something was put into it.
        self.waiting: dict[bytes, list[Callable[[], None]]] = defaultdict(list)
        #: Called with list and value when something was put into a list.
        self.on_task: Callable[[bytes, bytes], None] = lambda *_: None
        #: Called after each script, with its name, keys, arguments and reply.
        self.on_script: Callable[[bytes, Sequence[bytes], Sequence[bytes], Reply], None] = lambda *_: None
        #: Keys that were written to, until who observes writes has looked at them.
        self.changed = set[bytes]()
        #: Called after each command of a client that may have written.
        self.on_write: Callable[[], None] = lambda: None

    # Faults

    def snapshot(self) -> Any:
        """Return what is stored, to be given to `restore`."""
        return copy.deepcopy((self.data, self._expires_s))

    def restore(self, snapshot: Any) -> None:
        """Go back to what was stored: later writes are lost, and so is what only memory holds."""
        self.data, self._expires_s = copy.deepcopy(snapshot)
        self.changed.update(self.data)
        self.restart()

    def restart(self) -> None:
        """Forget scripts and subscriptions, as a new process does."""
        self._scripts.forget()
        self.subscribers.clear()

    # Commands

    def execute(self, *arguments: Any) -> Reply:
        """Run a client's command; return its reply. Raises ResponseError."""
        command, *rest = [
            each.encode() if type(each) is str else each if type(each) is bytes else b"%d" % each for each in arguments
        ]
        reply = self._commands[command](*rest)
        if command in _WRITE:
            self.on_write()
        return reply

    def _get(self, key: bytes, kind: type, default: Any = None) -> Any:
        if key in self._expires_s and self._expires_s[key] <= self._now_s():
            self._remove(key)
        value = self.data.get(key, default)
        if value is not default and not isinstance(value, kind):
            raise ResponseError(WRONG_TYPE)
        return value

    def _make(self, key: bytes, kind: Callable[[], Any]) -> Any:
        value = self._get(key, kind)  # type: ignore[arg-type]  # a class is what makes it
        self.changed.add(key)
        if value is None:
            value = self.data[key] = kind()
        return value

    def _remove(self, key: bytes) -> None:
        self.changed.add(key)
        self.data.pop(key, None)
        self._expires_s.pop(key, None)

    def _is_there(self, key: bytes) -> bool:
        return self._get(key, object) is not None

    def _pushed(self, key: bytes) -> None:
        for wake in self.waiting.pop(key, ()):
            wake()

    # Any key

    def ping(self) -> Reply:
        return b"PONG"

    def time(self) -> Reply:
        now_us = int((BEGIN_S + self._now_s()) * 1e6)
        return [b"%d" % (now_us // 1_000_000), b"%d" % (now_us % 1_000_000)]

    def exists(self, *keys: bytes) -> Reply:
        return sum(map(self._is_there, keys))

    def delete(self, *keys: bytes) -> Reply:
        found = sum(map(self._is_there, keys))
        for key in keys:
            self._remove(key)
        return found

    def pexpire(self, key: bytes, milliseconds: bytes) -> Reply:
        if not self._is_there(key):
            return 0
        self._expires_s[key] = self._now_s() + int(milliseconds) / 1_000
        return 1

    def pttl(self, key: bytes) -> Reply:
        if not self._is_there(key):
            return -2
        return int((self._expires_s[key] - self._now_s()) * 1_000) if key in self._expires_s else -1

    # Strings

    def get(self, key: bytes) -> Reply:
        return self._get(key, bytes)

    def set(self, key: bytes, value: bytes, *options: bytes) -> Reply:
        named = [option.upper() for option in options]
        if b"NX" in named and self._is_there(key):
            return None
        self._remove(key)
        self.data[key] = value
        if b"PX" in named:
            self.pexpire(key, options[named.index(b"PX") + 1])
        return b"OK"

    # Hashes

    def hget(self, key: bytes, field: bytes) -> Reply:
        return self._get(key, dict, {}).get(field)

    def hmget(self, key: bytes, *fields: bytes) -> Reply:
        stored = self._get(key, dict, {})
        return [stored.get(field) for field in fields]

    def hgetall(self, key: bytes) -> Reply:
        return [each for item in self._get(key, dict, {}).items() for each in item]

    def hset(self, key: bytes, *pairs: bytes) -> Reply:
        stored = self._make(key, dict)
        before = len(stored)
        stored.update(zip(pairs[::2], pairs[1::2], strict=True))
        return len(stored) - before

    def hdel(self, key: bytes, *fields: bytes) -> Reply:
        stored = self._get(key, dict, {})
        found = sum(stored.pop(field, None) is not None for field in fields)
        self.changed.add(key)
        if not stored:
            self._remove(key)
        return found

    def hincrby(self, key: bytes, field: bytes, by: bytes) -> Reply:
        stored = self._make(key, dict)
        try:
            value = int(stored.get(field, b"0")) + int(by)
        except ValueError:
            raise ResponseError("ERR hash value is not an integer") from None
        stored[field] = b"%d" % value
        return value

    # Lists

    def lpush(self, key: bytes, *values: bytes) -> Reply:
        stored = self._make(key, deque)
        stored.extendleft(values)
        for value in values:
            self.on_task(key, value)
        self._pushed(key)
        return len(stored)

    def rpop(self, key: bytes) -> Reply:
        stored = self._get(key, deque, deque())
        if not stored:
            return None
        value = stored.pop()
        if not stored:
            self._remove(key)
        return value

    def llen(self, key: bytes) -> Reply:
        return len(self._get(key, deque, ()))

    # Streams

    def xadd(self, key: bytes, *arguments: bytes) -> Reply:
        rest = list(arguments)
        while rest[0] != b"*":  # MAXLEN ~ n: nothing is trimmed here
            rest.pop(0)
        name = self._make(key, EntryStream).add(int(self._now_s() * 1_000), rest[1:])
        self._pushed(key)
        return name

    def xlen(self, key: bytes) -> Reply:
        return len(self._get(key, EntryStream, EntryStream()).entries)

    def xrange(self, key: bytes, first: bytes, last: bytes, *options: bytes) -> Reply:
        count = int(options[1]) if options else None
        return self._get(key, EntryStream, EntryStream()).between(first, last, count)

    def xtrim(self, *_: bytes) -> Reply:
        return 0

    def xgroup_create(self, key: bytes, group: bytes, *_: bytes) -> Reply:
        if not self._make(key, EntryStream).make_group(group):
            raise ResponseError("BUSYGROUP Consumer Group name already exists")
        return b"OK"

    def xreadgroup(self, *arguments: bytes) -> Reply:
        named = [argument.upper() for argument in arguments]
        group, consumer = arguments[1], arguments[2]
        count = int(arguments[named.index(b"COUNT") + 1])
        key = arguments[named.index(b"STREAMS") + 1]
        stored = self._get(key, EntryStream, EntryStream())
        if group not in stored.groups:
            raise ResponseError(f"NOGROUP No such key {key!r} or consumer group {group!r}")
        found = stored.read_new(group, consumer, count, self._now_s())
        return [[key, found]] if found else None

    def xautoclaim(
        self, key: bytes, group: bytes, consumer: bytes, idle_ms: bytes, start: bytes, *rest: bytes
    ) -> Reply:
        stored = self._get(key, EntryStream, EntryStream())
        if group not in stored.groups:
            raise ResponseError(f"NOGROUP No such key {key!r} or consumer group {group!r}")
        after_s = self._now_s() - int(idle_ms) / 1_000
        following, found = stored.claim(group, consumer, after_s, start, int(rest[1]), self._now_s())
        return [following, found, []]

    def xack(self, key: bytes, group: bytes, *names: bytes) -> Reply:
        return self._get(key, EntryStream, EntryStream()).acknowledge(group, names)

    def xinfo(self, _: bytes, key: bytes) -> Reply:
        stored = self._get(key, EntryStream)
        if stored is None:
            raise ResponseError("ERR no such key")
        return [
            [b"name", name, b"pending", len(group.pending), b"lag", stored.lag(group)]
            for name, group in stored.groups.items()
        ]

    # Channels and scripts

    def publish(self, channel: bytes, message: bytes) -> Reply:
        takers = self.subscribers.get(channel, [])
        for take in takers:
            take(message)
        return len(takers)

    def script_load(self, text: bytes) -> Reply:
        return self._scripts.load(text)

    def evalsha(self, sha: bytes, count: bytes, *arguments: bytes) -> Reply:
        keys = int(count)
        if not self._scripts.has(sha):
            raise NoScriptError("NOSCRIPT No matching script. Please use EVAL.")
        reply = self._scripts.run(sha, keys, arguments)
        self.on_script(sha, arguments[:keys], arguments[keys:], reply)
        return reply


_S = RedisServer
_COMMANDS: dict[bytes, Callable[..., Reply]] = {
    b"PING": _S.ping, b"TIME": _S.time, b"EXISTS": _S.exists, b"DEL": _S.delete, b"EXPIRE": lambda self, key, seconds: self.pexpire(key, seconds + b"000"),
    b"PEXPIRE": _S.pexpire, b"PTTL": _S.pttl, b"GET": _S.get, b"SET": _S.set, b"HGET": _S.hget, b"HMGET": _S.hmget,
    b"HGETALL": _S.hgetall, b"HSET": _S.hset, b"HDEL": _S.hdel, b"HINCRBY": _S.hincrby, b"LPUSH": _S.lpush,
    b"RPOP": _S.rpop, b"LLEN": _S.llen, b"XADD": _S.xadd, b"XLEN": _S.xlen, b"XRANGE": _S.xrange,
    b"XTRIM": _S.xtrim, b"XGROUP CREATE": _S.xgroup_create, b"XREADGROUP": _S.xreadgroup,
    b"XAUTOCLAIM": _S.xautoclaim, b"XACK": _S.xack, b"XINFO": _S.xinfo, b"PUBLISH": _S.publish,
    b"SCRIPT LOAD": _S.script_load, b"EVALSHA": _S.evalsha,
}  # fmt: skip
#: Those that change what the ledger holds.
_WRITE = {b"EVALSHA", b"HSET", b"HDEL", b"DEL"}
