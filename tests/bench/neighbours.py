"""Does one venue's trouble slow another down? `python -m tests.bench.neighbours [--pairs 3] [--crossings 20]`.

One daemon guards an account at each simulated venue, all three in this process. Positions at the first two are pushed through
their triggers in turn, once with all venues well and once while the last one answers nothing but Cloudflare's pages; pairs of runs
are interleaved, and the medians' ratio is what counts.
"""

import argparse
import asyncio
import contextlib
import tempfile
from decimal import Decimal
from pathlib import Path
from statistics import median

from guardd.simulator.faults import Fault, FaultKind
from tests.bench.reaction import POLICY, START, board, cross, hold_all
from tests.live.desk import Desk, RunningGuard, open_desk, until, write_several
from tests.live.places import PLACES

TICKS = 200


async def run(crossings: int, *, sick: bool) -> dict[str, list[float]]:
    """Milliseconds from crossing frame to order by the exchanges' stamps, by venue."""
    places = list(PLACES.values())
    async with contextlib.AsyncExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        desks: dict[str, Desk] = {}
        for place in places:
            contracts = place.synthetic(crossings)
            prices = {contract.symbol: Decimal(START) for contract in contracts}
            desk = await stack.enter_async_context(
                open_desk(home, deposit=100_000_000, ticker_ms=0, contracts=contracts, prices=prices, place=place)
            )
            hold_all(desk, contracts)
            desks[place.venue.value] = desk
        config, environ = write_several(home, POLICY, desks)
        guard = await RunningGuard.start(config, environ)
        stack.push_async_callback(guard.stop)
        await until(lambda: len(guard.events("account_live")) == len(desks), within_s=60, what="all accounts are live")
        last = desks[places[-1].venue.value]
        if sick:
            last.faults.set(Fault(name="edge", kind=FaultKind.CLOUDFLARE_403))
            await until(lambda: bool(guard.events("account_blocked")), within_s=20, what="the block is told")
        crossed: dict[str, set[str]] = {name: set() for name in desks}
        loop = asyncio.get_running_loop()
        movers = [
            loop.create_task(board(desk, desk.place.synthetic(crossings), TICKS, crossed[name]))
            for name, desk in desks.items()
        ]
        await asyncio.sleep(4)
        found: dict[str, list[float]] = {}
        for place in places[:-1]:
            name = place.venue.value
            found[name] = await cross(desks[name], place.synthetic(crossings), crossed[name])
        for mover in movers:
            mover.cancel()
        return found


async def main(pairs: int, crossings: int) -> None:
    well: dict[str, list[float]] = {}
    sick: dict[str, list[float]] = {}
    for _ in range(pairs):
        for into, ill in ((well, False), (sick, True)):
            for name, values in (await run(crossings, sick=ill)).items():
                into.setdefault(name, []).extend(values)
    for name in well:
        one, other = median(well[name]), median(sick[name])
        print(
            f"{name}: p50 {one:.2f} ms with all venues well (n {len(well[name])}), {other:.2f} ms (n {len(sick[name])}) while "
            f"{list(PLACES)[-1]} answers only Cloudflare pages, ratio {other / one:.2f}"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--crossings", type=int, default=20)
    given = parser.parse_args()
    asyncio.run(main(given.pairs, given.crossings))
