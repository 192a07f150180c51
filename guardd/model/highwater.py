"""The high of a balance's equity since 00:00 UTC, by account reads that the venue's ledger explains (interfaces.md 2.2).

    equity = Σ wallets · price + unrealised PnL                  all of one account read; pushes and our marks say nothing here
    wallets now = wallets then + Σ flows of the ledger between   else the step isn't explained, and nothing is known
    a flow F from outside:  high → high · equity ÷ (equity − F)  so the share that was lost stays what it was

A read counts when its wallets are those that the ledger's rows in their order lead to, to the cent, and its unrealised PnL is
what the marks make of the positions. A wallet that is reckoned (equity less unrealised PnL) misses by what marks move within one
answer: there a ledger that was read after it may leave `room`. What it is held against stays the ledger's own sum.

The high rises to the lower of two such reads in a row, in steps of `HIGH_STEP`, each of which is journalled: whoever starts again
that day goes on from the same high and the same wallets.
"""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from itertools import islice
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from guardd.model.flow import FROM_OUTSIDE, Flow, FlowKind

DAY_MS: Final = 24 * 3_600_000
HIGH_STEP: Final = Decimal("0.0001")
"""A new high exceeds the old one by this part of it: below that nothing is worth a record in the journal."""
WALLET_EXACT: Final = Decimal("0.00001")
"""Part of the equity within which wallets agree: venues round what they print."""
SKEW_MS: Final = 2_000
"""So much may a row's time and the moment of a read be apart (clocks, and the time that a read takes)."""
LATE_MS: Final = 20_000
"""A row may come into the ledger so long after its time."""
DOUBTFUL_MAX: Final = 16
"""Rows of the very moment of a first read, which may or may not be in it."""
CHECKPOINT_MS: Final = 600_000
"""Wallets that moved by trading alone are journalled this seldom: the ledger tells the rest again."""
ZERO: Final = Decimal(0)


class HighWater(Struct, frozen=True, kw_only=True):
    """What must outlive a restart. Amounts in `currency`; times by the venue's clock."""

    currency: str
    day: int
    """Days since the epoch, UTC."""
    high: Decimal | None
    """None until two reads agreed on one."""
    wallets: tuple[tuple[str, Decimal], ...]
    """Coin and amount as of the last row that was taken in."""
    settled_ms: int
    """Rows of the ledger before this are in the wallets."""
    taken: tuple[tuple[int, str], ...] = ()
    """Time and id of later ones that are too."""
    doubtful_ms: int = 0
    """Rows up to here may be in the wallets of the day's first read already, and may be passed over."""
    noted_ms: int = 0


class Sighting(Struct, frozen=True, kw_only=True):
    """One account read of one balance. `doubt`: why its figures aren't usable, or the marks don't explain them; else empty."""

    equity: Decimal
    amounts: Mapping[str, Decimal]
    prices: Mapping[str, Decimal]
    started_ms: int
    at_ms: int
    doubt: str = ""
    room: Decimal = ZERO
    """By how much the wallets may miss what the ledger says, once that was read after them."""


class Book(Struct, frozen=True, kw_only=True):
    """What is known of one balance. `why` says why its drawdown isn't known; empty: `equity` is of a read that counts."""

    water: HighWater | None = None
    sighting: Sighting | None = None
    """The newest read, and `counted` once it counted."""
    counted: bool = False
    equity: Decimal | None = None
    candidate: Decimal | None = None
    """What the last read that counted had, if that was above the high: the next one confirms it."""
    why: str = "no account read yet"
    ruined: str = ""
    """Why nothing can be measured any more today."""


class Turned(Struct, frozen=True, kw_only=True):
    """A book after a read. `note`: its high-water, when that must be journalled now; `ask`: the ledger should be read."""

    book: Book
    note: HighWater | None = None
    ask: bool = False


