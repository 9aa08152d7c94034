"""Redis's scripts, run in Lua 5.1's language as Redis runs them: atomic, and not undone where they fail half-way."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from redis.exceptions import ResponseError

try:  # A twentieth quicker, but not in every wheel.
    from lupa.luajit21 import LuaRuntime, lua_type
except ImportError:
    from lupa.lua51 import LuaRuntime, lua_type

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


#: Runs a script, given how many of its arguments are keys, and all that it returns at once: to hand a table over takes as
#: long as to run a script. Of a list comes `true`, its length and its elements, of a failure nothing and its text, and more
#: than a function can return comes in a table.
_RUN = rb"""
local call, unpack_msgpack, encode, decode, most = ...
redis = {
    call = function(...)
        local value = call(...)
        if type(value) == 'table' and value.err then error(value, 0) end
        return value
    end,
    pcall = function(...) return call(...) end,
    acl_check_cmd = function(...) return true end,
}
cmsgpack = {unpack = unpack_msgpack}
cjson = {encode = encode, decode = function(text)
    local value = decode(text)
    if value == nil then error('no JSON') end
    return value
end}
local function flatten(list, found, at)
    if list.err then error(list, 0) end
    local begin, size = at, 0
    found[at], found[at + 1], at = true, 0, at + 2
    for _, each in ipairs(list) do  -- as in Redis, nothing ends the list
        size = size + 1
        if type(each) == 'table' then at = flatten(each, found, at)
        else found[at], at = each == true and 1 or each, at + 1 end
    end
    found[begin + 1] = size
    return at
end
local function reply(run, keys, arguments)
    local value = run(keys, arguments)
    if type(value) ~= 'table' then return value == true and 1 or value end
    local found = {}
    if flatten(value, found, 1) > most then return found end
    return unpack(found)
end
local function finish(ok, ...)
    if ok then return ... end
    local failure = ...
    return nil, type(failure) == 'table' and failure.err or tostring(failure)
end
local function run_list(run, count, all)
    return finish(pcall(reply, run, {unpack(all, 1, count)}, {unpack(all, count + 1)}))
end
return function(run, count, ...) return run_list(run, count, {...}) end, run_list
"""


class _Runtime:
    """One interpreter of Lua, shared by all simulations of this process: scripts have no state of their own."""

    def __init__(self) -> None:
        self.lua = LuaRuntime(encoding=None, unpack_returned_tuples=True)
        #: By name: what runs a command.
        self.commands: Mapping[bytes, Callable[..., Any]] = {}
        self._compiled: dict[bytes, Any] = {}
        self._failure: Exception | None = None
        #: Makes a table of its arguments, in less time than `table_from` takes.
        self._table_of = self.lua.eval(b"function(...) return {...} end")
        self._run, self._run_list = self.lua.execute(
            _RUN, self._call, self.lua.execute(_UNPACK), self._encode, self._decode, _MAX_ARGUMENTS
        )

    def compiled(self, text: bytes) -> Any:
        if text not in self._compiled:
            body = b"--" + text if text.startswith(b"#!") else text
            self._compiled[text] = self.lua.eval(b"function(KEYS, ARGV) " + body + b"\nend")
        return self._compiled[text]

    def run(self, text: bytes, count: int, arguments: Sequence[bytes]) -> Any:
        """Run a script with its keys, of which there are so many, and what follows them. Raises ResponseError."""
        self._failure = None
        if len(arguments) < _MAX_ARGUMENTS:
            result = self._run(self.compiled(text), count, *arguments)
        else:
            result = self._run_list(self.compiled(text), count, self.lua.table_from(arguments))
        if self._failure:
            # A fault of the simulation, not of the script.
            raise self._failure
        if type(result) is tuple:
            if result[0] is None:
                raise ResponseError(result[1].decode())
            return _element(iter(result))
        if lua_type(result) == "table":
            return _element(iter(result.values()))
        return _element(iter((result,)))

    def _call(self, command: bytes, *arguments: Any) -> Any:
        try:
            run = self.commands[command]
            for each in arguments:
                if type(each) is not bytes:
                    arguments = tuple([each if type(each) is bytes else b"%d" % each for each in arguments])
                    break
            value = run(*arguments)
            # Most are none, text or a number: only a list has to become something else.
            return False if value is None else self._to_lua(value) if type(value) is list else value
        except ResponseError as error:
            return self.lua.table_from({b"err": str(error).encode()})
        except Exception as error:
            self._failure = error
            raise

    def _to_lua(self, values: list[Any]) -> Any:
        """Return a list as a script sees it: nothing is false."""
        seen = [False if each is None else self._to_lua(each) if type(each) is list else each for each in values]
        return self._table_of(*seen) if len(seen) < _MAX_ARGUMENTS else self.lua.table_from(seen)

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


def _element(parts: Iterator[Any]) -> Any:
    """Return the next element of a reply."""
    value = next(parts)
    if type(value) is bytes:
        return value
    if value is True:
        return [_element(parts) for _ in range(next(parts))]
    return None if value is None or value is False else int(value)


@lru_cache(maxsize=1)
def _runtime() -> _Runtime:
    return _Runtime()


@lru_cache
def sha1(text: bytes) -> bytes:
    """Return the name by which Redis knows a script."""
    return hashlib.sha1(text, usedforsecurity=False).hexdigest().encode()


class Scripts:
    """The scripts that one server knows."""

    def __init__(self, commands: Mapping[bytes, Callable[..., Any]]) -> None:
        """`commands` is what they may call, by name."""
        self._commands = commands
        self._known: dict[bytes, bytes] = {}

    def load(self, text: bytes) -> bytes:
        sha = sha1(text)
        self._known[sha] = text
        return sha

    def has(self, sha: bytes) -> bool:
        return sha in self._known

    def forget(self) -> None:
        self._known.clear()

    def run(self, sha: bytes, count: int, arguments: Sequence[bytes]) -> Any:
        """Run a script, given how many of its arguments are keys; return its reply. Raises ResponseError."""
        runtime = _runtime()
        runtime.commands = self._commands
        return runtime.run(self._known[sha], count, arguments)


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
