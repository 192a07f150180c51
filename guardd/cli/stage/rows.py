"""What the exchange shows, in the model's words. Liquidation prices and margins are its own sums, not reckoned by us."""

from typing import Final

from guardd.model.account import Balance
from guardd.model.flow import Flow, FlowKind
from guardd.model.instrument import Instrument, MarginTier
from guardd.model.names import AccountName, ClientId, MarginMode, OrderId, PositionKey, PriceType, Side, Symbol
from guardd.model.order import (
    Direction,
    OrderAction,
    OrderReport,
    OrderUpdate,
    PlanForm,
    PlanOrder,
    ProtectionKind,
    RestingKind,
    RestingOrder,
)
from guardd.model.position import Position, PositionUpdate
from guardd.model.reading import Absent
from guardd.simulator import orders as held
from guardd.simulator import records
from guardd.simulator.contracts import Contract
from guardd.simulator.happenings import OrderAction as Happened
from guardd.simulator.happenings import OrderChanged
from guardd.simulator.records import Balance as Wallet
from guardd.simulator.records import PositionView

_PROTECTIONS: Final = {
    held.PlanKind.STOP_LOSS: ProtectionKind.STOP_LOSS,
    held.PlanKind.TAKE_PROFIT: ProtectionKind.TAKE_PROFIT,
}
_DIRECTIONS: Final = {held.Direction.RISE: Direction.RISES, held.Direction.FALL: Direction.FALLS}
_ACTIONS: Final = {
    Happened.FILL: OrderAction.FILLED,
    Happened.CANCEL: OrderAction.CANCELLED,
    Happened.LIQUIDATION_CANCEL: OrderAction.LIQUIDATION,
    Happened.PARTIAL_LIQUIDATION: OrderAction.LIQUIDATION,
    Happened.BANKRUPTCY: OrderAction.LIQUIDATION,
    Happened.ADL_CANCEL: OrderAction.ADL,
    Happened.ADL_PASSIVE_FILL: OrderAction.ADL,
    Happened.ADL_ACTIVE_FILL: OrderAction.ADL,
}
_FLOWS: Final = {
    records.FlowKind.TRANSFER: FlowKind.TRANSFER,
    records.FlowKind.REALIZED_PNL: FlowKind.PNL,
    records.FlowKind.FUNDING: FlowKind.FUNDING,
    records.FlowKind.COMMISSION: FlowKind.FEE,
    records.FlowKind.LIQUIDATION: FlowKind.PNL,
    records.FlowKind.CONVERSION: FlowKind.PNL,
}


def instrument(contract: Contract) -> Instrument:
    return Instrument(
        symbol=Symbol(contract.symbol),
        base=contract.base,
        settle=contract.coin,
        contract_size=contract.contract_size,
        tick=contract.tick,
        step=contract.step,
        min_size=contract.min_size,
        max_limit_size=contract.max_limit_size,
        max_market_size=contract.max_market_size,
        max_leverage=contract.max_leverage,
        taker_fee=contract.taker_fee,
        tiers=tuple(
            MarginTier(
                floor=tier.floor,
                cap=tier.cap,
                rate=tier.rate,
                deduction=tier.deduction,
                max_leverage=tier.max_leverage,
            )
            for tier in contract.tiers
        ),
    )


def position(view: PositionView, *, unknown: bool) -> Position:
    """One row of a read; `unknown`: the venue has no mark to tell, nor what hangs on it."""
    price = view.liquidation_price
    return Position(
        key=_key(view.uid, view.symbol, view.side),
        quantity=view.size,
        entry_price=view.entry_price,
        margin_mode=MarginMode(view.margin_mode.value),
        leverage=view.leverage,
        margin=view.margin,
        maintenance_margin=Absent.UNKNOWN if unknown else view.maintenance_margin,
        liquidation_price=Absent.NONE if price is None else price,
        mark_price=Absent.UNKNOWN if unknown else view.mark_price,
        notional=Absent.UNKNOWN if unknown else view.notional_mark,
        unrealized_pnl=Absent.UNKNOWN if unknown else view.unrealized_pnl,
        opened_ms=view.opened_ms,
        closed_quantity=view.closed_size,
        venue_ms=view.updated_ms,
    )


