"""An account as it would go on: a copy whose marks move and whose positions are cut, by the model's own sums.

The venue's figures are carried on as the model's move, so that what agreed with them goes on to agree and what didn't doesn't: a
notional and a maintenance in proportion, a liquidation price by as much as our own moves. Every change is folded as reads and
frames, exactly as the daemon would see it.
"""

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from guardd.model.account import Balance
from guardd.model.event import BalanceRead, MarkSeen, PositionsPushed, PositionsRead
from guardd.model.fold import fold
from guardd.model.instant import Instant
from guardd.model.names import MarginMode, PositionKey, Symbol
from guardd.model.position import Position, PositionUpdate
from guardd.model.reading import Absent, Reading, is_value
from guardd.model.state import AccountState, Held, Pending, RuleProgress, StreamState
from guardd.policy.confirm import Confirmation
from guardd.policy.memory import Memory
from guardd.risk.backing import Backing, backing, last_mark, leg_of
from guardd.risk.ground import ground, whole_account
from guardd.risk.liquidation import ZERO, Basis, Leg
from guardd.risk.reproduction import preferred, reproduced_bases

INSTANT_S: Final = 0.001
"""Every change comes a millisecond after the one before."""


MUTABLE: Final = (Held, Pending, RuleProgress, StreamState)


class Cut(Struct, frozen=True, kw_only=True):
    """What closing part of a position came to, in the settlement coin."""

    size: Decimal
    of: Decimal
    realised: Decimal
    """Of the closed part, at the mark, before the fee."""
    fee: Decimal
    currency: str

    @property
    def left(self) -> Decimal:
        return self.of - self.size


@dataclass(slots=True)
class World:
    """One account that goes on. Made by `world`; its memory is as after CONFIRM."""

    state: AccountState
    memory: Memory
    confirmation: Confirmation
    now: Instant

    def move(self, symbol: Symbol, mark: Decimal, *, after_s: float = INSTANT_S) -> None:
        """The instrument's mark is there after so long, in a frame that confirms itself; everything else is seen anew."""
        before = _figures(self.state, self.now)
        self.now = self.now.later_by(max(after_s, INSTANT_S))
        for each in sorted({*self.state.marks, symbol}):
            price = mark if each == symbol else self.state.marks[each].mark
            frame = MarkSeen(each, price, self.now, index=price, last=price)
            self.confirmation.seen(frame)
            fold(self.state, frame)
        self._read(before, {}, {})

    def wait(self, seconds: float) -> None:
        """Time passes at the same marks."""
        symbol = next(iter(sorted(self.state.marks)), None)
        if symbol is not None:
            self.move(symbol, self.state.marks[symbol].mark, after_s=seconds)

    def close(self, key: PositionKey, size: Decimal) -> Cut | None:
        """Close so many contracts at the present mark; None where the position can't be reckoned."""
        held = self.state.held.get(key)
        leg, mark = (
            (leg_of(self.state, held), last_mark(self.state, held)) if held is not None else (None, Absent.UNKNOWN)
        )
        if held is None or leg is None or not is_value(mark):
            return None
        size = min(size, leg.quantity)
        rest = leg.cut_to(leg.quantity - size)
        realised, fee = leg.pnl(mark) - rest.pnl(mark), leg.cost_of_cutting(rest, mark)
        gained = realised - fee
        margin = held.position.margin
        if is_value(margin):
            released = margin * leg.share_cut(rest)
            margin = margin - released
            if self._pooled(key.symbol):
                gained += released
        row = replace(
            held.position,
            quantity=rest.quantity,
            margin=margin,
            closed_quantity=held.position.closed_quantity + size,
        )
        self._become(row, self._settle(key.symbol, gained))
        return Cut(size=size, of=leg.quantity, realised=realised, fee=fee, currency=leg.instrument.settle)

    def strengthen(self, key: PositionKey, amount: Decimal) -> None:
        """Put so much of what is free behind an isolated position."""
        held = self.state.held.get(key)
        if held is not None and is_value(held.position.margin):
            taken = self._settle(key.symbol, -amount) if self._pooled(key.symbol) else {}
            self._become(replace(held.position, margin=held.position.margin + amount), taken)

    def set_leverage(self, key: PositionKey, leverage: Decimal) -> None:
        """An isolated position takes the initial margin that the leverage asks for where that is more."""
        held = self.state.held.get(key)
        leg = leg_of(self.state, held) if held is not None else None
        if held is None or leg is None:
            return
        margin, taken = held.position.margin, dict[str, Decimal]()
        if is_value(margin) and leverage > 0:
            wanted = max(margin, leg.entry_notional / leverage)
            taken = self._settle(key.symbol, margin - wanted) if self._pooled(key.symbol) else {}
            margin = wanted
        self._become(replace(held.position, leverage=leverage, margin=margin), taken)

    def top_up(self, currency: str, amount: Decimal) -> None:
        """So much comes from the spot wallet."""
        before = _figures(self.state, self.now)
        balance = self.state.balance_for(currency)
        self._tick()
        self._read(before, {}, {balance.currency: amount} if balance is not None else {})

    def equity(self, key: PositionKey) -> Reading:
        """Of the balance behind the position."""
        balance = self.state.balance_behind(key.symbol)
        return balance.equity if balance is not None else Absent.UNKNOWN

    def _pooled(self, symbol: Symbol) -> bool:
        balance = self.state.balance_behind(symbol)
        return balance is not None and is_value(balance.maintenance)

    def _settle(self, symbol: Symbol, gained: Decimal) -> dict[str, Decimal]:
        balance = self.state.balance_behind(symbol)
        return {balance.currency: gained} if balance is not None else {}

    def _tick(self) -> None:
        self.now = self.now.later_by(INSTANT_S)

    def _become(self, row: Position, gained: Mapping[str, Decimal]) -> None:
        before = _figures(self.state, self.now)
        self._tick()
        if row.quantity == 0:
            gone = PositionUpdate(
                key=row.key,
                quantity=ZERO,
                entry_price=row.entry_price,
                margin_mode=row.margin_mode,
                liquidation_price=Absent.UNKNOWN,
                frozen_quantity=ZERO,
                closed_quantity=row.closed_quantity,
                opened_ms=row.opened_ms,
                venue_ms=self.now.wall_ms,
            )
            fold(self.state, PositionsPushed(at=self.now, updates=(gone,)))
        self._read(before, {row.key: row}, gained)

    def _read(self, before: "_Figures", changed: Mapping[PositionKey, Position], gained: Mapping[str, Decimal]) -> None:
        """Fold a read of positions and balances, with every figure carried on from `before`."""
        rows: list[Position] = []
        for key, held in sorted(self.state.held.items()):
            row = _carried(self.state, held, changed.get(key, held.position), before)
            rows.append(replace(row, venue_ms=self.now.wall_ms))
        kept = tuple(row for row in rows if row.quantity > 0)
        unread = {currency: _balance(self.state, currency, before, rows, gained) for currency in self.state.balances}
        fold(self.state, PositionsRead(started=self.now, at=self.now, positions=kept))
        fold(self.state, BalanceRead(at=self.now, balances=tuple(unread.values())))
        after = _figures(self.state, self.now)
        moved = tuple(replace(row, liquidation_price=_liquidation(row, before, after)) for row in kept)
        fold(self.state, PositionsRead(started=self.now, at=self.now, positions=moved))
        ratios = tuple(_ratio(each, before, after) for each in self.state.balances.values())
        fold(self.state, BalanceRead(at=self.now, balances=ratios))


