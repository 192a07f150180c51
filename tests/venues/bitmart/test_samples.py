"""Every sample payload has one explicit expectation here; a file without one fails."""

import json
from collections.abc import Callable
from decimal import Decimal

import pytest

from guardd.errors import PayloadError
from guardd.model.event import BalancePushed, MarkSeen, PositionsPushed
from guardd.model.instant import Instant
from guardd.model.names import AccountName, MarginMode, PositionKey, PositionMode, PriceType, Side, Symbol
from guardd.model.order import Direction, OrderAction, PlanForm, ProtectionKind, RestingKind
from guardd.model.outcome import Reason, Rejected, Unknown
from guardd.model.reading import Absent
from guardd.venues.bitmart.api import DIALECT
from guardd.venues.bitmart.errors import REFUSALS, judge_write
from guardd.venues.bitmart.parse import account, market, orders
from guardd.venues.bitmart.parse.envelope import accepted_order_id, envelope
from guardd.venues.bitmart.parse.frames import Acknowledgement, OtherPush, Pong, parse_frame
from guardd.venues.bitmart.parse.ticker import ticker
from guardd.venues.bitmart.sign import Credentials, login_frame, signature
from guardd.venues.bitmart.stream import PING_FRAME, PRIVATE_TOPICS, request_frames
from guardd.venues.rows import json_value
from guardd.venues.transport import EdgePage, classify
from guardd.venues.wire import WireReply
from tests.venues.bitmart import samples
from tests.venues.bitmart.requests import OURS

dec = Decimal
MAIN = AccountName("main")
AT = Instant(7, 8)
Check = Callable[[str], None]


def key(symbol: str, side: Side) -> PositionKey:
    return PositionKey(MAIN, Symbol(symbol), side)


def data_of(name: str) -> object:
    sealed = envelope(name, samples.text(name))
    assert sealed.ok
    return sealed.data


def answered(found: Callable[[object], object], expected: object) -> Check:
    """A successful REST answer from which `found` reads `expected`."""

    def check(name: str) -> None:
        assert expected == found(data_of(name))

    return check


def accepted(order_id: str | None) -> Check:
    """The answer to a write: code 1000, and the id as text whatever its JSON type."""
    return answered(accepted_order_id, order_id)


def unused(*fields: str) -> Check:
    """An answer to a call that a guard doesn't make: its envelope is read, its data carries these fields."""

    def check(name: str) -> None:
        data = data_of(name)
        row = data[0] if isinstance(data, list) else data
        assert set(fields) <= set(row)

    return check


def refused(code: int, reason: Reason) -> Check:
    """An error whose outcome for a write is certain."""

    def check(name: str) -> None:
        status = samples.INDEX[name]["http_status"]
        sealed = envelope(name, samples.text(name))
        assert code == sealed.code
        assert REFUSALS[code].http in (status, None) or code in {61001}
        outcome = judge_write(status=status, code=sealed.code, text=sealed.text)
        assert isinstance(outcome, Rejected)
        assert (reason, str(code)) == (outcome.reason, outcome.code)
        assert outcome.text

    return check


def edge_page(status: int, *, not_executed: bool) -> Check:
    def check(name: str) -> None:
        wrapped = samples.plain(name)
        assert status == wrapped["http_status"]
        reply = WireReply(
            status=status, headers=wrapped["headers"], body=wrapped["body"].encode(), sent_ns=1, received=AT
        )
        answer = classify(reply, DIALECT)
        assert isinstance(answer, EdgePage)
        assert not_executed == answer.not_executed
        with pytest.raises(PayloadError):
            envelope(name, wrapped["body"])

    return check


def heard(expected: object) -> Check:
    def check(name: str) -> None:
        assert ticker(samples.text(name), AT) is None
        assert expected == parse_frame(MAIN, samples.text(name), AT)

    return check


def acknowledged(action: str, group: str, *, success: bool, error: str = "") -> Check:
    return heard(Acknowledgement(action=action, group=group, success=success, error=error))


