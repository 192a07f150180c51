"""Every sample payload has one explicit expectation here; a file without one fails."""

import json
from collections.abc import Callable
from decimal import Decimal

import pytest

from guardd.errors import PayloadError
from guardd.model.event import MarkSeen, Source
from guardd.model.instant import Instant
from guardd.model.intent import CloseAtMarket, PlaceProtection
from guardd.model.names import AccountName, ClientId, MarginMode, PositionKey, PositionMode, PriceType, Side, Symbol
from guardd.model.order import OrderAction, PlanForm, ProtectionKind, RestingKind
from guardd.model.outcome import Reason, Rejected, Unknown
from guardd.model.reading import Absent
from guardd.venues.bitget.envelope import accepted_order_id, envelope, refused_legs
from guardd.venues.bitget.errors import judge_write
from guardd.venues.bitget.frames import Acknowledged, Noise, Push, Refused, parse_frame, request_frames, topic
from guardd.venues.bitget.sign import Credentials, login_frame, signature
from guardd.venues.bitget.unified import bodies
from guardd.venues.bitget.unified.parse import account, market, orders, pushes, strategy
from guardd.venues.bitget.unified.parse.fields import page_of
from guardd.venues.bitget.unified.parse.ticker import ticker
from guardd.venues.bitget.unified.parse.words import AccountLevel, AccountMode, Category, StrategyStatus
from guardd.venues.bitget.unified.stream import OPTIONAL_TOPICS, PRIVATE_TOPICS
from tests.venues.bitget.unified import samples

dec = Decimal
MAIN = AccountName("main")
AT = Instant(7, 8)
Check = Callable[[str], None]
LONG = PositionKey(MAIN, Symbol("BTCUSDT"), Side.LONG)
SHORT = PositionKey(MAIN, Symbol("BTCUSDT"), Side.SHORT)


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
    return answered(accepted_order_id, order_id)


def unused(*fields: str) -> Check:
    """An answer to a call that guardd doesn't make: its envelope is read, its data carries these fields."""

    def check(name: str) -> None:
        data = data_of(name)
        rows = data["list"] if isinstance(data, dict) and "list" in data else data
        row = rows[0] if isinstance(rows, list) else rows
        assert not fields or set(fields) <= set(row)

    return check


def refused(code: str, reason: Reason) -> Check:
    """An error whose outcome for a write is certain."""

    def check(name: str) -> None:
        sealed = envelope(name, samples.text(name))
        outcome = judge_write(status=400, code=sealed.code, text=sealed.text, at_ms=1)
        assert isinstance(outcome, Rejected), outcome
        assert (code, reason) == (outcome.code, outcome.reason)

    return check


def open_outcome(code: str) -> Check:
    """An error after which the write may have happened all the same (12.5)."""

    def check(name: str) -> None:
        sealed = envelope(name, samples.text(name))
        assert code == sealed.code
        assert isinstance(judge_write(status=400, code=sealed.code, text=sealed.text, at_ms=1), Unknown)

    return check


def pushed(found: Callable[[Push], object], expected: object) -> Check:
    def check(name: str) -> None:
        frame = parse_frame(samples.text(name))
        assert isinstance(frame, Push)
        assert ticker(samples.text(name), AT) is None
        assert expected == found(frame)

    return check


def sent(made: Callable[[], object]) -> Check:
    """A request: ours, made by the code that makes it, has the same fields and values."""

    def check(name: str) -> None:
        assert samples.plain(name) == made()

    return check


# Requests


def closing(key: PositionKey, mode: PositionMode, client: str) -> Check:
    write = CloseAtMarket(key=key, size=dec("0.01"))
    return sent(lambda: bodies.close_body(write, ClientId(client), mode, Category.USDT, MarginMode.CROSS))


