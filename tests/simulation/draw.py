"""What a seed decides before anything happens."""

from collections.abc import Collection
from decimal import Decimal
from random import Random
from typing import Final

from guardd.simulator.faults import Fault, FaultKind, feed_faults
from guardd.simulator.orders import PositionMode
from guardd.simulator.prices import crash_feed_effects
from guardd.simulator.run import SimulatedVenue
from tests.changed import replace
from tests.live.places import PLACES
from tests.simulation import policies
from tests.simulation.menu import KILL, MENU, NAMES, TWIN, Act, Kind
from tests.simulation.plot import (
    MACHINE,
    SYMBOLS,
    Deed,
    Hand,
    Holding,
    Kill,
    Market,
    Move,
    Part,
    Plot,
    Rewrite,
    Site,
    Strike,
    Twin,
)

QUIET_S: Final = 75.0
"""At the end nothing strikes any more: what must come right by itself has this long."""
UIDS: Final = ("main", "twin")
NAMED: Final = ("main", "other")


def drawn(
    seed: int, seconds: float, *, venue: SimulatedVenue | None = None, faults: Collection[str] = ()
) -> Plot:  # fmt: skip
    """The plot of a seed. `faults`: these kinds alone, and each of them."""
    chance = Random(f"plot/{seed}")
    sites, of_site = _sites(chance, seconds, venue)
    ladders = Random(f"tranche/{seed}")
    drawings = [policies.Drawing(chance, ladders, NAMED[n], alone=len(of_site) == 1) for n in range(len(of_site))]
    text = policies.limits(chance) + "".join(drawing.rules() for drawing in drawings)
    parts = tuple(
        _part(chance, number, site, sites[site], drawings[number].last_percent) for number, site in enumerate(of_site)
    )
    asked = faults or NAMES
    strikes = _strikes(Random(f"strikes/{seed}"), sites, parts, seconds, asked, each=bool(faults))
    deeds = [*_deeds(Random(f"deeds/{seed}"), sites, parts, seconds), *_provoked(strikes)]
    return Plot(
        seed=seed,
        sites=sites,
        parts=parts,
        policy=text,
        seconds=seconds,
        tick_s=chance.choice((0.5, 1.0, 2.0)),
        strikes=strikes,
        deeds=tuple(sorted(deeds, key=lambda deed: deed.at_s)),
        kills=_kills(Random(f"kills/{seed}"), seconds) if KILL in asked else (),
        twins=_twins(Random(f"twins/{seed}"), seconds, sure=bool(faults)) if TWIN in asked else (),
        rewrites=_rewrites(Random(f"rewrites/{seed}"), text, seconds),
        clock_ms=chance.choice((0, 0, 700, -1_500)),
        resumes_after_s=Random(f"operator/{seed}").choice((None, 5.0, 30.0, 120.0)),
        kill_at_await=chance.randint(1, 80) if KILL in asked and chance.random() < 0.2 else None,
    )


# Exchanges and accounts


def _sites(
    chance: Random, seconds: float, venue: SimulatedVenue | None
) -> tuple[tuple[Site, ...], tuple[int, ...]]:  # fmt: skip
    """The exchanges, and at which of them each account is."""
    first = chance.choice(tuple(SimulatedVenue)) if venue is None else venue
    other = chance.choice(tuple(SimulatedVenue)) if venue is None else venue
    placing = chance.choice(("alone", "alone", "alone", "together", "apart"))
    venues = (first,) if placing != "apart" else (first, other)
    sites = tuple(Site(venue=each, moves=_moves(chance, seconds)) for each in venues)
    return sites, {"alone": (0,), "together": (0, 0), "apart": (0, 1)}[placing]


def _part(chance: Random, number: int, site: int, where: Site, last_percent: Decimal) -> Part:
    mode = chance.choice((PositionMode.HEDGE, PositionMode.HEDGE, PositionMode.ONE_WAY))
    symbols = chance.sample(tuple(where.moves), chance.randint(1, len(where.moves)))
    holdings = [_holding(chance, symbol, where.moves[symbol]) for symbol in symbols]
    if mode is PositionMode.HEDGE and chance.random() < 0.2:
        first = holdings[0]
        holdings.append(
            Holding(
                symbol=first.symbol,
                long=not first.long,
                isolated=first.isolated,
                leverage=first.leverage,
                share=first.share / 2,
            )
        )
    deposit = Decimal(chance.choice((1_000, 5_000, 20_000)))
    return Part(
        name=NAMED[number],
        uid=UIDS[number],
        site=site,
        mode=mode,
        deposit=deposit,
        spot=deposit / 2,
        holdings=tuple(holdings),
        last_percent=last_percent,
        observe=chance.random() < 0.1,
    )


