"""Account reads and the ledger folded into the day's highs: what each balance was seen to have, and whether marks explain it.

Only `BalanceRead` counts (interfaces.md 2.2): a push may lack the equity, and what we reckon from marks is no account read.
"""

from decimal import Decimal
from typing import Final

from guardd.model.account import Balance, Wallet
from guardd.model.event import BalanceRead, LedgerRead
from guardd.model.highwater import DAY_MS, LATE_MS, Book, Sighting, Turned, see, tell
from guardd.model.instant import Instant
from guardd.model.names import Symbol
from guardd.model.reading import Reading, is_value
from guardd.model.state import AccountState, Held, News, NewsKind

MARKS_EXACT: Final = Decimal("0.01")
"""Part of the notional by which the venue's unrealised PnL may miss what the marks around a read make of the positions."""
WITHIN_ONE: Final = Decimal("0.001")
"""Part of the notional that marks may move between the figures of one answer: by so much may equity less PnL miss the wallet."""
ZERO: Final = Decimal(0)
READ_MS: Final = 2_000
"""How long a read whose start isn't known may have taken."""


def balances_read(state: AccountState, event: BalanceRead) -> tuple[News, ...]:
    """Take in an account read, before it becomes the state's own. Nothing is kept until the ledger was read once."""
    if state.ledger_at is None:
        return ()
    found: list[News] = []
    for balance in event.balances:
        book = state.books.get(balance.currency, Book())
        sighting = _sighting(state, balance, event)
        found.extend(_turn(state, balance.currency, see(book, sighting, state.flows, currency=balance.currency)))
    return tuple(found)


def ledger_read(state: AccountState, event: LedgerRead) -> tuple[News, ...]:
    """Take in the ledger: it may explain what the last account read showed."""
    state.flows, state.ledger_since_ms, state.ledger_at = event.flows, event.since_ms, event.at
    found: list[News] = []
    for currency, book in sorted(state.books.items()):
        asked_ms = venue_ms(state, event.started)
        found.extend(_turn(state, currency, tell(book, event.flows, asked_ms=asked_ms)))
    return tuple(found)


def ledger_from_ms(state: AccountState, now: Instant) -> int:
    """From when on the ledger is wanted (the venue's time): what no balance has settled yet."""
    now_ms = venue_ms(state, now)
    waters = [book.water for book in state.books.values() if book.water is not None]
    settled = [water.settled_ms for water in waters if water.day == now_ms // DAY_MS]
    return min(settled, default=now_ms - LATE_MS)


def venue_ms(state: AccountState, now: Instant) -> int:
    """A moment by the venue's clock."""
    return now.wall_ms + (state.clock_offset_ms or 0)


def _turn(state: AccountState, currency: str, turned: Turned) -> list[News]:
    state.books[currency] = turned.book
    found: list[News] = []
    if turned.note is not None:
        found.append(News(kind=NewsKind.HIGH_WATER, water=turned.note))
    if turned.ask:
        found.append(News(kind=NewsKind.LEDGER_WANTED, text=turned.book.why))
    return found


def _sighting(state: AccountState, balance: Balance, event: BalanceRead) -> Sighting:
    wallets, profit = _wallets(balance), balance.unrealized_pnl
    equity = sum((each.amount * each.price for each in wallets), profit if is_value(profit) else ZERO)
    at_ms = venue_ms(state, event.at)
    return Sighting(
        equity=equity,
        amounts={each.coin: each.amount for each in wallets},
        prices={each.coin: each.price for each in wallets},
        started_ms=venue_ms(state, event.started) if event.started is not None else at_ms - READ_MS,
        at_ms=at_ms,
        doubt=_doubt(state, balance, wallets, event),
        room=ZERO
        if balance.wallets
        else sum((_notional(state, held) for held in _behind(state, balance)), ZERO) * WITHIN_ONE,
    )


def _wallets(balance: Balance) -> tuple[Wallet, ...]:
    if balance.wallets:
        return balance.wallets
    if balance.pooled or not is_value(balance.equity) or not is_value(balance.unrealized_pnl):
        return ()
    return (Wallet(coin=balance.currency, amount=balance.equity - balance.unrealized_pnl, price=Decimal(1)),)


def _doubt(state: AccountState, balance: Balance, wallets: tuple[Wallet, ...], event: BalanceRead) -> str:
    """Why this read can't be held against the last one; empty when it can."""
    if balance.foreign_collateral:
        return "other coins back this equity: it is an upper bound only"
    if not wallets:
        return "the account read told no wallet apart from its unrealised profit"
    low = high = room = ZERO
    for held in _behind(state, balance):
        gains = _gains(state, held)
        if not gains:
            return f"{held.key}: no mark to hold the account read against"
        settled = held.changed.mono_ns <= (event.started or event.at).mono_ns and held.missing_since is None
        around = gains if settled and held.close_seen is None else [*gains, ZERO]
        low, high, room = low + min(around), high + max(around), room + _notional(state, held) * MARKS_EXACT
    return _beyond(balance.unrealized_pnl, low - room, high + room)


def _beyond(profit: Reading, low: Decimal, high: Decimal) -> str:
    if not is_value(profit):
        return "the account read told no unrealised profit"
    if low <= profit <= high:
        return ""
    return f"the marks don't explain an unrealised profit of {profit}: they make it {low:.2f} to {high:.2f}"


def _behind(state: AccountState, balance: Balance) -> tuple[Held, ...]:
    """Every position whose profit is in this balance; one whose contract isn't known may be anybody's."""
    return tuple(
        held
        for held in state.in_order()
        if balance.pooled or state.settle_of(held.key.symbol) in (None, balance.currency)
    )


def _gains(state: AccountState, held: Held) -> list[Decimal]:
    """What the position was worth at the marks around the read: those of the read before, of its own row, and now."""
    instrument, position = state.instruments.get(held.key.symbol), held.position
    if instrument is None or position.entry_price <= 0:
        return [position.unrealized_pnl] if is_value(position.unrealized_pnl) else []
    lean = -held.key.side.sign if instrument.inverse else held.key.side.sign
    cost = instrument.notional(position.quantity, position.entry_price)
    return [
        lean * (instrument.notional(position.quantity, mark) - cost) for mark in _marks(state, held.key.symbol, held)
    ]


def _marks(state: AccountState, symbol: Symbol, held: Held) -> list[Decimal]:
    anchor, seen, row = state.anchors.get(symbol), state.marks.get(symbol), held.position.mark_price
    found = [anchor.mark] if anchor is not None else []
    found += [seen.mark] if seen is not None else []
    return [mark for mark in [*found, *([row] if is_value(row) else [])] if mark > 0]


def _notional(state: AccountState, held: Held) -> Decimal:
    instrument, marks = state.instruments.get(held.key.symbol), _marks(state, held.key.symbol, held)
    if instrument is None or not marks:
        return held.position.notional if is_value(held.position.notional) else ZERO
    return instrument.notional(held.position.quantity, marks[0])