def stop(form: PlanForm, mode: PositionMode, client: str) -> Check:
    write = PlaceProtection(
        key=LONG,
        kind=ProtectionKind.STOP_LOSS,
        form=form,
        trigger_price=dec("24500.0"),
        price_type=PriceType.MARK,
        size=None,
        position_size=dec("0.010"),
        leverage=None,
        margin_mode=MarginMode.CROSS,
    )
    return sent(lambda: next(bodies.protection_bodies(write, ClientId(client), mode, Category.USDT)))


def logs_in(name: str) -> None:
    credentials = Credentials(
        key="bg_guardd_test_key", secret="guardd-test-secret-0123456789abcdef", passphrase="guardd-test-pass"
    )
    assert samples.plain(name) == json.loads(login_frame(credentials, 1_700_000_000))


def subscribes(name: str) -> None:
    (frame,) = request_frames("subscribe", (*PRIVATE_TOPICS, *OPTIONAL_TOPICS))
    assert samples.plain(name) == json.loads(frame)


def signs(name: str) -> None:
    wrapped = samples.plain(name)
    credentials = Credentials(key=wrapped["key"], secret=wrapped["secret"], passphrase=wrapped["passphrase"])
    for vector in wrapped["vectors"]:
        made = signature(
            credentials,
            timestamp=vector["timestamp"],
            method=vector["method"],
            path_and_query=vector["request_path"],
            body=vector["body"],
        )
        assert vector["sign"] == made, vector["name"]


# Answers


def _risk(data: object) -> object:
    pool = account.pool(data)
    balance = pool.balance
    assert (balance.currency, balance.pooled) == ("USD", True)
    total = balance.available + balance.position_margin + balance.frozen
    assert isinstance(balance.unrealized_pnl, Decimal)
    assert balance.equity == total + balance.unrealized_pnl
    return balance.equity, balance.maintenance, balance.margin_ratio, pool.debts


def _settings(data: object) -> object:
    found = account.settings(data)
    return found.mode, found.level, found.position_mode, found.leverages


def _position(data: object) -> object:
    (held,) = account.positions(MAIN, data)
    position = held.position
    return (
        held.category,
        position.key,
        position.quantity,
        held.available,
        position.entry_price,
        position.margin_mode,
        position.leverage,
        position.margin,
        position.maintenance_margin,
        position.liquidation_price,
        position.mark_price,
        position.unrealized_pnl,
        position.opened_ms,
        position.venue_ms,
    )


def _contract(data: object) -> object:
    (found,) = market.contracts(data)
    instrument = found.instrument(())
    return (
        found.category,
        instrument.symbol,
        instrument.settle,
        instrument.contract_size,
        instrument.tick,
        instrument.step,
        instrument.min_size,
        instrument.max_limit_size,
        instrument.max_market_size,
        instrument.max_leverage,
        instrument.taker_fee,
        instrument.tradable,
        instrument.unguarded,
    )


def _report(report: object) -> object:
    assert isinstance(report, orders.OrderReport)
    return report.order_id, report.client_id, report.size, report.filled, report.average_price, report.live


def _past_order(data: object) -> object:
    (found,), page = orders.report_page(data)
    (row,) = page.rows
    return _report(found), orders.key_of(MAIN, row), orders.forced_action(row), page.cursor


def _resting(data: object) -> object:
    (found,), page = orders.resting_page(MAIN, data)
    return found.order_id, found.key, found.closes, found.kind, found.price, found.size, found.filled, page.cursor


def _plans(data: object) -> object:
    (found,) = strategy.strategies(data)
    return tuple(
        (p.order_id, p.client_id, p.protection, p.form, p.trigger_price, p.price_type, p.execution_price, p.size)
        for p in strategy.plans_of(MAIN, found, {})
    )


def _past_strategy(data: object) -> object:
    (found,), page = strategy.past_page(data)
    return found.order_id, found.status, found.fired, found.size, found.leg(ProtectionKind.STOP_LOSS), page.cursor


