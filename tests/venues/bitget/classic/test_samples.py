"""Every sample payload of the classic family has one explicit expectation here; a file without one fails."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from guardd.errors import PayloadError
from guardd.model.account import Balance
from guardd.model.event import MarkSeen, Source
from guardd.model.instant import Instant
from guardd.model.names import ClientId, MarginMode, OrderId, PositionKey, PositionMode, PriceType, Side, Symbol
from guardd.model.order import Direction, OrderAction, OrderReport, PlanForm, ProtectionKind, RestingKind
from guardd.model.outcome import Reason, Rejected, Unknown
from guardd.model.reading import Absent
from guardd.venues.bitget.classic.parse import account, market, orders, plans, positions
from guardd.venues.bitget.classic.parse.plans import Surroundings
from guardd.venues.bitget.classic.parse.pushes import (
    Heard,
    OrderUpdates,
    PlanUpdates,
    PositionList,
    WalletUpdates,
    position_rows,
    read_push,
)
from guardd.venues.bitget.classic.parse.ticker import ticker
from guardd.venues.bitget.classic.parse.words import Product
from guardd.venues.bitget.classic.stream import private_topics, ticker_topic
from guardd.venues.bitget.envelope import accepted_order_id, envelope, refused_legs
from guardd.venues.bitget.errors import SUCCESS, judge_write
from guardd.venues.bitget.frames import Acknowledged, LoggedIn, Push, Refused, parse_frame, request_frames
from guardd.venues.bitget.sign import Credentials, signature
from guardd.venues.rows import as_row
from tests.venues.bitget.classic import samples
from tests.venues.bitget.classic.bench import MAIN, dec

AT = Instant(7, 8)
NOON_ON_SUNDAY_MS = 1_700_395_200_000
"""Outside the hours of deployment, in which 40808 may mean something else."""
NOWHERE = Surroundings(one_way={}, marks={})
Check = Callable[[str], None]


def key(symbol: str, side: Side) -> PositionKey:
    return PositionKey(MAIN, Symbol(symbol), side)


def data_of(name: str) -> object:
    sealed = envelope(name, samples.text(name))
    assert sealed.ok
    return sealed.data


def answered(found: Callable[[Any], object], expected: object) -> Check:
    """A successful REST answer from which `found` reads `expected`."""

    def check(name: str) -> None:
        assert expected == found(data_of(name))

    return check


def accepted(order_id: str | None, *refused: tuple[str, str]) -> Check:
    """The answer to a write: the id of its order, and what it refuses in spite of 00000."""

    def check(name: str) -> None:
        data = data_of(name)
        assert order_id == accepted_order_id(data)
        assert list(refused) == [(leg.code, leg.text) for leg in refused_legs(data)]

    return check


def unused(*fields: str) -> Check:
    """An answer to a call that a guard doesn't make: its envelope is read, its data carries these fields."""

    def check(name: str) -> None:
        data: Any = data_of(name)
        row = data[0] if isinstance(data, list) else data
        assert set(fields) <= set(row)

    return check


def nothing_said(value: object) -> Check:
    return answered(lambda data: data, value)


def refused(code: str, reason: Reason) -> Check:
    """An error after which a write certainly didn't happen."""

    def check(name: str) -> None:
        sealed = envelope(name, samples.text(name))
        assert (code, None) == (sealed.code, sealed.data)
        outcome = judge_write(status=400, code=sealed.code, text=sealed.text, at_ms=NOON_ON_SUNDAY_MS)
        assert isinstance(outcome, Rejected)
        assert (reason, code) == (outcome.reason, outcome.code)
        assert outcome.text

    return check


def open_outcome(code: str) -> Check:
    """An error after which a write may have happened."""

    def check(name: str) -> None:
        sealed = envelope(name, samples.text(name))
        assert code == sealed.code != SUCCESS
        assert isinstance(judge_write(status=400, code=sealed.code, text=sealed.text, at_ms=NOON_ON_SUNDAY_MS), Unknown)

    return check


def heard(expected: Callable[[Heard], object], value: object) -> Check:
    """A push, and what is in it."""

    def check(name: str) -> None:
        assert ticker(samples.text(name), AT) is None
        frame = parse_frame(samples.text(name))
        assert isinstance(frame, Push)
        found = read_push(MAIN, frame, {}, position_rows())
        assert found is not None
        assert value == expected(found)

    return check


