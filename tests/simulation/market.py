"""Prices by their moves: the same second of the same plot is the same price."""

from decimal import Decimal
from random import Random
from typing import Final

from guardd.simulator.prices import interpolate, on_tick
from guardd.simulator.records import Quote
from guardd.simulator.server import SimulatorServer
from tests.simulation.plot import Market, Move, Site

WANDERS: Final = Decimal("0.000003")
_CASCADE: Final = [(0, 0.0), (1, 0.38), (10, 0.88), (25, 1.0), (60, 0.7), (180, 0.5)]
"""Second, share of the whole fall (simulator/prices.py says where it comes from)."""
_CORNERS: Final = [(at * 1_000, Decimal(str(share))) for at, share in _CASCADE]


class Prices:
    """Of one exchange: each contract's move, with a little wandering."""

    def __init__(self, site: Site, server: SimulatorServer, chance: Random) -> None:
        self._site, self._server, self._chance = site, server, chance
        query = server.exchange.query
        self._starts = {symbol: _mark(server, symbol) for symbol in site.moves}
        self._walk = dict.fromkeys(site.moves, Decimal(0))
        self._query = query
        self.last_apart: dict[str, Decimal] = {}
        """Contracts whose last price (with its book) stands apart from the mark, and by what share."""
        self.index_apart: dict[str, Decimal] = {}

    def go_on(self, now: float) -> Decimal:
        """The prices of this second; returns the largest jump, as a share."""
        jump = Decimal(0)
        for symbol, move in self._site.moves.items():
            self._walk[symbol] += Decimal(self._chance.randrange(-100, 101)) * WANDERS
            contract = self._query.contract(symbol)
            mark = self._starts[symbol] * (1 + self._walk[symbol] - move.size * shape(move, now))
            before = _mark(self._server, symbol)
            self._set(symbol, on_tick(mark, contract.tick), contract.tick)
            jump = max(jump, abs(mark - before) / before)
        return jump

    def _set(self, symbol: str, mark: Decimal, tick: Decimal) -> None:
        last, index = self.last_apart.get(symbol), self.index_apart.get(symbol)
        if last is None and index is None:
            self._server.set_price(symbol, mark)
            return
        traded = on_tick(mark * (1 + (last or 0)), tick)
        bid = max(traded - tick, tick)
        self._server.set_price(
            symbol,
            mark,
            quote=Quote(
                mark=mark, index=on_tick(mark * (1 + (index or 0)), tick), last=traded, bid=bid, ask=bid + 2 * tick
            ),
        )

    def busy(self, now: float) -> bool:
        """Something happens in this second."""
        return any(
            move.market is not Market.CALM and move.begins_s - 1 <= now <= move.begins_s + min(move.lasts_s, 20) + 1
            for move in self._site.moves.values()
        )


def shape(move: Move, now: float) -> Decimal:
    """How much of the move is behind at this second: 0 to 1."""
    since = now - move.begins_s
    if since <= 0 or move.market is Market.CALM:
        return Decimal(0)
    match move.market:
        case Market.GAP:
            return Decimal(1)
        case Market.WICK:
            half = max(move.lasts_s / 2, 0.5)
            return Decimal(max(1.0 - abs(since - half) / half, 0.0))
        case Market.CRASH:
            fallen = min(since / 1.0, 1.0) * 0.4 + min(max(since - 1.0, 0.0) / 9.0, 1.0) * 0.6
            return Decimal(fallen - min(max(since - 10.0, 0.0) / 60.0, 1.0) * 0.5)
        case Market.CASCADE:
            return interpolate(_CORNERS, round(since * 1_000))
        case _:
            return Decimal(min(since / max(move.lasts_s, 30.0), 1.0))


def _mark(server: SimulatorServer, symbol: str) -> Decimal:
    quote = server.exchange.query.quote(symbol)
    assert quote is not None
    return quote.mark
