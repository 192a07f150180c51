"""Private answers about the account: wallets, modes, leverage, transfers, the key's rights (Bitget reference, 3, 7, 8)."""

import re
from decimal import Decimal
from typing import Final

from msgspec import Struct

from guardd.model.account import Balance
from guardd.model.names import MarginMode, PositionMode, Side
from guardd.model.reading import Absent, Reading, is_value
from guardd.venues.bitget.classic.parse.words import (
    MARGIN_MODES,
    POSITION_MODES,
    Product,
    client_id_of,
    coin_of,
    list_of,
    plain,
    word,
)
from guardd.venues.rows import Row, as_row

_THOUSANDS: Final = re.compile(r"-?[0-9]{1,3}(?:,[0-9]{3})+\.[0-9]+|-?[0-9]{1,3}(?:,[0-9]{3}){2,}", re.ASCII)
_DECIMAL_COMMA: Final = re.compile(r"-?[0-9]+,(?:[0-9]{1,2}|[0-9]{4,})", re.ASCII)
_TRADE_WORDS: Final = ("trade", "contract")
_WITHDRAW_WORD: Final = "withdraw"


class Settings(Struct, frozen=True, kw_only=True):
    """How one symbol, and its product type, are set: the only read that says so without an open position (7.1)."""

    mode: PositionMode
    margin_mode: MarginMode
    cross_leverage: Reading
    isolated_leverages: dict[Side, Reading]

    def leverage(self, side: Side, margin_mode: MarginMode) -> Reading:
        return self.cross_leverage if margin_mode is MarginMode.CROSS else self.isolated_leverages[side]


class Rights(Struct, frozen=True, kw_only=True):
    """What the key may do, in the venue's words (3)."""

    authorities: frozenset[str]
    ips: tuple[str, ...]

    @property
    def may_trade(self) -> bool:
        return any(part in each for each in self.authorities for part in _TRADE_WORDS)

    @property
    def may_withdraw(self) -> bool:
        return any(_WITHDRAW_WORD in each for each in self.authorities)


class TransferRow(Struct, frozen=True, kw_only=True):
    """One movement between the account's wallets; the venue's names for them."""

    id: str
    client_id: str | None
    coin: str
    amount: Decimal
    from_wallet: str
    to_wallet: str
    done: bool
    at_ms: int


def balances(product: Product, data: object) -> tuple[Balance, ...]:
    """One balance a margin coin of this product type. In multi-asset mode other coins' rows are collateral of the first (5.1)."""
    rows = [row for row in list_of(f"{product}.accounts.data", data) if not product.linear or _settles(product, row)]
    return tuple(_balance(row) for row in rows)


def pushed_balances(product: Product, rows: list[Row]) -> tuple[Balance, ...]:
    """Of a frame of the `account` channel: `frozen` and `equity` there are `locked` and `accountEquity` here (13.6)."""
    return tuple(_pushed(row) for row in rows if not product.linear or _settles(product, row))


def settings(data: object) -> Settings:
    row = as_row("account.data", data)
    return Settings(
        mode=word(row, "posMode", POSITION_MODES),
        margin_mode=word(row, "marginMode", MARGIN_MODES),
        cross_leverage=row.reading_above_zero("crossedMarginLeverage"),
        isolated_leverages={
            Side.LONG: row.reading_above_zero("isolatedLongLever"),
            Side.SHORT: row.reading_above_zero("isolatedShortLever"),
        },
    )


def rights(data: object) -> Rights:
    row = as_row("spot.account.info.data", data)
    authorities = row.get("authorities")
    if not isinstance(authorities, list) or not all(isinstance(each, str) for each in authorities):
        raise row.wrong("authorities", "a list of words")
    ips = row.get("ips")
    text = ips if isinstance(ips, str) else ",".join(map(str, ips)) if isinstance(ips, list) else ""
    return Rights(
        authorities=frozenset(str(each).lower() for each in authorities),
        ips=tuple(each.strip() for each in text.split(",") if each.strip()),
    )


