"""A position that is given instead of read: by flags, or in a file that `guardd status --json` or `guardd check --json` printed.

What such a position doesn't say is reckoned from what it does (the size of a contract from the notional, the maintenance rate
from the liquidation price or the margin ratio), else assumed; what was assumed is said.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from guardd.errors import ConfigurationError
from guardd.model.account import Balance
from guardd.model.capabilities import Capabilities
from guardd.model.event import BalanceRead, InstrumentsRead, MarkSeen, OrdersRead, PositionModeRead, PositionsRead
from guardd.model.fold import fold
from guardd.model.instant import Instant
from guardd.model.instrument import Instrument, MarginTier
from guardd.model.intent import stop_direction
from guardd.model.names import (
    AccountName,
    MarginMode,
    OrderId,
    PositionKey,
    PositionMode,
    PriceType,
    Side,
    Symbol,
    VenueName,
)
from guardd.model.order import PlanForm, PlanOrder, ProtectionKind
from guardd.model.position import Position
from guardd.model.reading import Absent, Reading
from guardd.model.state import AccountState
from guardd.risk.liquidation import Basis, Leg

RATE: Final = Decimal("0.005")
FEE: Final = Decimal("0.0006")
BALANCE_TIMES: Final = Decimal(2)
"""Without an equity, so many times the initial margins are taken to stand behind cross positions."""
ENDLESS: Final = Decimal("1e15")
RATE_MAX: Final = Decimal("0.5")
QUOTES: Final = ("USDT", "USDC", "USD")
ZERO: Final = Decimal(0)
_Word = TypeVar("_Word", bound=StrEnum)
CAPABILITIES: Final = Capabilities(
    whole_position_protection=True,
    sized_protection=True,
    plan_protection=True,
    modify_protection=True,
    several_whole_stops=True,
    client_id_on_plan=True,
    add_margin=True,
    set_leverage=True,
    top_up=True,
    cross_liquidation_price=True,
    positions_repeated=True,
    lookup_delay_s=0.0,
)
"""Of no venue: whatever a policy may ask for is possible."""


class Given(Struct, frozen=True, kw_only=True):
    """One position as somebody told it; what isn't known is None."""

    symbol: str
    side: Side
    quantity: Decimal
    entry: Decimal
    mark: Decimal | None = None
    leverage: Decimal | None = None
    margin_mode: MarginMode = MarginMode.ISOLATED
    margin: Decimal | None = None
    liquidation: Decimal | None = None
    notional: Decimal | None = None
    unrealized_pnl: Decimal | None = None
    contract_size: Decimal | None = None
    tick: Decimal | None = None
    step: Decimal | None = None
    maintenance_rate: Decimal | None = None
    fee: Decimal = FEE
    stops: tuple[Decimal, ...] = ()
    profits: tuple[Decimal, ...] = ()

    @property
    def at(self) -> Decimal:
        return self.mark if self.mark is not None else self.entry

    @property
    def inverse(self) -> bool:
        """BTCUSD is settled in BTC; BTCUSDT and BTCUSDC in what they are quoted in."""
        return self.settle not in QUOTES

    @property
    def settle(self) -> str:
        for quote in QUOTES[:2]:
            if self.symbol.endswith(quote):
                return quote
        base, found, _ = self.symbol.partition("USD")
        return base if found and base else QUOTES[0]


@dataclass(slots=True, kw_only=True)
class GivenAccount:
    """Positions that share an account."""

    name: str = "given"
    venue: str = "bitmart"
    equity: Decimal | None = None
    margin_ratio: Decimal | None = None
    currency: str = ""
    positions: list[Given] = field(default_factory=list)


class Made(Struct, frozen=True, kw_only=True):
    """The account that the positions make, and what had to be assumed for it."""

    state: AccountState
    assumed: tuple[str, ...]


