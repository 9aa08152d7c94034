"""Redis's scripts, run by Lua 5.1 as Redis runs them: atomic, and not undone where they fail half-way."""

import hashlib
import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import takewhile
from typing import Any

from lupa.lua51 import LuaRuntime, lua_type
from redis.exceptions import ResponseError

#: How many a function of Lua takes and returns with certainty.
_MAX_ARGUMENTS = 200

#: `cmsgpack.unpack`, in Lua: to hand over what Python has unpacked takes thrice as long.
_UNPACK = rb"""
local byte, sub = string.byte, string.sub
local function number(text, at, width)
    if width == 8 then return number(text, at, 4) * 2 ^ 32 + number(text, at + 4, 4) end
    local value = 0
    for place = at, at + width - 1 do value = value * 256 + byte(text, place) end
    return value
end
local function signed(text, at, width)
    if width == 8 then return signed(text, at, 4) * 2 ^ 32 + number(text, at + 4, 4) end
    local value = number(text, at, width)
    return byte(text, at) < 0x80 and value or value - 256 ^ width
end
local read
local function list(text, at, count)
    local found = {}
    for place = 1, count do found[place], at = read(text, at) end
    return found, at
end
local sizes = {[0xC4] = 1, [0xC5] = 2, [0xC6] = 4, [0xD9] = 1, [0xDA] = 2, [0xDB] = 4}
local widths = {[0xCC] = 1, [0xCD] = 2, [0xCE] = 4, [0xCF] = 8, [0xD0] = 1, [0xD1] = 2, [0xD2] = 4, [0xD3] = 8}
read = function(text, at)
    local head = byte(text, at)
    at = at + 1
    if head < 0x80 then return head, at end
    if head >= 0xE0 then return head - 0x100, at end
    if head >= 0xA0 and head < 0xC0 then
        local behind = at + head - 0xA0
        return sub(text, at, behind - 1), behind
    end
    if head >= 0x90 and head < 0xA0 then return list(text, at, head - 0x90) end
    local size, width = sizes[head], widths[head]
    if size then
        local behind = at + size + number(text, at, size)
        return sub(text, at + size, behind - 1), behind
    end
    if width then return (head < 0xD0 and number or signed)(text, at, width), at + width end
    if head == 0xDC then return list(text, at + 2, number(text, at, 2)) end
    if head == 0xDD then return list(text, at + 4, number(text, at, 4)) end
    if head == 0xC0 then return nil, at end
    if head == 0xC2 then return false, at end
    if head == 0xC3 then return true, at end
    error("no kind of msgpack that is known here: " .. head)
end
return function(text) return (read(text, 1)) end
"""


class _Runtime:
    """One interpreter of Lua, shared by all simulations of this process: scripts have no state of their own."""

    def __init__(self) -> None:
        self.lua = LuaRuntime(encoding=None, unpack_returned_tuples=True)
        self.call: Callable[..., Any] = lambda *_: None
        self._compiled: dict[bytes, Any] = {}
        self._failure: Exception | None = None
        #: Makes a table of its arguments, in less time than `table_from` takes.
        self._table_of = self.lua.eval(b"function(...) return {...} end")
        #: What a table holds, in one call: its `err`, its length, and if they are not too many its elements.
        self._parts = self.lua.eval(
            b"function(t) local n = #t if n > %d then return t.err, n end return t.err, n, unpack(t, 1, n) end"
            % _MAX_ARGUMENTS
        )
        self._guarded = self.lua.eval(
            b"function(run, KEYS, ARGV) local ok, result = pcall(run, KEYS, ARGV)"
            b" if ok then return result end"
            b" if type(result) == 'table' and result.err then return {err = result.err} end"
            b" return {err = tostring(result)} end"
        )
        environment = self.lua.globals()
        environment[b"__call"] = self._call
        environment[b"__unpack"] = self.lua.execute(_UNPACK)
        environment[b"__encode"] = self._encode
        environment[b"__decode"] = self._decode
        self.lua.execute(
            b"redis = {call = function(...) local value = __call(...)"
            b" if type(value) == 'table' and value.err then error(value, 0) end return value end,"
            b" pcall = function(...) return __call(...) end,"
            b" acl_check_cmd = function(...) return true end}"
            b" cmsgpack = {unpack = __unpack}"
            b" cjson = {encode = __encode, decode = function(text)"
            b" local value = __decode(text) if value == nil then error('no JSON') end return value end}"
        )

    def compiled(self, text: bytes) -> Any:
        if text not in self._compiled:
            body = b"--" + text if text.startswith(b"#!") else text
            self._compiled[text] = self.lua.eval(b"function(KEYS, ARGV) " + body + b"\nend")
        return self._compiled[text]

    def run(self, text: bytes, keys: Sequence[bytes], arguments: Sequence[bytes]) -> Any:
        self._failure = None
        result = self._guarded(self.compiled(text), self._list(keys), self._list(arguments))
        if self._failure:
            # A fault of the simulation, not of the script.
            raise self._failure
        return self._from_lua(result)

    def _call(self, *arguments: Any) -> Any:
        try:
            value = self.call(*arguments)
            # Most are none, text or a number: only a list has to become something else.
            return False if value is None else self._to_lua(value) if type(value) is list else value
        except ResponseError as error:
            return self.lua.table_from({b"err": str(error).encode()})
        except Exception as error:
            self._failure = error
            raise

    def _list(self, values: Sequence[Any]) -> Any:
        return self._table_of(*values) if len(values) < _MAX_ARGUMENTS else self.lua.table_from(values)

    def _to_lua(self, value: Any) -> Any:
        """Return a reply as a script sees it: nothing is false."""
        if value is None:
            return False
        if isinstance(value, list):
            return self._list([self._to_lua(each) for each in value])
        return value

    def _from_lua(self, value: Any) -> Any:
        """Return what a script returned as a reply. Raises ResponseError."""
        if value is None or value is False:
            return None
        if type(value) is bytes:
            return value
        if isinstance(value, int | float):
            return int(value)
        if lua_type(value) != "table":
            return value
        error, size, *parts = self._parts(value)
        if error is not None:
            raise ResponseError(error.decode())
        if size > len(parts):
            parts = [value[at] for at in range(1, size + 1)]
        # As in Redis, nothing ends the list.
        return [self._from_lua(each) for each in takewhile(_is_something, parts)]

    def _encode(self, table: Any) -> bytes:
        return json.dumps(self._plain(table)).encode()

    def _plain(self, value: Any) -> Any:
        if lua_type(value) == "table":
            return {key.decode(): self._plain(each) for key, each in value.items()}
        return value.decode() if isinstance(value, bytes) else value

    def _decode(self, text: bytes) -> Any:
        try:
            return self._from_json(json.loads(text))
        except ValueError:
            return None

    def _from_json(self, value: Any) -> Any:
        if isinstance(value, dict):
            return self.lua.table_from({key.encode(): self._from_json(each) for key, each in value.items()})
        if isinstance(value, list):
            return self.lua.table_from([self._from_json(each) for each in value])
        return value.encode() if isinstance(value, str) else value


