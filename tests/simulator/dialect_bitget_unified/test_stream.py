"""The sockets: first messages, increments, what tells nothing, and faults on the way. UTA reference, 11."""

from decimal import Decimal

import pytest

from guardd.simulator.dialects.bitget_common.auth import Family
from guardd.simulator.dialects.bitget_unified.coin import CoinPosition
from guardd.simulator.dialects.bitget_unified.desk import Options
from guardd.simulator.faults import FaultKind
from guardd.simulator.orders import PositionSide
from guardd.simulator.records import TransferDirection
from tests.simulator.dialect_bitget_unified.bench import CATEGORY, LONG_OPEN, STOP, Bench, Socket

TICKER = {"instType": "usdt-futures", "topic": "ticker", "symbol": "BTCUSDT"}
POSITION = {"instType": "UTA", "topic": "position"}


def _public(bench: Bench, *args: dict[str, str]) -> Socket:
    socket = bench.socket("/v3/ws/public")
    socket.subscribe(*args)
    return socket


def test_account_and_position_show_all_first_and_the_rest_waits_for_a_change() -> None:
    bench = Bench()
    bench.open_long()
    bench.open_short(symbol="ETHUSDT", qty="1")

    socket = bench.socket().private("account", "position", "order", "fill", "strategy-order", "adl-notification")

    first = socket.take()
    assert [frame["arg"]["topic"] for frame in first] == ["account", "position"]
    assert [frame["action"] for frame in first] == ["snapshot", "snapshot"]
    assert {"BTCUSDT", "ETHUSDT"} == {row["symbol"] for row in first[1]["data"]}


def test_what_befalls_a_classic_account_of_the_same_exchange_is_nothing_to_these_sockets() -> None:
    bench = Bench()
    socket = bench.socket().private("account")
    socket.take()
    bench.exchange.add_account("classic", deposit=Decimal(1_000), spot=Decimal(10))
    bench.exchange.transfer("classic", TransferDirection.TO_FUTURES, Decimal(5), bench.exchange.now_ms)
    assert socket.take() == []


def test_positions_are_told_one_by_one_and_end_with_size_zero() -> None:
    bench = Bench()
    bench.open_short(symbol="ETHUSDT", qty="1")
    socket = bench.socket().private("position")
    socket.take()

    bench.open_long()
    bench.open_long(side="sell")

    frames = socket.take("position")
    assert [frame["action"] for frame in frames] == ["update", "update"]
    assert [(row["symbol"], row["size"], row["positionStatus"]) for frame in frames for row in frame["data"]] == [
        ("BTCUSDT", "0.1", "opening"),
        ("BTCUSDT", "0", "ended"),
    ]
    assert "category" not in frames[0]["data"][0]


def test_a_closing_order_that_rests_or_goes_tells_the_position_and_a_mark_alone_nothing() -> None:
    bench = Bench()
    bench.open_long()
    socket = bench.socket().private("account", "position", "order")
    socket.take()
    close = {**LONG_OPEN, "side": "sell", "posSide": "long", "orderType": "limit", "price": "95000", "qty": "0.04"}

    order_id = bench.post("trade/place-order", close).data["orderId"]
    bench.post("trade/cancel-order", {"orderId": order_id})

    assert [frame["data"][0]["frozen"] for frame in socket.take("position")] == ["0.04", "0"]
    bench.move("BTCUSDT", "89000")
    bench.pass_time(60)
    assert socket.take() == []


def test_orders_are_new_then_filled_or_cancelled() -> None:
    bench = Bench()
    socket = bench.socket().private("order")
    bench.open_long(clientOid="g-1")
    bench.post(
        "trade/place-order",
        {**LONG_OPEN, "posSide": "long", "orderType": "limit", "price": "86000", "clientOid": "g-2"},
    )
    bench.post("trade/cancel-order", {"clientOid": "g-2"})

    rows = [frame["data"][0] for frame in socket.take("order")]

    assert [(row["clientOid"], row["orderStatus"]) for row in rows] == [
        ("g-1", "new"),
        ("g-1", "filled"),
        ("g-2", "new"),
        ("g-2", "cancelled"),
    ]
    assert {"usdt-futures"} == {row["category"] for row in rows}


def test_a_strategy_is_told_once_for_each_change_with_what_the_list_leaves_out() -> None:
    bench = Bench()
    bench.open_long()
    socket = bench.socket().private("strategy-order")
    both = {**STOP, "takeProfit": "99000"}
    order_id = bench.post("trade/place-strategy-order", both).data["orderId"]
    bench.post("trade/modify-strategy-order", {"orderId": order_id, "qty": "0.1", "stopLoss": "81000"})
    bench.move("BTCUSDT", "80500")

    rows = [frame["data"][0] for frame in socket.take("strategy-order")]

    assert [(row["status"], row["takeProfit"]) for row in rows] == [
        ("pending", "99000"),
        ("pending", ""),
        ("success", ""),
    ]
    assert {("tpsl", "sell", "yes", order_id)} == {
        (row["type"], row["side"], row["reduceOnly"], row["orderId"]) for row in rows
    }
    assert rows[-1]["triggerType"] == "stopLoss"