def other_push(channel: str) -> Check:
    def check(name: str) -> None:
        frame = parse_frame(samples.text(name))
        assert isinstance(frame, Push)
        assert channel == frame.channel
        assert read_push(MAIN, frame, {}, position_rows()) is None

    return check


def word(kind: type, code: str = "") -> Check:
    def check(name: str) -> None:
        found = parse_frame(samples.text(name))
        assert isinstance(found, kind)
        assert code == getattr(found, "code", "")

    return check


def request(check_against: str) -> Check:
    """A documented request body that another test holds against ours."""

    def check(name: str) -> None:
        assert isinstance(samples.plain(name), dict)
        assert check_against

    return check


def _push(found: Heard) -> Any:
    assert isinstance(found, PositionList)
    return [
        (each.key, each.quantity, each.entry_price, each.liquidation_price, each.frozen_quantity, each.venue_ms)
        for each in found.updates
    ]


def _orders(found: Heard) -> Any:
    assert isinstance(found, OrderUpdates)
    return [(u.order_id, u.key, u.closes, u.action, u.live, u.filled, u.average_price) for u in found.updates]


def _plans(found: Heard) -> Any:
    assert isinstance(found, PlanUpdates)
    return [(u.plan_order_id, u.key, u.action, u.client_id) for u in found.updates], found.failed


def _wallets(found: Heard) -> Any:
    assert isinstance(found, WalletUpdates)
    return found.balances


def _held(data: object) -> Any:
    found = positions.held_rows(MAIN, Product.USDT, data, asked_ms=9)
    return [
        (
            row.position.key,
            row.position.quantity,
            row.position.margin_mode,
            row.position.liquidation_price,
            row.mode,
            row.union,
            row.auto_margin,
        )
        for row in found
    ]


def _plan_rows(data: object) -> Any:
    return [
        (
            row.plan_type,
            p.key,
            p.protection,
            p.form,
            p.direction,
            p.trigger_price,
            p.price_type,
            p.execution_price,
            p.size,
        )
        for row in plans.plan_rows(MAIN, data, NOWHERE)
        for p in (row.order,)
    ]


def _balance(data: object) -> Balance:
    return account.balances(Product.USDT, data)[0]


def _contract(data: object) -> Any:
    found = market.contracts(Product.USDT, data)[0]
    return (
        *(found.symbol, found.tick, found.step, found.min_size, found.max_market_size, found.max_leverage),
        *(found.closable, found.unguarded),
    )


def _fills(data: object) -> Any:
    return [(f.key, f.closes, f.one_way, f.size, f.price) for f in orders.fills(MAIN, data)]


def vectors(name: str) -> None:
    for each in samples.plain(name)["vectors"]:
        credentials = Credentials(key="k", secret=samples.plain(name)["secret"], passphrase="p")
        found = signature(
            credentials,
            timestamp=each["timestamp"],
            method=each["method"],
            path_and_query=each["request_path_with_query"],
            body=each["body"],
        )
        assert each["signature_base64"] == found


def subscribes_private(name: str) -> None:
    """Ours has the channels that a guard acts on, in the same words."""
    theirs = samples.plain(name)["args"]
    frames = request_frames("subscribe", private_topics([Product.USDT]))
    ours = json.loads(frames[0])["args"]
    assert len(frames) == 1
    assert {"positions-history", "adl-noti"} == {each["channel"] for each in theirs if each not in ours}
    assert all(each in theirs for each in ours)


def subscribes_ticker(op: str) -> Check:
    def check(name: str) -> None:
        frames = request_frames(op, [ticker_topic(Product.USDT, Symbol("BTCUSDT"))])
        assert [samples.plain(name)] == [json.loads(frame) for frame in frames]

    return check


def priced(name: str) -> None:
    expected = MarkSeen(
        Symbol("BTCUSDT"), dec("27000.0"), AT, dec("25702.4"), dec("27000.5"), dec("27000"), dec("27000.5"),
        venue_ms=1695715383039,
    )  # fmt: skip
    assert expected == ticker(samples.text(name), AT)


