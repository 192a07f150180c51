"""A story before it happens, as values: exchanges, accounts, policy, prices, a trader's hands, faults, kills (`draw` draws it)."""

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from guardd.simulator.faults import Fault
from guardd.simulator.orders import PositionMode
from guardd.simulator.run import SimulatedVenue
from tests.changed import replace

SYMBOLS: Final = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
MACHINE: Final = -1
"""Where a strike is that hits the guard's own machine, and no exchange."""


class Market(StrEnum):
    CALM = "calm"
    TREND = "trend"
    WICK = "wick"
    CRASH = "crash"
    CASCADE = "cascade"
    """The profile of 2025-10-10: most of it within ten seconds, the low after twenty-five, half of it back after three minutes."""
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
    """A fault for a while. `what`: its name in the menu, which says what `size` is; `site`: which exchange, or the machine."""

    what: str
    at_s: float
    for_s: float
    site: int = 0
    fault: Fault | None = None
    size: float = 0.0
    symbol: str = ""
    part: int = 0
    """Whose account, where it is one account's."""


class Hand(StrEnum):
    """What the trader does."""

    ADDS = "adds"
    DOUBLES = "doubles"
    CLOSES_PART = "closes-part"
    CLOSES = "closes"
    OPENS = "opens"
    FLIPS = "flips"
    CANCELS_STOP = "cancels-stop"
    CANCELS_ORDERS = "cancels-orders"
    PLACES_STOP = "places-stop"
    PLACES_PROFIT = "places-profit"
    PLACES_ENTRY = "places-entry"
    PLACES_CLOSE = "places-close"
    DEPOSITS = "deposits"
    WITHDRAWS = "withdraws"
    RAISES_LEVERAGE = "raises-leverage"
    LOWERS_LEVERAGE = "lowers-leverage"
    ADDS_MARGIN = "adds-margin"
    TAKES_MARGIN = "takes-margin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    at_s: float
    hand: Hand
    symbol: str
    part: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """The end of a process, and a new one on its data directory. `politely`: by SIGTERM."""

    at_s: float
    down_s: float
    politely: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrite:
    """Another policy file, adopted by whatever guard runs then; later ones start with it."""

    at_s: float
    policy: str
    tells: str
    """What is other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Twin:
    """A second instance on a data directory of its own."""

    at_s: float
    for_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One exchange, and how its prices go."""

    venue: SimulatedVenue
    moves: dict[str, Move]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One guarded account. `last_percent`: `last-resort` closes what has lost more than that from its entry."""

    name: str
    uid: str
    site: int
    mode: PositionMode
    deposit: Decimal
    holdings: tuple[Holding, ...]
    last_percent: Decimal
    spot: Decimal = Decimal(0)
    observe: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """`policy` is the one file for all accounts."""

    seed: int
    sites: tuple[Site, ...]
    parts: tuple[Part, ...]
    policy: str
    seconds: float
    tick_s: float
    strikes: tuple[Strike, ...] = ()
    deeds: tuple[Deed, ...] = ()
    kills: tuple[Kill, ...] = ()
    twins: tuple[Twin, ...] = ()
    rewrites: tuple[Rewrite, ...] = ()
    clock_ms: int = 0
    """How far the machine's wall clock is ahead from the start."""
    resumes_after_s: float | None = None
    """So long after an account was parked its operator resumes it; None: nobody does."""
    kill_at_await: int | None = None
    """Kill it where its hands stop at an await for the so-manieth time."""

    @property
    def venue(self) -> str:
        return "+".join(self.sites[part.site].venue.value for part in self.parts)

    @property
    def items(self) -> tuple[str, ...]:
        """Everything that can be left out: strikes, deeds, kills, twins and rewrites by letter and number."""
        kinds = (("s", self.strikes), ("d", self.deeds), ("k", self.kills), ("t", self.twins), ("r", self.rewrites))
        found = [f"{letter}{number}" for letter, things in kinds for number in range(len(things))]
        return (*found, *(("a",) if self.kill_at_await else ()))

    def only(self, kept: Collection[str]) -> "Plot":
        """The same with these of its items alone: for finding the ones that matter."""
        return replace(
            self,
            strikes=tuple(each for n, each in enumerate(self.strikes) if f"s{n}" in kept),
            deeds=tuple(each for n, each in enumerate(self.deeds) if f"d{n}" in kept),
            kills=tuple(each for n, each in enumerate(self.kills) if f"k{n}" in kept),
            twins=tuple(each for n, each in enumerate(self.twins) if f"t{n}" in kept),
            rewrites=tuple(each for n, each in enumerate(self.rewrites) if f"r{n}" in kept),
            kill_at_await=self.kill_at_await if "a" in kept else None,
        )

    def without(self, dropped: Collection[str]) -> "Plot":
        return self.only([item for item in self.items if item not in dropped])

    def named(self, item: str) -> str:
        """An item in words."""
        letter, number = item[0], int(item[1:] or 0)
        match letter:
            case "s":
                strike = self.strikes[number]
                where = "the machine" if strike.site == MACHINE else f"site {strike.site}"
                return (
                    f"{strike.what} at {strike.at_s:.1f} s for {strike.for_s:.1f} s on {where} {strike.symbol}".rstrip()
                )
            case "d":
                deed = self.deeds[number]
                return f"the trader {deed.hand} {deed.symbol} at {deed.at_s:.1f} s ({self.parts[deed.part].name})"
            case "k":
                kill = self.kills[number]
                return f"{'SIGTERM' if kill.politely else 'SIGKILL'} at {kill.at_s:.1f} s, down for {kill.down_s} s"
            case "t":
                return f"a second instance at {self.twins[number].at_s:.1f} s for {self.twins[number].for_s:.1f} s"
            case "r":
                return f"another policy at {self.rewrites[number].at_s:.1f} s: {self.rewrites[number].tells}"
            case _:
                return f"SIGKILL at await {self.kill_at_await} of the hands"
