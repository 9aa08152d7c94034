"""The base of every strategy: what you write, and what the runner promises in return.

class Wide(Strategy[WideParams, WideState]):
    '''Sell when the spread doubles.'''

    name = "wide"

    def on_depth(self, book: Depth, state: WideState) -> Iterable[Signal]:
        if state.last_spread and book.spread > 2 * state.last_spread:
            yield Signal(action="sell", confidence=0.7, price=book.asks[0][0], current_price=book.mid)
        state.last_spread = book.spread
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Annotated, Any, ClassVar, Generic, Literal, Self, TypeVar, get_args, get_origin

import msgspec
from pydantic import BaseModel, ConfigDict, Field, model_validator

from tasks.bars import Bar
from tasks.events import KINDS, AggTrade, AnyEvent, BookTicker, Depth, Kind, Kline, Liquidation, MarkPrice, Trade

Action = Literal["buy", "sell", "hold", "close"]


class Params(BaseModel):
    """The parameters of a strategy: typed, bounded, immutable. Subclass it; give each field a description."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    notional: Annotated[
        float, Field(gt=0, le=1e12, description="Order value in quote currency; quantity = notional / price.")
    ] = 100.0
    min_signal_interval_s: Annotated[
        float,
        Field(ge=0, le=86_400, description="Event time between two signals of one symbol and action, in seconds."),
    ] = 5.0

    @model_validator(mode="before")
    @classmethod
    def _say_what_was_meant(cls, values: Any) -> Any:
        unknown = [str(name) for name in values if name not in cls.model_fields] if isinstance(values, dict) else []
        if unknown:
            raise ValueError(", ".join(cls._hint(name) for name in unknown))
        return values

    @classmethod
    def _hint(cls, name: str) -> str:
        close = difflib.get_close_matches(name, cls.model_fields, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(sorted(cls.model_fields))}"
        return f"unknown parameter {name!r}; {hint}"


class State(msgspec.Struct):
    """The state of a strategy for one symbol, kept between events.

    Every field needs a default: `State()` is the state before the first event. Plain values, lists, dicts and other
    msgspec structs only; at most 4 KiB packed, unless the class says why it needs more.
    """


class Signal(msgspec.Struct, frozen=True, kw_only=True):
    """A signal of a strategy. The runner adds ids, times, quantity and the rest of the contract.

    With these it has 64 KiB at most, as JSON; a longer one counts as an exception of the strategy.
    """

    action: Action
    #: 0 to 1.
    confidence: float
    #: The price at which the strategy would trade; above zero.
    price: float
    #: The market now: mid price of a book, or last trade; above zero.
    current_price: float
    #: Whose signal it is; None: the symbol of the event.
    symbol: str | None = None
    #: Price at which to give up, above zero.
    stop_loss: float | None = None
    #: Price at which to take the profit, above zero.
    take_profit: float | None = None
    #: One sentence for a person.
    rationale: str = ""
    #: The numbers behind the decision.
    indicators: dict[str, float] = {}


P = TypeVar("P", bound=Params)
S = TypeVar("S", bound=State)