SHORT_ETH = key("ETHUSDT", Side.SHORT)
LONG_BTC, SHORT_BTC = key("BTCUSDT", Side.LONG), key("BTCUSDT", Side.SHORT)
CROSS, ISOLATED = MarginMode.CROSS, MarginMode.ISOLATED
HEDGE = PositionMode.HEDGE
A_DELIVERY_MARK = {
    Symbol("ETHUSD_231229"): MarkSeen(
        Symbol("ETHUSD_231229"),
        dec("1829"),
        AT,
        dec("1822.15"),
        dec("1829.3"),
        dec("1829.3"),
        dec("1829.8"),
        Source.REST,
    )
}
FILLED_ETH = (LONG_ETH := key("ETHUSDT", Side.LONG), True, False, dec(1), dec(1900))

CHECKS: dict[str, Check] = {
    "account_bill.json": unused("bills", "endId"),
    "account_list_single_mode.json": answered(
        _balance,
        Balance(
            currency="USDT",
            equity=dec(0),
            available=dec(0),
            frozen=dec(0),
            position_margin=dec(0),
            unrealized_pnl=dec(0),
            margin_ratio=dec(0),
        ),
    ),
    "account_list_union.json": answered(
        _balance,
        Balance(
            currency="USDT",
            equity=dec("111.1"),
            available=dec("1111.1"),
            frozen=dec("0.31876482"),
            position_margin=dec("57.77"),
            unrealized_pnl=dec(23),
            foreign_collateral=True,
            maintenance=dec(111),
            margin_ratio=dec(0),
        ),
    ),
    "account_single.json": answered(
        lambda data: (account.settings(data).mode, account.settings(data).leverage(Side.LONG, CROSS)), (HEDGE, dec(20))
    ),
    "account_single_numeric_leverage.json": answered(
        lambda data: (account.settings(data).margin_mode, account.settings(data).leverage(Side.SHORT, ISOLATED)),
        (CROSS, dec(20)),
    ),
    "adl_rank.json": answered(
        lambda data: positions.adl_ranks(MAIN, data), {key("MOVEUSDT", Side.LONG): dec("0.7752")}
    ),
    "all_position.json": answered(
        _held, [(SHORT_BTC, dec("0.0155"), CROSS, dec("5737867.8639926850760812"), HEDGE, True, False)]
    ),
    "all_position_cross_2023_live.json": answered(
        _held, [(LONG_BTC, dec("0.002"), CROSS, dec("31725.023602417"), HEDGE, False, False)]
    ),
    "all_position_empty.json": answered(_held, []),
    "auth_test_vectors.json": vectors,
    "batch_cancel_orders.json": accepted("121211212122", ("43001", "notExistend")),
    "batch_place_order.json": accepted("121211212122"),
    "cancel_all_orders.json": accepted("121211212122", ("43001", "notExistend")),
    "cancel_order.json": accepted("123"),
    "cancel_plan_order.json": accepted(None, ("", "notExistend"), ("", "notExistend")),
    "candles.json": answered(lambda data: len(data[0]), 7),
    "close_positions.json": accepted("123", ("43118", "clientOrderId duplicate ")),
    "close_positions_live.json": accepted("1120923953904893955"),
    "contracts.json": answered(
        _contract,
        (Symbol("BTCUSDT"), dec("0.1"), dec("0.0001"), dec("0.0001"), dec(220), dec(125), True, ""),
    ),
    "contracts_2023_example.json": answered(
        _contract, (Symbol("BTCUSDT"), dec("0.1"), dec("0.01"), dec("0.01"), dec(10) ** 15, dec(125), True, "")
    ),
    "current_fund_rate.json": unused("fundingRate", "nextUpdate"),
    "fill_history.json": answered(_fills, [(key("ETHUSDT", Side.SHORT), False, True, dec("0.02"), dec("1801.33"))]),
    "fills.json": answered(_fills, [FILLED_ETH]),
    "funding_time.json": unused("nextFundingTime"),
    "history_mark_candles.json": answered(lambda data: len(data[0]), 7),
    "history_position.json": unused("list", "endId"),
    "liq_price.json": unused("liqPrice"),
    "modify_order.json": accepted("121212121212"),
    "modify_plan_order.json": accepted("21627293504612"),
    "modify_tpsl_order.json": accepted("121212121212"),
    "open_interest.json": unused("openInterestList"),
    "order_detail.json": answered(
        orders.order_report,
        OrderReport(
            order_id=OrderId("123456"),
            client_id=ClientId("77777"),
            size=dec(2),
            filled=dec(2),
            average_price=dec(1900),
            live=False,
        ),
    ),
    "order_detail_live.json": answered(
        orders.order_report,
        OrderReport(
            order_id=OrderId("1111465253393825792"),
            client_id=ClientId("1111465253431574529"),
            size=dec("0.001"),
            filled=dec(0),
            average_price=None,
            live=True,
        ),
    ),
    "orders_history.json": answered(
        lambda data: [(each.order_id, each.filled, each.live) for each in orders.reports(data)],
        [("123", dec("12.1"), False)],
    ),
    "orders_pending.json": answered(
        lambda data: [(o.key, o.closes, o.kind, o.price, o.size) for o in orders.resting_orders(MAIN, data)],
        [(key("BLURUSDT", Side.LONG), False, RestingKind.LIMIT, dec("0.15"), dec(40))],
    ),
    "orders_pending_empty.json": answered(lambda data: orders.resting_orders(MAIN, data), ()),
    "orders_plan_history.json": answered(
        lambda data: [(e.order_id, e.fired, e.child, e.filled) for e in plans.ended_plans(data)],
        [("123", True, "123456", dec(1))],
    ),
    "orders_plan_pending_documented.json": answered(
        _plan_rows,
        [
            (
                *("normal_plan", LONG_ETH, None, PlanForm.PLAN, Direction.FALLS),
                *(dec(1901), PriceType.MARK, dec(1900), dec(1)),
            )
        ],
    ),
    "orders_plan_pending_normal.json": answered(
        _plan_rows,
        [
            (
                *("normal_plan", LONG_BTC, None, PlanForm.PLAN, Direction.FALLS),
                *(dec(24000), PriceType.MARK, dec(27000), dec("0.001")),
            )
        ],
    ),
    "orders_plan_pending_profit_loss.json": answered(
        _plan_rows,
        [
            (
                *("pos_profit", key("BNBUSDT", Side.LONG), ProtectionKind.TAKE_PROFIT, PlanForm.WHOLE, Direction.RISES),
                *(dec("634.59"), PriceType.LAST, dec("634.59"), None),
            )
        ],
    ),
    "place_order.json": accepted("121211212122"),
    "place_order_reduce_only_without_order_id.json": accepted(None),
    "place_plan_order.json": accepted("121212121212"),
    "place_pos_tpsl.json": accepted(None),
    "place_tpsl_order.json": accepted("121212121212"),
    "plan_sub_order.json": unused("orderId", "status"),
    "position_tiers.json": answered(
        lambda data: [(t.floor, t.cap, t.rate, t.deduction, t.max_leverage) for t in market.margin_tiers(data)],
        [
            (dec(0), dec(50000), dec("0.004"), dec(0), dec(125)),
            (dec(50000), dec(200000), dec("0.005"), dec(50), dec(100)),
        ],
    ),
    "request_add_isolated_margin.json": request("test_operator.py"),
    "request_cancel_plan_order.json": request("test_bodies.py"),
    "request_close_long_hedge_market.json": request("test_bodies.py"),
    "request_close_long_one_way_market.json": request("test_bodies.py"),
    "request_close_short_hedge_market.json": request("test_bodies.py"),
    "request_flash_close_hedge_long.json": request("test_bodies.py"),
    "request_modify_pos_stop_loss.json": request("test_bodies.py"),
    "request_partial_take_profit_hedge.json": request("test_bodies.py"),
    "request_place_order_documented.json": request("an opening: test_operator.py"),
    "request_place_plan_order.json": request("an opening by trigger: a guard never sends it"),
    "request_place_pos_tpsl.json": request("two place-tpsl-order calls say more clearly what failed (12.3)"),
    "request_pos_stop_loss_hedge.json": request("test_bodies.py"),
    "request_pos_stop_loss_one_way.json": request("test_bodies.py"),
    "request_set_leverage_isolated_hedge.json": request("test_bodies.py"),
    "request_transfer_spot_to_usdt_futures.json": request("test_operator.py"),
    "server_time.json": answered(lambda data: as_row("time", data).milliseconds("serverTime"), 1688008631614),
    "set_asset_mode.json": nothing_said("success"),
    "set_auto_margin.json": nothing_said(""),
    "set_leverage.json": answered(account.margin_mode_set, CROSS),
    "set_margin.json": nothing_said(""),
    "set_margin_mode.json": answered(account.margin_mode_set, ISOLATED),
    "set_position_mode.json": unused("posMode"),
    "single_position.json": answered(
        _held, [(SHORT_BTC, dec("0.005"), CROSS, dec("17288450.450983311758416"), HEDGE, True, False)]
    ),
    "single_position_isolated.json": answered(
        _held, [(LONG_BTC, dec("0.01"), ISOLATED, dec("24144.1124161806977798"), HEDGE, False, True)]
    ),
    "spot_account_info.json": answered(
        lambda data: (account.rights(data).may_trade, account.rights(data).may_withdraw, account.rights(data).ips),
        (True, False, ("127.0.0.1",)),
    ),
    "symbol_price.json": answered(market.symbol_price, {Symbol("BTCUSDT"): dec(25555)}),
    "ticker.json": answered(lambda data: market.marks(data, AT), A_DELIVERY_MARK),
    "tickers.json": answered(lambda data: market.marks(data, AT), A_DELIVERY_MARK),
    "transfer.json": accepted(None),
    "transfer_records.json": answered(
        lambda data: [(t.coin, t.amount, t.from_wallet, t.to_wallet, t.done) for t in account.transfers(data)],
        [("BTC", dec(1000), "spot", "usdt_futures", True)],
    ),
    "ws_account.json": heard(
        _wallets,
        (
            Balance(
                currency="USDT",
                equity=dec(100),
                available=dec(20),
                frozen=dec(0),
                position_margin=dec(0),
                unrealized_pnl=dec(0),
                foreign_collateral=True,
                maintenance=dec(15),
                margin_ratio=dec(0),
            ),
        ),
    ),
    "ws_adl_noti.json": other_push("adl-noti"),
    "ws_candle.json": other_push("candle1m"),
    "ws_equity.json": other_push("equity"),
    "ws_error_channel_not_exist.json": word(Refused, "30001"),
    "ws_error_invalid_sign.json": word(Refused, "30015"),
    "ws_error_need_login.json": word(Refused, "30004"),
    "ws_fill.json": other_push("fill"),
    "ws_login_error_documented.json": word(Refused, "30005"),
    "ws_login_ok_documented.json": word(LoggedIn),
    "ws_login_ok_live.json": word(LoggedIn),
    "ws_login_request.json": request("the login frame of both families: tests of sign.py"),
    "ws_orders_algo.json": heard(_plans, ([], ())),
    "ws_orders_algo_pos_loss_fail_execute.json": heard(
        _plans,
        ([("1272849518383902721", LONG_BTC, OrderAction.CANCELLED, None)], ("1272849518383902721",)),
    ),
    "ws_orders_filled.json": heard(
        _orders, [("1", LONG_BTC, False, OrderAction.FILLED, False, dec("0.01"), dec("27000.5"))]
    ),
    "ws_orders_filled_one_way_live.json": heard(
        _orders,
        [
            (
                *("1286956012652892166", key("LTCUSDT", Side.LONG), False, OrderAction.FILLED),
                *(False, dec("0.2"), dec("93.62")),
            )
        ],
    ),
    "ws_orders_live.json": heard(
        _orders, [("13333333333333333333", LONG_ETH, False, OrderAction.SUBMITTED, True, dec(0), None)]
    ),
    "ws_positions.json": heard(
        _push, [(SHORT_ETH, dec("0.1"), dec(1900), dec("5788.108475905242"), dec(0), 1695711602568)]
    ),
    "ws_positions_empty.json": heard(_push, []),
    "ws_positions_history.json": other_push("positions-history"),
    "ws_positions_live_2023.json": heard(
        _push, [(LONG_BTC, dec("0.001"), dec(43849), dec("17629.684814834"), dec(0), 1701913016923)]
    ),
    "ws_subscribe_ack_account.json": word(Acknowledged),
    "ws_subscribe_ack_ticker.json": word(Acknowledged),
    "ws_subscribe_private.json": subscribes_private,
    "ws_subscribe_ticker.json": subscribes_ticker("subscribe"),
    "ws_ticker.json": priced,
    "ws_trade_place_order_request.json": request("REST has one code path and clearer errors (13.10)"),
    "ws_trade_place_order_response.json": request("as its request: not used"),
    "ws_unsubscribe_request.json": subscribes_ticker("unsubscribe"),
    "error_00001_time_range.json": refused("00001", Reason.INVALID),
    "error_22001_no_order_to_cancel.json": refused("22001", Reason.ORDER_GONE),
    "error_22002_no_position.json": refused("22002", Reason.POSITION_GONE),
    "error_22043_adl_limits_close.json": refused("22043", Reason.POSITION_LIQUIDATING),
    "error_22045_insufficient_liquidity.json": refused("22045", Reason.INSTRUMENT_PAUSED),
    "error_30032_v1_decommissioned.json": refused("30032", Reason.UNSUPPORTED),
    "error_40006_invalid_access_key.json": refused("40006", Reason.CREDENTIALS),
    "error_40008_timestamp_expired.json": refused("40008", Reason.CLOCK),
    "error_40009_sign_error.json": refused("40009", Reason.CREDENTIALS),
    "error_40010_request_timed_out.json": open_outcome("40010"),
    "error_40012_key_or_passphrase.json": refused("40012", Reason.CREDENTIALS),
    "error_40014_permission.json": refused("40014", Reason.PERMISSION),
    "error_40015_system_abnormal.json": open_outcome("40015"),
    "error_400172_illegal_opening_type.json": refused("400172", Reason.INVALID),
    "error_400172_parameter_verification.json": refused("400172", Reason.INVALID),
    "error_40018_invalid_ip.json": refused("40018", Reason.PERMISSION),
    "error_40034_unknown_symbol.json": refused("40034", Reason.INVALID),
    "error_40037_apikey_not_exist.json": refused("40037", Reason.CREDENTIALS),
    "error_40084_classic_key_on_v3.json": refused("40084", Reason.PERMISSION),
    "error_40085_uta_account_on_v2.json": refused("40085", Reason.PERMISSION),
    "error_40099_environment.json": refused("40099", Reason.CREDENTIALS),
    "error_40725_service_error.json": open_outcome("40725"),
    "error_40762_exceeds_balance.json": refused("40762", Reason.INVALID),
    "error_40768_order_not_exist.json": refused("40768", Reason.ORDER_GONE),
    "error_40774_unilateral.json": refused("40774", Reason.INVALID),
    "error_40786_duplicate_client_oid.json": refused("40786", Reason.DUPLICATE_CLIENT_ID),
    "error_40804_close_exceeds_position.json": refused("40804", Reason.SIZE_ABOVE_POSITION),
    "error_40808_hold_side_null.json": refused("40808", Reason.INVALID),
    "error_40808_size_scale.json": refused("40808", Reason.INVALID),
    "error_40811_null_parameter.json": refused("40811", Reason.INVALID),
    "error_40814_no_leverage_change.json": refused("40814", Reason.LEVERAGE_CONFLICT),
    "error_40879_risk_handling_funds.json": refused("40879", Reason.POSITION_LIQUIDATING),
    "error_40880_risk_handling_leverage.json": refused("40880", Reason.POSITION_LIQUIDATING),
    "error_40912_batch_cancel_limit.json": refused("40912", Reason.INVALID),
    "error_40917_long_stop_above_mark.json": refused("40917", Reason.TRIGGER_PASSED),
    "error_40931_closing_risk_control.json": refused("40931", Reason.INSTRUMENT_PAUSED),
    "error_40939_reduce_only_conflict.json": refused("40939", Reason.SIZE_ABOVE_POSITION),
    "error_41103_price_scale.json": refused("41103", Reason.PRECISION),
    "error_429_too_many_requests.json": refused("429", Reason.RATE_LIMITED),
    "error_43011_execute_price.json": refused("43011", Reason.INVALID),
    "error_43011_hold_side.json": refused("43011", Reason.INVALID),
    "error_43012_insufficient_balance.json": refused("43012", Reason.BALANCE),
    "error_43020_tpsl_not_exist.json": refused("43020", Reason.ORDER_GONE),
    "error_43023_position_not_settled.json": refused("43023", Reason.SIZE_ABOVE_POSITION),
    "error_43025_plan_order_not_exist.json": refused("43025", Reason.ORDER_GONE),
    "error_43027_min_order_value.json": refused("43027", Reason.SIZE_BOUNDS),
    "error_43031_stop_loss_exists.json": refused("43031", Reason.PROTECTION_EXISTS),
    "error_43137_transfer_in_progress.json": open_outcome("43137"),
    "error_45001_unknown_error.json": open_outcome("45001"),
    "error_45009_account_at_risk.json": refused("45009", Reason.POSITION_LIQUIDATING),
    "error_45104_flash_close_size.json": refused("45104", Reason.SIZE_BOUNDS),
    "error_45110_min_amount.json": refused("45110", Reason.SIZE_BOUNDS),
    "error_45122_short_stop_below_mark.json": refused("45122", Reason.TRIGGER_PASSED),
    "error_45129_cancel_too_frequent.json": refused("45129", Reason.ORDER_GONE),
}


