"""The demo's scenario on the exchange's engine alone: no process, no clock, nobody guarding unless the test does."""

from collections.abc import Callable
from decimal import Decimal

from guardd.demo import scenario
from guardd.demo.scenario import Play
from guardd.simulator.engine import Exchange

BEGAN_MS = 10_000
Hand = Callable[[Exchange, int], None]


def opened(*, seed: int = 1) -> Exchange:
    """Both accounts with their positions open, before the play."""
    exchange = Exchange(scenario.contracts(), seed=seed, now_ms=0)
    for symbol, price in scenario.starting_prices().items():
        exchange.move(symbol, mark=price, now_ms=0)
    for account in scenario.accounts():
        exchange.add_account(account.uid, deposit=account.deposit)
    scenario.open_positions(exchange)
    return exchange


def ticks(play: Play) -> list[tuple[int, str, Decimal]]:
    return sorted((at, symbol, mark) for symbol, points in play.marks.items() for at, mark in points)


def played(play: Play, *, seed: int = 1, hand: Hand | None = None) -> Exchange:
    """The exchange after the play. `hand` may trade after each price, as (exchange, ms from the start)."""
    exchange = opened(seed=seed)
    for offset_ms, symbol, mark in ticks(play):
        exchange.move(symbol, mark=mark, now_ms=BEGAN_MS + offset_ms)
        if hand is not None:
            hand(exchange, offset_ms)
    return exchange
