"""Public answers: instruments, tiers, tickers, bars of the mark (UTA reference, 5 and 6)."""

from decimal import Decimal
from typing import Final

from msgspec import Struct

from guardd.errors import PayloadError
from guardd.model.event import MarkSeen, Source
from guardd.model.instant import Instant
from guardd.model.instrument import Instrument, MarginTier
from guardd.model.names import Symbol
from guardd.model.reading import is_value
from guardd.venues.bitget.tiers import Bracket, table_of
from guardd.venues.bitget.unified.parse.fields import moment, rows_of, some
from guardd.venues.bitget.unified.parse.words import Category, category
from guardd.venues.rows import Row, shown

NO_LIMIT_GIVEN: Final = Decimal(1_000_000_000)
"""Stands for a largest order size that the venue leaves empty or zero (5)."""
UNGUARDED_COIN_M: Final = (
    "Coin-M of a unified account: the unit of its sizes isn't certain, and its new line has no server-side stop"
)
UNGUARDED_DATED: Final = "a dated contract: it ends by delivery, and guardd guards perpetuals"
_CLOSABLE: Final = frozenset({"online", "limit_open"})
_BASE_IN_ONE_CONTRACT: Final = Decimal(1)


class Contract(Struct, frozen=True, kw_only=True):
    """One row of the instrument list: an `Instrument` but for its margin tiers."""

    category: Category
    symbol: Symbol
    base: str
    quote: str
    perpetual: bool
    status: str
    tick: Decimal
    step: Decimal
    min_size: Decimal
    max_limit_size: Decimal
    max_market_size: Decimal
    max_leverage: Decimal
    taker_fee: Decimal
    offline_ms: int | None
    """When it is announced to go offline."""
    funding_every_s: int | None = None

    @property
    def settle(self) -> str:
        return self.base if self.category is Category.COIN else self.quote

    @property
    def tradable(self) -> bool:
        """True while a close is taken: `limit_open` bars openings only (6.1)."""
        return self.status in _CLOSABLE

    @property
    def unguarded(self) -> str:
        if self.category is Category.COIN:
            return UNGUARDED_COIN_M
        return "" if self.perpetual else UNGUARDED_DATED

    def instrument(self, tiers: tuple[MarginTier, ...]) -> Instrument:
        """Sizes are in base coin, so a contract is one of it (5)."""
        return Instrument(
            symbol=self.symbol,
            base=self.base,
            settle=self.settle,
            contract_size=_BASE_IN_ONE_CONTRACT,
            tick=self.tick,
            step=self.step,
            min_size=self.min_size,
            max_limit_size=self.max_limit_size,
            max_market_size=self.max_market_size,
            max_leverage=self.max_leverage,
            taker_fee=self.taker_fee,
            tiers=tiers,
            tradable=self.tradable,
            unguarded=self.unguarded,
            funding_every_s=self.funding_every_s,
        )


def contracts(data: object) -> tuple[Contract, ...]:
    """The futures among the rows of market/instruments."""
    found = ((category(row), row) for row in rows_of("instruments.data", data))
    return tuple(_contract(kind, row) for kind, row in found if kind is not None)


def tiers(data: object) -> tuple[MarginTier, ...]:
    """The margin tiers of one symbol; `mmr` of a tier is its rate (6.3)."""
    rows = rows_of("position-tier.data", data)
    return table_of("position-tier.data", [_bracket(row) for row in rows])


def ticker_of(symbol: Symbol, data: object, at: Instant) -> MarkSeen:
    """The mark of one symbol in market/tickers. The other prices only confirm it (I28)."""
    for row in rows_of("tickers.data", data):
        if row.symbol() == symbol:
            return MarkSeen(
                symbol,
                row.above_zero("markPrice"),
                at,
                some(row, "indexPrice"),
                some(row, "lastPrice"),
                some(row, "bid1Price"),
                some(row, "ask1Price"),
                Source.REST,
            )
    raise PayloadError(where="tickers.data", found=shown(data), expected=f"a row of {symbol}")


def _contract(kind: Category, row: Row) -> Contract:
    return Contract(
        category=kind,
        symbol=row.symbol(),
        base=row.text("baseCoin"),
        quote=row.text("quoteCoin"),
        perpetual=row.text("type") == "perpetual",
        status=row.text("status"),
        tick=row.above_zero("priceMultiplier"),
        step=row.above_zero("quantityMultiplier"),
        min_size=row.zero_or_more("minOrderQty"),
        max_limit_size=some(row, "maxOrderQty") or NO_LIMIT_GIVEN,
        max_market_size=some(row, "maxMarketOrderQty") or some(row, "maxOrderQty") or NO_LIMIT_GIVEN,
        max_leverage=row.above_zero("maxLeverage"),
        taker_fee=row.zero_or_more("takerFeeRate"),
        offline_ms=moment(row, "offTime"),
        funding_every_s=_funding_every_s(row, "fundInterval"),
    )


def _funding_every_s(row: Row, name: str) -> int | None:
    """Hours between two settlements, in seconds; None where the venue gives no sensible figure."""
    hours = row.reading_above_zero(name)
    return int(hours * 3_600) or None if is_value(hours) else None


def _bracket(row: Row) -> Bracket:
    return Bracket(
        floor=row.zero_or_more("minTierValue"),
        cap=row.above_zero("maxTierValue"),
        rate=row.above_zero("mmr"),
        max_leverage=row.above_zero("leverage"),
    )
