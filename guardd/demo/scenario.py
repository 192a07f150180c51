"""What the demo plays: two equal accounts, and a market that stands, slides, and falls as it fell on 2025-10-10.

Everything follows from the seed and the length, so the same two numbers give the same prices on any machine.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final

from msgspec import Struct

from guardd.simulator import prices
from guardd.simulator.contracts import Contract, default_contracts, default_prices
from guardd.simulator.control import AccountSettings
from guardd.simulator.engine import Exchange
from guardd.simulator.orders import MarginMode, OrderKind, OrderRequest, PositionSide, Side
from guardd.simulator.prices import CrashClass, Instrument

GUARDED: Final = "main"
TWIN: Final = "twin"
DEPOSIT: Final = Decimal(10_000)
SECONDS: Final = 34
"""Default length of the market's play; start and end of the processes come on top, and all of it stays below a minute."""
SECONDS_MIN: Final = 15
SECONDS_MAX: Final = 600
CRASH_MS: Final = 11_000
"""The crash keeps its own pace whatever the length: what was measured is its first ten seconds; the rest shows what is left."""
DRIFT_MS: Final = 1_000
"""`prices.crash` begins with half a percent of drift; the fall follows."""
CALM_SHARE: Final = Decimal("0.25")
SLIDE_DEPTH: Final = Decimal("0.045")
NOISE: Final = Decimal("0.0012")
"""Standard deviation of what the walks of calm and slide add up to, however long they take: the story stays the same."""
STEP_MS: Final = prices.STEP_MS

Points = tuple[tuple[int, Decimal], ...]


class Leg(Struct, frozen=True, kw_only=True):
    """One position that both accounts open before the play. `size` in the contracts of `contracts()`."""

    symbol: str
    side: PositionSide
    margin_mode: MarginMode
    leverage: Decimal
    size: Decimal
    crash_class: CrashClass


LEGS: Final = (
    Leg(
        symbol="BTCUSDT",
        side=PositionSide.LONG,
        margin_mode=MarginMode.CROSS,
        leverage=Decimal(20),
        size=Decimal(1_000),
        crash_class=CrashClass.MAJOR,
    ),
    Leg(
        symbol="ETHUSDT",
        side=PositionSide.SHORT,
        margin_mode=MarginMode.CROSS,
        leverage=Decimal(20),
        size=Decimal(6_000),
        crash_class=CrashClass.MAJOR,
    ),
    Leg(
        symbol="SOLUSDT",
        side=PositionSide.LONG,
        margin_mode=MarginMode.ISOLATED,
        leverage=Decimal(10),
        size=Decimal(1_000),
        crash_class=CrashClass.ALT,
    ),
)


class Play(Struct, frozen=True, kw_only=True):
    """The market's whole course: when each act begins, in ms from the start, and the marks of each contract."""

    slide_ms: int
    drift_ms: int
    crash_ms: int
    end_ms: int
    marks: dict[str, Points]

    def act(self, offset_ms: int) -> str:
        """The act that is on at this time, in a word for people."""
        if offset_ms < 0:
            return "opening"
        if offset_ms < self.slide_ms:
            return "calm"
        if offset_ms < self.crash_ms:
            return "slide"
        return "crash" if offset_ms <= self.end_ms else "over"


def accounts() -> tuple[AccountSettings, ...]:
    """The two accounts with the keys of `guardd simulate`: they open nothing but a simulator."""
    return tuple(
        AccountSettings(
            uid=uid, deposit=DEPOSIT, key=f"sim-{uid}-key", secret=f"sim-{uid}-secret", passphrase=f"sim-{uid}-memo"
        )
        for uid in (GUARDED, TWIN)
    )


def contracts() -> tuple[Contract, ...]:
    """The contracts of the play, with their rules; no other is listed."""
    played = {leg.symbol for leg in LEGS}
    return tuple(contract for contract in default_contracts() if contract.symbol in played)


def lots(contract: Contract) -> Decimal:
    """How many contracts of the story are one unit of size at an exchange that lists this one: venues count differently."""
    told = next(each for each in contracts() if each.symbol == contract.symbol)
    return contract.contract_size / told.contract_size