def test_the_ticker_is_a_snapshot_on_every_price_where_asked_and_else_by_the_clock() -> None:
    bench = Bench(options=Options(ticker_interval_ms=0))
    socket = _public(bench, TICKER)
    socket.take()

    bench.move("BTCUSDT", "90010")
    bench.move("ETHUSDT", "3201")

    frames = socket.take("ticker")
    assert [(frame["action"], frame["data"][0]["markPrice"]) for frame in frames] == [("snapshot", "90010")]
    clocked = Bench()
    socket = _public(clocked, TICKER)
    socket.take()
    clocked.move("BTCUSDT", "90010")
    assert socket.take() == []
    clocked.pass_time(0.3)
    assert [frame["data"][0]["markPrice"] for frame in socket.take()] == ["90010"]


@pytest.mark.parametrize(
    "arg",
    [
        {**TICKER, "symbol": "NOPEUSDT"},
        {**TICKER, "instType": "USDT-FUTURES"},
        {**TICKER, "instType": "usdc-futures"},
        {"instType": "usdt-futures", "topic": "ticker", "instId": "BTCUSDT"},
        {"instType": "usdt-futures", "channel": "ticker", "symbol": "BTCUSDT"},
        {"instType": "usdt-futures", "topic": "kline", "symbol": "BTCUSDT", "interval": "7m"},
        POSITION,
    ],
)
def test_a_topic_that_isnt_there_is_30001(arg: dict[str, str]) -> None:
    socket = Bench().socket("/v3/ws/public")

    assert [answer["code"] for answer in socket.subscribe(arg)] == [30001]


def test_private_topics_want_a_login_on_the_private_path() -> None:
    bench = Bench()

    assert [answer["code"] for answer in bench.socket().subscribe(POSITION)] == [30004]
    socket = bench.socket()
    assert [answer["event"] for answer in socket.login()] == ["login"]
    assert [answer["event"] for answer in socket.subscribe(POSITION)] == ["subscribe"]


def test_a_login_succeeds_for_an_account_of_the_other_family_too() -> None:
    bench = Bench()
    bench.dialect.set_family("main", Family.CLASSIC)

    assert bench.socket().login()[0]["code"] == 0


def test_books_candles_and_trades_flow() -> None:
    bench = Bench()
    args = [{**TICKER, "topic": name} for name in ("books5", "publicTrade")]
    socket = _public(bench, *args, {**TICKER, "topic": "kline", "interval": "1m"})
    bench.move("BTCUSDT", "90010")
    bench.pass_time(1)

    frames = socket.take()

    assert {"books5", "publicTrade", "kline"} <= {frame["arg"]["topic"] for frame in frames}
    book = next(frame["data"][0] for frame in frames if frame["arg"]["topic"] == "books5")
    assert {"a", "b", "seq", "pseq", "ts"} == set(book)
    trade = [frame["data"][0] for frame in frames if frame["arg"]["topic"] == "publicTrade" and frame["data"]][-1]
    assert {"p", "v", "S", "T", "i", "L"} == set(trade)


def test_coin_m_has_a_ticker_and_no_position_push() -> None:
    bench = Bench()
    bench.dialect.hold_coin_position(
        "main", CoinPosition(symbol="BTCUSD_CM", side=PositionSide.LONG, size=_one(), entry=_one())
    )
    socket = _public(bench, {"instType": "coin-futures", "topic": "ticker", "symbol": "BTCUSD_CM"})

    assert [frame["data"][0]["symbol"] for frame in socket.take("ticker")][:1] == ["BTCUSD_CM"]
    private = bench.socket().private("position")
    assert [frame["data"] for frame in private.take("position")] == [[]]


def _one():
    from decimal import Decimal

    return Decimal(1)


def test_faults_strike_pushes_on_their_way() -> None:
    bench = Bench()
    socket = bench.socket().private("position")
    socket.take()
    bench.faults.add(FaultKind.DROP_PUSH, target="position*", times=1)
    bench.faults.add(FaultKind.DUPLICATE_PUSH, target="position*", times=1)

    bench.open_long()
    bench.open_long()

    assert [frame["data"][0]["size"] for frame in socket.take("position")] == ["0.2", "0.2"]
    bench.faults.clear()
    bench.faults.add(FaultKind.LATE_PUSH, target="position*", delay_ms=5_000)
    bench.open_long()
    assert socket.take("position") == []
    bench.pass_time(6)
    assert [frame["data"][0]["size"] for frame in socket.take("position")] == ["0.3"]


def test_a_bad_tick_strikes_the_mark_alone() -> None:
    bench = Bench()
    socket = _public(bench, TICKER)
    socket.take()
    bench.faults.add(FaultKind.BAD_TICK, symbol="BTCUSDT", factor="0.5")
    bench.pass_time(1)

    row = socket.take("ticker")[-1]["data"][0]

    assert (row["markPrice"], row["lastPrice"]) == ("45000", "90000")


def test_the_text_ping_is_answered_and_without_it_the_socket_ends() -> None:
    bench = Bench()
    socket = bench.socket().private("position")

    assert socket.send_text("ping") == ["pong"]
    bench.pass_time(121)
    assert socket.session.close is not None


def test_liquidation_ends_positions_and_tells_the_account() -> None:
    bench = Bench()
    bench.open_long(qty="1")
    socket = bench.socket().private("account", "position", "order")
    socket.take()

    bench.move("BTCUSDT", "79000")

    frames = socket.take()
    assert [frame["data"][0]["positionStatus"] for frame in frames if frame["arg"]["topic"] == "position"][
        -1
    ] == "ended"
    orders = [frame["data"][0] for frame in frames if frame["arg"]["topic"] == "order"]
    assert orders[-1]["delegateType"] == "liquidation"
    assert CATEGORY.lower() == orders[-1]["category"]
    assert frames[-1]["arg"]["topic"] == "account"