def state_of(account: GivenAccount, now: Instant) -> Made:
    """The account as after its first read."""
    assumed: list[str] = []
    name = AccountName(account.name)
    state = AccountState(name=name, venue=VenueName(account.venue), capabilities=CAPABILITIES)
    legs = [(given, _leg(given, account, assumed)) for given in account.positions]
    instruments = {leg.instrument.symbol: leg.instrument for _, leg in legs}
    rows = [_row(given, leg, name, now, assumed) for given, leg in legs]
    fold(state, InstrumentsRead(at=now, instruments=tuple(instruments.values())))
    for given, leg in legs:
        symbol, at = leg.instrument.symbol, given.at
        fold(state, MarkSeen(symbol, at, now, index=at, last=at))
    sides = {(row.key.symbol, row.key.side) for row in rows}
    hedged = any((symbol, side.opposite) in sides for symbol, side in sides)
    fold(state, PositionModeRead(mode=PositionMode.HEDGE if hedged else PositionMode.ONE_WAY, at=now))
    fold(state, PositionsRead(started=now, at=now, positions=tuple(rows)))
    fold(state, BalanceRead(at=now, balances=_balances(account, instruments, rows, assumed)))
    plans = [plan for given, row in zip(account.positions, rows, strict=True) for plan in _plans(given, row.key)]
    fold(state, OrdersRead(started=now, at=now, resting=(), plans=tuple(plans)))
    return Made(state=state, assumed=tuple(dict.fromkeys(assumed)))


