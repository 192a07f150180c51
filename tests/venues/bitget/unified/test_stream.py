"""The two sockets of a unified account: what is asked for, and what pushes become (UTA reference, 11)."""

import json
from decimal import Decimal
from typing import Any

import pytest

from guardd.errors import PayloadError
from guardd.model.event import BalancePushed, MarkSeen, OrderPushed, PositionsPushed
from guardd.model.instant import Instant
from guardd.model.names import Symbol
from guardd.model.order import OrderAction
from guardd.venues.bitget.talk import PrivateTalk, PublicTalk
from tests.venues.bitget.unified import samples
from tests.venues.bitget.unified.bench import LONG, Bench, opened, row, strategy_row

AT = Instant(1_000_000_000, 1_790_000_000_000)
dec = Decimal


def private(on: Bench) -> PrivateTalk:
    """A connection that is logged in and whose topics all stand."""
    talk = on.venue._private_talk()
    (login,) = talk.opening(AT)
    assert json.loads(login)["op"] == "login"
    talk.on_frame('{"event":"login","code":0,"msg":""}', AT)
    (asked,) = talk.wanted(frozenset())
    for arg in json.loads(asked)["args"]:
        talk.on_frame(json.dumps({"event": "subscribe", "arg": arg, "code": "", "msg": ""}), AT)
    assert (talk.admitted, list(talk.waiting), talk.failed) == (True, [], None)
    return talk


def frame(topic: str, *rows: object, **arg: str) -> str:
    return json.dumps({"action": "update", "arg": {"instType": "UTA", "topic": topic, **arg}, "data": rows, "ts": 1})


def order(**changes: object) -> Any:
    (plain,) = samples.plain("ws_order_filled.json")["data"]
    return {**plain, "orderId": "5", "clientOid": "gd1abc", **changes}


async def test_prices_are_asked_for_in_the_category_of_each_symbol() -> None:
    on = await opened()
    talk: PublicTalk = on.venue._public_talk()
    talk.opening(AT)
    (asked,) = talk.wanted(frozenset({Symbol("BTCUSDT"), Symbol("BTCPERP"), Symbol("BTCUSD_CM")}))
    assert json.loads(asked)["args"] == [
        {"instType": "usdc-futures", "topic": "ticker", "symbol": "BTCPERP"},
        {"instType": "usdt-futures", "topic": "ticker", "symbol": "BTCUSDT"},
        {"instType": "coin-futures", "topic": "ticker", "symbol": "BTCUSD_CM"},
    ]
    (seen,) = talk.on_frame(samples.text("ws_ticker_futures.json"), AT)
    assert isinstance(seen, MarkSeen)
    assert (seen.symbol, seen.mark) == ("BTCUSDT", dec("90216.4"))
    assert talk.on_frame("pong", AT) == ()


async def test_a_push_of_the_pool_is_the_whole_balance() -> None:
    on = await opened()
    (event,) = private(on).on_frame(samples.text("ws_account.json"), AT)
    assert isinstance(event, BalancePushed)
    balance = event.balance
    assert (balance.currency, balance.pooled, balance.equity) == ("USD", True, dec("4847952.35"))
    assert balance.maintenance == dec("408.08")


async def test_positions_are_pushed_as_they_change_and_end() -> None:
    on = await opened()
    talk = private(on)
    (opened_one,) = talk.on_frame(samples.text("ws_position_open_update.json"), AT)
    (ended,) = talk.on_frame(samples.text("ws_position_ended.json"), AT)
    assert isinstance(opened_one, PositionsPushed)
    assert isinstance(ended, PositionsPushed)
    assert [(each.key, each.quantity) for each in (*opened_one.updates, *ended.updates)] == [
        (LONG, dec("0.1")),
        (LONG, dec(0)),
    ]


@pytest.mark.parametrize(
    ("fields", "action", "live"),
    [
        ({"orderStatus": "new"}, OrderAction.SUBMITTED, True),
        ({"orderStatus": "live"}, OrderAction.SUBMITTED, True),
        ({"orderStatus": "partially_filled"}, OrderAction.FILLED, True),
        ({"orderStatus": "filled"}, OrderAction.FILLED, False),
        ({"orderStatus": "cancelled"}, OrderAction.CANCELLED, False),
        ({"orderStatus": "canceled"}, OrderAction.CANCELLED, False),
        ({"orderStatus": "filled", "delegateType": "liquidation"}, OrderAction.LIQUIDATION, False),
        ({"orderStatus": "filled", "delegateType": "market_risk"}, OrderAction.LIQUIDATION, False),
        ({"orderStatus": "filled", "tradeSide": "burst_close_long"}, OrderAction.LIQUIDATION, False),
        ({"orderStatus": "filled", "delegateType": "reduce_offset_delegate"}, OrderAction.ADL, False),
        ({"orderStatus": "filled", "tradeSide": "dte_sys_adl_close_long"}, OrderAction.ADL, False),
    ],
)
async def test_what_became_of_an_order_is_pushed(fields: dict[str, object], action: OrderAction, live: bool) -> None:
    on = await opened()
    closing = {"side": "sell", "holdSide": "long", "cumExecQty": "0"}
    (event,) = private(on).on_frame(frame("order", order(**{**closing, **fields})), AT)
    assert isinstance(event, OrderPushed)
    update = event.update
    assert (update.key, update.closes, update.action, update.live) == (LONG, True, action, live)
    assert update.plan_order_id is None