class Strategy(Generic[P, S]):
    """A rule that turns events into signals. One object serves all symbols; what differs by symbol is in `State`.

    The runner promises:

    * order: the events of a symbol come in the exchange's order, each exactly once, whatever dies meanwhile;
    * state: `state` is what the last event left behind, also when that ran in another process;
    * isolation: an exception, whatever its class, drops this event's signals and its change of state, for this strategy only; the state
      is rebuilt without the event, which goes to the dead letters with the traceback;
    * warm-up: signals of the first `warmup` events of a state are dropped; each trade is one, a bar is none;
    * bars: those that `bars` asks for are built from the trades of each symbol, and are the same live and in a backtest;
    * cool-down: at most one signal per (symbol, action) in `min_signal_interval_s` of event time, the first wins; after a
      clock that was ahead is set right, it ends within that length too;
    * one signal at most per (symbol, action, event).

    In return: no clock, no I/O, no randomness, nothing kept on `self`. Events can't be changed; who gets around that, as
    with msgspec's `force_setattr`, changes them for other strategies too, and differently live and in a backtest. Time
    is `event.time_ms`. It may run back: by a second or two because clocks of different kinds meet, by more where one was
    ahead. A window must then restart, or treat time as not having passed.
    """

    #: The name in configuration, signals and metrics.
    name: ClassVar[str]
    #: Raise it when the meaning of `State` changes: older states are then given to `migrate`.
    version: ClassVar[int] = 1
    #: "symbol": a state a symbol. "all": one state for all symbols of the pool.
    key: ClassVar[Literal["symbol", "all"]] = "symbol"
    params_type: ClassVar[type[Params]]
    state_type: ClassVar[type[State]]

    def __init__(self, params: P) -> None:
        """Keep `params`. Called once for each configuration in each process."""
        self.params = params

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Read the types of parameters and state from `Strategy[Params, State]`."""
        super().__init_subclass__(**kwargs)
        for base in getattr(cls, "__orig_bases__", ()):
            if get_origin(base) is Strategy:
                cls.params_type, cls.state_type = get_args(base)

    @classmethod
    def create(cls, params: dict[str, Any]) -> Self:
        """Validate `params` and build the strategy. Raises pydantic.ValidationError."""
        return cls(cls.params_type.model_validate(params))  # type: ignore[arg-type]  # params_type is P's own class

    @property
    def warmup(self) -> int:
        """The number of events that a state needs before its signals are valid; 0 by default."""
        return 0

    def on_depth(self, book: Depth, state: S) -> Iterable[Signal]:  # noqa: ARG002 the default ignores books
        """Called once for each book, in order. Change `state` in place, yield signals."""
        return ()

    def on_trade(self, trade: Trade, state: S) -> Iterable[Signal]:  # noqa: ARG002 the default ignores trades
        """Called once for each trade, in order. Change `state` in place, yield signals."""
        return ()

    def on_agg_trade(self, trade: AggTrade, state: S) -> Iterable[Signal]:
        """Called once for each aggregate trade, in order; by default it is taken as a trade."""
        return self.on_trade(trade, state)

    def on_book_ticker(self, quote: BookTicker, state: S) -> Iterable[Signal]:  # noqa: ARG002 the default ignores them
        """Called once for each change of best bid or ask, in order. Change `state` in place, yield signals."""
        return ()

    def on_kline(self, kline: Kline, state: S) -> Iterable[Signal]:  # noqa: ARG002 the default ignores candles
        """Called once for each closed candle of the exchange, of whatever interval, in order."""
        return ()

    def on_mark_price(self, mark: MarkPrice, state: S) -> Iterable[Signal]:  # noqa: ARG002 the default ignores them
        """Called once for each mark price, in order. Change `state` in place, yield signals."""
        return ()

    def on_liquidation(self, order: Liquidation, state: S) -> Iterable[Signal]:  # noqa: ARG002 the default ignores them
        """Called once for each liquidation, in order. Change `state` in place, yield signals."""
        return ()

    @property
    def bars(self) -> Sequence[str]:
        """The bars that `on_bar` is given, such as ("1m", "1000tick"): see `tasks.bars.spec`. None by default.

        Set it on the class; or return it from a property, if a parameter chooses it.
        """
        return ()

    def on_bar(self, bar: Bar, state: S) -> Iterable[Signal]:  # noqa: ARG002 the default ignores bars
        """Called once for each bar of `bars`, when a trade closes it and before that trade's own call.

        The bars that one trade closes come in the order of `bars`. Signals answer that trade: it is their trigger, and
        of those for one (symbol, action) the first wins, whether of a bar or of the trade.
        """
        return ()

    def explain(self, event: AnyEvent, state: S) -> Mapping[str, float]:  # noqa: ARG002 the default explains nothing
        """Return the numbers of the decision on `event`, for `./run tasks why`; none by default.

        `state` is a copy of the state before the event: the two are all that the decision was made of. It may be
        changed, so this may take the event in as the strategy's own method does.

        A number that is compared with a threshold has that beside it, under its own name and `_above`, `_at_least`,
        `_below` or `_at_most`: {"ratio": 3.2, "ratio_above": 3.0} is shown as `ratio 3.2 > 3`. The signal's indicators
        are shown as well, so there is no need to repeat them here unless they have a threshold.

        It is called for a person who asks, never while events are processed; what it raises is shown, and harms nothing.
        """
        return {}

    def migrate(self, version: int, state: Any) -> S | None:  # noqa: ARG002 the default starts from empty
        """Convert a state (builtin types) of an older `version` to today's; None starts from empty, with a new warm-up."""
        return None


AnyStrategy = Strategy[Any, Any]
#: By kind of event, the name of the method that takes it.
HOOKS: dict[Kind, str] = {kind: f"on_{kind}" for kind in KINDS}


def has_bars(strategy_type: type[AnyStrategy]) -> bool:
    """Return whether a strategy does anything with bars."""
    return strategy_type.on_bar is not Strategy.on_bar


def kinds_of(strategy_type: type[AnyStrategy]) -> tuple[Kind, ...]:
    """Return the kinds of events whose method a strategy overrides; bars are made of trades."""
    taken = {kind for kind, hook in HOOKS.items() if getattr(strategy_type, hook) is not getattr(Strategy, hook)}
    if has_bars(strategy_type):
        taken.add("trade")
    return tuple(kind for kind in KINDS if kind in taken)


def looks_at(strategy_type: type[AnyStrategy], kind: Kind) -> bool:
    """Return whether a strategy does anything with events of a kind: an aggregate trade is taken as a trade."""
    overridden = kinds_of(strategy_type)
    return kind in overridden or (kind == "agg_trade" and "trade" in overridden)


def methods_of(strategy_type: type[AnyStrategy]) -> dict[Kind, list[str]]:
    """Return the methods that take events of each kind that a strategy looks at, in the order in which they are called."""
    return {kind: list(_methods(strategy_type, kind)) for kind in KINDS if looks_at(strategy_type, kind)}


def _methods(strategy_type: type[AnyStrategy], kind: Kind) -> Iterator[str]:
    if has_bars(strategy_type) and kind in {"trade", "agg_trade"}:
        yield "on_bar"
    names = [HOOKS[kind], *(["on_trade"] if kind == "agg_trade" else [])]
    overridden = (name for name in names if getattr(strategy_type, name) is not getattr(Strategy, name))
    yield from islice(overridden, 1)
