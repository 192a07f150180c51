"""How long from a price frame to the order: `python -m tests.bench.reaction [--venue bitmart] [--symbols 100] [--ticks 1000]`.

The simulated exchange runs in this process and `guardd run` in another. Every symbol holds an isolated position under a policy
that trims at a distance; marks move all over the board at the given rate, and one position after the other is pushed through
its trigger. Two clocks tell the time, and both are the machine's monotonic one: the exchange's own stamps (crossing frame
handed to the socket, order's last byte read) and guardd's `guardd_reaction_seconds`.
"""

import argparse
import asyncio
import re
import tempfile
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from statistics import median, quantiles

from guardd.simulator.contracts import Contract
from guardd.simulator.run import SimulatedVenue
from tests.live.desk import Desk, RunningGuard, open_desk, until
from tests.live.places import PLACES

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


@dataclass(frozen=True, slots=True)
class Figures:
    milliseconds: list[float]

    def __str__(self) -> str:
        if len(self.milliseconds) < 2:
            return f"{self.milliseconds}"
        p50, p99 = median(self.milliseconds), quantiles(self.milliseconds, n=100, method="inclusive")[98]
        return f"n {len(self.milliseconds)}, p50 {p50:.2f} ms, p99 {p99:.2f} ms, max {max(self.milliseconds):.2f} ms"


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


async def measure(venue: SimulatedVenue, symbols: int, ticks: int, crossings: int) -> None:
    place = PLACES[venue]
    contracts = place.synthetic(symbols)
    prices = {contract.symbol: START for contract in contracts}
    with tempfile.TemporaryDirectory() as home:
        async with open_desk(
            Path(home), deposit=100_000_000, ticker_ms=0, contracts=contracts, prices=prices, place=place
        ) as desk:
            hold_all(desk, contracts)
            async with desk.guard(POLICY) as guard:
                await until(lambda: bool(guard.events("ready")), within_s=60, what="the daemon is ready")
                crossed: set[str] = set()
                mover = asyncio.get_running_loop().create_task(board(desk, contracts, ticks, crossed))
                await asyncio.sleep(5)
                cpu_before = await cpu_s(guard)
                began = asyncio.get_running_loop().time()
                seen = await cross(desk, contracts[:crossings], crossed)
                passed_s = asyncio.get_running_loop().time() - began
                cpu = (await cpu_s(guard) - cpu_before) / passed_s
                mover.cancel()
                metrics = await guard.get("/metrics")
                reactions = [r["reaction_ms"] for r in guard.events("reduce_accepted") if "reaction_ms" in r]
    print(f"{venue}: {symbols} positions, {ticks} ticks/s, guardd at {cpu:.0%} of a core")
    print(f"exchange: frame sent -> order read   {Figures(seen)}")
    print(f"guardd:   frame read -> order sent   {Figures(reactions)}")
    count = re.search(r"guardd_reaction_seconds_count\{[^}]*\} (\S+)", metrics)
    total = re.search(r"guardd_reaction_seconds_sum\{[^}]*\} (\S+)", metrics)
    if count and total:
        print(
            f"metric:   guardd_reaction_seconds    n {float(count[1]):.0f}, mean {1000 * float(total[1]) / float(count[1]):.2f} ms"
        )


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


async def cpu_s(guard: RunningGuard) -> float:
    metrics = await guard.get("/metrics")
    found = re.search(r"^process_cpu_seconds_total (\S+)", metrics, re.M)
    return float(found[1]) if found else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--venue", type=SimulatedVenue, choices=tuple(PLACES), default=SimulatedVenue.BITMART)
    parser.add_argument("--symbols", type=int, default=100)
    parser.add_argument("--ticks", type=int, default=1000)
    parser.add_argument("--crossings", type=int, default=60)
    given = parser.parse_args()
    asyncio.run(measure(given.venue, given.symbols, given.ticks, min(given.crossings, given.symbols)))


if __name__ == "__main__":
    main()