def see(book: Book, sighting: Sighting, flows: Iterable[Flow], *, currency: str) -> Turned:
    """A balance was read. The ledger as far as it is known explains it now, or later (`tell`)."""
    day = sighting.at_ms // DAY_MS
    if book.water is not None and day > book.water.day:
        book = Book()
    book = replace(book, sighting=sighting, counted=False)
    if sighting.doubt:
        return Turned(book=replace(book, why=sighting.doubt))
    if book.water is None:
        return _first(book, sighting, day, currency)
    return _count(book, sighting, book.water, flows)


def tell(book: Book, flows: Iterable[Flow], *, asked_ms: int) -> Turned:
    """The ledger was asked for at this moment (the venue's time): perhaps it explains the newest account read."""
    sighting = book.sighting
    if book.water is None or sighting is None or book.counted or sighting.doubt:
        return Turned(book=book)
    room = sighting.room if asked_ms >= sighting.started_ms else ZERO
    turned = _count(book, sighting, book.water, flows, room=room)
    return replace(turned, ask=False)  # what it doesn't show yet is asked for with the next account read


def _first(book: Book, sighting: Sighting, day: int, currency: str) -> Turned:
    """First sight, or the first read after midnight: what comes is measured from here."""
    if sighting.equity <= 0:
        return Turned(book=replace(book, why="nothing stands behind the positions"))
    water = HighWater(
        currency=currency,
        day=day,
        high=None,
        wallets=_sorted(sighting.amounts),
        settled_ms=sighting.started_ms - SKEW_MS,
        doubtful_ms=sighting.at_ms + SKEW_MS,
        noted_ms=sighting.at_ms,
    )
    found = replace(
        book,
        water=water,
        counted=True,
        equity=sighting.equity,
        candidate=sighting.equity,
        why="one account read so far",
    )
    return Turned(book=found, note=water, ask=True)


def _count(book: Book, sighting: Sighting, water: HighWater, flows: Iterable[Flow], *, room: Decimal = ZERO) -> Turned:
    if book.ruined:
        return Turned(book=replace(book, why=book.ruined))
    run = _run(water, sighting, flows, room)
    if run is None:
        return Turned(book=replace(book, why=_unexplained(water, sighting)), ask=True)
    strange = next((flow for flow in run if flow.kind is FlowKind.OTHER), None)
    if strange is not None:
        return Turned(book=replace(book, why=f"row {strange.id} of the ledger is of an unknown kind"))
    unpriced = next((f.currency for f in run if f.kind in FROM_OUTSIDE and f.currency not in sighting.prices), None)
    if unpriced is not None:
        return Turned(book=replace(book, why=f"what a transfer of {unpriced} was worth isn't known"))
    outside = sum((flow.amount * sighting.prices[flow.currency] for flow in run if flow.kind in FROM_OUTSIDE), ZERO)
    if outside and sighting.equity - outside <= 0:
        why = "money came in when nothing was left to measure it by"
        return Turned(book=replace(book, why=why, ruined=why, equity=None))
    if outside and sighting.equity <= 0:
        return Turned(book=Book(sighting=sighting, why="everything was taken out"))
    factor = sighting.equity / (sighting.equity - outside) if outside else Decimal(1)
    high = water.high * factor if water.high is not None else None
    candidate = book.candidate * factor if book.candidate is not None else None
    settled = _settled(replace(water, high=high), run)
    settled, candidate = _raised(settled, candidate, sighting.equity)
    due = sighting.at_ms - water.noted_ms >= CHECKPOINT_MS and settled.wallets != water.wallets
    note = settled.high != water.high or bool(outside) or due
    settled = replace(settled, noted_ms=sighting.at_ms) if note else settled
    why = "" if settled.high is not None else "one account read so far"
    found = replace(book, water=settled, counted=True, equity=sighting.equity, candidate=candidate, why=why)
    return Turned(book=found, note=settled if note else None)


