"""What every call of the classic account is given: the exchange, this venue's choices, and what it must remember.

The exchange knows nothing of transfer ids that may be repeated, or of past lives of positions: these are the venue's own,
kept here.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from msgspec import Struct

from guardd.simulator.contracts import Contract
from guardd.simulator.dialects.bitget.products import COIN_SYMBOL, COINS, CoinPosition, Product, product_of
from guardd.simulator.dialects.bitget_common.arguments import Fields
from guardd.simulator.dialects.bitget_common.auth import Keyring
from guardd.simulator.dialects.bitget_common.envelope import Row, VenueError
from guardd.simulator.dialects.bitget_common.sockets import SocketRules
from guardd.simulator.engine import Exchange
from guardd.simulator.faults import Faults
from guardd.simulator.happenings import Happening, PositionChanged
from guardd.simulator.orders import PositionMode, PositionSide
from guardd.simulator.records import Balance, PositionView
from guardd.simulator.refusals import RefusalReason, Refused
from guardd.simulator.tape import Tape

LEAST_VALUE = "5"  # minTradeUSDT, in the words of 45110
Leg = tuple[str, str, PositionSide]  # account, symbol, side


class Options(Struct, frozen=True, kw_only=True):
    """Where the reference leaves a choice, or documents an oddity that a client has to survive."""

    ticker_interval_ms: int = 300  # 13.4; 0: a frame for every price move
    sockets: SocketRules = SocketRules()
    answers_numbers: bool = True  # leverages of account/account as JSON numbers, as observed (2)
    refuses_unknown_plans: bool = (
        True  # a cancel that finds none of its ids is 43020 or 43025, else they only fail (12.6)
    )
    silent_symbols: frozenset[str] = frozenset()  # never in a ticker push


@dataclass(slots=True, kw_only=True)
class Memory:
    """What the venue keeps beside the exchange's own state."""

    next_id: int = 1_200_000_000_000_000_000
    union: set[str] = field(default_factory=set)  # accounts in multi-asset mode
    position_ids: dict[tuple[Leg, int], str] = field(default_factory=dict)
    lives: dict[str, list[PositionView]] = field(default_factory=dict)  # closed positions, oldest first
    cancelled_ms: dict[str, int] = field(default_factory=dict)  # when an order was last asked to go
    transfers: dict[tuple[str, str], Row] = field(default_factory=dict)  # (account, clientOid) → the first answer
    transfer_rows: dict[str, list[Row]] = field(default_factory=dict)
    margin_bills: dict[str, list[Row]] = field(default_factory=dict)
    moving_plans: set[str] = field(default_factory=set)  # plan ids of moving_plan, the rest of trailing is track_plan
    coin_positions: dict[str, list[CoinPosition]] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Desk:
    exchange: Exchange
    tape: Tape
    faults: Faults
    keyring: Keyring
    options: Options = field(default_factory=Options)
    random: Random = field(default_factory=lambda: Random(0))  # noqa: S311 -- reproducible traces, not secrets
    memory: Memory = field(default_factory=Memory)

    def hear(self, happening: Happening) -> None:
        """Keep what the venue will be asked for later."""
        match happening:
            case PositionChanged(uid=uid, position=view) if not view.size:
                self.position_id(view)
                self.memory.lives.setdefault(uid, []).append(view)
            case _:
                pass

    def new_id(self) -> str:
        """A fresh id of the venue's own making: 19 digits, and later is larger."""
        self.memory.next_id += self.random.randint(1, 1_000_000)
        return str(self.memory.next_id)

    def position_id(self, view: PositionView) -> str:
        key = ((view.uid, view.symbol, view.side), view.opened_ms)
        return self.memory.position_ids.setdefault(key, self.new_id())

    def product(self, fields: Fields) -> Product:
        """`productType`, in either case; missing is 400172 (6.5, observed)."""
        if not fields.has("productType"):
            raise VenueError("400172")
        return Product(fields.word("productType", *Product))

    def contract(self, fields: Fields) -> Contract:
        """The traded contract that `symbol` names within `productType`; 40034 for any other."""
        product = self.product(fields)
        named = fields.text("symbol")
        try:
            contract = self.exchange.query.contract(named.upper())
        except Refused as refusal:
            raise VenueError("40034", fill=named) from refusal
        if product_of(contract) is not product:
            raise VenueError("40034", fill=named)
        return contract

    def optional_symbol(self, fields: Fields) -> str | None:
        """The symbol, where one is named; a Coin-M one is known too."""
        if not fields.has("symbol"):
            return None
        if fields.text("symbol").upper() == COIN_SYMBOL and self.product(fields) is Product.COIN:
            return COIN_SYMBOL
        return self.contract(fields).symbol

    def listed(self, product: Product) -> Iterator[Contract]:
        """The traded contracts of a product type."""
        return (each for each in self.exchange.query.contracts() if each.coin == COINS.get(product))

    def of_product(self, symbol: str, product: Product) -> bool:
        return product_of(self.exchange.query.contract(symbol)) is product

    def check_coin(self, fields: Fields, contract: Contract, *, required: bool = True) -> None:
        """`marginCoin`, in upper case as documented (quirk 19)."""
        coin = fields.text("marginCoin") if required else fields.optional_text("marginCoin")
        if coin and coin != contract.coin:
            raise VenueError("40778")

    def balance(self, uid: str, coin: str) -> Balance:
        """The account's wallet of one margin coin."""
        return self.exchange.query.balance(uid, coin)

    def position_mode(self, uid: str, product: Product) -> PositionMode:
        """Each product type has its own (5.1)."""
        return self.exchange.query.position_mode(uid, product.value)


