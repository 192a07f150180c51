"""Sockets: reference, 13."""

import json
from decimal import Decimal

import pytest

from guardd.simulator.dialects.bitget.desk import Options
from guardd.simulator.dialects.bitget_common.auth import Family
from guardd.simulator.dialects.bitget_common.sockets import SocketRules
from guardd.simulator.faults import FaultKind
from guardd.simulator.orders import MarginMode, PositionSide
from guardd.simulator.refusals import RefusalReason
from tests.changed import replace
from tests.simulator.dialect_bitget.bench import BTC, CLOSE_LONG, KEY, LIMIT, USDT, Bench, Socket, argument


def _listening(*channels: str, **more: object) -> tuple[Bench, Socket]:
    bench = Bench(**more)
    socket = bench.socket()
    assert socket.login()[0]["code"] == 0
    assert all(answer["event"] == "subscribe" for answer in socket.subscribe(*channels))
    bench.pass_time(0.1)
    return bench, socket


# Sessions


def test_a_text_ping_gets_a_text_pong() -> None:
    assert Bench().socket().send_text("ping") == ["pong"]


def test_two_minutes_without_a_text_ping_end_the_socket_whatever_else_is_sent() -> None:
    bench = Bench()
    socket, pinging = bench.socket(), bench.socket()
    for _ in range(5):
        bench.pass_time(25)
        socket.session.touch(bench.now_ms)
        pinging.send_text("ping")

    assert socket.session.close is not None
    assert pinging.session.close is None


def test_a_socket_ends_after_a_day() -> None:
    bench = Bench()
    socket = bench.socket()
    for _ in range(24 * 60):
        bench.now_ms += 60_000
        socket.send_text("ping")

    bench.pass_time(0)

    assert socket.session.close is not None


def test_more_than_ten_messages_in_a_second_end_the_socket_pings_included() -> None:
    bench = Bench()
    socket = bench.socket()

    answers = [socket.send_text("ping") for _ in range(11)]

    assert answers[9] == ["pong"]
    assert json.loads(answers[10][0])["code"] == 30007
    assert socket.session.close is not None


def test_ten_messages_a_second_go_on_for_ever() -> None:
    bench = Bench()
    socket = bench.socket()
    for _ in range(50):
        bench.now_ms += 101
        assert socket.send_text("ping") == ["pong"]


def test_a_subscribe_frame_of_more_than_4096_bytes_ends_the_socket() -> None:
    bench = Bench()
    socket = bench.socket("/v2/ws/public")
    one = len(json.dumps(argument("ticker", selector="BTCUSDT"))) + 2

    assert socket.subscribe(*["ticker"] * (4_000 // one), selector="BTCUSDT")
    socket.subscribe(*["ticker"] * (4_200 // one + 1), selector="BTCUSDT")

    assert socket.session.close is not None
    assert socket.session.close.code == 1009


def test_subscriptions_are_limited_by_the_hour_and_channels_by_the_connection() -> None:
    rules = SocketRules(subscribes_per_hour=3, channels=2)
    bench = Bench(options=Options(sockets=rules))
    socket = bench.socket("/v2/ws/public")

    codes = [
        socket.subscribe(channel, selector="BTCUSDT")[0].get("code")
        for channel in ("ticker", "trade", "books5", "books")
    ]

    assert codes == [None, None, 30006, 30006]
    bench.now_ms += 3_600_000
    assert socket.subscribe("ticker", selector="BTCUSDT")[0]["event"] == "subscribe"


def test_the_301st_connection_of_five_minutes_is_ended() -> None:
    bench = Bench()
    sockets = [bench.socket() for _ in range(301)]

    assert [socket.session.close is None for socket in sockets] == [True] * 300 + [False]
    bench.now_ms += 300_001
    assert bench.socket().session.close is None


@pytest.mark.parametrize(
    ("text", "code"), [("{", 30002), ("[]", 30002), ('{"op":"subscribe"}', 30002), ('{"op":"x","args":[{}]}', 30003)]
)
def test_frames_that_say_nothing_have_a_code(text: str, code: int) -> None:
    assert json.loads(Bench().socket().send_text(text)[0]) == {
        "event": "error",
        "code": code,
        "msg": "Illegal request" if code == 30002 else "Invalid op",
    }


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"apiKey": "nobody"}, 30011),
        ({"passphrase": "wrong"}, 30012),
        ({"timestamp": "now"}, 30013),
        ({"timestamp": "1700000000"}, 30014),
        ({"sign": "wrong"}, 30015),
    ],
)
def test_a_failed_login_has_its_code_and_ends_the_socket(changes: dict, code: int) -> None:
    socket = Bench().socket()

    assert socket.login(**changes)[0]["code"] == code
    assert socket.session.close is not None