def _fill(data: object) -> object:
    (found,), page = orders.fill_page(data)
    return found.exec_id, found.order_id, found.buys, found.price, found.size, found.fee, page.cursor


def _account_push(push: Push) -> object:
    pool = pushes.pool_of(push)
    assert pool.balance.pooled
    return pool.balance.equity, pool.balance.maintenance, pool.balance.margin_ratio, pool.printed_ratio, pool.debts


def _position_push(push: Push) -> object:
    (found,) = pushes.pushed_positions(MAIN, push)
    return (
        found.key,
        found.quantity,
        found.entry_price,
        found.margin_mode,
        found.liquidation_price,
        found.frozen_quantity,
        found.venue_ms,
    )


def _order_push(push: Push) -> object:
    (found,) = pushes.pushed_orders(MAIN, push)
    return (
        found.order_id,
        found.key,
        found.closes,
        found.action,
        found.live,
        found.kind,
        found.size,
        found.filled,
        found.average_price,
    )


def _strategy_push(push: Push) -> object:
    (found,) = pushes.pushed_strategies(push)
    return found.order_id, found.client_id, found.status, found.fired, found.size, len(found.legs)


def _deleveraging(push: Push) -> object:
    (found,) = pushes.deleveragings(push)
    return found.symbol, found.side, found.price, found.amount


def priced(name: str) -> None:
    expected = MarkSeen(
        Symbol("BTCUSDT"), dec("90216.4"), AT, dec("90247.5"), dec("90216.3"), dec("90216.3"), dec("90216.4"),
        venue_ms=1765444282235,
    )  # fmt: skip
    assert expected == ticker(samples.text(name), AT)


def without_a_mark(name: str) -> None:
    """A spot push has no mark: it is never taken for one."""
    with pytest.raises(PayloadError, match="no mark"):
        ticker(samples.text(name), AT)


def _rest_ticker(data: object) -> object:
    seen = market.ticker_of(Symbol("BTCUSDT"), data, AT)
    return seen.mark, seen.last, seen.bid, seen.ask, seen.source


def trade_channel(name: str) -> None:
    """Orders over the socket: guardd has one code path, REST (11)."""
    wrapped = samples.plain(name)
    for frame in (wrapped["request"], wrapped["answer"]) if "request" in wrapped else (wrapped,):
        if "event" in frame:
            assert isinstance(parse_frame(json.dumps(frame)), Noise | Refused)


BTC_LONG_OBSERVED = (
    Category.USDT,
    LONG,
    dec("0.001"),
    dec("0.001"),
    dec("107410.3"),
    MarginMode.CROSS,
    dec(20),
    dec("5.435199"),
    dec("0.4296612"),
    Absent.NONE,
    dec("107415.3"),
    dec("0.0047"),
    1750495670699,
    1750929883465,
)
BOTH_LEGS = (
    (
        "111111111111111111:sl",
        "111111111111111111",
        ProtectionKind.STOP_LOSS,
        PlanForm.SIZED,
        dec(90000),
        PriceType.LAST,
        None,
        dec("0.01"),
    ),
    (
        "111111111111111111:tp",
        "111111111111111111",
        ProtectionKind.TAKE_PROFIT,
        PlanForm.SIZED,
        dec(110000),
        PriceType.LAST,
        None,
        dec("0.01"),
    ),
)
ENDED = (LONG, dec(0), dec(0), MarginMode.CROSS, Absent.UNKNOWN, dec(0), 1736378720620)
TAKEN = answered(lambda data: data, "success")

