"""Private answers about the account: identity, settings, risk, positions, wallets, ledger (UTA reference, 4, 7 and 8)."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from msgspec import Struct

from guardd.model.account import Balance, Wallet
from guardd.model.names import AccountName, MarginMode, PositionKey, PositionMode, Symbol
from guardd.model.position import Position
from guardd.model.reading import Absent, Reading, is_value
from guardd.venues.bitget.unified.parse.fields import Page, liquidation_price, moment, page_of, rows_of, some, words
from guardd.venues.bitget.unified.parse.words import (
    HOLD_MODES,
    MARGIN_MODES,
    POSITION_SIDES,
    AccountLevel,
    AccountMode,
    Category,
    account_level,
    account_mode,
    category,
    word,
)
from guardd.venues.rows import Row, as_row

POOL: Final = "USD"
"""What account figures are reckoned in (5)."""
TRADES: Final = "uta_trade"
MANAGES: Final = "uta_mgt"
WITHDRAWS: Final = "withdraw"
COPIES: Final = frozenset({"copy_futures_position", "copy_futures_order"})
_WRITES: Final = "read-and-write"
_ODD_RATIO: Final = Decimal("1.5")
_CALM_RATIO: Final = Decimal("0.5")


class Identity(Struct, frozen=True, kw_only=True):
    """Whose key this is and what it may do (7.3)."""

    user_id: str
    may_write: bool
    permissions: frozenset[str]
    bound_to_addresses: bool


class Settings(Struct, frozen=True, kw_only=True):
    """How the whole account trades: its hold mode is one for every category (3)."""

    mode: AccountMode
    level: AccountLevel
    position_mode: PositionMode
    leverages: tuple[tuple[Category, Symbol, MarginMode, Decimal], ...]
    """Of configured symbols; whether all are listed isn't said, and a position's row wins (16.38)."""


class Pool(Struct, frozen=True, kw_only=True):
    """What account/assets or a push of the account says: the one balance behind every cross position, in USD."""

    balance: Balance
    printed_ratio: Reading
    """The venue's own ratio as printed: coarsely rounded (0.4)."""
    ratio_is_odd: bool
    """The amounts contradict it flatly, and it doesn't count."""
    debts: tuple[tuple[str, Decimal], ...]
    """Coins that are owed, and how much of each."""


class HeldRow(Struct, frozen=True, kw_only=True):
    """One position with what a close of it has to name."""

    category: Category
    position_mode: PositionMode
    position: Position
    available: Decimal
    both_modes: bool = False
    """Two positions in one: held in cross and in isolated margin."""


class LedgerRow(Struct, frozen=True, kw_only=True):
    id: str
    kind: str
    coin: str
    symbol: Symbol | None
    amount: Decimal
    at_ms: int
    fee: Decimal = Decimal(0)


def identity(data: object) -> Identity:
    row = as_row("account/info.data", data)
    permissions = row.get("permissions")
    if permissions is not None and not isinstance(permissions, list):
        raise row.wrong("permissions", "an array or null")
    return Identity(
        user_id=words(row, "userId"),
        may_write=words(row, "permType") == _WRITES,
        permissions=frozenset(str(each) for each in permissions or ()),
        bound_to_addresses=bool(words(row, "ips")),
    )


def settings(data: object) -> Settings:
    row = as_row("account/settings.data", data)
    return Settings(
        mode=account_mode(row),
        level=account_level(row),
        position_mode=word(row, "holdMode", HOLD_MODES),
        leverages=tuple(
            (kind, each.symbol(), word(each, "marginMode", MARGIN_MODES), each.above_zero("leverage"))
            for each in rows_of(f"{row.where}.symbolConfigList", row.get("symbolConfigList"))
            if (kind := category(each)) is not None
        ),
    )


def pool(data: object) -> Pool:
    """The answer of account/assets."""
    row = as_row("account/assets.data", data)
    return _pool(
        row, unrealized="unrealisedPnl", coins=rows_of(f"{row.where}.assets", row.get("assets")), debts=("debt",)
    )


