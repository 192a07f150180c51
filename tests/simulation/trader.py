"""The human whose account it is: he holds, trades and meddles, by the exchange's own rules and without asking the guard."""

from decimal import Decimal
from typing import assert_never

from guardd.simulator.orders import (
    MarginMode,
    OrderKind,
    OrderRequest,
    PlanKind,
    PlanRequest,
    PositionMode,
    PositionSide,
    Side,
)
from guardd.simulator.records import PositionView, TransferDirection
from guardd.simulator.refusals import Refused
from guardd.simulator.server import SimulatorServer
from tests.simulation.plot import Deed, Hand, Part


class Trader:
    """One account's owner."""

    def __init__(self, part: Part, server: SimulatorServer) -> None:
        self._part, self._server = part, server
        self._exchange, self._uid = server.exchange, part.uid

    def open_positions(self) -> None:
        """What he has before the guard is started. What the venue refuses (too small, two legs' modes) he doesn't have."""
        self._exchange.set_position_mode(self._uid, self._part.mode, self._now_ms)
        for holding in self._part.holdings:
            margin_mode = MarginMode.ISOLATED if holding.isolated else MarginMode.CROSS
            contract = self._exchange.query.contract(holding.symbol)
            worth = self._part.deposit * holding.share * holding.leverage
            size = worth / self._mark(holding.symbol) / contract.contract_size / contract.step
            try:
                self._exchange.set_leverage(
                    self._uid,
                    holding.symbol,
                    self._now_ms,
                    leverage=Decimal(holding.leverage),
                    margin_mode=margin_mode,
                )
                side = Side.BUY if holding.long else Side.SELL
                self._trade(holding.symbol, side, size.to_integral_value() * contract.step)
            except Refused:
                continue

    def do(self, deed: Deed) -> bool:
        """False where the venue refuses, or there is nothing to do it with."""
        held = next((each for each in self._exchange.query.positions(self._uid, deed.symbol) if each.size), None)
        try:
            return self._account(deed) or (
                held is not None and (self._position(deed, held) or self._orders(deed, held))
            )
        except Refused:
            return False

    def _account(self, deed: Deed) -> bool:
        exchange, uid = self._exchange, self._uid
        match deed.hand:
            case Hand.DEPOSITS:
                exchange.grant(uid, self._part.deposit / 10, self._now_ms)
            case Hand.WITHDRAWS:
                exchange.transfer(uid, TransferDirection.TO_SPOT, self._part.deposit / 20, self._now_ms)
            case Hand.OPENS:
                contract = exchange.query.contract(deed.symbol)
                self._trade(deed.symbol, Side.BUY, max(contract.min_size, contract.step * 10))
            case Hand.CANCELS_ORDERS:
                return exchange.cancel_all(uid, deed.symbol, self._now_ms) > 0
            case _:
                return False
        return True

    def _position(self, deed: Deed, held: PositionView) -> bool:
        exchange, uid, symbol = self._exchange, self._uid, deed.symbol
        match deed.hand:
            case Hand.ADDS:
                self._trade(symbol, _opening(held), self._some(held, "0.3"))
            case Hand.DOUBLES:
                self._trade(symbol, _opening(held), held.size)
            case Hand.CLOSES_PART:
                self._trade(symbol, _closing(held), self._some(held, "0.4"), reduce=True)
            case Hand.CLOSES:
                self._trade(symbol, _closing(held), held.size, reduce=True)
            case Hand.FLIPS:
                if self._part.mode is not PositionMode.ONE_WAY:
                    self._trade(symbol, _closing(held), held.size, reduce=True)
                    self._trade(symbol, _closing(held), held.size)
                else:
                    self._trade(symbol, _closing(held), held.size * 2)
            case Hand.RAISES_LEVERAGE | Hand.LOWERS_LEVERAGE:
                more = 5 if deed.hand is Hand.RAISES_LEVERAGE else -min(held.leverage - 1, Decimal(2))
                exchange.set_leverage(
                    uid, symbol, self._now_ms, leverage=held.leverage + more, margin_mode=held.margin_mode
                )
            case Hand.ADDS_MARGIN | Hand.TAKES_MARGIN:
                sign = 1 if deed.hand is Hand.ADDS_MARGIN else -1
                exchange.add_margin(uid, symbol, held.side, sign * self._part.deposit / 50, self._now_ms)
            case _:
                return False
        return True

    def _orders(self, deed: Deed, held: PositionView) -> bool:
        match deed.hand:
            case Hand.CANCELS_STOP:
                for plan in self._exchange.query.open_plans(self._uid, deed.symbol):
                    self._exchange.cancel_plan(self._uid, plan.plan_id, self._now_ms)
                    return True
                return False
            case Hand.PLACES_STOP:
                self._plan(held, PlanKind.STOP_LOSS, "-0.02")
            case Hand.PLACES_PROFIT:
                self._plan(held, PlanKind.TAKE_PROFIT, "0.03")
            case Hand.PLACES_ENTRY:
                self._limit(held, _opening(held), "-0.004", reduce=False)
            case Hand.PLACES_CLOSE:
                self._limit(held, _closing(held), "0.02", reduce=True)
            case (
                Hand.ADDS | Hand.DOUBLES | Hand.CLOSES_PART | Hand.CLOSES | Hand.OPENS | Hand.FLIPS | Hand.CANCELS_ORDERS
                | Hand.DEPOSITS | Hand.WITHDRAWS | Hand.RAISES_LEVERAGE | Hand.LOWERS_LEVERAGE | Hand.ADDS_MARGIN
                | Hand.TAKES_MARGIN
            ):  # fmt: skip
                return False
            case _:
                assert_never(deed.hand)
        return True

    def _trade(self, symbol: str, side: Side, size: Decimal, *, reduce: bool = False) -> None:
        order = OrderRequest(symbol=symbol, side=side, size=size, reduce=reduce)
        self._exchange.place(self._uid, order, self._now_ms)

    def _limit(self, held: PositionView, side: Side, away: str, *, reduce: bool) -> None:
        """An order that rests so far from the mark, in the position's favour where positive."""
        order = OrderRequest(
            symbol=held.symbol,
            side=side,
            size=self._some(held, "0.3"),
            reduce=reduce,
            kind=OrderKind.LIMIT,
            price=self._price(held, away),
        )
        self._exchange.place(self._uid, order, self._now_ms)

    def _plan(self, held: PositionView, kind: PlanKind, away: str) -> None:
        plan = PlanRequest(
            symbol=held.symbol,
            kind=kind,
            side=_closing(held),
            reduce=True,
            trigger_price=self._price(held, away),
            size=held.size,
        )
        self._exchange.place_plan(self._uid, plan, self._now_ms)

    def _price(self, held: PositionView, away: str) -> Decimal:
        tick = self._exchange.query.contract(held.symbol).tick
        price = held.mark_price * (1 + held.side.sign * Decimal(away))
        return (price / tick).to_integral_value() * tick

    def _some(self, held: PositionView, share: str) -> Decimal:
        step = self._exchange.query.contract(held.symbol).step
        return max((held.size * Decimal(share) / step).to_integral_value() * step, step)

    def _mark(self, symbol: str) -> Decimal:
        quote = self._exchange.query.quote(symbol)
        assert quote is not None
        return quote.mark

    @property
    def _now_ms(self) -> int:
        return self._server.now_ms()


def _opening(held: PositionView) -> Side:
    return Side.BUY if held.side is PositionSide.LONG else Side.SELL


def _closing(held: PositionView) -> Side:
    return held.side.closing
