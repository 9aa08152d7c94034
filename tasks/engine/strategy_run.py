"""The state of one strategy for one symbol, while a batch runs: restored, changed, saved. Pure.

This is where the runner's promises of `strategy.Strategy` are kept: isolation, warm-up, cool-down.
"""

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, NamedTuple

import msgspec

from tasks.bars.spec import parse_all
from tasks.configuration.bound_strategy import BoundStrategy
from tasks.configuration.gate import Gate
from tasks.engine.bar_feed import BarFeed, StoredBars
from tasks.engine.gate_history import GateHistory, HeldReason
from tasks.engine.signal_message import message
from tasks.errors import UNREADABLE
from tasks.events import AnyEvent, Kind, Venue
from tasks.fatal_errors import IsFatal
from tasks.frames.symbols import token
from tasks.protocol import checksum
from tasks.strategy import HOOKS, AnyStrategy, Signal, State

#: More is a strategy that has lost its way: a generator that never ends.
MAX_SIGNALS_OF_AN_EVENT = 10_000
#: Longer signals, in the form of the contract, are no signals: Redis, NATS and whoever reads them would have to hold them.
MAX_SIGNAL_BYTES = 64 * 1024


class NewerStateError(Exception):
    """A newer release wrote this state; it alone may go on with it."""


class SavedState(msgspec.Struct, array_like=True):
    """A state as stored in the ledger, where its checksum follows. Releases before stored neither that nor empty bars."""

    #: `Strategy.version` of the code that wrote it.
    version: int
    #: How many events the state has seen, for the warm-up.
    seen: int
    #: What the gate counts.
    passed: GateHistory
    state: msgspec.Raw
    #: The open bars; only of a strategy that asks for bars.
    bars: StoredBars = {}


class StrategyOutput(NamedTuple):
    """The signals of a strategy for one event, as the contract's JSON."""

    signals: list[bytes]
    #: The action of each.
    actions: list[str]
    #: What the gate held back: JSON of reason and signal.
    held: list[bytes]
    reasons: list[HeldReason]
    #: Symbol and action of all, for which the first one counts.
    keys: set[str]


#: Of most events: always this very object.
NO_OUTPUT = StrategyOutput([], [], [], [], set())

#: Events seen, the gate's memory, state and open bars.
_Read = tuple[int, GateHistory, State, StoredBars]


@cache
def _decoder(state_type: type[State]) -> Callable[[bytes], Any]:
    """Return what reads a `SavedState` with its checksum, and its state, in one go, as a tuple."""
    return msgspec.msgpack.Decoder(tuple[int, int, GateHistory, state_type, StoredBars, bytes]).decode  # type: ignore[valid-type]  # at run time


_packer = msgspec.msgpack.Encoder()
_decode_saved = msgspec.msgpack.Decoder(SavedState).decode
_FIELDS = len(SavedState.__struct_fields__)


def unpack(packed: bytes) -> SavedState:
    """Read a state as stored. Raises what is in `errors.UNREADABLE`."""
    checksum.is_sealed(packed, _FIELDS)
    return _decode_saved(packed)


def field(venue: Venue, symbol: str, strategy: AnyStrategy | BoundStrategy) -> str:
    """Return the name of the state's field in the hash of its pool."""
    return f"state:{venue}:{token(symbol) if strategy.key == 'symbol' else 'all'}:{strategy.name}"