@pytest.mark.parametrize("name", samples.NAMES)
def test_every_sample_is_read_as_it_is_meant(name: str) -> None:
    assert name in CHECKS, f"{name} has no expectation in this file"
    CHECKS[name](name)


def test_there_is_no_expectation_without_a_sample() -> None:
    assert sorted(CHECKS) == samples.NAMES


def test_a_liquidation_price_of_seventeen_million_is_far_and_one_of_zero_or_less_is_none() -> None:
    row = samples.data("single_position.json")[0]
    for text, expected in (
        ("17288450.450983311758416", dec("17288450.450983311758416")),
        ("0", Absent.NONE),
        ("-5025939.48", Absent.NONE),
        ("", Absent.UNKNOWN),
        (None, Absent.UNKNOWN),
    ):
        found = positions.held_rows(MAIN, Product.USDT, [{**row, "liquidationPrice": text}], asked_ms=9)
        assert expected == found[0].position.liquidation_price


def test_the_documented_short_is_far_from_its_liquidation_price() -> None:
    position = positions.held_rows(MAIN, Product.USDT, samples.data("single_position.json"), asked_ms=9)[0].position
    assert isinstance(position.liquidation_price, Decimal)
    assert isinstance(position.mark_price, Decimal)
    assert (position.liquidation_price - position.mark_price) / position.mark_price > 100