EXPECTED: dict[str, Check] = {
    "account_info.json": answered(
        lambda data: (account.identity(data).may_write, sorted(account.identity(data).permissions)),
        (True, ["copy_futures_order", "copy_futures_position", "uta_mgt", "uta_trade", "withdraw"]),
    ),
    "account_settings.json": answered(
        _settings,
        (
            AccountMode.HYBRID,
            AccountLevel.ADVANCED,
            PositionMode.ONE_WAY,
            (
                (Category.USDT, "BGBUSDT", MarginMode.CROSS, dec(20)),
                (Category.USDT, "BTCUSDT", MarginMode.CROSS, dec(1)),
            ),
        ),
    ),
    "account_settings_switching.json": answered(
        _settings, (AccountMode.SWITCHING, AccountLevel.ADVANCED, PositionMode.HEDGE, ())
    ),
    "account_assets_flat.json": answered(_risk, (dec("6.19299777"), dec(0), dec(0), ())),
    "account_assets_at_risk.json": answered(_risk, (dec("1000.00"), dec("850.00"), dec("0.85"), ())),
    "v3_account_assets.json": answered(_risk, (dec("6.19299777"), dec(0), dec(0), ())),
    "current_position_observed.json": answered(_position, BTC_LONG_OBSERVED),
    "current_position_no_liquidation.json": answered(
        _position,
        (
            Category.USDT,
            LONG,
            dec("0.1"),
            dec("0.1"),
            dec("90500.1"),
            MarginMode.CROSS,
            dec(20),
            dec("479.65"),
            dec("36.2"),
            Absent.NONE,
            dec(90500),
            dec("-0.01"),
            1734422102269,
            1734763598778,
        ),
    ),
    "current_position_one_way_isolated_short.json": answered(
        _position,
        (
            Category.USDT,
            SHORT,
            dec("0.1"),
            dec("0.06"),
            dec("90500.1"),
            MarginMode.ISOLATED,
            dec(20),
            dec(450),
            dec("36.2"),
            dec("94552.1"),
            dec(90500),
            dec("-0.01"),
            1734422102269,
            1734763598778,
        ),
    ),
    "v3_current_position.json": answered(
        _position,
        (
            Category.USDT,
            LONG,
            dec("119.2068"),
            dec("119.2068"),
            dec(108674),
            MarginMode.CROSS,
            dec(3),
            dec("4701531.84941582"),
            dec("119.2068") * 118097 * dec("0.015"),
            dec("43099.9"),
            dec(118097),
            dec("1124573.04243999"),
            1736378720620,
            1753102803148,
        ),
    ),
    "current_position_empty_list.json": answered(lambda data: account.positions(MAIN, data), ()),
    "v3_current_position_empty.json": answered(lambda data: account.positions(MAIN, data), ()),
    "funding_assets.json": answered(lambda data: account.funding_balance("USDT", data), dec("0.04")),
    "financial_records.json": answered(
        lambda data: [(row.kind, row.coin, row.amount, row.at_ms) for row in account.ledger(data)],
        [("ORDER_DEALT_IN", "BTC", dec("0.00531168"), 1745853486185)],
    ),
    "instruments_usdt_futures.json": answered(
        _contract,
        (
            Category.USDT,
            "BTCUSDT",
            "USDT",
            dec(1),
            dec("0.1"),
            dec("0.0001"),
            dec("0.0001"),
            dec(1200),
            dec(220),
            dec(150),
            dec("0.0006"),
            True,
            "",
        ),
    ),
    "instruments_usdc_futures_observed.json": answered(
        _contract,
        (
            Category.USDC,
            "BTCPERP",
            "USDC",
            dec(1),
            dec("0.5"),
            dec("0.0001"),
            dec("0.0001"),
            market.NO_LIMIT_GIVEN,
            market.NO_LIMIT_GIVEN,
            dec(125),
            dec("0.0006"),
            True,
            "",
        ),
    ),
    "tickers_usdt_futures.json": answered(
        _rest_ticker, (dec("90216.4"), dec("90216.3"), dec("90216.3"), dec("90216.4"), Source.REST)
    ),
    "position_tier.json": answered(
        lambda data: [(t.floor, t.cap, t.rate, t.deduction, t.max_leverage) for t in market.tiers(data)],
        [(dec(0), dec(150000), dec("0.004"), dec(0), dec(125))],
    ),
    "order_info_live.json": answered(
        lambda data: _report(orders.order_report(data)),
        ("1320244799629316096", "1320244799633510400", dec("0.001"), dec(0), None, True),
    ),
    "unfilled_orders.json": answered(
        _resting,
        (
            "1321320757371228160",
            LONG,
            False,
            RestingKind.LIMIT,
            dec(50000),
            dec("0.001"),
            dec(0),
            "1321320757371228160",
        ),
    ),
    "history_orders_close_long_hedge.json": answered(
        _past_order,
        (
            ("1322441400976261120", "1322441400976261121", dec("0.0001"), dec("0.0001"), dec("107005.4"), False),
            (LONG, True),
            None,
            "1322441328637100035",
        ),
    ),
    "history_orders_liquidation.json": answered(
        _past_order,
        (
            ("111111111111111111", "111111111111111111", dec("0.429"), dec("0.429"), dec("49534.4"), False),
            (LONG, True),
            OrderAction.LIQUIDATION,
            "1233319323918499840",
        ),
    ),
    "fills.json": answered(
        _fill,
        (
            "1322441401010528257",
            "1322441400976261120",
            False,
            dec("107005.4"),
            dec("0.0001"),
            dec("0.00642032"),
            "1322061241878880257",
        ),
    ),
    "unfilled_strategy_orders_observed.json": answered(
        _plans,
        (
            (
                "1330984742276198400:sl",
                "1330984742276198400",
                ProtectionKind.STOP_LOSS,
                PlanForm.SIZED,
                dec(114000),
                PriceType.MARK,
                dec(113000),
                dec("0.001"),
            ),
        ),
    ),
    "unfilled_strategy_orders_documented.json": answered(_plans, BOTH_LEGS),
    "v3_unfilled_strategy_orders.json": answered(_plans, BOTH_LEGS),
    "history_strategy_orders.json": answered(
        _past_strategy,
        (
            "1330984742276198400",
            None,
            None,
            dec("0.001"),
            strategy.Leg(
                kind=ProtectionKind.STOP_LOSS,
                trigger_price=dec(112000),
                price_type=PriceType.MARK,
                limit_price=dec(111000),
            ),
            "1330960754317619202",
        ),
    ),
    "place_order.json": accepted("121211212122"),
    "place_order_null_order_id.json": accepted(None),
    "place_strategy_order.json": accepted("121211212122"),
    "v3_place_strategy_order.json": accepted("121211212122"),
    "modify_strategy_order.json": accepted("121211212122"),
    "cancel_strategy_order.json": accepted(None),
    "close_positions_success.json": accepted("1322441400976261120"),
    "v3_close_positions_partial_failure.json": answered(
        lambda data: [(leg.code, leg.text) for leg in refused_legs(data)], [("24056", "notExisted")]
    ),
    "set_leverage.json": TAKEN,
    "set_margin.json": TAKEN,
    "transfer.json": answered(accepted_order_id, None),
    "countdown_cancel_all.json": TAKEN,
    "cancel_symbol_order.json": unused("orderId", "clientOid"),
    "cancel_batch.json": unused("orderId", "clientOid"),
    "place_batch.json": answered(
        lambda data: [(leg.code, leg.text) for leg in refused_legs(data)], [("25203", "Insufficient margin")]
    ),
    "adl_rank.json": unused("symbol", "adlRank", "holdSide"),
    "current_fund_rate.json": unused("symbol", "fundingRate", "nextUpdate"),
    "discount_rate.json": unused("coin", "list"),
    "history_position.json": answered(lambda data: page_of("history", data).cursor, "1322441328637100049"),
    "max_open_available.json": unused("available", "maxOpen"),
    "max_transferable.json": unused("coin", "maxTransfer"),
    "switch_status.json": unused("status", "reason"),
    "request_close_long_hedge.json": closing(LONG, PositionMode.HEDGE, "g-btcusdt-l-000001"),
    "request_close_short_hedge.json": closing(SHORT, PositionMode.HEDGE, "g-btcusdt-s-000001"),
    "request_close_long_one_way.json": closing(LONG, PositionMode.ONE_WAY, "g-btcusdt-l-000002"),
    "request_close_short_one_way.json": closing(SHORT, PositionMode.ONE_WAY, "g-btcusdt-s-000002"),
    "request_stop_full_long.json": stop(PlanForm.WHOLE, PositionMode.HEDGE, "g-btcusdt-l-sl-000001"),
    "request_stop_partial_one_way_long.json": stop(PlanForm.SIZED, PositionMode.ONE_WAY, "g-btcusdt-l-sl-000002"),
    "auth_test_vectors.json": signs,
    "ws_login_request.json": logs_in,
    "ws_subscribe_private.json": subscribes,
    "ws_subscribe_ack.json": lambda name: _frame_is(
        name, Acknowledged(topic=topic(instType="UTA", topic="position"), subscribed=True)
    ),
    "ws_error.json": lambda name: _frame_is(
        name,
        Refused(code="30001", text="channel does not exist", topic=topic(instType="UTA", topic="positions")),
    ),
    "ws_ticker_futures.json": priced,
    "ws_ticker_spot_observed.json": without_a_mark,
    "ws_account.json": pushed(
        _account_push,
        (dec("4847952.35"), dec("408.08"), dec("408.08") / dec("4847952.35"), dec(0), ()),
    ),
    "ws_position_ended.json": pushed(_position_push, ENDED),
    "v3_ws_position.json": pushed(_position_push, ENDED),
    "ws_position_open_update.json": pushed(
        _position_push,
        (LONG, dec("0.1"), dec("90500.1"), MarginMode.CROSS, dec("43099.9"), dec(0), 1736378720620),
    ),
    "ws_order_filled.json": pushed(
        _order_push,
        (
            "xxx",
            LONG,
            False,
            OrderAction.FILLED,
            False,
            RestingKind.MARKET,
            dec("0.001"),
            dec("0.001"),
            dec("83131.5"),
        ),
    ),
    "ws_strategy_order.json": pushed(
        _strategy_push,
        (
            "111111111111111111",
            "myorder001",
            StrategyStatus.PENDING,
            ProtectionKind.TAKE_PROFIT,
            dec("0.01"),
            2,
        ),
    ),
    "ws_adl_notification.json": pushed(_deleveraging, ("BTCUSDT", "buy", dec("88291.2"), dec("2.35"))),
    "ws_fill.json": pushed(lambda push: push.channel, "fill"),
    "ws_fast_fill.json": pushed(lambda push: push.channel, "fast-fill"),
    "ws_trade_place_order.json": trade_channel,
    "ws_trade_batch_cancel_partial.json": trade_channel,
    "ws_trade_error.json": trade_channel,
    "error_25204.json": refused("25204", Reason.ORDER_GONE),
    "error_25212.json": refused("25212", Reason.DUPLICATE_CLIENT_ID),
    "error_25227.json": refused("25227", Reason.POSITION_GONE),
    "error_25203.json": refused("25203", Reason.BALANCE),
    "error_25245.json": refused("25245", Reason.PERMISSION),
    "error_40762.json": refused("40762", Reason.INVALID),
    "error_400172_v3.json": refused("400172", Reason.INVALID),
    "error_40010.json": open_outcome("40010"),
    "error_40725.json": open_outcome("40725"),
    "error_45001.json": open_outcome("45001"),
}


def _frame_is(name: str, expected: object) -> None:
    assert expected == parse_frame(samples.text(name))


@pytest.mark.parametrize("name", samples.names())
def test_each_sample_is_understood(name: str) -> None:
    assert name in EXPECTED, f"{name} has no expectation"
    EXPECTED[name](name)


def test_each_expectation_has_a_sample() -> None:
    assert sorted(EXPECTED) == samples.names()