def pushed(view: PositionView, at_ms: int) -> PositionUpdate:
    price = view.liquidation_price
    return PositionUpdate(
        key=_key(view.uid, view.symbol, view.side),
        quantity=view.size,
        entry_price=view.entry_price,
        margin_mode=MarginMode(view.margin_mode.value),
        liquidation_price=Absent.NONE if price is None else price,
        frozen_quantity=view.frozen_size,
        closed_quantity=view.closed_size,
        opened_ms=view.opened_ms,
        venue_ms=at_ms,
    )


def balance(wallet: Wallet) -> Balance:
    return Balance(
        currency=wallet.coin,
        equity=wallet.equity,
        available=wallet.available,
        frozen=wallet.frozen,
        position_margin=wallet.position_margin,
        unrealized_pnl=wallet.unrealized,
    )


def flow(row: records.Flow) -> Flow:
    return Flow(id=row.flow_id, at_ms=row.at_ms, currency=row.coin, amount=row.amount, kind=_FLOWS[row.kind])


def resting(order: held.Order) -> RestingOrder:
    return RestingOrder(
        order_id=OrderId(order.order_id),
        client_id=_client(order.client_id),
        key=_key(order.uid, order.symbol, order.position_side),
        closes=order.reduce,
        kind=_kind(order),
        price=order.price,
        size=order.size,
        filled=order.filled,
        created_ms=order.created_ms,
    )


def plan(resting_plan: held.Plan) -> PlanOrder:
    whole = resting_plan.size is None
    bound = resting_plan.kind in _PROTECTIONS
    direction = _DIRECTIONS[resting_plan.direction]
    return PlanOrder(
        order_id=OrderId(resting_plan.plan_id),
        client_id=_client(resting_plan.client_id),
        key=_key(resting_plan.uid, resting_plan.symbol, resting_plan.position_side),
        protection=_protection(resting_plan),
        form=PlanForm.WHOLE if whole else PlanForm.SIZED if bound else PlanForm.PLAN,
        direction=direction,
        trigger_price=resting_plan.trigger_price,
        price_type=PriceType(resting_plan.source.value),
        execution_price=resting_plan.limit_price,
        size=resting_plan.size,
        created_ms=resting_plan.created_ms,
    )


def report(order: held.Order) -> OrderReport:
    return OrderReport(
        order_id=OrderId(order.order_id),
        client_id=_client(order.client_id),
        size=order.size,
        filled=order.filled,
        average_price=order.average_price,
        live=order.status is held.OrderStatus.WORKING,
    )


def update(happening: OrderChanged) -> OrderUpdate:
    order = happening.order
    return OrderUpdate(
        order_id=OrderId(order.order_id),
        client_id=_client(order.client_id),
        plan_order_id=OrderId(order.plan_id) if order.plan_id else None,
        key=_key(order.uid, order.symbol, order.position_side),
        closes=order.reduce,
        action=_ACTIONS.get(happening.action, OrderAction.SUBMITTED),
        live=order.status is held.OrderStatus.WORKING,
        kind=_kind(order),
        price=order.price,
        size=order.size,
        filled=order.filled,
        average_price=order.average_price,
        venue_ms=happening.at_ms,
    )


def _key(uid: str, symbol: str, side: held.PositionSide) -> PositionKey:
    return PositionKey(AccountName(uid), Symbol(symbol), Side(side.value))


def _client(client_id: str) -> ClientId | None:
    return ClientId(client_id) if client_id else None


def _kind(order: held.Order) -> RestingKind:
    return RestingKind.LIMIT if order.kind is held.OrderKind.LIMIT else RestingKind.MARKET


def _protection(resting_plan: held.Plan) -> ProtectionKind | None:
    """A plain plan that closes is a stop where it fires against the position, else a take-profit."""
    if resting_plan.kind in _PROTECTIONS:
        return _PROTECTIONS[resting_plan.kind]
    if not resting_plan.reduce:
        return None
    falls = resting_plan.direction is held.Direction.FALL
    against = falls == (resting_plan.position_side is held.PositionSide.LONG)
    return ProtectionKind.STOP_LOSS if against else ProtectionKind.TAKE_PROFIT