_CODES: dict[RefusalReason, str] = {
    RefusalReason.VENUE_CLOSING: "45107",
    RefusalReason.VENUE_MAINTENANCE: "40200",
    RefusalReason.CONTRACT_NOT_FOUND: "40034",
    RefusalReason.CONTRACT_OFFLINE: "41113",
    RefusalReason.CONTRACT_PAUSED: "41113",
    RefusalReason.NO_MARKET: "41113",
    RefusalReason.PARAMETER_INVALID: "400172",
    RefusalReason.PRICE_PRECISION: "45115",
    RefusalReason.SIZE_PRECISION: "22038",
    RefusalReason.SIZE_RANGE: "45112",
    RefusalReason.NOTIONAL_TOO_SMALL: "45110",
    RefusalReason.POSITION_NOT_READY: "43023",
    RefusalReason.DUPLICATE_CLIENT_ID: "40786",
    RefusalReason.LEVERAGE_TOO_LARGE: "45045",
    RefusalReason.LEVERAGE_TOO_SMALL: "45044",
    RefusalReason.LEVERAGE_CONFLICT: "45097",
    RefusalReason.MARGIN_MODE_CONFLICT: "45117",
    RefusalReason.POSITION_LIMIT: "40762",
    RefusalReason.POSITIONS_EXIST: "40920",
    RefusalReason.ORDERS_EXIST: "40920",
    RefusalReason.NOT_ISOLATED: "40875",
    RefusalReason.INSUFFICIENT_BALANCE: "40762",
    RefusalReason.INSUFFICIENT_SPOT_BALANCE: "43012",
    RefusalReason.AMOUNT_INVALID: "40808",
    RefusalReason.WOULD_LIQUIDATE: "40762",
    RefusalReason.TRANSFER_SUSPENDED: "42013",
    RefusalReason.POSITION_NOT_EXIST: "22002",
    RefusalReason.POSITION_CLOSED: "22002",
    RefusalReason.POSITION_LIQUIDATING: "45009",
    RefusalReason.VOLUME_NOT_ENOUGH: "40804",
    RefusalReason.ORDER_NOT_EXIST: "40768",
    RefusalReason.ORDER_FINISHED: "40768",
    RefusalReason.TOO_MANY_ORDERS: "45118",
    RefusalReason.TOO_MANY_PLANS: "40889",
    RefusalReason.PLAN_EXISTS: "43031",
    RefusalReason.TRIGGER_TOO_FAR: "45052",
    RefusalReason.TRIGGER_WRONG_SIDE: "45052",
    RefusalReason.SYSTEM_ERROR: "45001",
}


def code_of(refusal: Refused) -> VenueError:
    """The venue's code for a refusal, where its call has no better one."""
    fill = LEAST_VALUE if refusal.reason is RefusalReason.NOTIONAL_TOO_SMALL else refusal.detail
    return VenueError(_CODES[refusal.reason], fill=fill)