def starting_prices() -> dict[str, Decimal]:
    every = default_prices()
    return {leg.symbol: every[leg.symbol] for leg in LEGS}


def open_positions(exchange: Exchange) -> None:
    """Open the same legs in both accounts, at the same price. Needs the accounts and a first price of each contract."""
    for uid in (GUARDED, TWIN):
        for leg in LEGS:
            now_ms = exchange.now_ms
            exchange.set_leverage(uid, leg.symbol, now_ms, leverage=leg.leverage, margin_mode=leg.margin_mode)
            side = Side.BUY if leg.side is PositionSide.LONG else Side.SELL
            size = leg.size / lots(exchange.query.contract(leg.symbol))
            order = OrderRequest(symbol=leg.symbol, side=side, size=size, reduce=False, kind=OrderKind.MARKET)
            exchange.place(uid, order, now_ms)


def play(*, seed: int, seconds: int) -> Play:
    """The market's course over `seconds`, which must lie within `SECONDS_MIN` and `SECONDS_MAX`."""
    if not SECONDS_MIN <= seconds <= SECONDS_MAX:
        raise ValueError(f"seconds: found {seconds}, expected {SECONDS_MIN} to {SECONDS_MAX}")
    end_ms = seconds * 1_000
    crash_ms = end_ms - CRASH_MS
    drift_ms = crash_ms - DRIFT_MS
    slide_ms = int(drift_ms * CALM_SHARE) // STEP_MS * STEP_MS
    shape = _Acts(slide_ms=slide_ms, drift_ms=drift_ms, end_ms=end_ms, seed=seed)
    listed = {contract.symbol: contract for contract in contracts()}
    first = starting_prices()
    marks = {leg.symbol: _course(leg, listed[leg.symbol], first[leg.symbol], shape) for leg in LEGS}
    return Play(slide_ms=slide_ms, drift_ms=drift_ms, crash_ms=crash_ms, end_ms=end_ms, marks=marks)


class _Acts(Struct, frozen=True, kw_only=True):
    slide_ms: int
    drift_ms: int
    end_ms: int
    seed: int


def _course(leg: Leg, contract: Contract, first: Decimal, acts: _Acts) -> Points:
    """Calm, slide, crash, each from where the one before it ended."""
    instrument = Instrument(symbol=leg.symbol, tick=contract.tick)
    points = list(_calm(instrument, first, acts))
    points += _slide(instrument, points[-1][1], acts)
    fall = prices.crash(
        instrument,
        points[-1][1],
        crash_class=leg.crash_class,
        seed=acts.seed,
        begins_ms=DRIFT_MS,
        duration_ms=acts.end_ms - acts.drift_ms,
        step_ms=STEP_MS,
    )
    points += [(acts.drift_ms + tick.offset_ms, tick.quote.mark) for tick in fall if tick.offset_ms]
    return tuple(points)


def _calm(instrument: Instrument, first: Decimal, acts: _Acts) -> Iterator[tuple[int, Decimal]]:
    walk = prices.random_walk(
        instrument,
        first,
        seed=acts.seed,
        volatility_per_s=_noise_per_s(acts.slide_ms),
        duration_ms=acts.slide_ms,
        step_ms=STEP_MS,
    )
    return ((tick.offset_ms, tick.quote.mark) for tick in walk)


def _slide(instrument: Instrument, start: Decimal, acts: _Acts) -> Sequence[tuple[int, Decimal]]:
    """Down by `SLIDE_DEPTH` of the starting price: a walk around a falling line."""
    length_ms = acts.drift_ms - acts.slide_ms
    walk = prices.random_walk(
        instrument,
        start,
        seed=acts.seed + 1,
        volatility_per_s=_noise_per_s(length_ms),
        duration_ms=length_ms,
        step_ms=STEP_MS,
    )
    return [
        (
            acts.slide_ms + tick.offset_ms,
            prices.on_tick(tick.quote.mark * (1 - SLIDE_DEPTH * tick.offset_ms / length_ms), instrument.tick),
        )
        for tick in walk
        if tick.offset_ms
    ]


def _noise_per_s(length_ms: int) -> Decimal:
    return NOISE / (Decimal(length_ms) / 1_000).sqrt()