def _holding(chance: Random, symbol: str, move: Move) -> Holding:
    """Mostly on the side that the move is bad for."""
    against = move.size > 0
    return Holding(
        symbol=symbol,
        long=against if chance.random() < 0.75 else not against,
        isolated=chance.random() < 0.4,
        leverage=chance.choice((3, 5, 10, 20, 50)),
        share=Decimal(chance.randint(5, 25)) / 100,
    )


def _moves(chance: Random, seconds: float) -> dict[str, Move]:
    symbols = chance.sample(SYMBOLS, chance.randint(1, 3))
    if chance.random() < 0.15:  # everything falls at once, majors a third of it
        begins_s, depth = chance.uniform(20, seconds * 0.4), chance.randint(20, 26)
        return {
            symbol: Move(
                market=Market.CASCADE,
                size=Decimal(depth) / 100 * (1 if symbol == "SOLUSDT" else Decimal("0.35")),
                begins_s=begins_s,
                lasts_s=60.0,
            )
            for symbol in symbols
        }
    return {symbol: _move(chance, seconds) for symbol in symbols}


def _move(chance: Random, seconds: float) -> Move:
    market = chance.choice((Market.CALM, Market.TREND, Market.TREND, Market.WICK, Market.CRASH, Market.GAP))
    return Move(
        market=market,
        size=(1 if chance.random() < 0.65 else -1) * Decimal(chance.randint(2, 25)) / 100,
        begins_s=chance.uniform(20, seconds * 0.5),
        lasts_s=chance.choice((1.0, 5.0, 30.0, seconds * 0.3)),
    )


# What goes wrong


def _strikes(
    chance: Random, sites: tuple[Site, ...], parts: tuple[Part, ...], seconds: float, asked: Collection[str], *, each: bool
) -> tuple[Strike, ...]:  # fmt: skip
    """Where kinds are asked for, each of them strikes at least once. What cannot come right before the end isn't drawn."""
    last = seconds - QUIET_S
    kinds = [kind for name, kind in MENU.items() if name in asked]
    if not kinds:
        return ()
    often = max(1, round(seconds / 600))
    wanted = [*(kinds if each else ()), *(chance.choice(kinds) for _ in range(chance.choice((0, 1, 2, 3, 5)) * often))]
    found = [_strike(chance, f"strike-{number}", kind, sites, parts, last) for number, kind in enumerate(wanted)]
    found.extend(strike for number, site in enumerate(sites) for strike in _feed(number, site, asked))
    return tuple(sorted((strike for strike in found if strike is not None), key=lambda strike: strike.at_s))


def _strike(
    chance: Random, name: str, kind: Kind, sites: tuple[Site, ...], parts: tuple[Part, ...], last: float
) -> Strike | None:
    number = chance.randrange(len(parts))
    site = parts[number].site
    at_s, length, size = chance.uniform(0, max(last * 0.9, 0)), chance.choice(kind.lengths_s), chance.choice(kind.sizes)
    symbol = chance.choice(tuple(sites[site].moves))
    if chance.random() < 0.5:  # where something happens
        at_s = min(max(sites[site].moves[symbol].begins_s + chance.uniform(-15, 10), 0.0), max(last * 0.9, 0))
    rate, target = chance.choice(kind.rates), chance.choice(kind.targets)
    venue = sites[site].venue
    if venue not in kind.only_at or last <= 0:
        return None
    for_s = min(length, last - at_s)
    if not kind.for_ever and at_s + for_s + kind.excused_s(for_s, size) > last:
        size = min(kind.sizes, key=abs)
        at_s = min(at_s, max(last - for_s - kind.excused_s(for_s, size), 0.0))
    fault = None
    if kind.fault is not None:
        fault = Fault(
            name=name,
            kind=kind.fault,
            rate=rate,
            delay_ms=round(size) if kind.fault in {FaultKind.SLOW, FaultKind.LATE_PUSH} else 200,
            offset_ms=round(size) if kind.fault is FaultKind.CLOCK_OFFSET else 0,
            factor=str(size) if kind.fault in {FaultKind.BAD_TICK, FaultKind.PARTIAL_FILL} else "0.3",
            target=target,
            code=round(size) if kind.fault is FaultKind.REFUSE else None,
        )
        fault = PLACES[venue].fault(fault)
    return Strike(
        what=kind.name,
        at_s=at_s,
        for_s=for_s,
        site=MACHINE if kind.act is Act.MACHINE else site,
        fault=fault,
        size=size,
        symbol=symbol,
        part=number,
    )