def priced(symbol: str, mark: str, index: str, last: str, bid: str, ask: str) -> Check:
    def check(name: str) -> None:
        expected = MarkSeen(Symbol(symbol), dec(mark), AT, dec(index), dec(last), dec(bid), dec(ask))
        assert expected == ticker(samples.text(name), AT)

    return check


def sent(name: str) -> None:
    """A documented request body: ours has the same fields with the same JSON types."""
    expected = samples.plain(name)
    ours = OURS[name]
    if isinstance(ours, str):
        assert expected, ours
        return
    body = json.loads(ours())
    body.pop("client_order_id", None) if "client_order_id" not in expected else None
    assert expected == body
    assert {field: type(value) for field, value in expected.items()} == {f: type(v) for f, v in body.items()}


def _unread(name: str) -> None:
    raise AssertionError(f"{name} has no expectation: add one")


def _positions(data: object) -> object:
    return account.positions_v2(MAIN, data, {})


def _no_positions(data: object) -> bool:
    return _positions(data) == account.PositionsV2(positions=(), undirected=())


def _signature_vectors(name: str) -> None:
    for vector in samples.plain(name)["vectors"]:
        credentials = Credentials(key=vector["key"], secret=vector["secret"], memo=vector["memo"])
        made = signature(credentials, timestamp_ms=int(vector["timestamp"]), body=vector["body"])
        assert vector["sign_hex"] == made, vector["name"]


def _rate_limit_headers(name: str) -> None:
    """`remaining` counts up: it is the number already used (4.2)."""
    for which, used in (("first_call", 1), ("third_call_same_window", 3)):
        usage = DIALECT.usage(samples.plain(name)[which])
        assert usage is not None
        assert (used, 12, 2.0) == (usage.used, usage.limit, usage.window_s)


def _login_request(name: str) -> None:
    vector = next(v for v in samples.plain("signature_vectors.json")["vectors"] if v["name"] == "official_ws_login")
    credentials = Credentials(key=vector["key"], secret=vector["secret"], memo=vector["memo"])
    assert samples.plain(name) == login_frame(credentials, timestamp_ms=int(vector["timestamp"]))


def _subscription(*topics: str) -> Check:
    def check(name: str) -> None:
        (frame,) = request_frames("subscribe", topics)
        assert samples.plain(name) == json.loads(frame)

    return check


def _open_cross(data: object) -> object:
    (position,) = account.positions_v2(MAIN, data, {}).positions
    return (position.key, position.quantity, position.margin_mode, position.liquidation_price, position.margin)


def _hedge_pair(data: object) -> object:
    return tuple(
        (p.key.side, p.quantity, p.entry_price, p.liquidation_price, p.margin, p.maintenance_margin, p.leverage)
        for p in account.positions_v2(MAIN, data, {}).positions
    )


def _one_way_short(data: object) -> object:
    (position,) = account.positions_v2(MAIN, data, {}).positions
    return (position.key.side, position.quantity, position.liquidation_price, position.notional, position.opened_ms)


def _contract(data: object) -> object:
    (row,) = market.contracts(data)
    return (
        (row.symbol, row.contract_size, row.tick, row.step, row.min_size, row.max_limit_size, row.max_market_size),
        (row.max_leverage, row.listed, row.delist_ms, row.guardable, row.reduce_only),
    )


def _brackets(data: object) -> object:
    (tiers,) = market.leverage_brackets(data).values()
    return (len(tiers), tiers[0].cap, tiers[3].rate, tiers[3].deduction, tiers[3].max_leverage)


def _resting(data: object) -> object:
    (order,) = orders.resting_orders(MAIN, data)
    return (order.order_id, order.client_id, order.key, order.closes, order.kind, order.price, order.size, order.filled)


def _plan(data: object) -> object:
    (plan,) = orders.plan_orders(MAIN, data)
    return (
        (plan.order_id, plan.client_id, plan.key, plan.protection, plan.form, plan.direction),
        (plan.trigger_price, plan.price_type, plan.execution_price, plan.size),
    )


