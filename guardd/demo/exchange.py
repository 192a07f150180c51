"""The demo's exchange as a process of its own: `python -m guardd.demo.exchange VENUE SEED`.

It opens the positions of the scenario in both accounts, prints one line of JSON with its addresses, and lets prices stand until
it is told otherwise over its control routes. It ends on SIGTERM, and when its standard input closes: nobody is left to look then.
"""

import asyncio
import signal
import sys
from decimal import Decimal

import msgspec

from guardd.clock import SystemClock
from guardd.demo import scenario
from guardd.simulator.run import ServeSettings, SimulatedVenue, build
from guardd.simulator.server import SimulatorServer


class Addresses(msgspec.Struct, frozen=True, kw_only=True):
    """Where the exchange listens: scheme, host and port; and how many contracts of the story its unit of size is."""

    rest_url: str
    stream_url: str
    lots: dict[str, Decimal]


def ready_server(*, venue: SimulatedVenue = SimulatedVenue.BITMART, seed: int) -> SimulatorServer:
    """The exchange with both accounts, their positions open, on a free port; not yet listening."""
    settings = ServeSettings(
        venue=venue,
        seed=seed,
        accounts=scenario.accounts(),
        prices=scenario.starting_prices(),
        walk=False,
    )
    server = build(settings, SystemClock())
    scenario.open_positions(server.exchange)
    return server


async def serve(*, venue: SimulatedVenue, seed: int) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    loop.add_reader(sys.stdin.fileno(), ended.set)  # nothing is ever written to it: readable means closed
    async with ready_server(venue=venue, seed=seed) as server:
        addresses = Addresses(rest_url=server.rest_url, stream_url=server.stream_url, lots=_lots(server))
        sys.stdout.write(msgspec.json.encode(addresses).decode() + "\n")
        sys.stdout.flush()
        await ended.wait()
    loop.remove_reader(sys.stdin.fileno())


def _lots(server: SimulatorServer) -> dict[str, Decimal]:
    listed = server.exchange.query
    return {leg.symbol: scenario.lots(listed.contract(leg.symbol)) for leg in scenario.LEGS}


if __name__ == "__main__":
    asyncio.run(serve(venue=SimulatedVenue(sys.argv[1]), seed=int(sys.argv[2])))