def _is_something(value: Any) -> bool:
    return value is not None


@lru_cache(maxsize=1)
def _runtime() -> _Runtime:
    return _Runtime()


def sha1(text: bytes) -> bytes:
    """Return the name by which Redis knows a script."""
    return hashlib.sha1(text, usedforsecurity=False).hexdigest().encode()


class Scripts:
    """The scripts that one server knows."""

    def __init__(self, call: Callable[..., Any]) -> None:
        """`call` runs a command."""
        self._call = call
        self._known: dict[bytes, bytes] = {}

    def load(self, text: bytes) -> bytes:
        sha = sha1(text)
        self._known[sha] = text
        return sha

    def has(self, sha: bytes) -> bool:
        return sha in self._known

    def forget(self) -> None:
        self._known.clear()

    def run(self, sha: bytes, keys: Sequence[bytes], arguments: Sequence[bytes]) -> Any:
        """Run a script; return its reply. Raises ResponseError."""
        runtime = _runtime()
        runtime.call = self._call
        return runtime.run(self._known[sha], keys, arguments)


def decode_msgpack(packed: bytes) -> Any:
    """Return what msgpack's bytes hold. A text may be any bytes, which msgspec's decoder does not take."""
    value, _ = _read(packed, 0)
    return value


_FIXED = {0xC0: None, 0xC2: False, 0xC3: True}
_SIZES = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}
_NUMBERS = {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: -1, 0xD1: -2, 0xD2: -4, 0xD3: -8}


def _read(packed: bytes, at: int) -> tuple[Any, int]:  # noqa: PLR0911 one for each kind of value
    head = packed[at]
    at += 1
    if head < 0x80:
        return head, at
    if head >= 0xE0:
        return head - 0x100, at
    if 0xA0 <= head < 0xC0:
        return packed[at : at + head - 0xA0], at + head - 0xA0
    if size := _SIZES.get(head):
        count = int.from_bytes(packed[at : at + size], "big")
        at += size
        return packed[at : at + count], at + count
    if width := _NUMBERS.get(head):
        return int.from_bytes(packed[at : at + abs(width)], "big", signed=width < 0), at + abs(width)
    if 0x90 <= head < 0xA0:
        return _read_list(packed, at, head - 0x90)
    if head in {0xDC, 0xDD}:
        size = 2 if head == 0xDC else 4
        return _read_list(packed, at + size, int.from_bytes(packed[at : at + size], "big"))
    return _FIXED[head], at


def _read_list(packed: bytes, at: int, count: int) -> tuple[list[Any], int]:
    found = []
    for _ in range(count):
        value, at = _read(packed, at)
        found.append(value)
    return found, at