def pushed_pool(row: Row) -> Pool:
    """One row of the account topic: the same by other names (11)."""
    return _pool(
        row, unrealized="unrealisedPnL", coins=rows_of(f"{row.where}.coin", row.get("coin")), debts=("debts", "borrow")
    )


def positions(account: AccountName, data: object) -> tuple[HeldRow, ...]:
    """The open positions of one category (8.1)."""
    rows = page_of("current-position.data", data).rows
    return tuple(_held(account, row) for row in rows if row.zero_or_more("total") > 0)


def marks(data: object) -> dict[Symbol, Decimal]:
    """Marks in the rows of current-position."""
    found = ((row.symbol(), some(row, "markPrice")) for row in page_of("current-position.data", data).rows)
    return {symbol: mark for symbol, mark in found if mark is not None}


def funding_balance(coin: str, data: object) -> Decimal:
    """What of a coin lies on the funding side, outside the unified account."""
    rows = [row for row in rows_of("funding-assets.data", data) if row.text("coin") == coin]
    return rows[0].number("balance") if rows else Decimal(0)


def ledger(data: object) -> tuple[LedgerRow, ...]:
    """Rows of financial-records; their kinds are an open set (7.8)."""
    return ledger_page(data)[0]


def ledger_page(data: object) -> tuple[tuple[LedgerRow, ...], Page]:
    page = page_of("financial-records.data", data)
    rows = tuple(
        LedgerRow(
            id=row.text("id"),
            kind=row.text("type"),
            coin=row.text("coin"),
            symbol=Symbol(symbol) if (symbol := words(row, "symbol")) else None,
            amount=row.number("amount"),
            at_ms=row.milliseconds("ts"),
            fee=row.optional_number("fee") or Decimal(0),
        )
        for row in page.rows
    )
    return rows, page


def margin_ratio(equity: Reading, maintenance: Reading, printed: Reading) -> Reading:
    """`max(printed, maintenance / equity)`, the printed one where the amounts make none. Beside an amount that isn't known its zero
    may be a rounding (0.4), and is unknown.

    An equity of nothing behind a maintenance margin is liquidation (4), which the risk core counts as near for warnings and stops;
    a close it lets be called for only by the venue's own ratio: one bad equity must not empty an account.
    """
    if not is_value(equity) or not is_value(maintenance):
        return printed if is_value(printed) and printed > 0 else Absent.UNKNOWN
    if equity <= 0:
        return printed
    own = maintenance / equity
    return max(own, printed) if is_value(printed) else own


def ratio_is_odd(equity: Reading, maintenance: Reading, printed: Reading) -> bool:
    """A printed ratio far above liquidation beside amounts that are calm: perhaps it is in percent (16.3)."""
    if not is_value(printed) or not is_value(equity) or not is_value(maintenance) or equity <= 0:
        return False
    return printed > _ODD_RATIO and maintenance / equity < _CALM_RATIO


def _pool(row: Row, *, unrealized: str, coins: Iterable[Row], debts: tuple[str, ...]) -> Pool:
    """Which of the two equities is which (4, 7.1 and 16.2):

    `effEquity`, the collateral after haircuts and without coins that don't count, is what the venue holds against the maintenance:
    it is `Balance.equity`, the denominator of the ratio, and what is shown beside it. The net value of all coins (`accountEquity`,
    in a push `totalEquity`) is what the account is worth. A changed haircut moves only the former, so that the drawdown is reckoned
    from `wallets` instead, which make the net value together with the unrealised PnL.

    `available` is what the parts leave of the equity, so that together they make it (3, "Terms").
    """
    equity, maintenance = row.reading("effEquity"), row.reading_zero_or_more("mmr")
    printed, profit = row.reading_zero_or_more("mgnRatio"), row.reading(unrealized)
    used = _in_use(row, equity, profit)
    free = equity - used - (profit if is_value(profit) else Decimal(0)) if is_value(equity) else Decimal(0)
    odd = ratio_is_odd(equity, maintenance, printed)
    balance = Balance(
        currency=POOL,
        equity=equity,
        available=free,
        frozen=Decimal(0),
        position_margin=used,
        unrealized_pnl=profit,
        maintenance=maintenance,
        margin_ratio=margin_ratio(equity, maintenance, Absent.UNKNOWN if odd else printed),
        pooled=True,
        wallets=_wallets(coins),
    )
    return Pool(balance=balance, printed_ratio=printed, ratio_is_odd=odd, debts=_debts(coins, debts))


