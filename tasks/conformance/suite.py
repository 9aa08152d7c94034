"""The contract suite: what the runner's promises ask of a strategy in return, tried on any class.

    report = check(registry.find("my_package.my_module:MyStrategy"))

Each check runs the class, with its default parameters, over simulated events through the engine that also runs live.
A check says nothing of whether the strategy is any good, and where it never gives a signal, little is shown: the report
counts them.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Literal, NamedTuple

import msgspec
from pydantic import ValidationError

from tasks.bars import BarSpec, bars
from tasks.bars.spec import parse_all
from tasks.configuration.bound_strategy import BoundStrategy
from tasks.conformance import source_lint, synthetic_market
from tasks.engine import MemoryLedger, strategy_run
from tasks.events import AnyEvent, Trade
from tasks.protocol import batches, dead_letters
from tasks.strategy import HOOKS, AnyStrategy, kinds_of

#: Bytes a packed state may have; where the docstring of the state's class names its KiB, the second.
MOST_STATE_BYTES, MOST_STATE_BYTES_EXPLAINED = 4_096, 65_536
_CUTS = (1, 7, 100)
_DAY_S = 86_400
#: How far ahead a clock is for a while.
_AHEAD_MS = 3_600_000
_DAY_SYMBOLS = 50
_POOL = "check"

Status = Literal["passed", "failed"]


class SuiteSize(NamedTuple):
    """Size of the generated test data."""

    #: Events of the checks on replay, cuts, repeats and warm-up: 10 ticks a second of three symbols.
    events: int = 12_000
    #: Seconds between two ticks of a symbol on the day of 50 symbols: with 60, 72,000 events of each kind.
    day_step_s: int = 60


class CheckResult(NamedTuple):
    """Result of one check."""

    name: str
    status: Status
    #: What was seen, or what is wrong; one line.
    detail: str


class SuiteReport(NamedTuple):
    """The results of all checks on one class."""

    strategy: str
    findings: tuple[CheckResult, ...]

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return not self.failed

    @property
    def failed(self) -> tuple[str, ...]:
        """The names of the checks that failed."""
        return tuple(finding.name for finding in self.findings if finding.status == "failed")


class _SignalRow(msgspec.Struct, frozen=True):
    """The fields of a signal that checks compare: time, symbol and action."""

    symbol: str
    action: str
    event_time_ms: int

    @property
    def about(self) -> tuple[str, str]:
        """Symbol and action, to which a cool-down applies."""
        return self.symbol, self.action


class _BrokenError(Exception):
    """A failed check: its text becomes the result's detail."""


class _EngineRun(NamedTuple):
    """Signals, states and seconds of one run of the engine."""

    ledger: MemoryLedger
    seconds: float

    @property
    def signals(self) -> list[bytes]:
        """The contract's JSON of each."""
        return self.ledger.signals

    @property
    def states(self) -> dict[str, bytes]:
        """Each packed, by its field."""
        return {name: packed for name, packed in self.ledger.fields[_POOL].items() if name.startswith("state:")}

    @property
    def state_bytes(self) -> int:
        """The largest state, packed."""
        return max(map(_own_bytes, self.states.values()), default=0)


def check(strategy_type: type[AnyStrategy], size: SuiteSize = SuiteSize()) -> SuiteReport:  # noqa: B008 a constant
    """Return the result of each check of a strategy; never raises what the strategy raises."""
    trial = _StrategyTrial(strategy_type, size)
    checks: tuple[tuple[str, Callable[[], str]], ...] = (
        ("unknown parameters are refused", trial.parameters),
        ("no event makes it raise", trial.no_exception),
        ("replay is deterministic", trial.replay),
        ("a cut and a restored state change nothing", trial.resume),
        ("a repeated event yields nothing", trial.repeats),
        ("no signal in warm-up", trial.warmup),
        ("recovers from a clock that was ahead", trial.clock),
        ("the state stays bounded", trial.bounded),
        ("cost per event", trial.cost),
        ("no clock, I/O, randomness or Celery (lint)", trial.source),
    )
    return SuiteReport(strategy_type.name, tuple(_try(name, run) for name, run in checks))