def test_a_login_in_milliseconds_and_one_of_a_unified_key_work_as_well() -> None:
    bench = Bench()
    stamp = str(bench.now_ms)

    assert bench.socket().login(timestamp=stamp, sign=KEY.sign(stamp, "GET", "/user/verify"))[0]["code"] == 0
    bench.dialect.keyring.move("main", Family.UNIFIED)
    assert bench.socket().login()[0]["code"] == 0


def test_private_channels_want_a_login_and_the_private_socket() -> None:
    bench = Bench()

    assert bench.socket().subscribe("positions")[0]["code"] == 30004
    assert bench.socket("/v2/ws/public").subscribe("positions")[0]["code"] == 30001
    assert bench.socket().subscribe("ticker", selector="BTCUSDT")[0]["code"] == 30001


@pytest.mark.parametrize(
    "wanted",
    [
        argument("positions", selector="BTCUSDT"),
        argument("candleundefined", selector="BTCUSDT"),
        argument("orders", selector="NOPEUSDT"),
        argument("orders", selector="BTCPERP"),
        argument("positions", kind="UTA"),
        {"instType": "USDT-FUTURES", "channel": "account", "instId": "default"},
        {"channel": "positions"},
    ],
)
def test_a_channel_or_a_selector_that_is_not_there_is_30001(wanted: dict) -> None:
    socket = Bench().socket()
    socket.login()

    assert socket.send({"op": "subscribe", "args": [wanted]})[0]["code"] == 30001


def test_unsubscribing_ends_the_pushes() -> None:
    bench, socket = _listening("orders")
    socket.send({"op": "unsubscribe", "args": [argument("orders")]})

    bench.open_long()

    assert socket.take() == []


# Private pushes


def test_what_is_shown_first_follows_the_acknowledgement() -> None:
    bench = Bench()
    bench.open_long()
    bench.stop()
    socket = bench.socket()
    socket.login()
    socket.subscribe("positions", "account", "equity", "orders", "orders-algo", "fill", "positions-history", "adl-noti")
    assert socket.take() == []

    bench.pass_time(0.1)

    assert [frame["arg"]["channel"] for frame in socket.take()] == ["positions", "account", "equity"]


def test_positions_come_in_full_and_a_closed_one_is_missing() -> None:
    bench, socket = _listening("positions")
    assert [frame["data"] for frame in socket.take()] == [[]]
    bench.open_long()
    bench.place(symbol="ETHUSDT", size="1")
    assert [row["instId"] for row in socket.take()[-1]["data"]] == ["ETHUSDT", "BTCUSDT"]

    bench.place(**CLOSE_LONG)

    frames = socket.take()
    assert [row["instId"] for row in frames[-1]["data"]] == ["ETHUSDT"]
    assert all(frame["action"] == "snapshot" for frame in frames)


def test_a_mark_that_moves_pushes_no_position() -> None:
    bench, socket = _listening("positions", "account")
    bench.open_long()
    socket.take()

    bench.move("BTCUSDT", "89000")

    assert socket.take() == []


def test_an_order_that_rests_is_told_to_positions_as_well() -> None:
    bench, socket = _listening("positions")
    bench.open_long()
    socket.take()

    bench.post("order/place-order", {**LIMIT, "tradeSide": "close", "price": "99000", "size": "0.04"})

    row = socket.take()[-1]["data"][0]
    assert (row["total"], row["available"], row["frozen"]) == ("0.1", "0.06", "0.04")