def transfers(data: object) -> tuple[TransferRow, ...]:
    return tuple(
        TransferRow(
            id=row.text("transferId"),
            client_id=client_id_of(row),
            coin=coin_of(row, "coin"),
            amount=row.number("size"),
            from_wallet=plain(row, "fromType"),
            to_wallet=plain(row, "toType"),
            done=plain(row, "status").startswith("success"),
            at_ms=row.milliseconds("ts"),
        )
        for row in list_of("transferRecords.data", data)
    )


def margin_mode_set(data: object) -> MarginMode:
    """The margin mode that stands after set-margin-mode or set-leverage (7.3, 7.5)."""
    return word(as_row("answer.data", data), "marginMode", MARGIN_MODES)


def amount(row: Row, *names: str) -> Reading:
    """An amount that may carry a comma (7.2). One that can be read in two ways is unknown."""
    name = next((each for each in names if each in row.fields), names[0])
    value = row.get(name)
    if isinstance(value, str) and "," in value:
        if _THOUSANDS.fullmatch(value):
            return Decimal(value.replace(",", ""))
        return Decimal(value.replace(",", ".")) if _DECIMAL_COMMA.fullmatch(value) else Absent.UNKNOWN
    return row.reading(name)


def _settles(product: Product, row: Row) -> bool:
    return coin_of(row) == product.settle


def _balance(row: Row) -> Balance:
    unrealized = row.reading("unrealizedPL")
    if not is_value(unrealized):
        unrealized = _sum(row.reading("crossedUnrealizedPL"), row.reading("isolatedUnrealizedPL"))
    in_use = _sum(row.reading("isolatedMargin"), row.reading("crossedMargin"))
    return _of_parts(row, equity=row.reading("accountEquity"), frozen="locked", unrealized=unrealized, in_use=in_use)


def _pushed(row: Row) -> Balance:
    return _of_parts(
        row,
        equity=row.reading("equity"),
        frozen="frozen",
        unrealized=row.reading("unrealizedPL"),
        in_use=Absent.UNKNOWN,
    )


def _of_parts(row: Row, *, equity: Reading, frozen: str, unrealized: Reading, in_use: Reading) -> Balance:
    """In multi-asset mode the pool's figures stand for the coin's own (5.1): its equity holds haircuts, so it is a bound only. What
    of it isn't given is unknown, and nothing is free then: the coin's own may be far above it."""
    available, locked = row.number("available"), row.number(frozen)
    pool = amount(row, "unionTotalMargin", "unionTotalMagin")
    union = _is_union(row, pool)
    free = amount(row, "unionAvailable")
    return Balance(
        currency=coin_of(row),
        equity=pool if union else equity,
        available=available if not union else free if is_value(free) else Decimal(0),
        frozen=locked,
        position_margin=in_use if is_value(in_use) else _rest(equity, unrealized, available, locked),
        unrealized_pnl=unrealized,
        foreign_collateral=union,
        maintenance=_not_below_zero(amount(row, "unionMm")) if union else Absent.UNKNOWN,
        margin_ratio=row.reading_zero_or_more("crossedRiskRate"),
    )


def _is_union(row: Row, pool: Reading) -> bool:
    """`assetMode`; where a row has none (older ones in single mode don't), a pool with something in it says so."""
    stated = plain(row, "assetMode")
    return stated == "union" or (stated != "single" and is_value(pool) and pool > 0)


def _not_below_zero(figure: Reading) -> Reading:
    return Absent.UNKNOWN if is_value(figure) and figure < 0 else figure


def _rest(equity: Reading, unrealized: Reading, available: Decimal, locked: Decimal) -> Decimal:
    """What positions hold, where the venue gives no sum of it: the equity less everything else."""
    if not is_value(equity):
        return Decimal(0)
    profit = unrealized if is_value(unrealized) else Decimal(0)
    return max(equity - profit - available - locked, Decimal(0))


def _sum(one: Reading, other: Reading) -> Reading:
    """Of two parts of which either may be left out; unknown when both are."""
    if not is_value(one):
        return other
    return one + other if is_value(other) else one