class StrategyRun:
    """A strategy and its state, from a batch's start to its end."""

    def __init__(
        self,
        strategy: AnyStrategy,
        gate: Gate,
        packed: bytes | None,
        config_version: str,
        is_fatal: IsFatal,
        name: str = "",
    ) -> None:
        """Restore the state that `packed` holds, or start from an empty one.

        Raises NewerStateError and what is fatal, and ValueError where it asks for bars that there are not.
        """
        self.strategy = strategy
        #: As states and dead letters carry it: a shadow's differs from that of its signals.
        self.name = name or strategy.name
        self._specs = parse_all(strategy.bars) if strategy.bars else ()
        self._gate = gate
        self._is_fatal = is_fatal
        self._config_version = config_version
        self._decode = _decoder(strategy.state_type)
        #: Why the stored state can't be read; empty: it could, or there was none.
        self.unreadable = ""
        self._restore(packed)

    def _restore(self, packed: bytes | None) -> None:
        """Take `packed` as the state from which a rebuild starts."""
        self._start = packed
        self._since: list[AnyEvent] = []
        read = self._read(packed) if packed else None
        self._seen, self._passed, self._state, open_bars = read or (0, GateHistory(), self.strategy.state_type(), {})
        self._bars = BarFeed(self.strategy, self._specs, open_bars) if self._specs else None
        #: What events are given to, by kind; looked up once.
        self._hook_of: dict[Kind, Callable[[AnyEvent, State], Iterable[Signal]]] = {}

    def _read(self, packed: bytes) -> _Read | None:
        """Return what was saved; None when today's code can't go on with it, so that it warms up again."""
        try:
            if not checksum.is_sealed(packed, _FIELDS):
                return self._read_other(packed)
            version, seen, passed, state, bars, _ = self._decode(packed)
        except BaseException as error:
            # Whatever it is, it is looked at more closely.
            if self._is_fatal(error):
                raise
            return self._read_other(packed)
        if version != self.strategy.version:
            return self._read_other(packed)
        return seen, passed, state, bars

    def _read_other(self, packed: bytes) -> _Read | None:
        """Return the state from a format or version that is not today's; None: it can't be used."""
        try:
            saved = unpack(packed)
        except UNREADABLE as error:
            self._start, self.unreadable = None, str(error)
            return None
        if saved.version > self.strategy.version:
            raise NewerStateError(f"{self.name}: state of version {saved.version}, code of {self.strategy.version}")
        state = self._migrate(saved)
        return (saved.seen, saved.passed, state, saved.bars) if state is not None else None

    def _migrate(self, saved: SavedState) -> State | None:
        try:
            if saved.version == self.strategy.version:
                return msgspec.msgpack.decode(saved.state, type=self.strategy.state_type)
            return self.strategy.migrate(saved.version, msgspec.msgpack.decode(saved.state))
        except BaseException as error:
            # A lane must not stand still because a state can't be read.
            if self._is_fatal(error):
                raise
            self.unreadable = f"{type(error).__name__}: {error}"
            return None

    def apply(self, event: AnyEvent) -> StrategyOutput:
        """Run the strategy on `event`; return its output, after warm-up and gate.

        Whatever the strategy raises comes through, and leaves the state in an unknown condition: `rebuild` it.
        """
        self._seen += 1
        hook = self._hook_of.get(event.kind)
        if hook is None:
            hook = self._hook_of[event.kind] = getattr(self._bars or self.strategy, HOOKS[event.kind])
        said, number = NO_OUTPUT, 0
        for signal in hook(event, self._state):
            if said is NO_OUTPUT:
                said = StrategyOutput([], [], [], [], set())
            number += 1  # noqa: SIM113 only an event with a signal pays for the count
            if number > MAX_SIGNALS_OF_AN_EVENT:
                raise ValueError(f"more than {MAX_SIGNALS_OF_AN_EVENT} signals of one event")
            self._pass(signal, event, said)
        self._since.append(event)
        return said

    def _pass(self, signal: Signal, event: AnyEvent, said: StrategyOutput) -> None:
        """Let a signal through or hold it back."""
        symbol = signal.symbol or event.symbol
        key = f"{symbol} {signal.action}"
        if self._seen <= self.strategy.warmup or key in said.keys:
            return
        said.keys.add(key)
        packed = message(signal, self.strategy, event, self._config_version)
        if len(packed) > MAX_SIGNAL_BYTES:
            raise ValueError(f"a signal of {len(packed)} bytes: more than {MAX_SIGNAL_BYTES} are not taken")
        interval_s = self.strategy.params.min_signal_interval_s
        held = self._passed.held(self._gate, symbol, key, signal.confidence, event.time_ms, interval_s)
        if held is None:
            self._passed.note(symbol, key, event.time_ms)
            said.signals.append(packed)
            said.actions.append(signal.action)
        else:
            said.held.append(b'{"reason":"%s","signal":%s}' % (held.encode(), packed))
            said.reasons.append(held)

    def rebuild(self, event: AnyEvent) -> None:
        """Bring the state to where it was before the event that raised, by running the batch's events again.

        Its trade stays in the bars, which are those of the market: or the next trade would close the same bar again.
        """
        events = self._since
        self._restore(self._start)
        try:
            for each in events:
                self.apply(each)
            if self._bars:
                self._bars.pass_over(event)
            packed = self.pack()
        except BaseException as error:
            # It did not raise the first time, so it is not deterministic: warm up again.
            if self._is_fatal(error):
                raise
            packed = None
        # From here on, a rebuild starts here: a batch in which every event raises stays linear.
        self._restore(packed)

    def reset(self) -> None:
        """Forget everything, and warm up again."""
        self._restore(None)

    def pack(self) -> bytes:
        """Save the state for the ledger. Raises what msgspec raises when the strategy put something else into it."""
        # As a `SavedState` is packed, without packing the state apart.
        bars = self._bars.stored() if self._bars else {}
        return checksum.seal(_packer.encode((self.strategy.version, self._seen, self._passed, self._state, bars)))