def _report(data: object) -> object:
    report = orders.reports(data)[0] if isinstance(data, list) else orders.order_report(data)
    return (report.order_id, report.client_id, report.size, report.filled, report.average_price, report.live)


def _fill(data: object) -> object:
    (fill,) = orders.fills(MAIN, data)
    return (fill.trade_id, fill.order_id, fill.key, fill.closes, fill.price, fill.size, fill.realized_pnl, fill.fee)


def _risk(data: object) -> object:
    (row,) = account.position_risk(data)
    return (row.symbol, row.side, row.mark_price, row.liquidation_price, row.isolated_margin, row.venue_ms)


def _balance(data: object) -> object:
    found = account.balance(data)
    return (found.currency, found.equity, found.available, found.unrealized_pnl, found.foreign_collateral)


def _ledger(data: object) -> object:
    return tuple((row.kind, row.symbol, row.amount, row.at_ms) for row in account.ledger(data))


def _notices(data: object) -> object:
    return tuple((n.title, n.concerns_futures, n.start_ms) for n in market.service_notices(data))


def _pushed_positions(name: str) -> tuple[tuple[object, ...], ...]:
    push = parse_frame(MAIN, samples.text(name), AT)
    assert isinstance(push, PositionsPushed)
    return tuple(
        (u.key, u.quantity, u.margin_mode, u.liquidation_price, u.entry_price, u.frozen_quantity) for u in push.updates
    )


def pushed_positions(*expected: tuple[object, ...]) -> Check:
    def check(name: str) -> None:
        assert expected == _pushed_positions(name)

    return check


def pushed_order(*expected: object) -> Check:
    def check(name: str) -> None:
        pushes = parse_frame(MAIN, samples.text(name), AT)
        assert isinstance(pushes, tuple)
        (push,) = pushes
        u = push.update
        assert expected == (
            u.order_id,
            u.client_id,
            u.plan_order_id,
            u.key,
            u.closes,
            u.action,
            u.live,
            u.kind,
            u.price,
        )

    return check


def pushed_balance(currency: str, available: str, margin: str) -> Check:
    def check(name: str) -> None:
        push = parse_frame(MAIN, samples.text(name), AT)
        assert isinstance(push, BalancePushed)
        found = push.balance
        assert (currency, dec(available), dec(margin)) == (
            found.currency,
            found.available,
            found.position_margin,
        )
        assert Absent.UNKNOWN is found.equity
        assert Absent.UNKNOWN is found.unrealized_pnl

    return check


LONG_BTC, SHORT_BTC = key("BTCUSDT", Side.LONG), key("BTCUSDT", Side.SHORT)
LONG_LTC, SHORT_LTC = key("LTCUSDT", Side.LONG), key("LTCUSDT", Side.SHORT)

