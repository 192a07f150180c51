"""Positions by the thousand, at once: one is opened as a trader opens it, and the book gets copies of it under other symbols.

The engine sums up a whole account after each order, so that opening n positions by orders takes n² of its time.
"""

from collections.abc import Sequence
from decimal import Decimal

from guardd.simulator.orders import MarginMode, OrderRequest, PositionSide, Side
from guardd.simulator.server import SimulatorServer
from tests.changed import replace


def hold_alike(
    server: SimulatorServer, uid: str, symbols: Sequence[str], *, size: Decimal, leverage: Decimal, cross: bool
) -> None:
    """A long of `size` in each of `symbols`, whose contracts differ in nothing but their names and have one price."""
    exchange, now_ms, first = server.exchange, server.now_ms(), symbols[0]
    mode = MarginMode.CROSS if cross else MarginMode.ISOLATED
    exchange.set_leverage(uid, first, now_ms, leverage=leverage, margin_mode=mode)
    account = exchange._world.accounts[uid]
    before = dict(account.wallets)
    exchange.place(uid, OrderRequest(symbol=first, side=Side.BUY, size=size), now_ms)
    coin = exchange.query.contract(first).coin
    model = account.positions[first, PositionSide.LONG]
    for symbol in symbols[1:]:
        account.settings[symbol] = account.settings_of(first)
        account.positions[symbol, PositionSide.LONG] = replace(model, symbol=symbol)
        account.ever_held.add((symbol, PositionSide.LONG))
    paid = account.wallet(coin) - before[coin]
    account.wallets[coin] += paid * (len(symbols) - 1)
    exchange._world.version += 1