def _try(name: str, run: Callable[[], str]) -> CheckResult:
    try:
        return CheckResult(name, "passed", run())
    except _BrokenError as broken:
        return CheckResult(name, "failed", str(broken))
    except Exception as error:  # noqa: BLE001 somebody's code may raise anything
        return CheckResult(name, "failed", f"{type(error).__name__}: {error}".splitlines()[0])


class _StrategyTrial:
    """All checks of one strategy class."""

    def __init__(self, strategy_type: type[AnyStrategy], size: SuiteSize) -> None:
        self._type, self._size = strategy_type, size
        self._kinds = kinds_of(strategy_type)
        self._bars = _bars_of(strategy_type)
        self._pace = synthetic_market.MarketPace.filling(self._bars)
        names = synthetic_market.symbols(len(synthetic_market.BASKET))
        market = synthetic_market.market(names, self._kinds, self._pace.step_ms, scale=self._pace.scale)
        self._events = list(islice(market, size.events if self._kinds else 0))
        self._once: _EngineRun | None = None

    def parameters(self) -> str:
        self._type.create({})
        try:
            self._type.create({"no_strategy_has_this": 1})
        except ValidationError:
            return f"{len(self._type.params_type.model_fields)} parameters"
        raise _BrokenError("create({'no_strategy_has_this': 1}) was not refused")

    def no_exception(self) -> str:
        if not self._kinds:
            raise _BrokenError(f"it overrides none of {', '.join(HOOKS.values())}, on_bar")
        run = self._whole()
        if letters := run.ledger.letters:
            detail = dead_letters.unpack(letters[0]).detail.strip().splitlines()[-1]
            raise _BrokenError(f"{len(letters)} events raised, the first: {detail}")
        trades = [event for event in self._events if isinstance(event, Trade)]
        closed = sum(1 for spec in self._bars for _ in bars(trades, spec))
        given = f" and {closed:,} bars" if self._bars else ""
        return f"{len(self._events):,} events{given}, {len(run.signals):,} signals"

    def replay(self) -> str:
        _same(self._whole(), self._run([self._events]), "a second replay")
        return "signals and states equal to the byte"

    def resume(self) -> str:
        for length in _CUTS:
            # Every cut costs a restored state, so the shorter ones are tried on the last events only.
            first = max(0, len(self._events) - 600 * length)
            tail = self._events[first:]
            batches = [self._events[:first], *(tail[at : at + length] for at in range(0, len(tail), length))]
            _same(self._whole(), self._run(batches), f"cut every {length} events")
        return f"cut every {', '.join(map(str, _CUTS))} events"

    def repeats(self) -> str:
        twice = [event for event in self._events for _ in range(2)]
        run, seen = self._whole(), self._run([twice])
        if sorted(run.signals) != sorted(seen.signals) or run.states != seen.states:
            raise _BrokenError(f"{len(seen.signals)} signals instead of {len(run.signals)} with each event twice")
        return f"{len(self._events):,} events given twice"

    def warmup(self) -> str:
        needed = self._type.create({}).warmup
        if type(needed) is not int or needed < 0:
            raise _BrokenError(f"warmup is {needed!r}, not a number of events")
        by_state = self._by_state()
        early = [event for events in by_state for event in events[:needed]]
        signals = self._run([early]).signals
        if signals:
            raise _BrokenError(f"{len(signals)} signals in the first {needed} events of a state")
        if any(len(events) <= needed for events in by_state):
            raise _BrokenError(f"a warm-up of {needed} events is longer than this suite: it can't show what follows")
        return f"{needed} events"

    def clock(self) -> str:
        """A strategy that signals repeatedly from a fresh start must not fall silent after a step back of the clock."""
        first = len(self._events) // 3
        tail = self._events[first + first // 10 :]
        ahead = [
            msgspec.structs.replace(event, time_ms=event.time_ms + _AHEAD_MS)
            for event in self._events[first : first + first // 10]
        ]
        fresh = [each.about for each in _signals_within(self._run([tail]), tail)]
        again = {each.about for each in _signals_within(self._run([self._events[:first] + ahead + tail]), tail)}
        silent = {about for about in fresh if fresh.count(about) > 1} - again
        if silent:
            which = ", ".join(" ".join(about) for about in sorted(silent))
            raise _BrokenError(f"silent after its times were an hour ahead for a moment: {which}")
        return f"{len(fresh):,} signals from a fresh start, none stays silent after an hour ahead"

    def bounded(self) -> str:
        ticks = _DAY_S // self._size.day_step_s
        names = synthetic_market.symbols(_DAY_SYMBOLS)
        count = ticks * len(names) * len(self._kinds)
        step_ms = self._size.day_step_s * 1000
        day = islice(synthetic_market.market(names, self._kinds, step_ms, scale=self._pace.scale), count)
        largest = max(self._run(batches.split(day)).state_bytes, self._whole().state_bytes)
        explained = "kib" in (self._type.state_type.__doc__ or "").lower()
        most = MOST_STATE_BYTES_EXPLAINED if explained else MOST_STATE_BYTES
        if largest > most:
            raise _BrokenError(f"a state of {largest:,} bytes, at most {most:,}")
        return f"at most {largest:,} bytes a state, {count:,} events in a day of {_DAY_SYMBOLS} symbols"

    def cost(self) -> str:
        return f"{self._whole().seconds / max(1, len(self._events)) * 1e6:.1f} µs of processor time, engine and codec included"

    def source(self) -> str:
        faults = source_lint.faults(self._type)
        if faults:
            raise _BrokenError("; ".join(faults))
        return "nothing found"

    def _by_state(self) -> list[list[AnyEvent]]:
        if self._type.key == "all":
            return [self._events]
        names = {event.symbol for event in self._events}
        return [[event for event in self._events if event.symbol == name] for name in sorted(names)]

    def _whole(self) -> _EngineRun:
        if self._once is None:
            self._once = self._run([self._events])
        return self._once

    def _run(self, parts: Iterable[Sequence[AnyEvent]]) -> _EngineRun:
        """Run batches as workers would, each in a new one: a new strategy, restored states, a number for each event."""
        ledger, started_s, seq = MemoryLedger("check"), time.process_time(), 0
        for batch in parts:
            events = [msgspec.structs.replace(event, seq=seq + n) for n, event in enumerate(batch, start=1)]
            seq += len(events)
            ledger.run(_POOL, events, (BoundStrategy.of(self._type.create({})),), "check")
        return _EngineRun(ledger, time.process_time() - started_s)


def _bars_of(strategy_type: type[AnyStrategy]) -> tuple[BarSpec, ...]:
    """Return the bars that a strategy asks for; none where it can't be made or asks for others, which checks will say."""
    try:
        return parse_all(strategy_type.create({}).bars)
    except Exception:  # noqa: BLE001 somebody's code may raise anything
        return ()


def _own_bytes(packed: bytes) -> int:
    """Return the size of a packed state without the engine's open bars."""
    saved = strategy_run.unpack(packed)
    return len(packed) - (len(msgspec.msgpack.encode(saved.bars)) if saved.bars else 0)


def _signals_within(run: _EngineRun, events: Sequence[AnyEvent]) -> list[_SignalRow]:
    """Return the signals that came within the times of some events."""
    if not events:
        return []
    read = [msgspec.json.decode(packed, type=_SignalRow) for packed in run.signals]
    return [each for each in read if events[0].time_ms <= each.event_time_ms <= events[-1].time_ms]


def _same(one: _EngineRun, other: _EngineRun, how: str) -> None:
    if one.signals != other.signals:
        raise _BrokenError(f"{how} gave {len(other.signals)} signals instead of {len(one.signals)}, or others")
    if one.states != other.states:
        raise _BrokenError(f"{how} left another state behind")