EXPECTED: dict[str, Check] = {
    # account
    "assets_detail.json": answered(_balance, ("USDT", dec(100), dec(100), dec(100), False)),
    "position_v2_empty.json": answered(_no_positions, True),
    "position_v2_hedge_flat.json": answered(_no_positions, True),
    "position_v2_one_way_flat.json": answered(_no_positions, True),
    "position_v2_open_cross.json": answered(
        _open_cross, (LONG_BTC, dec(100), MarginMode.CROSS, dec("60500.0"), dec("670.00"))
    ),
    "constructed_position_v2_hedge_long_short.json": answered(
        _hedge_pair,
        (
            (Side.LONG, dec(250), dec(86000), dec("82028.11"), dec(1075), dec(86), dec(20)),
            (
                Side.SHORT,
                dec(40),
                dec(87100),
                dec("91090.64"),
                dec("174.2"),
                dec("13.936"),
                dec(20),
            ),
        ),
    ),
    "constructed_position_v2_one_way_short_cross.json": answered(
        _one_way_short, (Side.SHORT, dec(1500), Absent.UNKNOWN, dec("6248.25"), 1790131145321)
    ),
    "position.json": answered(account.sides_v1, {"BTCUSDT": Side.SHORT}),
    "position_capture_2023.json": answered(account.sides_v1, {"BTCUSDT": Side.LONG}),
    "position_risk.json": answered(
        _risk, ("BTCUSDT", Side.LONG, dec("67957.7"), dec(64245), dec("3078.51948691"), 1712390438000)
    ),
    "get_position_mode.json": answered(account.position_mode, PositionMode.ONE_WAY),
    "set_position_mode.json": accepted(None),
    "trade_fee_rate.json": answered(market.taker_fee_rate, dec("0.0006")),
    "transaction_history.json": answered(
        _ledger,
        (
            ("Transfer", None, dec("-0.375"), 1570608000000),
            ("Commission Fee", "BTCUSDT", dec("-0.01"), 1570636800000),
        ),
    ),
    "transaction_history_capture.json": answered(
        _ledger, (("Funding Fee", "LTCUSDT", dec("-0.00008253"), 1734422402121),)
    ),
    "transfer_contract.json": accepted(None),
    "transfer_contract_list.json": answered(
        account.transfers,
        (
            account.TransferRow(
                id="664651258694168576",
                currency="USDT",
                amount=dec("0.1"),
                into_futures=False,
                state="FINISHED",
                at_ms=1638631674326,
            ),
        ),
    ),
    "submit_leverage.json": accepted(None),
    # public
    "system_time.json": answered(market.server_time_ms, 1527777538000),
    "system_service.json": answered(_notices, (("Contract API Stop", False, 1527777538000),)),
    "contract_details.json": answered(
        _contract,
        (
            ("BTCUSDT", dec("0.001"), dec("0.1"), dec(1), dec(1), dec(500000), dec(500000)),
            (dec(100), False, 1745830379000, True, False),
        ),
    ),
    "contract_details_trading.json": answered(
        _contract,
        (
            ("BTCUSDT", dec("0.001"), dec("0.1"), dec(1), dec(1), dec(1000000), dec(50000)),
            (dec(100), True, None, True, False),
        ),
    ),
    "leverage_bracket.json": answered(_brackets, (10, dec(10000), dec("0.03125"), dec(1850), dec(16))),
    "markprice_kline.json": answered(market.newest_mark_close, dec("67120.5")),
    # orders
    "get_open_orders.json": answered(
        _resting,
        ("220908185908509", "BM123", LONG_BTC, True, RestingKind.LIMIT, dec(14277), dec(7216), dec(7216)),
    ),
    "get_open_orders_capture.json": answered(
        _resting, ("230935812485489", None, LONG_BTC, False, RestingKind.LIMIT, dec(24000), dec(1), dec(0))
    ),
    "current_plan_order.json": answered(
        _plan,
        (
            ("220908185908509", "BM123", LONG_BTC, ProtectionKind.STOP_LOSS, PlanForm.WHOLE, Direction.FALLS),
            (dec(14277), PriceType.LAST, dec(14277), None),
        ),
    ),
    "current_plan_order_capture.json": answered(
        _plan,
        (
            ("2401030030902135", None, LONG_LTC, None, PlanForm.PLAN, Direction.RISES),
            (dec(120), PriceType.LAST, dec(55), dec(1)),
        ),
    ),
    "order.json": answered(_report, ("220906179895578", "BM123", dec(1000), dec(1000), None, True)),
    "order_capture_2023.json": answered(_report, ("230927283405028", None, dec(1), dec(0), None, True)),
    "order_history.json": answered(
        _report, ("3000101684062644", "PLAN_3000097492004577", dec(1), dec(1), dec(84802), False)
    ),
    "order_history_liquidation_capture.json": answered(
        _report, ("231007865458273", None, dec(1), dec(1), dec("27422.6"), False)
    ),
    "trades.json": answered(
        _fill,
        (
            "1141853921",
            "220921197409432",
            LONG_BTC,
            False,
            dec("19313.3"),
            dec(108),
            dec("-0.00832"),
            dec(0),
        ),
    ),
    # answers to writes
    "submit_order_limit.json": accepted("220609666322019"),
    "submit_order_market.json": accepted("231116359426639"),
    "submit_plan_order.json": accepted("220609666322019"),
    "submit_plan_order_capture.json": accepted("3000013123008578"),
    "submit_tp_sl_order.json": accepted("220609666322019"),
    "submit_tp_sl_order_no_client_id.json": accepted("3000022583002749"),
    "submit_trail_order.json": accepted("220609666322019"),
    "modify_limit_order.json": accepted("220609666322019"),
    "modify_plan_order.json": accepted("220609666322019"),
    "modify_preset_plan_order.json": accepted("220609666322019"),
    "modify_tp_sl_order.json": accepted("220609666322019"),
    "cancel_order.json": accepted(None),
    "cancel_order_capture_no_data.json": accepted(None),
    "cancel_orders.json": accepted(None),
    "cancel_plan_order.json": accepted(None),
    "cancel_trail_order.json": accepted(None),
    # calls that a guard doesn't make
    "cancel_all_after.json": unused("result", "set_time", "cancel_time"),
    "demo_claim.json": unused("currency", "amount"),
    "depth.json": unused("asks", "bids"),
    "depth_empty_book.json": unused("asks", "bids"),
    "funding_rate.json": unused("expected_rate"),
    "funding_rate_history.json": unused("list"),
    "funding_rate_v2.json": unused("list"),
    "kline.json": unused("close_price"),
    "market_trade.json": unused("qty"),
    "open_interest.json": unused("open_interest"),
    "sub_account_transfer.json": accepted(None),
    "sub_account_transfer_list.json": unused("submissionTime"),
    "sub_account_wallet.json": unused("wallet"),
    # refusals
    "error_25601_maintenance.json": refused(25601, Reason.MAINTENANCE),
    "error_30000_not_found.json": refused(30000, Reason.UNSUPPORTED),
    "error_30001.json": refused(30001, Reason.CREDENTIALS),
    "error_30002.json": refused(30002, Reason.CREDENTIALS),
    "error_30003.json": refused(30003, Reason.CREDENTIALS),
    "error_30004.json": refused(30004, Reason.CREDENTIALS),
    "error_30005.json": refused(30005, Reason.CREDENTIALS),
    "error_30006.json": refused(30006, Reason.CLOCK),
    "error_30007.json": refused(30007, Reason.CLOCK),
    "error_30008.json": refused(30008, Reason.CLOCK),
    "error_30010.json": refused(30010, Reason.PERMISSION),
    "error_30011.json": refused(30011, Reason.CREDENTIALS),
    "error_30012.json": refused(30012, Reason.PERMISSION),
    "error_30013.json": refused(30013, Reason.RATE_LIMITED),
    "error_30014.json": refused(30014, Reason.MAINTENANCE),
    "error_30016.json": refused(30016, Reason.MAINTENANCE),
    "error_30017.json": refused(30017, Reason.BANNED),
    "error_30018.json": refused(30018, Reason.INVALID),
    "error_30019.json": refused(30019, Reason.PERMISSION),
    "error_30030.json": refused(30030, Reason.VENUE_CLOSING),
    "error_40001_documented.json": refused(40001, Reason.PERMISSION),
    "error_40011_invalid_parameter.json": refused(40011, Reason.INVALID),
    "error_40012_balance.json": refused(40012, Reason.BALANCE),
    "error_40012_invalid_order.json": refused(40012, Reason.LEVERAGE_CONFLICT),
    "error_40012_symbol_not_exist.json": refused(40012, Reason.INVALID),
    "error_40013.json": refused(40013, Reason.RATE_LIMITED),
    "error_40014.json": refused(40014, Reason.INSTRUMENT_PAUSED),
    "error_40015.json": refused(40015, Reason.INSTRUMENT_PAUSED),
    "error_40016.json": refused(40016, Reason.WOULD_LIQUIDATE),
    "error_40018.json": refused(40018, Reason.POSITION_GONE),
    "error_40019.json": refused(40019, Reason.POSITION_LIQUIDATING),
    "error_40020.json": refused(40020, Reason.SIZE_ABOVE_POSITION),
    "error_40021.json": refused(40021, Reason.POSITION_GONE),
    "error_40026.json": refused(40026, Reason.POSITION_LIQUIDATING),
    "error_40027.json": refused(40027, Reason.BALANCE),
    "error_40028.json": refused(40028, Reason.TOO_MANY_PLAN_ORDERS),
    "error_40031.json": refused(40031, Reason.TRIGGER_TOO_FAR),
    "error_40034.json": refused(40034, Reason.INVALID),
    "error_40035.json": refused(40035, Reason.ORDER_GONE),
    "error_40036.json": refused(40036, Reason.ORDER_GONE),
    "error_40037.json": refused(40037, Reason.ORDER_GONE),
    "error_40038.json": refused(40038, Reason.INVALID),
    "error_40040.json": refused(40040, Reason.LEVERAGE_CONFLICT),
    "error_40043.json": refused(40043, Reason.PRECISION),
    "error_40044.json": refused(40044, Reason.SIZE_BOUNDS),
    "error_40047.json": refused(40047, Reason.PERMISSION),
    "error_40048.json": refused(40048, Reason.INVALID),
    "error_40049.json": refused(40049, Reason.INVALID),
    "error_40050.json": refused(40050, Reason.DUPLICATE_CLIENT_ID),
    "error_40059.json": refused(40059, Reason.INVALID),
    "error_42000.json": refused(42000, Reason.BALANCE),
    "error_61001_transfer_balance.json": refused(61001, Reason.BALANCE),
    "error_cloudflare_403_1010.json": edge_page(403, not_executed=True),
    "error_cloudflare_403_html.json": edge_page(403, not_executed=True),
    "error_cloudflare_503_html.json": edge_page(503, not_executed=False),
    # headers and signatures
    "rate_limit_headers.json": _rate_limit_headers,
    "signature_vectors.json": _signature_vectors,
    # frames
    "ws_ticker.json": priced("BTCUSDT", "97153.7", "97185.614", "97153.6", "97153.4", "97153.9"),
    "ws_ticker_all.json": priced("XAUTUSDT", "4338.94", "4340.10731595", "4338.94", "4338.93", "4339.23"),
    "ws_ticker_suffixed_group.json": priced("AXONUSDT", "567.02", "566.445020726126944", "566.92", "565.22", "568.75"),
    "ws_position.json": pushed_positions(
        (LONG_BTC, dec(2000), MarginMode.ISOLATED, dec("15621.998406"), dec("19406.2092"), dec(0))
    ),
    "ws_position_cross_liq_zero.json": pushed_positions(
        (SHORT_LTC, dec(5), MarginMode.CROSS, Absent.UNKNOWN, dec("71.582"), dec(0)),
        (LONG_LTC, dec(6), MarginMode.CROSS, Absent.UNKNOWN, dec("71.681666666666666667"), dec(0)),
    ),
    "ws_order.json": pushed_order(
        *("220906179895578", "BM1234", "220901412155341", LONG_BTC),
        *(False, OrderAction.CANCELLED, False, RestingKind.LIMIT, dec(1)),
    ),
    "ws_order_submit_capture.json": pushed_order(
        *("2312045036986775", None, None, SHORT_LTC),
        *(False, OrderAction.SUBMITTED, True, RestingKind.MARKET, None),
    ),
    "ws_asset.json": pushed_balance("BTC", "1000", "1000"),
    "ws_asset_capture.json": pushed_balance("USDT", "37.19688649135", "0.788687546"),
    "ws_pong.json": heard(Pong()),
    "ws_login_ok.json": acknowledged("access", "", success=True),
    "ws_login_failed.json": acknowledged(
        "access",
        "",
        success=False,
        error="access failed: openapi auth: apiKey 880d5edecs**** failed: openapi auth failed",
    ),
    "ws_subscribe_ok.json": acknowledged("subscribe", "futures/klineBin1m:BTCUSDT", success=True),
    "ws_unsubscribe_ok.json": acknowledged("unsubscribe", "futures/depth50:BTCUSDT", success=True),
    "ws_subscribe_needs_login.json": acknowledged(
        "subscribe", "futures/order", success=False, error="futures/order need authenication"
    ),
    "ws_subscribe_group_not_exist.json": acknowledged(
        "subscribe",
        "sfutures/depth50:BTCUSDT",
        success=False,
        error="group [sfutures/depth50:BTCUSDT] not exist",
    ),
    "ws_subscribe_invalid_channel.json": acknowledged(
        "subscribe",
        "futures/depthIncrease50:NOPEUSDT",
        success=False,
        error="Invalid channel: not found futures/depthIncrease50:NOPEUSDT@100ms",
    ),
    "ws_auth_temporarily_unavailable.json": acknowledged(
        "subscribe", "Depth:1", success=False, error="authentication is temporarily unavailable"
    ),
    "ws_error_invalid_action.json": acknowledged(
        "",
        "futures/trade:BTCUSDT",
        success=False,
        error="Invalid action [] for group [futures/trade:BTCUSDT]",
    ),
    "ws_error_not_json.json": acknowledged("", "", success=False, error="Invalid message: message must be JSON: ping"),
    "ws_bookticker.json": heard(OtherPush(group="futures/bookticker:BTCUSDT")),
    "ws_depth20.json": heard(OtherPush(group="futures/depth20:BTCUSDT")),
    "ws_depth_all20.json": heard(OtherPush(group="futures/depthAll20:BTCUSDT")),
    "ws_depth_increase_snapshot.json": heard(OtherPush(group="futures/depthIncrease20:BTCUSDT")),
    "ws_depth_increase_update.json": heard(OtherPush(group="futures/depthIncrease20:BTCUSDT")),
    "ws_depth_increase_update_empty.json": heard(OtherPush(group="futures/depthIncrease50:ASTEROIDETHUSDT")),
    "ws_funding_rate.json": heard(OtherPush(group="futures/fundingRate:BTCUSDT")),
    "ws_kline_documented.json": heard(OtherPush(group="futures/klineBin1m:BTCUSDT")),
    "ws_kline_items_capture.json": heard(OtherPush(group="futures/klineBin1m:BTCUSDT")),
    "ws_markprice_kline.json": heard(OtherPush(group="futures/markPriceKlineBin1m:BTCUSDT")),
    "ws_trade.json": heard(OtherPush(group="futures/trade:BTCUSDT")),
    # what we say
    "ws_req_login.json": _login_request,
    "ws_req_ping.json": lambda name: _same_json(name, PING_FRAME),
    "ws_req_subscribe_private.json": _subscription(*PRIVATE_TOPICS),
    "ws_req_subscribe_ticker.json": _subscription("futures/ticker:BTCUSDT"),
    **dict.fromkeys((name for name in OURS), sent),
}


def _same_json(name: str, ours: str) -> None:
    assert samples.plain(name) == json.loads(ours)


@pytest.mark.parametrize("name", samples.NAMES)
def test_every_sample_is_read_as_expected(name: str) -> None:
    EXPECTED.get(name, _unread)(name)


def test_no_expectation_has_lost_its_sample() -> None:
    assert set(samples.NAMES) == set(EXPECTED)


@pytest.mark.parametrize("name", [name for name in samples.NAMES if samples.INDEX[name]["kind"] == "rest_error"])
def test_an_error_code_at_http_200_is_an_error_all_the_same(name: str) -> None:
    if "cloudflare" in name:
        return
    sealed = envelope(name, samples.text(name))
    assert not sealed.ok
    assert isinstance(judge_write(status=200, code=sealed.code, text=sealed.text), Rejected | Unknown)


def test_ids_beyond_two_to_the_53_keep_every_digit() -> None:
    value = json_value("x", '{"order_id":98765432109876543}')
    assert accepted_order_id(value) == "98765432109876543"
