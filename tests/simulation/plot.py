"""What a seed decides before anything happens: accounts, positions, policy, prices, a trader's hand, faults, kills."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from random import Random
from typing import Final

from guardd.simulator.faults import Fault, FaultKind
from guardd.simulator.orders import PositionMode
from guardd.simulator.run import SimulatedVenue

SYMBOLS: Final = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
QUIET_S: Final = 90.0
"""At the end nothing strikes any more: what must come right by itself has this long."""


class Market(StrEnum):
    CALM = "calm"
    TREND = "trend"
    WICK = "wick"
    CRASH = "crash"
    GAP = "gap"


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """A position that the trader has from the start. `share` of the account's equity stands behind it as margin."""

    symbol: str
    long: bool
    isolated: bool
    leverage: int
    share: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """How one price goes: `size` is the largest fall (rise, where negative) as a share of the price."""

    market: Market
    size: Decimal
    begins_s: float
    lasts_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """A fault for a while. `weather`: a share of requests or answers lost, or the venue gone, instead of a venue's fault."""

    at_s: float
    for_s: float
    fault: Fault | None = None
    weather: str = ""
    share: float = 0.0


class Hand(StrEnum):
    """What the trader does."""

    ADDS = "adds"
    CLOSES_PART = "closes-part"
    CLOSES = "closes"
    OPENS = "opens"
    FLIPS = "flips"
    CANCELS_STOP = "cancels-stop"
    PLACES_STOP = "places-stop"
    DEPOSITS = "deposits"
    RAISES_LEVERAGE = "raises-leverage"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    at_s: float
    hand: Hand
    symbol: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    seed: int
    venue: SimulatedVenue
    mode: PositionMode
    deposit: Decimal
    holdings: tuple[Holding, ...]
    policy: str
    moves: dict[str, Move]
    strikes: tuple[Strike, ...]
    deeds: tuple[Deed, ...]
    kills: tuple[float, ...]
    seconds: float
    tick_s: float
    kill_at_await: int | None = None
    """Kill it where its hands stop at an await for the so-manieth time."""

    def without(self, strikes: set[int]) -> "Plot":
        """The same without some of its strikes: for finding the ones that matter."""
        from dataclasses import replace

        return replace(self, strikes=tuple(each for n, each in enumerate(self.strikes) if n not in strikes))


POLICY: Final = """\
version: 1
limits: {{orders_per_minute: 60, stale_after: 15s}}
rules:
  - name: resting-protection
    then:
      - stop_loss: {{trigger: {stop}}}
{profit}  - name: warn
    when: {{distance_to_liquidation: {{below: 8%}}}}
    then: [notify: {{severity: warning}}]
{trim}  - name: last-resort
    when: {{profit_from_entry: {{below: {last}%}}}}
    then: [close: {{}}]
"""
TRIM: Final = """\
  - name: trim
    match: {margin_mode: cross}
    when: {distance_to_liquidation: {below: 6%}}
    cooldown: 1m
    then:
      - cancel_entries: {}
      - reduce: {until: {distance_to_liquidation: 8%}, at_most: 50%}
"""


def drawn(seed: int, seconds: float, *, venue: SimulatedVenue | None = None) -> Plot:
    """The plot of a seed."""
    chance = Random(f"plot/{seed}")
    where = chance.choice(tuple(SimulatedVenue)) if venue is None else venue
    mode = chance.choice((PositionMode.HEDGE, PositionMode.HEDGE, PositionMode.ONE_WAY))
    symbols = chance.sample(SYMBOLS, chance.randint(1, 3))
    holdings = tuple(_holding(chance, symbol) for symbol in symbols)
    if mode is PositionMode.HEDGE and chance.random() < 0.2:
        other = holdings[0]
        holdings = (
            *holdings,
            Holding(
                symbol=other.symbol,
                long=not other.long,
                isolated=other.isolated,
                leverage=other.leverage,
                share=other.share / 2,
            ),
        )
    return Plot(
        seed=seed,
        venue=where,
        mode=mode,
        deposit=Decimal(chance.choice((1_000, 5_000, 20_000))),
        holdings=holdings,
        policy=_policy(chance),
        moves={symbol: _move(chance, symbol, holdings, seconds) for symbol in symbols},
        strikes=_strikes(chance, seconds),
        deeds=_deeds(chance, symbols, seconds),
        kills=tuple(
            sorted(chance.uniform(5, seconds - QUIET_S) for _ in range(chance.choice((0, 0, 1, 2, 3))))
        ),
        seconds=seconds,
        tick_s=chance.choice((0.5, 1.0, 2.0)),
    )  # fmt: skip