OTHERWISE: dict[str, object] = {
    "symbol": "ETHUSDT",
    "holdSide": "long",
    "marginMode": "isolated",
    "posMode": "one_way_mode",
    "assetMode": "single",
    "autoMargin": "on",
    "marginCoin": "USDC",
}


def test_every_field_of_the_documented_position_arrives_or_is_listed_as_unused_with_a_reason() -> None:
    row = samples.data("single_position.json")[0]
    assert set(positions.USED) | set(positions.UNUSED) == set(row) | {"cashDividend"}
    assert set(positions.USED) & set(positions.UNUSED) == set()
    assert all(positions.UNUSED.values())


@pytest.mark.parametrize("name", sorted({*positions.USED, *positions.UNUSED}))
def test_a_field_changes_what_is_read_of_a_position_exactly_when_it_is_listed_as_used(name: str) -> None:
    row = samples.data("single_position.json")[0]
    changed = {**row, name: OTHERWISE.get(name, "7")}
    before = positions.held_rows(MAIN, Product.USDT, [row], asked_ms=9)
    after = positions.held_rows(MAIN, Product.USDT, [changed], asked_ms=9)
    assert (before != after) == (name in positions.USED)


# Open sets of words: another one is read as single, and as off.
OPEN_WORDS = {"assetMode", "autoMargin"}


@pytest.mark.parametrize("name", sorted(set(positions.USED) - OPEN_WORDS))
def test_a_used_field_that_is_of_no_sense_is_never_read_as_a_safe_one(name: str) -> None:
    row = samples.data("single_position.json")[0]
    with pytest.raises(PayloadError):
        positions.held_rows(MAIN, Product.USDT, [{**row, name: {"no": "sense"}}], asked_ms=9)
