"""The stored state of the account of one strategy. Pure."""

from typing import Literal

import msgspec

from tasks.paper.closed_position import ExitReason, Side
from tasks.protocol import checksum
from tasks.strategy import Action

#: Of the state's format; a state of another version is not used.
VERSION = 1


class PaperOrder(msgspec.Struct, array_like=True, frozen=True):
    """A signal that was sent to the market and has not arrived there."""

    signal_id: str
    action: Action
    #: Event time of the signal.
    sent_ms: int
    #: In quote currency.
    notional: float
    stop_loss: float | None
    take_profit: float | None


class OpenPosition(msgspec.Struct, array_like=True):
    """A position that is not closed; in part, it may be."""

    signal_id: str
    #: +1 long, -1 short.
    direction: int
    #: In base currency, and what it cost.
    quantity: float
    entry_value: float
    opened_ms: int
    stop_loss: float | None
    take_profit: float | None
    fees: float
    #: Price of the last event, for what is not realised.
    mark: float
    funding: float = 0.0
    #: What is closed of it, and what that brought.
    exit_quantity: float = 0.0
    exit_value: float = 0.0
    #: Why it is being closed; empty: it is not.
    exit_reason: ExitReason | Literal[""] = ""
    exit_signal_id: str = ""

    @property
    def side(self) -> Side:
        """Whether it is long or short."""
        return "long" if self.direction > 0 else "short"

    @property
    def unrealised(self) -> float:
        """What closing it at the last price would leave, before the fee of that."""
        value = self.exit_value + (self.quantity - self.exit_quantity) * self.mark
        return self.direction * (value - self.entry_value) - self.fees - self.funding


class PaperTotals(msgspec.Struct, array_like=True):
    """What a symbol's closed positions came to, in quote currency; fees and turnover count open ones too."""

    positions: int = 0
    wins: int = 0
    #: After fees and funding; `won` and `lost` are its two parts, both 0 or more.
    realised: float = 0.0
    won: float = 0.0
    lost: float = 0.0
    fees: float = 0.0
    funding: float = 0.0
    turnover: float = 0.0
    #: How long positions were held.
    held_ms: int = 0
    #: The highest that realised and unrealised profit ever were, and the deepest fall from there.
    peak: float = 0.0
    drawdown: float = 0.0


class SymbolAccount(msgspec.Struct, array_like=True):
    """The account of one symbol."""

    orders: list[PaperOrder] = []
    position: OpenPosition | None = None
    totals: PaperTotals = msgspec.field(default_factory=PaperTotals)
    #: The funding that was announced last, and when it is due.
    funding_rate: float | None = None
    next_funding_ms: int | None = None


class PaperState(msgspec.Struct, array_like=True):
    """The account of one strategy, as stored: of one symbol, or of all where the strategy is keyed by `all`."""

    version: int = VERSION
    symbols: dict[str, SymbolAccount] = {}


class UnusableStateError(ValueError):
    """An account that can't be gone on with; says why."""


_packer = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(PaperState)
_FIELDS = len(PaperState.__struct_fields__)


def pack(state: PaperState) -> bytes:
    """Pack an account for the ledger."""
    return checksum.seal(_packer.encode(state))


def unpack(packed: bytes) -> PaperState:
    """Undo `pack`. Raises UnusableStateError: it is of another version, or no account."""
    try:
        checksum.is_sealed(packed, _FIELDS)
        state = _decoder.decode(packed)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UnusableStateError(str(error)) from None
    if state.version != VERSION:
        raise UnusableStateError(f"a paper account of version {state.version}, this release reads {VERSION}")
    return state