def read_snapshot(path: Path) -> tuple[GivenAccount, ...]:
    """Every account of the file that holds positions. Raises `ConfigurationError`."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except OSError as error:
        raise ConfigurationError(f"{path}: can't be read: {error.strerror}") from error
    except (ValueError, RecursionError, ArithmeticError) as error:  # the last: a number that no Decimal holds
        raise ConfigurationError(f"{path}: no JSON: {error}") from error
    listed = document.get("accounts") if isinstance(document, Mapping) else None
    if not isinstance(listed, list):
        raise ConfigurationError(f"{path}: found no `accounts`, expected what `guardd status --json` prints")
    found = tuple(_account(path, each) for each in listed if isinstance(each, Mapping))
    return tuple(account for account in found if account.positions)


# A snapshot's words


def _account(path: Path, document: Mapping[str, object]) -> GivenAccount:
    rows = document.get("positions")
    named = str(document.get("name", "given"))
    positions = rows if isinstance(rows, list) else []
    return GivenAccount(
        name=named,
        venue=str(document.get("venue", "bitmart")),
        equity=_number(path, document, "equity"),
        margin_ratio=_number(path, document, "margin_ratio"),
        currency=str(document.get("currency") or ""),
        positions=[_given(path, row) for row in positions if isinstance(row, Mapping)],
    )


def _given(path: Path, row: Mapping[str, object]) -> Given:
    quantity, entry = _number(path, row, "quantity"), _number(path, row, "entry_price")
    if quantity is None or entry is None or "symbol" not in row or "side" not in row:
        raise ConfigurationError(
            f"{path}: a position needs symbol, side, quantity and entry_price; found {sorted(row)}"
        )
    return Given(
        symbol=str(row["symbol"]),
        side=_word(path, row, "side", Side),
        quantity=quantity,
        entry=entry,
        mark=_number(path, row, "mark_price"),
        leverage=_number(path, row, "leverage"),
        margin_mode=_word(path, row, "margin_mode", MarginMode) if "margin_mode" in row else MarginMode.ISOLATED,
        margin=_number(path, row, "margin"),
        liquidation=_number(path, row, "venue_liquidation_price") or _number(path, row, "liquidation_price"),
        notional=_number(path, row, "notional"),
        unrealized_pnl=_number(path, row, "unrealized_pnl"),
        stops=_triggers(path, row, "stop_loss"),
        profits=_triggers(path, row, "take_profit"),
    )


def _triggers(path: Path, row: Mapping[str, object], name: str) -> tuple[Decimal, ...]:
    order = row.get(name)
    trigger = _number(path, order, "trigger_price") if isinstance(order, Mapping) else None
    return (trigger,) if trigger is not None else ()


def _number(path: Path, row: Mapping[str, object], name: str) -> Decimal | None:
    value = row.get(name)
    if value is None:
        return None
    try:
        number = Decimal(str(value))
    except (InvalidOperation, ValueError):
        number = Decimal("NaN")
    if not number.is_finite():
        raise ConfigurationError(f"{path}: {name}: found {str(value)[:60]!r}, expected a number")
    return number


def _word(path: Path, row: Mapping[str, object], name: str, words: type[_Word]) -> _Word:
    found = next((word for word in words if word.value == row.get(name)), None)
    if found is None:
        expected = ", ".join(word.value for word in words)
        raise ConfigurationError(f"{path}: {name}: found {str(row.get(name))[:60]!r}, expected one of {expected}")
    return found


# What isn't said


def _leg(given: Given, account: GivenAccount, assumed: list[str]) -> Leg:
    fitted = Instrument(
        symbol=Symbol(given.symbol),
        base=given.settle if given.inverse else given.symbol.removesuffix(given.settle),
        settle=given.settle,
        contract_size=_contract_size(given, assumed),
        tick=given.tick or _grain(given.at, *given.stops, *given.profits),
        step=given.step or _grain(given.quantity),
        min_size=given.step or _grain(given.quantity),
        max_limit_size=ENDLESS,
        max_market_size=ENDLESS,
        max_leverage=Decimal(125),
        taker_fee=given.fee,
        tiers=_tiers(given.maintenance_rate or RATE),
        inverse=given.inverse,
    )
    leg = Leg(instrument=fitted, side=given.side, quantity=given.quantity, entry=given.entry)
    if given.maintenance_rate is not None:
        return leg
    rate = _rate_of(given, leg, account)
    if rate is None:
        assumed.append(f"{given.symbol}: a maintenance rate of {RATE * 100:.1f} % at every size")
        return leg
    return replace(leg, instrument=replace(fitted, tiers=_tiers(rate)))


def _contract_size(given: Given, assumed: list[str]) -> Decimal:
    if given.contract_size is not None:
        return given.contract_size
    if given.notional and given.quantity:
        worth = given.notional * given.at if given.inverse else given.notional / given.at
        return _tidy(worth / given.quantity)
    moved = given.side.sign * (given.at - given.entry)
    if given.unrealized_pnl and moved and not given.inverse:
        return _tidy(given.unrealized_pnl / moved / given.quantity)
    what = f"{QUOTES[2]}" if given.inverse else f"{given.symbol.removesuffix(given.settle)}"
    assumed.append(f"{given.symbol}: a contract is 1 {what}")
    return Decimal(1)


def _tidy(value: Decimal) -> Decimal:
    """Contract sizes are short numbers; what was divided isn't quite."""
    return Decimal(f"{value:.4g}")


def _grain(*values: Decimal) -> Decimal:
    """The place of the last digit that any of these uses, at most one."""
    exponents = [exponent for value in values if isinstance(exponent := value.normalize().as_tuple().exponent, int)]
    return Decimal(1).scaleb(min([0, *exponents]))


def _tiers(rate: Decimal) -> tuple[MarginTier, ...]:
    return (MarginTier(floor=ZERO, cap=ENDLESS, rate=rate, deduction=ZERO, max_leverage=Decimal(125)),)


def _rate_of(given: Given, leg: Leg, account: GivenAccount) -> Decimal | None:
    """Of an isolated position from its liquidation price, of cross ones from the account's ratio."""
    at = given.liquidation
    if given.margin_mode is MarginMode.ISOLATED and at is not None and at > 0:
        rate = (_margin(given, leg) + leg.pnl(at)) / leg.notional(at) - given.fee
        return Decimal(f"{rate:.6g}") if 0 < rate < RATE_MAX else None
    cross = [each for each in account.positions if each.margin_mode is MarginMode.CROSS]
    if (
        given.margin_mode is MarginMode.CROSS
        and account.margin_ratio
        and account.equity
        and all(e.notional for e in cross)
    ):
        behind = account.equity - sum((each.margin or ZERO for each in account.positions if each not in cross), ZERO)
        rate = account.margin_ratio * behind / sum((each.notional or ZERO for each in cross), ZERO) - given.fee
        return Decimal(f"{rate:.6g}") if 0 < rate < RATE_MAX else None
    return None


