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

from guardd.simulator.contracts import Contract
from guardd.simulator.faults import Fault, FaultKind
from tests.live.desk import Desk, RunningGuard, open_desk, until, write_several
from tests.live.places import PLACES

TICKS = 200
POLICY = """\
version: 1
limits: {orders_per_minute: 2000}
rules:
  - name: trim
    when: {distance_to_liquidation: {below: 6%}}
    cooldown: 1h
    then:
      - reduce: {by: 25%}
"""
START = Decimal(100)
BEYOND = Decimal("0.95")
"""At ten times leverage the trigger lies about four percent below the start; this is a percent further."""
BATCH_S = 0.005
PAUSE_S = 0.2
"""Between two crossings: the venue takes 24 orders in two seconds."""


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


async def board(desk: Desk, contracts: tuple[Contract, ...], rate: int, crossed: set[str]) -> None:
    """Move marks up and down a little, `rate` times a second, round robin; those that crossed stay down."""
    loop = asyncio.get_running_loop()
    began, done, index = loop.time(), 0, 0
    while True:
        due = int((loop.time() - began) * rate)
        while done < due:
            contract = contracts[index % len(contracts)]
            level = START * BEYOND if contract.symbol in crossed else START
            desk.price(contract.symbol, level + contract.tick * (index % 7))
            index, done = index + 1, done + 1
        await asyncio.sleep(BATCH_S)


def hold_all(desk: Desk, contracts: tuple[Contract, ...]) -> None:
    """An isolated long position of about 10,000 USDT in each."""
    for contract in contracts:
        size = max(4, int(10_000 / (contract.contract_size * START)))
        desk.open(contract.symbol, "long", size, isolated=True, leverage=10)


async def cross(desk: Desk, contracts: tuple[Contract, ...], crossed: set[str]) -> list[float]:
    """Push one position after the other through its trigger; milliseconds by the exchange's stamps."""
    found: list[float] = []
    for contract in contracts:
        tickers, requests = desk.server.stamps.tickers[-1].sequence, len(desk.server.stamps.requests)
        crossed.add(contract.symbol)
        desk.price(contract.symbol, START * BEYOND)
        await asyncio.sleep(PAUSE_S)
        # The frame is stamped when the socket's writer takes it, after `price` has returned.
        frames = (s for s in desk.server.stamps.tickers if s.sequence > tickers and s.symbol == contract.symbol)
        sent_ns = next(frames).mono_ns
        for stamp in list(desk.server.stamps.requests)[requests:]:
            if stamp.path == desk.place.word("{close}") and f'"{contract.symbol}"' in stamp.body:
                found.append((stamp.mono_ns - sent_ns) / 1e6)
                break
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--crossings", type=int, default=20)
    given = parser.parse_args()
    asyncio.run(main(given.pairs, given.crossings))
