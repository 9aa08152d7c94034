"""What happened in a simulation, in words. They are made only where somebody reads them: most seeds pass."""

from collections.abc import Callable, Sequence
from typing import Any

from tasks.ledger import script
from tests.simulation.servers.lua import decode_msgpack, sha1
from tests.simulation.servers.nats_server import BEGIN_NS

#: The scripts that tell what happened, by the names under which Redis knows them.
SCRIPTS = {sha1(script(name).encode()): name for name in ("begin", "claim", "checkpoint", "commit")}
#: How positions in the only stream begin.
STREAM = f"js-FRAMES-{BEGIN_NS // 1_000}@"
BEGIN = sha1(script("begin").encode())


class Trace:
    """Lines with the time and who did something."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._lines: list[tuple[float, str, Callable[[], str]]] = []

    def add(self, who: str, what: str) -> None:
        self._lines.append((self._now_s(), who, lambda: what))

    def add_script(
        self, who: str, sha: bytes, keys: Sequence[bytes], arguments: Sequence[bytes], reply: object
    ) -> None:
        """Add the run of a script, if it is one of those that tell what happened."""
        if name := SCRIPTS.get(sha):
            self._lines.append((self._now_s(), who, lambda: describe(name, keys, arguments, reply)))

    def lines(self) -> list[str]:
        return [f"{at_s:9.3f}  {who:<12} {describe_().replace(STREAM, '@')}" for at_s, who, describe_ in self._lines]


def describe(name: str, keys: Sequence[bytes], arguments: Sequence[bytes], reply: Any) -> str:
    """Return in words what a script was asked for, and what it answered."""
    packed = decode_msgpack(arguments[-1])
    if name == "begin":
        epoch, *starts = reply
        asked = " and ".join(f"{_pool(key)} {batch[0].decode()}" for key, batch in zip(keys[1::2], packed, strict=True))
        return f"begins {asked}: epoch {_text(epoch)}, start {', '.join(str(each[0]) for each in starts)}"
    if name == "commit":
        return "commits " + " and ".join(
            f"{_pool(key)} {_text(batch[1])} {_text(batch[0])} {_text(batch[2])}..{_text(batch[3])}: {_text(answer)}"
            for key, batch, answer in zip(keys[8::2], packed, reply, strict=True)
        )
    if name == "claim":
        before, epoch, _, layout = map(_text, packed[:4])
        return f"claims epoch {epoch} after {before or 'none'} with {layout}: {' '.join(map(_text, reply))}"
    epoch, checkpoint, frontier = map(_text, packed[:3])
    return f"checkpoint {checkpoint} in epoch {epoch} at {frontier}: {_text(reply)}"


def _pool(key: bytes) -> str:
    return key.decode().rpartition(":")[2]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
