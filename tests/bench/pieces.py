"""What is counted: ticks, seconds, reactions and scrapes, of scenes of several sizes, at each venue."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from guardd.journal.tape import Tape
from guardd.simulator.run import SimulatedVenue
from tests.bench.cast import CROSSED, Cast
from tests.bench.counter import Work
from tests.bench.guard import POLICY, WATCHING
from tests.bench.stand import Scene, Stand
from tests.simulation.loop import VirtualLoop, play
from tests.simulation.story import MEMORY

FEW, MANY, MORE, MOST = 10, 100, 1_000, 10_000
TICKS: Final = 140
"""A whole number of rounds over ten and over a hundred positions would be 200; these end anywhere, as ticks do."""
_APART_S: Final = 0.007
SECONDS: Final = 6.0
"""Three of the reads that come every two seconds."""
CROSSINGS: Final = 4
_HELD_S: Final = 1.0
_AFTER_S: Final = 8.0

Figures = dict[str, Work]
MakeTape = Callable[[Path], Tape]


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """One scene and what is counted of it. `costly`: left out where there is little time; so is all but ticks with `ticks_only`."""

    name: str
    scene: Scene
    reactions: bool = False
    together: bool = False
    scrapes: bool = False
    ticks_only: bool = False
    costly: bool = False


def plays() -> list[Play]:
    found: list[Play] = []
    for venue in SimulatedVenue:
        for cross in (False, True):
            for positions in (FEW, MANY, MORE, MOST):
                cast = Cast(positions=positions, cross=cross)
                costly = positions > MANY
                found.append(
                    Play(
                        name=f"{venue} {'cross' if cross else 'isolated'} {positions}",
                        scene=Scene(venue=venue, cast=cast, policy=POLICY if positions == FEW else WATCHING),
                        reactions=positions == FEW and not cross,
                        ticks_only=positions == MANY and (cross or venue is not SimulatedVenue.BITGET),
                        scrapes=venue is SimulatedVenue.BITGET and positions >= MANY and not cross,
                        costly=costly,
                    )
                )
    crowd = Scene(venue=SimulatedVenue.BITGET, cast=Cast(positions=20, accounts=4), policy=POLICY, limited=True)
    found.append(Play(name="bitget crowd 20", scene=crowd, together=True))
    return found


def counted(wanted: Play, *, tape: MakeTape | None = None) -> Figures:
    """Play it, and say what was counted: by `name: what`."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None, prefix="guardd-bench-") as home:
        return play(lambda loop: _counted(wanted, loop, Path(home), tape))


async def _counted(wanted: Play, loop: VirtualLoop, home: Path, tape: MakeTape | None) -> Figures:
    stand = Stand(wanted.scene, loop, home, tape=tape)
    await stand.begin()
    found: Figures = {}
    if wanted.ticks_only:
        found["tick"] = await _ticks(stand)
    elif wanted.together:
        found["20 orders"] = await _together(stand)
    else:
        found["tick"] = await _ticks(stand)
        found["second with ticks"] = await _seconds(stand, ticking=True)
        found["second at rest"] = await _seconds(stand, ticking=False)
    if wanted.scrapes:
        found["scrape"] = await _scrape(stand)
    if wanted.reactions:
        rest = found["second at rest"]
        found["reaction"], found["after a reaction"] = await _reactions(stand, rest)
    return {f"{wanted.name}: {what}": work for what, work in found.items()}


async def _ticks(stand: Stand) -> Work:
    """What a frame that crosses nothing sets off at once, each for itself."""
    before, symbols = stand.counter.so_far, stand.cast.symbols
    async with _still(stand):
        for number in range(TICKS):
            with stand.counter.on():
                stand.tick(symbols[number * 37 % len(symbols)], number)
                await stand.settle_instant()
            await asyncio.sleep(_APART_S)
    return (stand.counter.so_far - before) / TICKS


async def _seconds(stand: Stand, *, ticking: bool) -> Work:
    """All of a second, with the reads and looks that come by the clock; `ticking`: every position once in it."""
    before, symbols = stand.counter.so_far, stand.cast.symbols
    async with _still(stand):
        with stand.counter.on():
            if ticking:
                for number in range(int(SECONDS) * len(symbols)):
                    stand.tick(symbols[number % len(symbols)], number)
                    await asyncio.sleep(1 / len(symbols))
            else:
                await asyncio.sleep(SECONDS)
    return (stand.counter.so_far - before) / SECONDS


async def _reactions(stand: Stand, rest: Work) -> tuple[Work, Work]:
    """From the crossing frame to the order's bytes; then all that follows, beyond what the same seconds cost at rest."""
    counter = stand.counter
    reaction = after = Work(own=0, all=0, calls=0)
    for symbol in stand.cast.symbols[:CROSSINGS]:
        before, left = counter.so_far, asyncio.Event()
        at_order: list[Work] = []

        def on_order(left: asyncio.Event = left, at_order: list[Work] = at_order) -> None:
            at_order.append(counter.so_far)
            left.set()

        stand.witness.on_order = on_order
        async with _still(stand):
            with counter.on():
                stand.tick(symbol, 0, CROSSED)
                await asyncio.sleep(_HELD_S)
                stand.tick(symbol, 0)
                await asyncio.sleep(_AFTER_S - _HELD_S)
        if len(at_order) != 1:
            raise RuntimeError(f"{symbol} crossed: {len(at_order)} orders left, expected 1")
        reaction += at_order[0] - before
        after += counter.so_far - at_order[0] - rest * _AFTER_S
        await asyncio.sleep(_AFTER_S)
    return reaction / CROSSINGS, after / CROSSINGS


async def _together(stand: Stand) -> Work:
    """Every position in one instant, until the last order has left."""
    counter = stand.counter
    before, at_order = counter.so_far, [counter.so_far]
    stand.witness.on_order = lambda: at_order.append(counter.so_far)
    async with _still(stand):
        with counter.on():
            for symbol in stand.cast.symbols:
                stand.tick(symbol, 0, CROSSED)
            await asyncio.sleep(_AFTER_S)
    if len(at_order) != stand.cast.positions + 1:
        raise RuntimeError(f"{stand.cast.positions} crossed: {len(at_order) - 1} orders left")
    return at_order[-1] - before


async def _scrape(stand: Stand) -> Work:
    before = stand.counter.so_far
    with stand.counter.on():
        pieces, _ = stand.metrics.exposition("text/plain", rest=lambda: asyncio.sleep(0))
        async for _ in pieces:
            pass
    return stand.counter.so_far - before


@asynccontextmanager
async def _still(stand: Stand) -> AsyncIterator[None]:
    """No ticks but those that are counted, and nothing left over from before."""
    with stand.quiet():
        await asyncio.sleep(1.0)
        yield


def chosen(only: Iterable[str], *, full: bool) -> list[Play]:
    """Those that have all words of one of `only` in their name; without any, all that aren't costly, or all."""
    asked = [set(each.split()) for each in only]
    if asked:
        return [each for each in plays() if any(words <= set(each.name.split()) for words in asked)]
    return [each for each in plays() if full or not each.costly]