def test_orders_tell_each_state_and_base_volume_is_this_fills() -> None:
    bench, socket = _listening("orders")
    order_id = bench.post("order/place-order", LIMIT).data["orderId"]
    bench.post("order/cancel-order", {**BTC, "orderId": order_id})
    bench.open_long(clientOid="g-1")

    rows = [frame["data"][0] for frame in socket.take()]

    assert [row["status"] for row in rows] == ["live", "canceled", "live", "filled"]
    assert (rows[-1]["clientOid"], rows[-1]["accBaseVolume"], rows[-1]["baseVolume"]) == ("g-1", "0.1", "0.1")
    assert "baseVolume" not in rows[0]


def test_a_stop_is_told_live_executing_and_executed_or_failed() -> None:
    bench, socket = _listening("orders-algo")
    bench.open_long()
    bench.stop()
    bench.move("BTCUSDT", "79000")
    assert [frame["data"][0]["status"] for frame in socket.take()] == ["live", "executing", "executed"]

    bench.move("BTCUSDT", "90000")
    bench.open_long()
    bench.stop()
    bench.exchange.set_plan_fault(lambda plan: RefusalReason.SYSTEM_ERROR)
    bench.move("BTCUSDT", "79000")

    assert [frame["data"][0]["status"] for frame in socket.take()] == ["live", "executing", "fail_execute"]


def test_a_fill_names_the_transactions_direction_in_hedge_mode_too() -> None:
    bench, socket = _listening("fill", "orders")
    bench.open_long()
    bench.place(**CLOSE_LONG)

    frames = socket.take()

    fills = [frame["data"][0] for frame in frames if frame["arg"]["channel"] == "fill"]
    orders = [frame["data"][0] for frame in frames if frame["arg"]["channel"] == "orders"]
    assert [(row["side"], row["tradeSide"]) for row in fills] == [("buy", "open"), ("sell", "close")]
    assert orders[-1]["side"] == "buy"


def test_channels_of_a_symbol_tell_of_that_symbol_only() -> None:
    bench = Bench()
    socket = bench.socket()
    socket.login()
    socket.subscribe("orders", selector="ETHUSDT")

    bench.open_long()
    bench.place(symbol="ETHUSDT", size="1")

    assert {frame["data"][0]["instId"] for frame in socket.take()} == {"ETHUSDT"}


def test_deleveraging_is_told_by_itself_and_in_orders() -> None:
    bench, socket = _listening("adl-noti", "orders", "positions-history")
    bench.open_long()
    socket.take()

    bench.exchange.auto_deleverage("main", "BTCUSDT", PositionSide.LONG, Decimal("0.1"), bench.now_ms)

    frames = socket.take()
    by_channel = {frame["arg"]["channel"]: frame for frame in frames}
    assert (by_channel["adl-noti"]["action"], by_channel["adl-noti"]["data"][0]["status"]) == ("update", "triggered")
    assert by_channel["orders"]["data"][0]["tradeSide"] == "dte_sys_adl_close_long"
    assert by_channel["positions-history"]["data"][0]["closeSize"] == "0.1"


def test_an_isolated_life_ends_in_the_older_word() -> None:
    bench, socket = _listening("positions-history", margin_mode=MarginMode.ISOLATED)
    bench.open_long(marginMode="isolated")

    bench.post("order/close-positions", {**USDT, "symbol": "BTCUSDT"})

    assert socket.take()[0]["data"][0]["marginMode"] == "fixed"


def test_another_coin_has_channels_of_its_own() -> None:
    bench = Bench()
    socket = bench.socket()
    socket.login()
    socket.subscribe("positions", "account", kind="USDC-FUTURES")
    bench.pass_time(0.1)
    socket.take()

    bench.open_long()
    assert socket.take() == []
    bench.place(symbol="BTCPERP", productType="USDC-FUTURES", marginCoin="USDC", size="0.01")

    assert {frame["arg"]["channel"] for frame in socket.take()} == {"positions", "account"}


