"""What a venue has to say about itself before the contract suite can run against it: data and two makers, no case.

A case knows `Venue`, `OperatorVenue`, the exchange behind the server as the truth, and this. What a venue can't have it declares
here (`traits`, `faults`) or in its adapter's capabilities; the suite skips by that and prints it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from random import Random

from guardd.clock import Clock
from guardd.model.facts import Listener
from guardd.model.names import AccountName, Symbol
from guardd.model.outcome import Reason
from guardd.simulator.contracts import Contract
from guardd.simulator.engine import Exchange
from guardd.simulator.faults import FaultKind, Faults
from guardd.simulator.terms import Terms
from guardd.simulator.wire import Dialect
from guardd.venues.base import OperatorVenue, Venue
from guardd.venues.wire import Wire


class Trait(StrEnum):
    """What some venues have and others can't; the text stands in the reason of a skip."""

    SECOND_SETTLEMENT_COIN = "contracts that settle in a second coin"
    UNGUARDED_CONTRACT = "contracts that are known and not guarded"
    POOLED_BALANCE = "one pool behind every settlement coin"
    LATE_POSITION = "positions that take no stop for a while after their fill"
    ACKNOWLEDGES_WITHOUT_ID = "orders that are acknowledged without an id"
    CHANGES_FAMILY = "accounts that change their family while guardd runs"
    REFUSES_OVERSIZED_CLOSES = "closes that are refused when they are larger than the position, not cut to it"
    FORM_IS_NOT_LISTED = "plan lists that don't tell a whole-position order from a sized one"
    MAY_BE_CLOSING = "codes that say that the venue itself may be closing"


class Line(StrEnum):
    """What a fault is to strike. Its paths (globs) are the venue's."""

    CLOSE = "close"
    STOP = "stop"
    MOVE = "move"
    CANCEL = "cancel"
    LEVERAGE = "leverage"
    MARGIN = "margin"
    TRANSFER = "transfer"
    POSITIONS = "positions"
    BALANCES = "balances"
    RESTING = "resting"
    PLANS = "plans"
    LOOK_UP = "look_up"
    MARK = "mark"
    PUBLIC_SOCKET = "public_socket"
    PRIVATE_SOCKET = "private_socket"
    PRIVATE_PUSHES = "private_pushes"
    PRICE_PUSHES = "price_pushes"


class Denial(StrEnum):
    """What a venue is asked that it must not do; the bench names the reasons that it may refuse with."""

    LARGER_THAN_HELD = "larger_than_held"
    NOTHING_HELD = "nothing_held"
    WRONG_SIDE = "wrong_side"
    VOLUME_HELD_BY_ORDERS = "volume_held_by_orders"
    ABOVE_MARKET_MAXIMUM = "above_market_maximum"
    BELOW_MINIMUM = "below_minimum"
    OFF_GRID = "off_grid"
    STOP_WITHOUT_POSITION = "stop_without_position"
    STOP_LARGER_THAN_HELD = "stop_larger_than_held"
    STOP_PASSED = "stop_passed"
    STOP_TWICE = "stop_twice"
    STOP_REPEATED = "stop_repeated"
    UNKNOWN_ORDER = "unknown_order"
    LEVERAGE_OUT_OF_RANGE = "leverage_out_of_range"
    PAUSED_CONTRACT = "paused_contract"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """One API key, by whatever name the venue calls its third part."""

    key: str
    secret: str = field(repr=False)
    passphrase: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """What the adapter of any venue is built from."""

    account: AccountName
    rest_url: str
    stream_url: str
    keys: Keys
    share: float
    clock: Clock
    wire: Wire
    random: Random
    listener: Listener


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    venue: Venue
    operator: OperatorVenue


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """One venue's place in the registry.

    `hundredth`: one hundredth of a coin in the size unit of that symbol. `turned_away`: what a fault at a write must come to,
    a reason when the venue's answer proves that nothing happened, None where the outcome stays unknown (I7).
    """

    name: str
    venue: str
    family: str
    adapter: Callable[[Wiring], Adapter]
    dialect: Callable[[Exchange, Faults], Dialect]
    contracts: Callable[[], Sequence[Contract]]
    prices: Callable[[], Mapping[str, Decimal]]
    terms: Callable[[], Terms]
    open_account: Callable[[Exchange, "Account"], None]
    settle: str
    btc: Symbol
    eth: Symbol
    unknown: Symbol
    hundredth: Mapping[Symbol, Decimal]
    paths: Mapping[Line, Sequence[str]]
    denials: Mapping[Denial, frozenset[Reason]]
    turned_away: Mapping[FaultKind, Reason | None]
    shows_late: Sequence[tuple[str, FaultKind, int | None]]
    """Faults (path, kind, code) that keep a new order out of every look-up, in the venue's own words."""
    traits: frozenset[Trait] = frozenset()
    second_coin: Symbol | None = None
    second_settle: str = ""
    unguarded: Symbol | None = None
    hold_unguarded: Callable[[Dialect], None] | None = None
    """Lets the account hold a long position of that contract."""
    late_position: Callable[[Exchange], None] | None = None
    """Switches on that positions take no stop for some hundred milliseconds after their fill."""
    change_family: Callable[[Dialect], None] | None = None

    def size(self, symbol: Symbol, hundredths: int | Decimal) -> Decimal:
        """So many hundredths of a coin, in the venue's unit."""
        return self.hundredth[symbol] * hundredths

    def __repr__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The account that a case begins with."""

    uid: str
    deposit: Decimal
    spot: Decimal
    hedge: bool
    isolated: bool
    leverage: Decimal