def _holding(chance: Random, symbol: str) -> Holding:
    return Holding(
        symbol=symbol,
        long=chance.random() < 0.6,
        isolated=chance.random() < 0.4,
        leverage=chance.choice((3, 5, 10, 20, 50)),
        share=Decimal(chance.randint(5, 25)) / 100,
    )


def _policy(chance: Random) -> str:
    stop = f"[{{liquidation_buffer: {chance.choice((15, 20, 30))}%}}, {{from_entry: -{chance.choice((9, 15, 25))}%}}]"
    profit = "      - take_profit: {trigger: {from_entry: 4%}}\n" if chance.random() < 0.4 else ""
    return POLICY.format(
        stop=stop, profit=profit, trim=TRIM if chance.random() < 0.6 else "", last=-chance.randint(3, 12)
    )


def _move(chance: Random, symbol: str, holdings: tuple[Holding, ...], seconds: float) -> Move:
    market = chance.choice((Market.CALM, Market.TREND, Market.TREND, Market.WICK, Market.CRASH, Market.GAP))
    against = 1 if next(each for each in holdings if each.symbol == symbol).long else -1
    way = against if chance.random() < 0.8 else -against
    return Move(
        market=market,
        size=way * Decimal(chance.randint(1, 25)) / 100,
        begins_s=chance.uniform(20, seconds * 0.5),
        lasts_s=chance.choice((1.0, 5.0, 30.0, seconds * 0.3)),
    )


def _strikes(chance: Random, seconds: float) -> tuple[Strike, ...]:
    last = seconds - QUIET_S
    found: list[Strike] = []
    for number in range(chance.choice((0, 1, 2, 3, 5))):
        at = chance.uniform(0, last * 0.9)
        length = min(chance.choice((2.0, 10.0, 30.0, 120.0)), last - at)
        found.append(_strike(chance, f"strike-{number}", at, length))
    return tuple(sorted(found, key=lambda each: each.at_s))


_KINDS: Final = (
    FaultKind.CLOUDFLARE_403, FaultKind.CLOUDFLARE_503, FaultKind.TOO_MANY, FaultKind.UNAVAILABLE, FaultKind.ERROR_HTML,
    FaultKind.MAINTENANCE, FaultKind.TIMEOUT_BEFORE, FaultKind.TIMEOUT_AFTER, FaultKind.SLOW, FaultKind.STALE_READ,
    FaultKind.EMPTY_READ, FaultKind.DROP_PUSH, FaultKind.LATE_PUSH, FaultKind.DUPLICATE_PUSH, FaultKind.REORDER_PUSH,
    FaultKind.FREEZE_SOCKET, FaultKind.CLOSE_SOCKET, FaultKind.REFUSE_LOGIN, FaultKind.BAD_TICK, FaultKind.CLOCK_OFFSET,
    FaultKind.PARTIAL_FILL, FaultKind.PLAN_FAILS,
)  # fmt: skip


def _strike(chance: Random, name: str, at_s: float, for_s: float) -> Strike:
    if chance.random() < 0.25:
        what = chance.choice(("lost-before", "lost-after", "down", "slow"))
        return Strike(at_s=at_s, for_s=for_s, weather=what, share=chance.choice((0.05, 0.1, 0.2)))
    kind = chance.choice(_KINDS)
    fault = Fault(
        name=name,
        kind=kind,
        rate=chance.choice((0.05, 0.2, 1.0)) if kind is not FaultKind.BAD_TICK else 0.02,
        delay_ms=chance.choice((200, 800, 3_000)) if kind in {FaultKind.SLOW, FaultKind.LATE_PUSH} else 200,
        offset_ms=chance.choice((-3_000, 2_000, 60_000)),
        factor=chance.choice(("0.5", "0.9", "1.1")) if kind is FaultKind.BAD_TICK else "0.3",
        target="*" if kind is not FaultKind.TOO_MANY else "*order*",
    )
    if kind in {FaultKind.EMPTY_READ, FaultKind.STALE_READ}:  # longer ones are believed (I6), or park the account (I29)
        for_s = min(for_s, 2.0 if kind is FaultKind.EMPTY_READ else 4.0)
    return Strike(at_s=at_s, for_s=for_s, fault=fault)


def _deeds(chance: Random, symbols: list[str], seconds: float) -> tuple[Deed, ...]:
    count = chance.choice((0, 0, 1, 2, 4))
    found = [
        Deed(at_s=chance.uniform(10, seconds - QUIET_S), hand=chance.choice(tuple(Hand)), symbol=chance.choice(symbols))
        for _ in range(count)
    ]
    return tuple(sorted(found, key=lambda each: each.at_s))
