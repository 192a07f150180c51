"""For each documented request body: the guard's own, made by the code that makes it, or in words why there is none."""

from collections.abc import Callable
from decimal import Decimal

from guardd.model.intent import CancelKind, CancelOrder, CloseAtMarket, ModifyProtection, PlaceProtection, SetLeverage
from guardd.model.names import AccountName, ClientId, MarginMode, OrderId, PositionKey, PriceType, Side, Symbol
from guardd.model.order import PlanForm, ProtectionKind
from guardd.venues.bitmart import bodies

MAIN = AccountName("main")
LONG_BTC = PositionKey(MAIN, Symbol("BTCUSDT"), Side.LONG)
LONG_ETH = PositionKey(MAIN, Symbol("ETHUSDT"), Side.LONG)
OURS_ID = ClientId("gd1abc")


def _close_market() -> str:
    return bodies.wire_text(bodies.close_body(CloseAtMarket(key=LONG_BTC, size=Decimal(100)), OURS_ID))


def _position_stop() -> str:
    write = PlaceProtection(
        key=LONG_BTC,
        kind=ProtectionKind.STOP_LOSS,
        form=PlanForm.WHOLE,
        trigger_price=Decimal("64000.0"),
        price_type=PriceType.LAST,
        size=None,
        position_size=Decimal(100),
        leverage=None,
        margin_mode=MarginMode.CROSS,
    )
    return bodies.wire_text(bodies.protection_body(write, OURS_ID, spelled_market=False))


def _plan_stop() -> str:
    write = PlaceProtection(
        key=LONG_BTC,
        kind=ProtectionKind.STOP_LOSS,
        form=PlanForm.PLAN,
        trigger_price=Decimal(83000),
        price_type=PriceType.MARK,
        size=None,
        position_size=Decimal(250),
        leverage=Decimal(20),
        margin_mode=MarginMode.ISOLATED,
    )
    return bodies.wire_text(bodies.plan_body(write, leverage=Decimal(20), margin_mode=MarginMode.ISOLATED))


def _cancel(kind: CancelKind) -> Callable[[], str]:
    def made() -> str:
        write = CancelOrder(key=LONG_ETH, order_id=OrderId("220906179559421"), kind=kind)
        return bodies.wire_text(bodies.cancel_request(write)[1])

    return made


def _leverage() -> str:
    write = SetLeverage(key=LONG_ETH, margin_mode=MarginMode.ISOLATED, leverage=Decimal(5))
    return bodies.wire_text(bodies.leverage_body(write))


def modify(form: PlanForm) -> ModifyProtection:
    return ModifyProtection(
        key=LONG_ETH,
        order_id=OrderId("37758000001"),
        kind=ProtectionKind.STOP_LOSS,
        form=form,
        trigger_price=Decimal(2100),
        price_type=PriceType.MARK,
        size=None,
    )


_OPERATOR = "an operator's step: test_operator.py holds it against this file"
_NEVER = "a guard never sends it"
_MARKET_ONLY = "the guard's are market orders, in the forms that test_bodies.py names"

OURS: dict[str, Callable[[], str] | str] = {
    "req_submit_order_close_market.json": _close_market,
    "req_submit_tp_sl_order_position_market.json": _position_stop,
    "req_submit_plan_order_market_stop_long.json": _plan_stop,
    "req_cancel_order.json": _cancel(CancelKind.RESTING),
    "req_cancel_trail_order.json": _cancel(CancelKind.TRAILING),
    "req_submit_leverage.json": _leverage,
    "req_cancel_plan_order.json": "ours names the order by its id alone: test_bodies.py",
    "req_modify_plan_order.json": _MARKET_ONLY,
    "req_modify_tp_sl_order.json": _MARKET_ONLY,
    "req_submit_tp_sl_order_partial_limit.json": _MARKET_ONLY,
    "req_submit_order_close_limit.json": _OPERATOR,
    "req_submit_order_open_limit.json": _OPERATOR,
    "req_submit_order_open_market.json": _OPERATOR,
    "req_set_position_mode.json": _OPERATOR,
    "req_transfer_contract.json": _OPERATOR,
    "req_transfer_contract_list.json": _OPERATOR,
    "req_cancel_all_after.json": _NEVER,
    "req_cancel_orders.json": _NEVER,
    "req_modify_limit_order.json": _NEVER,
    "req_modify_preset_plan_order.json": _NEVER,
    "req_sub_account_main_to_sub.json": _NEVER,
    "req_submit_order_preset_tpsl.json": _NEVER,
    "req_submit_plan_order_limit.json": _NEVER,
    "req_submit_trail_order.json": _NEVER,
}
