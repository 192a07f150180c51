"""An exchange with one quiet market, and short words to act on it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from guardd.simulator.contracts import Contract, default_contracts
from guardd.simulator.engine import Exchange
from guardd.simulator.happenings import Happening
from guardd.simulator.orders import (
    MarginMode,
    Order,
    OrderKind,
    OrderRequest,
    Plan,
    PlanKind,
    PlanRequest,
    PositionMode,
    PositionSide,
    PriceSource,
    Side,
    TimeInForce,
)
from guardd.simulator.records import AccountKind, PositionView
from guardd.simulator.terms import FillModel, Terms
from tests.changed import replace

BTC = "BTCUSDT"
LONG, SHORT = PositionSide.LONG, PositionSide.SHORT
ETH = "ETHUSDT"
PERP = "BTCPERP"  # the same coin as BTC, margined and settled in USDC
START_MS = 1_767_225_600_000


def d(text: str | int) -> Decimal:
    return Decimal(text)


def contracts() -> tuple[Contract, ...]:
    """The default ones, in one product line, and two that settle in USDC, in another."""
    linear = tuple(replace(each, group="USDT-M") for each in default_contracts())
    names = {BTC: PERP, ETH: "ETHPERP"}
    settled = (
        replace(each, symbol=names[each.symbol], quote="USDC", group="USDC-M")
        for each in linear
        if each.symbol in names
    )
    return *linear, *settled


@dataclass
class Stage:
    """One account "a" and BTCUSDT at a price without spread; every action takes one millisecond."""

    exchange: Exchange
    heard: list[Happening] = field(default_factory=list)
    now_ms: int = START_MS

    def tick(self) -> int:
        self.now_ms += 1
        return self.now_ms

    def mark(self, price: str | int, *, symbol: str = BTC, last: str | None = None, after_ms: int = 1) -> None:
        self.now_ms += after_ms
        at = d(last) if last else d(price)
        self.exchange.move(symbol, mark=d(price), last=at, bid=at, ask=at, now_ms=self.now_ms)

    def order(
        self,
        side: Side,
        size: str | int,
        *,
        reduce: bool = False,
        price: str | None = None,
        force: TimeInForce = TimeInForce.GTC,
        client_id: str = "",
        symbol: str = BTC,
        uid: str = "a",
    ) -> Order:
        request = OrderRequest(
            symbol=symbol,
            side=side,
            size=d(size),
            reduce=reduce,
            kind=OrderKind.LIMIT if price else OrderKind.MARKET,
            price=d(price) if price else None,
            time_in_force=force,
            client_id=client_id,
        )
        return self.exchange.place(uid, request, self.tick())

    def buy(self, size: str | int, price: str | None = None, **more: object) -> Order:
        return self.order(Side.BUY, size, price=price, **more)  # type: ignore[arg-type]

    def sell(self, size: str | int, price: str | None = None, **more: object) -> Order:
        return self.order(Side.SELL, size, price=price, **more)  # type: ignore[arg-type]

    def plan(
        self,
        trigger: str | int,
        *,
        kind: PlanKind = PlanKind.STOP_LOSS,
        closes: PositionSide = LONG,
        size: str | int | None = None,
        source: PriceSource = PriceSource.MARK,
        client_id: str = "",
        symbol: str = BTC,
        pair_id: str = "",
    ) -> Plan:
        request = PlanRequest(
            symbol=symbol,
            pair_id=pair_id,
            kind=kind,
            side=closes.closing,
            reduce=True,
            trigger_price=d(trigger),
            source=source,
            size=None if size is None else d(size),
            client_id=client_id,
        )
        return self.exchange.place_plan("a", request, self.tick())

    def position(self, side: PositionSide = LONG, symbol: str = BTC) -> PositionView | None:
        return self.exchange.query.position("a", symbol, side)

    def held(self, side: PositionSide = LONG, symbol: str = BTC) -> Decimal:
        position = self.position(side, symbol)
        return position.size if position else Decimal(0)


def stage(
    *,
    deposit: str = "100000",
    leverage: int = 10,
    margin_mode: MarginMode = MarginMode.ISOLATED,
    position_mode: PositionMode = PositionMode.HEDGE,
    terms: Terms | None = None,
    fills: FillModel | None = None,
    spot: str = "0",
    kind: AccountKind = AccountKind.CLASSIC,
    deposits: Mapping[str, Decimal] | None = None,
) -> Stage:
    exchange = Exchange(contracts(), seed=7, now_ms=START_MS, terms=terms, fills=fills)
    made = Stage(exchange=exchange)
    exchange.subscribe(made.heard.append)
    exchange.add_account(
        "a",
        deposit=d(deposit),
        spot=d(spot),
        leverage=Decimal(leverage),
        margin_mode=margin_mode,
        position_mode=position_mode,
        kind=kind,
        deposits=deposits,
    )
    made.mark(90000)
    return made