def _margin(given: Given, leg: Leg) -> Decimal:
    if given.margin is not None:
        return given.margin
    return leg.notional(given.entry) / (given.leverage or Decimal(1))


def _row(given: Given, leg: Leg, account: AccountName, now: Instant, assumed: list[str]) -> Position:
    isolated = given.margin_mode is MarginMode.ISOLATED
    if isolated and given.margin is None:
        assumed.append(f"{given.symbol}: its margin is the initial margin")
    liquidation: Reading = given.liquidation if given.liquidation is not None else Absent.UNKNOWN
    return Position(
        key=PositionKey(account, leg.instrument.symbol, given.side),
        quantity=given.quantity,
        entry_price=given.entry,
        margin_mode=given.margin_mode,
        leverage=given.leverage if given.leverage is not None else Absent.UNKNOWN,
        margin=_margin(given, leg) if isolated else Absent.UNKNOWN,
        maintenance_margin=leg.maintenance(given.at, Basis.MARK),
        liquidation_price=liquidation,
        mark_price=given.at,
        notional=leg.notional(given.at),
        unrealized_pnl=leg.pnl(given.at),
        opened_ms=now.wall_ms,
        closed_quantity=ZERO,
        venue_ms=now.wall_ms,
    )


def _balances(
    account: GivenAccount, instruments: Mapping[Symbol, Instrument], rows: Sequence[Position], assumed: list[str]
) -> tuple[Balance, ...]:
    coins = dict.fromkeys(instruments[row.key.symbol].settle for row in rows)
    single = len(coins) == 1 or account.currency in coins
    found: list[Balance] = []
    for coin in coins:
        mine = [row for row in rows if instruments[row.key.symbol].settle == coin]
        told = account.equity if single and coin == (account.currency or next(iter(coins))) else None
        found.append(_balance(coin, told, mine, assumed))
    return tuple(found)


def _balance(coin: str, told: Decimal | None, rows: Sequence[Position], assumed: list[str]) -> Balance:
    pnl = sum((row.unrealized_pnl for row in rows if isinstance(row.unrealized_pnl, Decimal)), ZERO)
    margins = sum((row.margin for row in rows if isinstance(row.margin, Decimal)), ZERO)
    initial = ZERO
    for row in rows:
        if row.margin_mode is MarginMode.CROSS and isinstance(row.notional, Decimal):
            leverage = row.leverage if isinstance(row.leverage, Decimal) else Decimal(1)
            initial += row.notional / leverage
    equity = told
    if equity is None:
        equity = margins + pnl + initial * BALANCE_TIMES
        if initial:
            assumed.append(f"{BALANCE_TIMES:f} times the initial margin stands behind the cross positions in {coin}")
    return Balance(
        currency=coin,
        equity=equity,
        available=equity - pnl - margins - initial,
        frozen=ZERO,
        position_margin=margins + initial,
        unrealized_pnl=pnl,
    )


def _plans(given: Given, key: PositionKey) -> list[PlanOrder]:
    kinds = ((ProtectionKind.STOP_LOSS, given.stops), (ProtectionKind.TAKE_PROFIT, given.profits))
    return [
        PlanOrder(
            order_id=OrderId(f"{kind.value}-{index}"),
            client_id=None,
            key=key,
            protection=kind,
            form=PlanForm.WHOLE,
            direction=stop_direction(key, kind),
            trigger_price=price,
            price_type=PriceType.MARK,
            execution_price=None,
            size=None,
            created_ms=0,
        )
        for kind, prices in kinds
        for index, price in enumerate(prices)
    ]
