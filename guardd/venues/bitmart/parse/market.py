"""Public answers: time, announced maintenance, contracts, brackets, fees, mark fallbacks (reference, section 7)."""

from decimal import Decimal
from itertools import pairwise
from typing import Final

from msgspec import Struct

from guardd.errors import PayloadError
from guardd.model.instrument import Instrument, MarginTier
from guardd.model.names import Symbol
from guardd.model.reading import is_value
from guardd.venues.rows import Row, as_row, as_rows, shown

SETTLE: Final = "USDT"
"""What this guard settles in: coin-margined (inverse) and USDC contracts are refused (5.1)."""
_PERPETUAL: Final = 1


class ServiceNotice(Struct, frozen=True, kw_only=True):
    """An announced maintenance; `status` 0 waiting, 1 working, 2 completed."""

    title: str
    service: str
    status: int
    start_ms: int
    end_ms: int

    @property
    def concerns_futures(self) -> bool:
        return self.service == "contract" and self.status in (0, 1)


class Contract(Struct, frozen=True, kw_only=True):
    """One row of the contract list: an `Instrument` but for its margin tiers and its fee."""

    symbol: Symbol
    base: str
    quote: str
    guardable: bool
    """A linear USDT perpetual."""
    contract_size: Decimal
    tick: Decimal
    step: Decimal
    min_size: Decimal
    max_limit_size: Decimal
    max_market_size: Decimal
    max_leverage: Decimal
    listed: bool
    """Status `Trading`; that alone doesn't prove that it trades (quirk 6)."""
    reduce_only: bool
    delist_ms: int | None
    funding_every_s: int | None
    funding_at_ms: int | None
    """The next settlement when this was read."""

    def instrument(self, *, tiers: tuple[MarginTier, ...], taker_fee: Decimal) -> Instrument:
        return Instrument(
            symbol=self.symbol,
            base=self.base,
            settle=self.quote,
            contract_size=self.contract_size,
            tick=self.tick,
            step=self.step,
            min_size=self.min_size,
            max_limit_size=self.max_limit_size,
            max_market_size=self.max_market_size,
            max_leverage=self.max_leverage,
            taker_fee=taker_fee,
            tiers=tiers,
            tradable=self.listed,
            funding_every_s=self.funding_every_s,
            funding_at_ms=self.funding_at_ms,
        )


def server_time_ms(data: object) -> int:
    return as_row("system/time.data", data).milliseconds("server_time")


def service_notices(data: object) -> tuple[ServiceNotice, ...]:
    return tuple(
        ServiceNotice(
            title=row.optional_text("title") or "",
            service=row.text("service_type"),
            status=row.integer("status"),
            start_ms=row.optional_milliseconds("start_time") or 0,
            end_ms=row.optional_milliseconds("end_time") or 0,
        )
        for row in as_row("system/service.data", data).rows("service")
    )


def contracts(data: object) -> tuple[Contract, ...]:
    return tuple(_contract(row) for row in as_row("details.data", data).rows("symbols"))


def leverage_brackets(data: object) -> dict[Symbol, tuple[MarginTier, ...]]:
    """The margin tiers of each symbol, from the smallest notional up, without a gap between them (7.12)."""
    rules = as_row("leverage-bracket.data", data).rows("rules")
    return {row.symbol(): _tiers(row) for row in rules}


def taker_fee_rate(data: object) -> Decimal:
    """A share of the notional, e.g. 0.0006 (8.6)."""
    row = as_row("trade-fee-rate.data", data)
    rate = row.number("taker_fee_rate")
    if not Decimal(-1) < rate < 1:
        raise row.wrong("taker_fee_rate", "a fraction of the notional")
    return rate


def newest_mark_close(data: object) -> Decimal:
    """The close of the newest mark-price bar: the last fallback for a mark (7.11)."""
    rows = list(as_rows("markprice-kline.data", data))
    if not rows:
        raise PayloadError(where="markprice-kline.data", found="no bar", expected="at least one bar of two minutes")
    return max(rows, key=lambda row: row.milliseconds("timestamp")).above_zero("close_price")


def _contract(row: Row) -> Contract:
    step_name = "vol_precision" if "vol_precision" in row.fields else "volume_precision"
    quote = row.text("quote_currency")
    return Contract(
        symbol=row.symbol(),
        base=row.text("base_currency"),
        quote=quote,
        guardable=quote == SETTLE and row.integer("product_type") == _PERPETUAL,
        contract_size=row.above_zero("contract_size"),
        tick=row.above_zero("price_precision"),
        step=row.above_zero(step_name),
        min_size=row.above_zero("min_volume"),
        max_limit_size=row.above_zero("max_volume"),
        max_market_size=row.above_zero("market_max_volume"),
        max_leverage=row.above_zero("max_leverage"),
        listed=row.text("status") == "Trading",
        reduce_only=_reduce_only(row),
        delist_ms=row.optional_milliseconds("delist_time"),
        funding_every_s=_funding_every_s(row, "funding_interval_hours"),
        funding_at_ms=row.optional_milliseconds("funding_time"),
    )


def _funding_every_s(row: Row, name: str) -> int | None:
    """Hours between two settlements, in seconds; None where the venue gives no sensible figure."""
    hours = row.reading_above_zero(name)
    return int(hours * 3_600) or None if is_value(hours) else None


def _reduce_only(row: Row) -> bool:
    """Contracts on stocks, currencies and metals carry a block of their own (7.3)."""
    info = row.get("tradfi_info")
    return isinstance(info, dict) and info.get("reduce_only") is True


def _tiers(rule: Row) -> tuple[MarginTier, ...]:
    tiers = tuple(sorted((_tier(row) for row in rule.rows("brackets")), key=lambda tier: tier.floor))
    if not tiers or tiers[0].floor != 0:
        raise PayloadError(where=rule.where, found=shown(rule.get("brackets")), expected="brackets from notional 0 up")
    for lower, upper in pairwise(tiers):
        if lower.cap != upper.floor:
            found = f"a bracket to {lower.cap} before one from {upper.floor}"
            raise PayloadError(where=rule.where, found=found, expected="brackets without a gap")
    return tiers


def _tier(row: Row) -> MarginTier:
    tier = MarginTier(
        floor=row.zero_or_more("notional_floor"),
        cap=row.above_zero("notional_cap"),
        rate=row.above_zero("maint_margin_ratio"),
        deduction=row.zero_or_more("cum"),
        max_leverage=row.above_zero("initial_leverage"),
    )
    if tier.floor >= tier.cap or tier.rate >= 1:
        raise PayloadError(
            where=row.where,
            found=f"{tier.floor}..{tier.cap} at {tier.rate}",
            expected="a rising bracket with a ratio below 1",
        )
    return tier