def _in_use(row: Row, equity: Reading, profit: Reading) -> Decimal:
    """`imr`. Where it isn't given, all there is may be in use: a margin of zero would say that nothing is held (I6)."""
    used = row.optional_number("imr")
    if used is not None:
        return used
    if not is_value(equity):
        raise row.wrong("imr", "a number, or an effEquity that bounds it")
    return max(equity - (profit if is_value(profit) else Decimal(0)), Decimal(0))


def _wallets(coins: Iterable[Row]) -> tuple[Wallet, ...]:
    """What lies in each coin apart from unrealised PnL, and its price by the row's own figures. Empty where one can't be priced."""
    found: list[Wallet] = []
    for row in coins:
        amount, equity, value = (row.optional_number(name) for name in ("balance", "equity", "usdValue"))
        if amount is None or (amount and (not equity or value is None)):
            return ()
        if not amount or not equity or value is None:
            continue
        found.append(Wallet(coin=row.text("coin"), amount=amount, price=value / equity))
    return tuple(found)


def _debts(coins: Iterable[Row], names: tuple[str, ...]) -> tuple[tuple[str, Decimal], ...]:
    """A debt, or an equity below zero, means interest and a claim on the collateral (7.1)."""
    owed: list[tuple[str, Decimal]] = []
    for row in coins:
        stated = max((row.optional_number(name) or Decimal(0) for name in names), default=Decimal(0))
        missing = -(row.optional_number("equity") or Decimal(0))
        debt = max(stated, missing)
        if debt > 0:
            owed.append((row.text("coin"), debt))
    return tuple(sorted(owed))


def _held(account: AccountName, row: Row) -> HeldRow:
    kind = category(row)
    if kind is None:
        raise row.wrong("category", "a futures category")
    total, mark = row.above_zero("total"), row.reading_above_zero("markPrice")
    position = Position(
        key=PositionKey(account, row.symbol(), word(row, "posSide", POSITION_SIDES)),
        quantity=total,
        entry_price=row.above_zero("avgPrice"),
        margin_mode=word(row, "marginMode", MARGIN_MODES),
        leverage=row.reading_above_zero("leverage"),
        margin=row.reading_above_zero("positionBalance"),
        maintenance_margin=_maintenance(row, kind, total, mark),
        liquidation_price=liquidation_price(row, "liquidationPrice"),
        mark_price=mark,
        notional=_notional(row, kind, total, mark),
        unrealized_pnl=row.reading("unrealisedPnl"),
        opened_ms=moment(row, "createdTime"),
        closed_quantity=Decimal(0),
        venue_ms=row.milliseconds("updatedTime"),
    )
    return HeldRow(
        category=kind,
        position_mode=word(row, "holdMode", HOLD_MODES),
        position=position,
        available=row.zero_or_more("available"),
    )


def _maintenance(row: Row, kind: Category, total: Decimal, mark: Reading) -> Reading:
    """`mmr` of a row is a rate (0.3). Of Coin-M the unit of the size isn't known."""
    rate = row.reading_above_zero("mmr")
    if kind is Category.COIN or not is_value(rate) or not is_value(mark):
        return Absent.UNKNOWN
    return total * mark * rate


def _notional(row: Row, kind: Category, total: Decimal, mark: Reading) -> Reading:
    """The venue prints no value of a position. In cross mode its `positionBalance` is `value × (1 / leverage + fee)` (4), so that
    a value of quite another magnitude shows that the unit of the size isn't what we take it for (I29); ours is printed else."""
    if kind is Category.COIN or not is_value(mark):
        return Absent.UNKNOWN
    value = total * mark
    margin, leverage = some(row, "positionBalance"), some(row, "leverage")
    if word(row, "marginMode", MARGIN_MODES) is not MarginMode.CROSS or margin is None or leverage is None:
        return value
    theirs = margin * leverage
    return value if value / 2 <= theirs <= value * 2 else theirs