def _feed(number: int, site: Site, asked: Collection[str]) -> list[Strike]:
    """What a cascade does to the price feed, by the simulator's account of that day."""
    begins = [move.begins_s for move in site.moves.values() if move.market is Market.CASCADE]
    if not begins or not {FaultKind.DROP_PUSH.value, FaultKind.LATE_PUSH.value} <= set(asked):
        return []
    place = PLACES[site.venue]
    faults = feed_faults(crash_feed_effects(round(begins[0] * 1_000)), 0, target=place.word("{tickers}"))
    return [
        Strike(
            what=fault.kind.value,
            at_s=(fault.from_ms or 0) / 1_000,
            for_s=((fault.until_ms or 0) - (fault.from_ms or 0)) / 1_000,
            site=number,
            fault=replace(fault, from_ms=None, until_ms=None),
            size=fault.delay_ms,
        )
        for fault in faults
    ]


def _kills(chance: Random, seconds: float) -> tuple[Kill, ...]:
    count = chance.choice((0, 0, 1, 2, 3)) * max(1, round(seconds / 1_200))
    found = [
        Kill(
            at_s=chance.uniform(5, max(seconds - QUIET_S, 6)),
            down_s=chance.choice((0.05, 0.5, 3.0, 20.0)),
            politely=chance.random() < 0.2,
        )
        for _ in range(count)
    ]
    return tuple(sorted(found, key=lambda kill: kill.at_s))


def _twins(chance: Random, seconds: float, *, sure: bool) -> tuple[Twin, ...]:
    last = seconds - QUIET_S - 15
    if last < 20 or (chance.random() >= 0.08 and not sure):
        return ()
    at_s = chance.uniform(15, last)
    return (Twin(at_s=at_s, for_s=min(chance.choice((5.0, 30.0, 300.0)), seconds - QUIET_S - at_s)),)


def _rewrites(chance: Random, policy: str, seconds: float) -> tuple[Rewrite, ...]:
    last = seconds - QUIET_S
    if last < 20 or chance.random() >= 0.15:
        return ()
    other = policies.rewritten(chance, policy)
    return () if other is None else (Rewrite(at_s=chance.uniform(15, last), policy=other[0], tells=other[1]),)


def _deeds(chance: Random, sites: tuple[Site, ...], parts: tuple[Part, ...], seconds: float) -> tuple[Deed, ...]:
    count = chance.choice((0, 0, 1, 2, 4, 6)) * max(1, round(seconds / 900))
    found = []
    for _ in range(count):
        number = chance.randrange(len(parts))
        symbol = chance.choice(tuple(sites[parts[number].site].moves))
        at_s = chance.uniform(10, max(seconds - QUIET_S, 11))
        found.append(Deed(at_s=at_s, hand=chance.choice(tuple(Hand)), symbol=symbol, part=number))
    return tuple(found)


def _provoked(strikes: tuple[Strike, ...]) -> list[Deed]:
    """What it takes for some kinds to strike at all: an order to be cancelled, a stop to be placed, changed or ended."""
    return [
        Deed(at_s=strike.at_s + share * strike.for_s, hand=hand, symbol=strike.symbol, part=strike.part)
        for strike in strikes
        for hand, share in _PROVOKES.get(strike.what, ())
    ]


_RACES: Final = ((Hand.PLACES_ENTRY, 0.1), (Hand.CANCELS_ORDERS, 0.8))
_WRITES: Final = ((Hand.OPENS, 0.1), (Hand.CANCELS_STOP, 0.4), (Hand.CLOSES, 0.8))
_PROVOKES: Final = {
    FaultKind.FILL_FIRST.value: _RACES,
    FaultKind.PLAN_FAILS.value: ((Hand.PLACES_STOP, 0.05),),
    FaultKind.CLOSING.value: _WRITES,
    FaultKind.REFUSE.value: _WRITES,
    FaultKind.CANCEL_WITHOUT_DATA.value: _WRITES,
}
