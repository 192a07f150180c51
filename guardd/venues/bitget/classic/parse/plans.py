"""Plan orders, of the three lists that they stand in: resting and ended (Bitget reference, 12)."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from msgspec import Struct

from guardd.errors import PayloadError
from guardd.model.intent import stop_direction
from guardd.model.names import AccountName, ClientId, OrderId, PositionKey, PriceType, Side, Symbol
from guardd.model.order import Direction, OrderReport, PlanForm, PlanOrder, ProtectionKind
from guardd.venues.bitget.classic.parse.orders import is_one_way
from guardd.venues.bitget.classic.parse.words import (
    HOLD_SIDES,
    MOVING_PLAN,
    SIZED_PLANS,
    TRIGGER_TYPES,
    WHOLE_PLANS,
    client_id_of,
    plain,
    rows_of,
    symbol_of,
    word,
    yes,
)
from guardd.venues.rows import Row

_BUYS: Final = {"buy": True, "sell": False}
_ENDED_WELL: Final = "executed"
_NEVER_FILLED: Final = frozenset({"cancelled", "canceled", "fail_execute"})


class Surroundings(Struct, frozen=True, kw_only=True):
    """What the meaning of a plan order hangs on beside itself: positions held in one-way mode, the last marks, and which way the
    price had to go to a trigger when its order was first seen or placed."""

    one_way: Mapping[Symbol, Side]
    marks: Mapping[Symbol, Decimal]
    directions: Mapping[OrderId, Direction] = {}


class PlanRow(Struct, frozen=True, kw_only=True):
    """A plan order and the venue's word for its type: without that it can't be ended (12.6)."""

    order: PlanOrder
    plan_type: str


class EndedPlan(Struct, frozen=True, kw_only=True):
    """A plan order of the history. `child` is the order that its trigger made."""

    order_id: OrderId
    client_id: ClientId | None
    status: str
    child: OrderId | None
    size: Decimal
    filled: Decimal | None
    """None where the row doesn't say."""
    average_price: Decimal | None
    ended_ms: int | None

    @property
    def fired(self) -> bool:
        return self.status == _ENDED_WELL

    def report(self) -> OrderReport:
        """For one that made no order, or whose order isn't known: what the plan's own row says was filled. Raises `PayloadError`
        where it doesn't say, unless it never fired: what is unknown must not count as nothing (I7)."""
        filled = Decimal(0) if self.filled is None and self.status in _NEVER_FILLED else self.filled
        if filled is None:
            where = f"orders-plan-history.data, plan order {self.order_id}"
            raise PayloadError(
                where=where, found=f"{self.status or 'no status'} without baseVolume", expected="what was filled"
            )
        return OrderReport(
            order_id=self.order_id,
            client_id=self.client_id,
            size=max(self.size, filled),
            filled=filled,
            average_price=self.average_price,
            live=False,
        )


def plan_rows(account: AccountName, data: object, around: Surroundings) -> tuple[PlanRow, ...]:
    """Plan orders of orders-plan-pending; membership is what makes one rest, whatever its `planStatus` says."""
    return tuple(
        PlanRow(order=_plan(account, row, around), plan_type=plain(row, "planType"))
        for row in rows_of("orders-plan-pending.data", data, "entrustedList")
    )


def ended_plans(data: object) -> tuple[EndedPlan, ...]:
    """Plan orders of orders-plan-history."""
    return tuple(
        EndedPlan(
            order_id=row.order_id("orderId"),
            client_id=client_id_of(row),
            status=plain(row, "planStatus"),
            child=row.optional_order_id("executeOrderId"),
            size=_volume(row, "size") or Decimal(0),
            filled=_volume(row, "baseVolume"),
            average_price=row.price("priceAvg"),
            ended_ms=row.optional_milliseconds("uTime"),
        )
        for row in rows_of("orders-plan-history.data", data, "entrustedList")
    )


def _volume(row: Row, name: str) -> Decimal | None:
    """A size, None where the row doesn't say."""
    return None if row.absent(name) else row.zero_or_more(name)