def _raised(water: HighWater, candidate: Decimal | None, equity: Decimal) -> tuple[HighWater, Decimal | None]:
    """A new high needs two reads that agree: it is the lower of them."""
    agreed = min(candidate, equity) if candidate is not None else None
    if agreed is not None and (water.high is None or _above(agreed, water.high)):
        water = replace(water, high=agreed)
    over = water.high is None or _above(equity, water.high)
    return water, equity if over else None


def _above(equity: Decimal, high: Decimal) -> bool:
    return equity >= high * (1 + HIGH_STEP)


def _run(water: HighWater, sighting: Sighting, flows: Iterable[Flow], room: Decimal) -> tuple[Flow, ...] | None:
    """The rows, in their order, that lead from the wallets of before to those of this read; None where none do.

    The fewest that do so exactly; where there is `room`, else those that come nearest.
    """
    exact = max(abs(sighting.equity), Decimal(1)) * WALLET_EXACT
    known, coins = frozenset(row_id for _, row_id in water.taken), {*sighting.prices, *dict(water.wallets)}
    until_ms = sighting.at_ms + SKEW_MS
    unsettled = (
        flow
        for flow in flows
        if water.settled_ms <= flow.at_ms <= until_ms and flow.id not in known and flow.currency in coins
    )
    rows = sorted(unsettled, key=lambda flow: (flow.at_ms, flow.id))
    doubtful = sum(flow.at_ms <= water.doubtful_ms for flow in islice(rows, DOUBTFUL_MAX))
    nearest: tuple[Decimal, tuple[Flow, ...]] | None = None
    for passed in range(doubtful + 1):
        for count, missing in enumerate(_missing(water, sighting, rows[passed:])):
            if missing <= exact:
                return tuple(rows[passed : passed + count])
            if missing <= room and (nearest is None or missing < nearest[0]):
                nearest = missing, tuple(rows[passed : passed + count])
    return nearest[1] if nearest is not None else None


def _missing(water: HighWater, sighting: Sighting, rows: list[Flow]) -> Iterator[Decimal]:
    """What the wallets miss, all coins together, after none of the rows, after the first, and so on."""
    missing = {coin: amount for coin, amount in sighting.amounts.items() if amount}
    for coin, amount in water.wallets:
        missing[coin] = missing.get(coin, ZERO) - amount
    prices = sighting.prices
    yield sum((abs(amount) * prices.get(coin, Decimal(1)) for coin, amount in missing.items()), ZERO)
    for row in rows:
        missing[row.currency] = missing.get(row.currency, ZERO) - row.amount
        yield sum((abs(amount) * prices.get(coin, Decimal(1)) for coin, amount in missing.items()), ZERO)


def _settled(water: HighWater, run: tuple[Flow, ...]) -> HighWater:
    """The rows of the run are in the wallets now; ids are kept for as long as a late row may come between them."""
    if not run:
        return water
    wallets = dict(water.wallets)
    for flow in run:
        wallets[flow.currency] = wallets.get(flow.currency, ZERO) + flow.amount
    since_ms = max(water.settled_ms, run[-1].at_ms - LATE_MS)
    taken = sorted(each for each in (*water.taken, *((flow.at_ms, flow.id) for flow in run)) if each[0] >= since_ms)
    return replace(water, wallets=_sorted(wallets), settled_ms=since_ms, taken=tuple(taken))


def _unexplained(water: HighWater, sighting: Sighting) -> str:
    before = dict(water.wallets)
    coins = sorted({*before, *sighting.amounts})
    steps = [(coin, sighting.amounts.get(coin, ZERO) - before.get(coin, ZERO)) for coin in coins]
    moved = ", ".join(f"{step.normalize():+f} {coin}" for coin, step in steps if step)
    return f"the ledger doesn't explain a step of the wallet: {moved}"


def _sorted(amounts: Mapping[str, Decimal]) -> tuple[tuple[str, Decimal], ...]:
    return tuple(sorted(amounts.items()))
