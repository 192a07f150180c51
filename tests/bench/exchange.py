"""The exchange process: `python -m tests.bench.exchange CAST [unlimited]`, told and answering by lines of JSON.

{"do": "play", "script": {…}}      a tape; answered when it has ended
{"do": "background", "rate": 20}   ticks a second between tapes
{"do": "listening"}                how many symbols have a listener
{"do": "delay", "ms": 100}         order answers wait; 0: at once
{"do": "requests"}                 how many requests came, by path and status
{"do": "timeline"}                 each request's path and when it came (monotonic ns)
{"do": "busy"}                     seconds that the venue itself has taken for its answers
{"do": "stops"}                    how many positions have a live stop
{"do": "tiers"}                    how many tables of margin tiers were given
"""

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from decimal import Decimal
from http import HTTPStatus
from typing import Any, Final

from guardd.clock import SystemClock
from guardd.simulator.control import AccountSettings
from guardd.simulator.dialects.bitget.desk import Options
from guardd.simulator.dialects.bitget.dialect import BitgetDialect
from guardd.simulator.dialects.bitget_common.listing import bitget_contracts, bitget_prices
from guardd.simulator.faults import Fault, FaultKind, Faults
from guardd.simulator.feed import Feed
from guardd.simulator.orders import MarginMode, PlanKind
from guardd.simulator.run import ServeSettings, SimulatedVenue, build
from guardd.simulator.server import SimulatorServer
from guardd.simulator.wire import Dialect, Reply, Request
from tests.bench import unlimited
from tests.bench.book import hold_alike
from tests.bench.cast import LEVERAGE, START, Cast, contracts_of, key_of, size_of_position
from tests.bench.player import Player
from tests.bench.prepared import prepare
from tests.bench.script import Script
from tests.bench.stamped import StampedListener

DEPOSIT: Final = Decimal(100_000_000)
NEVER_MS: Final = 10**15
"""The engine's own ticker frames: the tape has them."""
_PREPARED_FROM: Final = 500
_PLACING: Final = "/api/v2/mix/order/place-order"
_TIERS: Final = "/query-position-lever"


class Stage:
    """The simulator of one cast, with its tape."""

    def __init__(self, cast: Cast) -> None:
        self.faults = Faults(seed=1)
        self.listener = StampedListener(lambda arrival: self.player.heard(arrival))
        self.listener.bind(("127.0.0.1", 0))
        self.server = _server(cast, self.faults, self.listener)
        dialect = self.server.dialect
        assert isinstance(dialect, BitgetDialect)
        self._busy_ns = self._tiers_given = 0
        self._time_answers(dialect)
        self.feed = Feed(self.server, dialect, now_ms=self.server.now_ms)
        self.player = Player(self.server, self.feed, cast)
        self._commands: dict[str, Callable[[dict[str, Any]], Awaitable[object]]] = {
            "play": self._play,
            "background": self._background,
            "listening": self._listening,
            "delay": self._delay,
            "requests": self._requests,
            "timeline": self._timeline,
            "busy": self._busy,
            "stops": self._stops,
            "tiers": self._tiers,
        }
        self._cast = cast

    async def obey(self, command: dict[str, Any]) -> object:
        return await self._commands[command["do"]](command)

    async def _play(self, command: dict[str, Any]) -> object:
        return asdict(await self.player.play(Script(**command["script"])))

    async def _background(self, command: dict[str, Any]) -> object:
        self.player.background = float(command["rate"])
        return None

    async def _listening(self, _: dict[str, Any]) -> object:
        return self.feed.listen()

    async def _delay(self, command: dict[str, Any]) -> object:
        self.faults.set(Fault(name="delay", kind=FaultKind.SLOW, target=_PLACING, delay_ms=int(command["ms"])))
        return None

    async def _requests(self, _: dict[str, Any]) -> object:
        return Counter(f"{each.method} {each.path} {each.status}" for each in self.server.stamps.requests)

    async def _timeline(self, _: dict[str, Any]) -> object:
        return [(each.mono_ns, f"{each.method} {each.path}", each.status) for each in self.server.stamps.requests]

    def _time_answers(self, dialect: Dialect) -> None:
        answer = dialect.answer

        def timed(request: Request) -> Reply:
            began_ns = time.monotonic_ns()
            reply = answer(request)
            self._busy_ns += time.monotonic_ns() - began_ns
            if request.path.endswith(_TIERS) and reply.response is not None:
                self._tiers_given += reply.response.status == HTTPStatus.OK
            return reply

        dialect.answer = timed  # type: ignore[method-assign]

    async def _busy(self, _: dict[str, Any]) -> object:
        return self._busy_ns / 1e9

    async def _stops(self, _: dict[str, Any]) -> object:
        query = self.server.exchange.query
        plans = (plan for name in self._cast.account_names for plan in query.open_plans(name, None))
        return len({plan.symbol for plan in plans if plan.kind is PlanKind.STOP_LOSS})

    async def _tiers(self, _: dict[str, Any]) -> object:
        return self._tiers_given


def _server(cast: Cast, faults: Faults, listener: StampedListener) -> SimulatorServer:
    accounts = tuple(
        AccountSettings(uid=name, deposit=DEPOSIT, margin_mode=_margin(cast), **asdict(key_of(name)))
        for name in cast.account_names
    )
    settings = ServeSettings(
        venue=SimulatedVenue.BITGET,
        accounts=accounts,
        contracts=(
            *bitget_contracts(),
            *contracts_of(cast),
        ),  # ccxt loads all that a venue lists, and expects some of it
        prices={**bitget_prices(), **dict.fromkeys(cast.symbols, START)},
        walk=False,
        options=Options(ticker_interval_ms=NEVER_MS),
    )
    server = build(settings, SystemClock(), faults, listener=listener)
    for name in cast.account_names:
        own = [symbol for symbol in cast.symbols if cast.owner(symbol) == name]
        hold_alike(server, name, own, size=size_of_position(), leverage=Decimal(LEVERAGE), cross=cast.cross)
    server.exchange.advance(server.now_ms())
    if cast.positions >= _PREPARED_FROM:
        prepare(server)
    return server


def _margin(cast: Cast) -> MarginMode:
    return MarginMode.CROSS if cast.cross else MarginMode.ISOLATED


async def serve(cast: Cast) -> None:
    stage = Stage(cast)
    async with stage.server as server:
        server.spawn("background", stage.player.keep_playing())
        host, port = stage.listener.getsockname()
        _say({"port": port, "host": host})
        reader = asyncio.StreamReader(limit=1 << 20)
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            _say(await stage.obey(json.loads(line)))


def _say(answer: object) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    if sys.argv[2:] == ["unlimited"]:
        unlimited.lift()
    asyncio.run(serve(Cast.of_text(sys.argv[1])))
