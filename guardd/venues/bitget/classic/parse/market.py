"""Public answers: contracts, margin tiers, tickers (Bitget reference, 5 and 6)."""

from decimal import Decimal
from typing import Final

from msgspec import Struct

from guardd.model.event import MarkSeen, Source
from guardd.model.instant import Instant
from guardd.model.instrument import Instrument, MarginTier
from guardd.model.names import Symbol
from guardd.model.reading import is_value
from guardd.venues.bitget.classic.parse.words import Product, coin_of, list_of, plain, symbol_of
from guardd.venues.bitget.tiers import Bracket, table_of
from guardd.venues.rows import Row

INVERSE: Final = (
    "Coin-M: the unit of its sizes isn't documented, so guardd sends nothing for it (Bitget reference, 19.41)"
)
DATED: Final = (
    "a delivery contract: its venue closes it by date, and limits closing before that; guardd sends nothing for it"
)
_UNBOUNDED: Final = Decimal(10) ** 15
"""For a maximum that isn't given: the venue's own refusal bounds it then (fields since 2025-06)."""
_CLOSABLE: Final = frozenset({"normal", "limit_open"})
_STATUS_WORDS: Final = {
    "listed": "is being listed and doesn't trade yet",
    "maintain": "is in maintenance: neither opening nor closing is possible",
    "limit_open": "takes no new positions; closing is possible",
    "restrictedapi": "takes no orders by API: guardd can't act on it",
    "off": "is offline",
}


class Contract(Struct, frozen=True, kw_only=True):
    """One row of the contract list: an `Instrument` but for its margin tiers and its fee."""

    product: Product
    symbol: Symbol
    base: str
    settle: str
    tick: Decimal
    step: Decimal
    min_size: Decimal
    min_notional: Decimal
    """In USDT. Whether it binds closes isn't documented (19.26)."""
    max_limit_size: Decimal
    max_market_size: Decimal
    max_leverage: Decimal
    taker_fee: Decimal
    status: str
    delivery_ms: int | None
    off_ms: int | None
    unguarded: str
    funding_every_s: int | None = None

    @property
    def closable(self) -> bool:
        return self.status in _CLOSABLE

    @property
    def trouble(self) -> str:
        """What of its state a person should know; empty when it trades as usual."""
        if self.status == "normal":
            return ""
        return _STATUS_WORDS.get(self.status, f"has the status {self.status!r}, which nobody published")

    def instrument(self, *, tiers: tuple[MarginTier, ...], taker_fee: Decimal) -> Instrument:
        return Instrument(
            symbol=self.symbol,
            base=self.base,
            settle=self.settle,
            contract_size=Decimal(1),  # every size is in base coin (fact 2)
            tick=self.tick,
            step=self.step,
            min_size=self.min_size,
            max_limit_size=self.max_limit_size,
            max_market_size=self.max_market_size,
            max_leverage=self.max_leverage,
            taker_fee=taker_fee,
            tiers=tiers,
            tradable=self.closable,
            unguarded=self.unguarded,
            funding_every_s=self.funding_every_s,
        )


def contracts(product: Product, data: object) -> tuple[Contract, ...]:
    return tuple(_contract(product, row) for row in list_of("contracts.data", data))


def margin_tiers(data: object) -> tuple[MarginTier, ...]:
    """The tiers of one symbol (6.3). Where the venue takes the rate of a higher tier on the whole value, as it does for positions
    from before 2025-11-10, its rows say so and the model's figure closes nothing."""
    rows = list_of("query-position-lever.data", data)
    return table_of("query-position-lever.data", [_bracket(row) for row in rows])


def marks(data: object, at: Instant) -> dict[Symbol, MarkSeen]:
    """The mark of each symbol with what confirms it, from `ticker` and `tickers` (6.5). A row without a mark is left out."""
    found: dict[Symbol, MarkSeen] = {}
    for row in list_of("ticker.data", data):
        mark = row.price("markPrice")
        if mark is not None:
            symbol = symbol_of(row)
            found[symbol] = MarkSeen(
                symbol,
                mark,
                at,
                row.price("indexPrice"),
                row.price("lastPr"),
                row.price("bidPr"),
                row.price("askPr"),
                Source.REST,
            )
    return found


def symbol_price(data: object) -> dict[Symbol, Decimal]:
    """The marks of `symbol-price`, the fallback (6.4)."""
    return {symbol_of(row): row.above_zero("markPrice") for row in list_of("symbol-price.data", data)}


def taker_fee_rate(row: Row) -> Decimal:
    """The account's own rate, a share of the notional (6.2)."""
    rate = row.number("takerFeeRate")
    if not Decimal(-1) < rate < 1:
        raise row.wrong("takerFeeRate", "a fraction of the notional")
    return rate


def _contract(product: Product, row: Row) -> Contract:
    """Tick: `priceEndStep` of the last of `pricePlace` decimals; step: `sizeMultiplier`, in `volumePlace` decimals at most (5)."""
    step = max(row.above_zero("sizeMultiplier"), _decimals(row, "volumePlace"))
    base = coin_of(row, "baseCoin")
    settle = product.settle or base
    return Contract(
        product=product,
        symbol=symbol_of(row),
        base=base,
        settle=settle,
        tick=row.above_zero("priceEndStep") * _decimals(row, "pricePlace"),
        step=step,
        min_size=max(row.above_zero("minTradeNum"), step),
        min_notional=row.optional_number("minTradeUSDT") or Decimal(0),
        max_limit_size=_maximum(row, "maxOrderQty"),
        max_market_size=_maximum(row, "maxMarketOrderQty"),
        max_leverage=row.above_zero("maxLever"),
        taker_fee=taker_fee_rate(row),
        status=row.text("symbolStatus").lower(),
        delivery_ms=_moment(row, "deliveryTime"),
        off_ms=_moment(row, "offTime"),
        unguarded=_unguarded(product, row, settle),
        funding_every_s=_funding_every_s(row, "fundInterval"),
    )


def _funding_every_s(row: Row, name: str) -> int | None:
    """Hours between two settlements, in seconds; None where the venue gives no sensible figure."""
    hours = row.reading_above_zero(name)
    return int(hours * 3_600) or None if is_value(hours) else None


def _unguarded(product: Product, row: Row, settle: str) -> str:
    if not product.linear:
        return INVERSE
    if plain(row, "symbolType") == "delivery":
        return DATED
    coins = row.get("supportMarginCoins")
    if isinstance(coins, list) and settle not in {str(coin).upper() for coin in coins}:
        return f"it takes no {settle} as margin, which {product} settles in"
    return ""


def _decimals(row: Row, name: str) -> Decimal:
    places = row.integer(name)
    if not 0 <= places <= 20:
        raise row.wrong(name, "a number of decimals")
    return Decimal(1).scaleb(-places)


def _maximum(row: Row, name: str) -> Decimal:
    number = row.optional_number(name)
    return number if number is not None and number > 0 else _UNBOUNDED


def _moment(row: Row, name: str) -> int | None:
    """A moment, None where it isn't set: empty, 0 or -1 (6.2)."""
    number = row.optional_integer(name)
    return None if number is None or number <= 0 else row.milliseconds(name)


def _bracket(row: Row) -> Bracket:
    return Bracket(
        floor=row.zero_or_more("startUnit"),
        cap=row.above_zero("endUnit"),
        rate=row.above_zero("keepMarginRate"),
        max_leverage=row.above_zero("leverage"),
    )