def world(state: AccountState, now: Instant) -> World:
    """A copy of the account that goes on from here, its positions shown at CONFIRM and its figures fresh."""
    memory, copied = Memory(), _copied(state)
    memory.show(copied)
    made = World(state=copied, memory=memory, confirmation=Confirmation(), now=now)
    made.wait(INSTANT_S)
    return made


def _copied(state: AccountState) -> AccountState:
    """What folding changes is copied, what is frozen is shared."""
    copied = copy(state)
    for each in fields(state):
        value = getattr(state, each.name)
        match value:
            case dict():
                found = {key: copy(held) if isinstance(held, MUTABLE) else held for key, held in value.items()}
                setattr(copied, each.name, found)
            case set() | list():
                setattr(copied, each.name, type(value)(value))
            case _:
                pass
    return copied


# Figures carried on


class _Figures(Struct, frozen=True):
    """What the model says at one moment."""

    marks: Mapping[Symbol, Decimal]
    legs: Mapping[PositionKey, Leg]
    bases: Mapping[PositionKey, Basis]
    numbers: Mapping[PositionKey, Reading]
    """Our own liquidation prices, of those for which the venue gives one."""
    asked: Mapping[str, tuple[Decimal, Decimal]]
    """Of each balance: what our sums ask of it, and what stands against that."""