def test_another_account_hears_nothing() -> None:
    bench, socket = _listening("orders", "positions", "account")
    bench.exchange.add_account("other", deposit=Decimal(10_000))
    bench.dialect.keyring.put(replace(KEY, key="key-other", uid="other"))
    socket.take()

    bench.post("order/place-order", LIMIT, key=replace(KEY, key="key-other", uid="other"))

    assert socket.take() == []


# Public pushes


def test_the_ticker_is_told_at_its_interval_or_with_every_price() -> None:
    paced, live = Bench(), Bench(options=Options(ticker_interval_ms=0))
    for bench, expected in ((paced, []), (live, ["91000"])):
        socket = bench.socket("/v2/ws/public")
        socket.subscribe("ticker", selector="BTCUSDT")
        bench.pass_time(1)
        socket.take()

        bench.move("BTCUSDT", "91000")

        assert [push.mark for push in socket.pushed] == expected
        bench.pass_time(0.3)
    assert paced.dialect.streams.sessions


def test_public_channels_begin_with_a_snapshot_and_go_on() -> None:
    bench = Bench()
    socket = bench.socket("/v2/ws/public")
    socket.subscribe("candle1m", "books5", "trade", selector="BTCUSDT")
    bench.pass_time(2)
    bench.move("BTCUSDT", "90010")
    bench.pass_time(2)

    frames = socket.take()

    actions = {(frame["arg"]["channel"], frame["action"]) for frame in frames}
    assert {("candle1m", "snapshot"), ("candle1m", "update"), ("books5", "snapshot"), ("trade", "update")} <= actions
    book = next(frame for frame in frames if frame["arg"]["channel"] == "books5")["data"][0]
    assert (len(book["asks"]), len(book["bids"])) == (5, 5)


# Faults of the stream


@pytest.mark.parametrize(
    ("kind", "count"), [(FaultKind.DROP_PUSH, 0), (FaultKind.DUPLICATE_PUSH, 2), (FaultKind.FREEZE_SOCKET, 0)]
)
def test_a_push_is_dropped_doubled_or_kept_back(kind: FaultKind, count: int) -> None:
    bench, socket = _listening("positions-history")
    bench.open_long()
    bench.faults.add(kind)

    bench.place(**CLOSE_LONG)

    assert len(socket.take()) == count


def test_a_late_push_comes_later_and_a_swapped_one_after_its_successor() -> None:
    bench, socket = _listening("orders")
    bench.faults.add(FaultKind.LATE_PUSH, delay_ms=5_000)
    bench.open_long()
    assert socket.take() == []
    bench.pass_time(5)
    assert len(socket.take()) == 2

    bench.faults.clear()
    bench.faults.add(FaultKind.REORDER_PUSH, times=1)
    bench.open_long()
    assert [frame["data"][0]["status"] for frame in socket.take()] == ["filled", "live"]


def test_a_frozen_socket_does_not_even_answer_pings() -> None:
    bench = Bench()
    socket = bench.socket()
    bench.faults.add(FaultKind.FREEZE_SOCKET)

    assert socket.send_text("ping") == []


def test_logins_can_be_refused_and_private_channels_unavailable() -> None:
    bench = Bench()
    bench.faults.add(FaultKind.LOGIN_UNAVAILABLE, times=1)
    socket = bench.socket()
    socket.login()
    assert [socket.subscribe("positions")[0].get("code") for _ in range(2)] == [30004, None]

    bench.faults.add(FaultKind.REFUSE_LOGIN)
    refused = bench.socket()
    assert refused.login()[0]["code"] == 30005
    assert refused.session.close is not None


def test_a_socket_can_be_closed_and_a_tick_be_wrong() -> None:
    bench = Bench(options=Options(ticker_interval_ms=0))
    public = bench.socket("/v2/ws/public")
    public.subscribe("ticker", selector="BTCUSDT")
    bench.faults.add(FaultKind.BAD_TICK, factor="0.5", times=1)
    bench.move("BTCUSDT", "90000.1")
    bench.move("BTCUSDT", "90000.2")
    assert [push.mark for push in public.pushed] == ["45000", "90000.2"]

    bench.faults.add(FaultKind.CLOSE_SOCKET, target="/v2/ws/public")
    bench.pass_time(0.1)
    assert public.session.close is not None