def report_of_plan(order: PlanOrder) -> OrderReport:
    """A plan order that waits: nothing of it is filled. Size 0 stands for the whole position."""
    return OrderReport(
        order_id=order.order_id,
        client_id=order.client_id,
        size=order.size or Decimal(0),
        filled=Decimal(0),
        average_price=None,
        live=True,
    )


def protection_named(plan_type: str) -> ProtectionKind | None:
    """What a TP/SL type is by its name; a trailing close counts as a take-profit, so that nobody takes it for a stop."""
    if plan_type == MOVING_PLAN:
        return ProtectionKind.TAKE_PROFIT
    return WHOLE_PLANS.get(plan_type) or SIZED_PLANS.get(plan_type)


def plan_side(row: Row, one_way: Mapping[Symbol, Side], *, closes: bool) -> Side:
    """Which position a plan order is about.

    In hedge mode the row says it. In one-way mode the documentation is silent on `side` of a TP/SL row, but there is only one
    position that it could close; without one the order is a leftover, read as a transaction.
    """
    stated = HOLD_SIDES.get(plain(row, "posSide"))
    bought = word(row, "side", _BUYS)
    if not is_one_way(row):
        return stated or (Side.LONG if bought else Side.SHORT)
    if not closes:
        return Side.LONG if bought else Side.SHORT
    held = one_way.get(symbol_of(row))
    if held is not None:
        return held
    return Side.SHORT if bought else Side.LONG


def _plan(account: AccountName, row: Row, around: Surroundings) -> PlanOrder:
    plan_type = plain(row, "planType")
    named = protection_named(plan_type)
    closes = named is not None or _closes(row)
    key = PositionKey(account, symbol_of(row), plan_side(row, around.one_way, closes=closes))
    trigger = row.above_zero("triggerPrice")
    order_id, form = row.order_id("orderId"), _form(plan_type)
    if named is not None:
        direction = stop_direction(key, named)
    else:
        direction = around.directions.get(order_id) or _direction(key, trigger, closes, around)
    return PlanOrder(
        order_id=order_id,
        client_id=client_id_of(row),
        key=key,
        protection=(named or _protection(plan_type, key, direction)) if closes else None,
        form=form,
        direction=direction,
        trigger_price=trigger,
        price_type=TRIGGER_TYPES.get(plain(row, "triggerType"), PriceType.LAST),
        execution_price=_execution_price(row),
        size=None if form is PlanForm.WHOLE else row.above_zero("size"),
        created_ms=row.milliseconds("cTime"),
    )


def _form(plan_type: str) -> PlanForm:
    if plan_type in WHOLE_PLANS:
        return PlanForm.WHOLE
    return PlanForm.SIZED if plan_type in SIZED_PLANS or plan_type == MOVING_PLAN else PlanForm.PLAN


def _closes(row: Row) -> bool:
    """Of a trigger order. In one-way mode only a reduce-only one does; any other would open once the position is gone (12.4)."""
    if is_one_way(row):
        return yes(row, "reduceOnly")
    return "close" in plain(row, "tradeSide")


def _direction(key: PositionKey, trigger: Decimal, closes: bool, around: Surroundings) -> Direction:
    """A trigger order doesn't say from which side the price must come: from where it stands when the order is first seen. Without a
    mark it is read as what is no stop."""
    mark = around.marks.get(key.symbol)
    if mark is not None:
        return Direction.RISES if trigger > mark else Direction.FALLS
    return stop_direction(key, ProtectionKind.TAKE_PROFIT if closes else ProtectionKind.STOP_LOSS)


def _protection(plan_type: str, key: PositionKey, direction: Direction) -> ProtectionKind:
    """What a trigger order that closes is to its position; only a plain one can be a stop."""
    is_stop = plan_type == "normal_plan" and direction is stop_direction(key, ProtectionKind.STOP_LOSS)
    return ProtectionKind.STOP_LOSS if is_stop else ProtectionKind.TAKE_PROFIT


def _execution_price(row: Row) -> Decimal | None:
    """None: market. A trigger order has its limit in `price`, a TP/SL in `executePrice` (12.7)."""
    if plain(row, "orderType") == "market":
        return None
    return row.price("executePrice") if "executePrice" in row.fields else row.price("price")