def _figures(state: AccountState, now: Instant) -> _Figures:
    marks: dict[Symbol, Decimal] = {}
    legs: dict[PositionKey, Leg] = {}
    bases: dict[PositionKey, Basis] = {}
    numbers: dict[PositionKey, Reading] = {}
    wholes: dict[str, Backing] = {}
    for key, held in state.held.items():
        leg, mark = leg_of(state, held), last_mark(state, held)
        if leg is not None and is_value(mark):
            marks[key.symbol], legs[key] = mark, leg
            bases[key] = preferred(reproduced_bases(held.position, leg, state.balance_behind(key.symbol))) or Basis.MARK
            if is_value(held.position.liquidation_price):
                numbers[key] = ground(state, held, now=now, whole=_whole(wholes, state, held)).near_liquidation
    asked: dict[str, tuple[Decimal, Decimal]] = {}
    for currency, balance in state.balances.items():
        behind = backing(state, balance, marks={}, quantities={}).balance
        if is_value(behind):
            cross = [key for key in legs if state.held[key].position.margin_mode is MarginMode.CROSS]
            mine = [key for key in cross if state.balance_behind(key.symbol) is balance]
            asked[currency] = (sum((legs[key].burden(marks[key.symbol], Basis.MARK) for key in mine), ZERO), behind)
    return _Figures(marks, legs, bases, numbers, asked)


def _whole(wholes: dict[str, Backing], state: AccountState, held: Held) -> Backing | None:
    """The sums behind a cross position, made once for each balance."""
    balance = state.balance_behind(held.key.symbol)
    if held.position.margin_mode is not MarginMode.CROSS or balance is None:
        return None
    if balance.currency not in wholes:
        wholes[balance.currency] = whole_account(state, held.key.symbol)
    return wholes[balance.currency]


def _carried(state: AccountState, held: Held, row: Position, before: _Figures) -> Position:
    """The row's figures at the present mark and its quantity, moved as the model's move."""
    old, mark = before.legs.get(row.key), last_mark(state, held)
    if old is None or not is_value(mark):
        return row
    new, then, basis = old.cut_to(row.quantity), before.marks[row.key.symbol], before.bases[row.key]
    unrealized = row.unrealized_pnl
    return replace(
        row,
        mark_price=mark,
        notional=_scaled(row.notional, old.notional(then), new.notional(mark)),
        maintenance_margin=_scaled(row.maintenance_margin, old.maintenance(then, basis), new.maintenance(mark, basis)),
        unrealized_pnl=unrealized - old.pnl(then) + new.pnl(mark) if is_value(unrealized) else unrealized,
    )


def _scaled(told: Reading, old: Decimal, new: Decimal) -> Reading:
    return told * new / old if is_value(told) and old > 0 else told


def _balance(
    state: AccountState, currency: str, before: _Figures, rows: list[Position], gained: Mapping[str, Decimal]
) -> Balance:
    """Equity and unrealised PnL after what was gained or moved; what isn't in positions is what is left."""
    balance = state.balances[currency]
    pool = is_value(balance.maintenance)
    moved = ZERO
    for row in rows:
        leg = before.legs.get(row.key)
        if leg is None or state.balance_behind(row.key.symbol) is not balance:
            continue
        if not (pool and row.margin_mode is MarginMode.ISOLATED):
            moved += leg.cut_to(row.quantity).pnl(_mark_of(row)) - leg.pnl(before.marks[row.key.symbol])
    got = gained.get(currency, ZERO)
    equity, unrealized = balance.equity, balance.unrealized_pnl
    return replace(
        balance,
        equity=equity + moved + got if is_value(equity) else equity,
        unrealized_pnl=unrealized + moved if is_value(unrealized) else unrealized,
        available=balance.available + got,
    )


def _mark_of(row: Position) -> Decimal:
    return row.mark_price if is_value(row.mark_price) else ZERO


def _liquidation(row: Position, before: _Figures, after: _Figures) -> Reading:
    """The venue's number, moved by as much as ours."""
    told, was, becomes = row.liquidation_price, before.numbers.get(row.key), after.numbers.get(row.key)
    if not is_value(told) or was is None or becomes is None or was == becomes:
        return told
    if not is_value(was) or not is_value(becomes):
        return becomes if becomes is Absent.NONE else Absent.UNKNOWN
    return told + becomes - was


def _ratio(balance: Balance, before: _Figures, after: _Figures) -> Balance:
    """The venue's own maintenance and ratio, moved by what the model asks for more or less (`guardd.risk.anchor`)."""
    was, becomes = before.asked.get(balance.currency), after.asked.get(balance.currency)
    if was is None or becomes is None or becomes[1] <= 0:
        return balance
    more = becomes[0] - was[0]
    maintenance, ratio = balance.maintenance, balance.margin_ratio
    return replace(
        balance,
        maintenance=max(maintenance + more, ZERO) if is_value(maintenance) else maintenance,
        margin_ratio=max(ratio * was[1] + more, ZERO) / becomes[1] if is_value(ratio) else ratio,
    )