async def test_a_repeated_order_push_and_one_of_spot_say_nothing() -> None:
    on = await opened()
    talk = private(on)
    assert len(talk.on_frame(frame("order", order(), order(category="spot", orderId="6")), AT)) == 1
    assert talk.on_frame(frame("order", order()), AT) == ()


async def test_what_an_heir_heard_before_it_serves_is_told_by_the_connection_that_does() -> None:
    """Both sockets of a renewal hear the same; the heir's events are dropped until it takes over."""
    on = await opened()
    serving, heir = private(on), private(on)
    assert len(heir.on_frame(frame("order", order()), AT)) == 1  # dropped by the link, for it doesn't serve yet
    assert len(serving.on_frame(frame("order", order()), AT)) == 1
    assert serving.on_frame(frame("order", order()), AT) == ()


async def test_a_failed_stop_is_told_once_by_a_socket_and_its_heir() -> None:
    on = await opened()
    for talk in (private(on), private(on)):
        assert len(talk.on_frame(strategy_push(status="failed"), AT)) == 1
    assert len(on.said("strategy-failed-77")) == 1


def strategy_push(**changes: object) -> str:
    fields = {"category": "usdt-futures", "type": "tpsl", "side": "sell", "reduceOnly": "yes"}
    return frame(
        "strategy-order", strategy_row("77", "gd1abc-sw", sl="80000", **{**fields, **changes}), symbol="default"
    )


async def test_a_stop_that_fired_names_itself() -> None:
    on = await opened()
    (event,) = private(on).on_frame(strategy_push(status="success", triggerType="stopLoss"), AT)
    assert isinstance(event, OrderPushed)
    update = event.update
    assert (update.plan_order_id, update.client_id, update.key, update.closes) == ("77:sl", "gd1abc", LONG, True)
    assert (update.action, update.live, update.filled) == (OrderAction.FILLED, False, dec("0.1"))


async def test_a_stop_that_was_triggered_and_failed_is_told_and_closed_by_order() -> None:
    """It comes as a stop that fired and left everything: the guard finishes what a fired stop leaves."""
    on = await opened()
    (event,) = private(on).on_frame(strategy_push(status="failed"), AT)
    assert isinstance(event, OrderPushed)
    update = event.update
    assert (update.plan_order_id, update.filled, update.live) == ("77:sl", dec(0), False)
    assert len(on.said("strategy-failed-77")) == 1


async def test_of_two_legs_the_one_that_fired_is_meant() -> None:
    on = await opened()
    talk = private(on)
    (event,) = talk.on_frame(strategy_push(status="success", takeProfit="99000", triggerType="takeProfit"), AT)
    assert isinstance(event, OrderPushed)
    assert (event.update.plan_order_id, event.update.client_id) == ("77:tp", None)


async def test_a_stop_that_is_cancelled_is_no_stop_that_fired() -> None:
    on = await opened()
    (event,) = private(on).on_frame(strategy_push(status="cancelled"), AT)
    assert isinstance(event, OrderPushed)
    assert (event.update.plan_order_id, event.update.action) == (None, OrderAction.CANCELLED)


async def test_a_stop_that_waits_pushes_nothing() -> None:
    on = await opened()
    assert private(on).on_frame(strategy_push(), AT) == ()


async def test_a_push_without_a_side_belongs_to_the_position_held() -> None:
    on = await opened(mode="one_way_mode", held=(row(mode="one_way_mode"),))
    talk = private(on)
    mute = {"posSide": "", "side": "", "status": "success", "triggerType": "stopLoss"}
    (event,) = talk.on_frame(strategy_push(**mute), AT)
    assert isinstance(event, OrderPushed)
    assert event.update.key == LONG


async def test_a_deleveraging_is_told() -> None:
    on = await opened()
    assert private(on).on_frame(samples.text("ws_adl_notification.json"), AT) == ()
    assert len(on.said("adl-BTCUSDT")) == 1


@pytest.mark.parametrize("topic", ["fill", "fast-fill", "something-new"])
async def test_a_topic_that_nobody_asked_for_is_ignored(topic: str) -> None:
    on = await opened()
    assert private(on).on_frame(frame(topic, {"a": 1}), AT) == ()


@pytest.mark.parametrize(
    "broken",
    [
        frame("position", {"symbol": "BTCUSDT", "posSide": "long"}),
        frame("order", order(orderStatus="strange")),
        frame("account"),
        '{"action":"update"',
    ],
)
async def test_a_push_that_cant_be_read_ends_the_connection(broken: str) -> None:
    on = await opened()
    with pytest.raises(PayloadError):
        private(on).on_frame(broken, AT)


async def test_the_loss_of_the_optional_topic_costs_that_topic_alone() -> None:
    on = await opened()
    talk = private(on)
    for topic, failed in (("adl-notification", False), ("position", True)):
        arg = {"instType": "UTA", "topic": topic}
        talk.on_frame(json.dumps({"event": "error", "arg": arg, "code": 30001, "msg": "does not exist"}), AT)
        assert (talk.failed is not None) is failed
