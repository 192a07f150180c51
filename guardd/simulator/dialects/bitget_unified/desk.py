"""What every call is given: the exchange, the choices of this venue, and what it remembers of each account."""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from random import Random

from msgspec import Struct

from guardd.simulator.contracts import Contract
from guardd.simulator.dialects.bitget_common.auth import Keyring
from guardd.simulator.dialects.bitget_common.envelope import Json
from guardd.simulator.dialects.bitget_common.gateway import Call
from guardd.simulator.dialects.bitget_common.sockets import SocketRules
from guardd.simulator.dialects.bitget_unified.codes import refuse
from guardd.simulator.dialects.bitget_unified.coin import COIN_CONTRACTS, CoinContract, CoinPosition
from guardd.simulator.dialects.bitget_unified.strategy import Strategies
from guardd.simulator.engine import Exchange
from guardd.simulator.faults import FaultKind, Faults
from guardd.simulator.orders import PositionSide
from guardd.simulator.records import PositionView
from guardd.simulator.refusals import Refused
from guardd.simulator.tape import Tape


class Category(StrEnum):
    USDT = "USDT-FUTURES"
    USDC = "USDC-FUTURES"
    COIN = "COIN-FUTURES"
    SPOT = "SPOT"
    MARGIN = "MARGIN"


FUTURES = (Category.USDT, Category.USDC, Category.COIN)
_OF_COIN = {"USDT": Category.USDT, "USDC": Category.USDC}


class AccountMode(StrEnum):
    """What `settings` says of an account (UTA reference, 2)."""

    UNIFIED = "unified"
    HYBRID = "hybrid"
    UPGRADING = "upgrading"  # on its way from classic
    SWITCHING = "switching"  # on its way back


CONVERTING = (AccountMode.UPGRADING, AccountMode.SWITCHING)


class SecondFull(StrEnum):
    """What a second whole-position TP/SL of one side does; nobody says (16.11)."""

    REFUSE = "refuse"
    REPLACE = "replace"


class Options(Struct, frozen=True, kw_only=True):
    """Where the reference leaves a choice; the defaults are the stricter reading."""

    ticker_interval_ms: int = 300  # 0: a frame for every price move
    second_full: SecondFull = SecondFull.REFUSE
    modify_keeps_legs: bool = False  # else a leg that a change leaves out is gone (16.12)
    modify_needs_quantity: bool = True  # "marked required" (10.2)
    one_way_takes_side: bool = True  # posSide of a TP/SL in one-way mode; else refused with 400172 (16.9)
    liquidation_handling_ms: int = 3_000  # writes answer 25008 for so long after a liquidation (4)
    empty_list_is_null: bool = True  # observed; `[]` elsewhere (8.1)
    cursor_is_number: bool = True  # of history-strategy-orders: recorded above 2^53 (16.40)
    open_orders_max: int = 400  # over all futures categories together (1)
    ratio_places: int = 2  # mgnRatio is printed coarsely: cut off here (0, fact 4)
    account_level: str = "advanced"
    permissions: tuple[str, ...] = ("uta_mgt", "uta_trade")
    rules: SocketRules = SocketRules()


class Closed(Struct, frozen=True, kw_only=True):
    """A position's finished life."""

    position_id: str
    view: PositionView


@dataclass(slots=True, kw_only=True)
class Standing:
    """What the venue knows of one account beside the exchange's own books."""

    mode: AccountMode = AccountMode.UNIFIED
    liquidated_ms: int | None = None
    closed: list[Closed] = field(default_factory=list)
    coin_positions: list[CoinPosition] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Desk:
    exchange: Exchange
    tape: Tape
    faults: Faults
    keyring: Keyring
    options: Options = field(default_factory=Options)
    random: Random = field(default_factory=lambda: Random(0))  # noqa: S311 -- reproducible ids, not secrets
    standings: dict[str, Standing] = field(default_factory=dict)
    sizes: dict[tuple[str, str, PositionSide], Decimal] = field(default_factory=dict)  # held, of every account
    interest: dict[str, Decimal] = field(default_factory=dict)  # of a contract, held by all accounts together
    strategies: Strategies = field(init=False)
    news: list[tuple[str, str]] = field(default_factory=list)  # (uid, strategy) changed by a call, yet to be pushed
    composing: bool = False  # a call is at a strategy's legs: they are told as one when it is done

    def __post_init__(self) -> None:
        self.strategies = Strategies(exchange=self.exchange)

    def note_size(self, view: PositionView) -> None:
        """Keep the open interest, which a ticker may not have to add up anew."""
        key = (view.uid, view.symbol, view.side)
        before = self.sizes.get(key, Decimal(0))
        self.sizes[key] = view.size
        self.interest[view.symbol] = self.interest.get(view.symbol, Decimal(0)) + view.size - before

    def standing(self, uid: str) -> Standing:
        return self.standings.setdefault(uid, Standing())

    def mode(self, uid: str, now_ms: int) -> AccountMode:
        """As it was set, or on its way elsewhere for as long as the fault stands."""
        converting = self.faults.stands(FaultKind.CONVERTING, now_ms, account=uid)
        return AccountMode.SWITCHING if converting else self.standing(uid).mode

    def check_writable(self, uid: str, now_ms: int) -> None:
        """Nothing is written to an account that is being converted (25245) or liquidated (25008)."""
        if self.mode(uid, now_ms) in CONVERTING:
            raise refuse("25245")
        since_ms = self.standing(uid).liquidated_ms
        if since_ms is not None and now_ms - since_ms < self.options.liquidation_handling_ms:
            raise refuse("25008")

    def contract(self, category: Category, symbol: str) -> Contract:
        """A linear contract of this category: 25100 for one that isn't in it, 25102 for Coin-M, which has no book."""
        if category is Category.COIN and symbol in COIN_CONTRACTS:
            raise refuse("25102")
        try:
            found = self.exchange.query.contract(symbol)
        except Refused as refusal:
            raise refuse("25100") from refusal
        if category_of(found) is not category:
            raise refuse("25100")
        return found

    def contracts(self, category: Category, symbol: str = "") -> list[Contract]:
        """Linear contracts of this category, or the named one."""
        if symbol and not (category is Category.COIN and symbol in COIN_CONTRACTS):
            return [self.contract(category, symbol)]
        return [each for each in self.exchange.query.contracts() if category_of(each) is category]

    def coins(self, category: Category, symbol: str = "") -> list[CoinContract]:
        """Coin-M contracts, where they are asked for."""
        if category is not Category.COIN:
            return []
        return [each for each in COIN_CONTRACTS.values() if symbol in ("", each.symbol)]

    def category(self, symbol: str) -> Category:
        return category_of(self.exchange.query.contract(symbol))


Handler = Callable[[Desk, Call], Json]


def category_of(contract: Contract) -> Category:
    """By the coin it settles in."""
    return _OF_COIN[contract.quote]
