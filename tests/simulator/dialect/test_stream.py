"""The WebSocket: login, topics, pushes, keepalive, limits. Reference section 14."""

import json
from pathlib import Path

import pytest

from guardd.simulator.dialects.bitmart.desk import Options
from guardd.simulator.faults import FaultKind
from guardd.simulator.orders import MarginMode, PositionSide
from tests.simulator.dialect.bench import KEY, LONG_OPEN, Bench, Socket

SAMPLES = Path(__file__).parents[2] / "samples" / "bitmart"
TICKER = "futures/ticker:BTCUSDT"


def _sample(name: str) -> dict:
    return json.loads((SAMPLES / name).read_text())


def _shape(value: object) -> object:
    """Keys and JSON types, of lists the first row."""
    if isinstance(value, dict):
        return {name: _shape(each) for name, each in sorted(value.items())}
    if isinstance(value, list):
        return [_shape(each) for each in value[:1]]
    return type(value).__name__


def _private(bench: Bench, *names: str) -> Socket:
    socket = bench.socket()
    socket.login()
    socket.subscribe(*names)
    return socket


def test_login_answers_as_the_sample_does() -> None:
    assert [_sample("ws_login_ok.json")] == Bench().socket().login()


@pytest.mark.parametrize("spoilt", ["key", "stale", "sign", "device", "short"])
def test_a_refused_login_says_so_and_ends_the_socket(spoilt: str) -> None:
    bench = Bench()
    socket = bench.socket()
    timestamp = str(bench.now_ms - (61_000 if spoilt == "stale" else 0))
    arguments = [KEY.key, timestamp, KEY.sign(timestamp, "bitmart.WebSocket"), "web"]
    if spoilt == "key":
        arguments[0] = "nobody"
    if spoilt == "sign":
        arguments[2] = "0" * 64
    if spoilt == "device":
        arguments[3] = "app"
    if spoilt == "short":
        arguments.pop()

    answer = socket.send({"action": "access", "args": arguments})[0]

    assert _shape(_sample("ws_login_failed.json")) == _shape(answer)
    assert answer["error"].startswith("access failed")
    assert socket.session.check(bench.now_ms) is not None


def test_each_topic_is_acknowledged_by_itself() -> None:
    socket = Bench().socket("/api")

    answers = socket.subscribe(TICKER, "futures/klineBin1m:BTCUSDT")

    assert [answer["group"] for answer in answers] == [TICKER, "futures/klineBin1m:BTCUSDT"]
    assert all(answer["success"] for answer in answers)
    assert _shape(_sample("ws_subscribe_ok.json")) == _shape(answers[0])


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        ("ws_subscribe_needs_login.json", {"action": "subscribe", "args": ["futures/order"]}),
        ("ws_subscribe_group_not_exist.json", {"action": "subscribe", "args": ["sfutures/depth50:BTCUSDT"]}),
        (
            "ws_subscribe_invalid_channel.json",
            {"action": "subscribe", "args": ["futures/depthIncrease50:NOPEUSDT@100ms"]},
        ),
        ("ws_error_invalid_action.json", {"action": "", "args": ["futures/trade:BTCUSDT"]}),
        ("ws_unsubscribe_ok.json", {"action": "unsubscribe", "args": ["futures/depth50:BTCUSDT"]}),
    ],
)
def test_an_answer_is_the_sample_to_the_letter(sample: str, message: dict) -> None:
    assert [_sample(sample)] == Bench().socket("/api").send(message)


def test_the_text_ping_is_refused_and_the_json_ping_answered() -> None:
    socket = Bench().socket("/api")

    assert [_sample("ws_error_not_json.json")] == socket.send_text("ping")
    pong = socket.send({"action": "ping"})[0]
    assert (pong["group"], pong["data"].startswith("pong+")) == ("System", True)


def test_subscribing_again_answers_success_again() -> None:
    socket = Bench().socket("/api")

    assert [socket.subscribe(TICKER)[0]["success"] for _ in range(2)] == [True, True]


def test_a_frame_over_two_kilobytes_closes_with_1009() -> None:
    bench = Bench()
    socket = bench.socket("/api")
    fits = {"action": "subscribe", "args": [TICKER, "x" * (2_020 - 60)]}

    socket.send(fits)
    assert socket.session.check(bench.now_ms) is None
    socket.send({"action": "subscribe", "args": ["x" * 2_186]})

    close = socket.session.check(bench.now_ms)
    assert close is not None
    assert close.code == 1009


def test_a_socket_without_a_topic_is_closed_after_five_seconds() -> None:
    bench = Bench()
    idle, busy = bench.socket("/api"), bench.socket("/api")
    busy.subscribe(TICKER)

    bench.pass_time(4.9)
    assert idle.session.close is None
    bench.pass_time(0.1)

    assert idle.session.close is not None
    assert busy.session.close is None


def test_a_silent_client_is_closed_after_twenty_seconds_and_a_ping_counts_as_life() -> None:
    bench = Bench()
    silent, alive = bench.socket("/api"), bench.socket("/api")
    for socket in (silent, alive):
        socket.subscribe(TICKER)
    bench.pass_time(10)
    alive.send({"action": "ping"})
    bench.pass_time(10)

    assert silent.session.close is not None
    assert alive.session.close is None


def test_both_closing_rules_can_be_left_out() -> None:
    bench = Bench(options=Options(subscribe_within_ms=None, idle_close_ms=None))
    socket = bench.socket("/api")

    bench.pass_time(100)

    assert socket.session.close is None


def test_the_ticker_comes_once_a_second_and_has_no_time() -> None:
    bench = Bench()
    socket = bench.socket("/api")
    socket.subscribe(TICKER, "futures/ticker:ETHUSDT")
    for _ in range(8):
        bench.pass_time(0.5)

    frames = socket.take(TICKER)

    assert len(frames) in (4, 5)
    assert _shape(_sample("ws_ticker.json")) == _shape(frames[0])


def test_the_ticker_can_follow_every_price_move() -> None:
    bench = Bench(options=Options(ticker_interval_ms=0))
    socket = bench.socket("/api")
    socket.subscribe(TICKER)

    for mark in ("90001", "90002", "90003"):
        bench.move("BTCUSDT", mark)
    bench.move("ETHUSDT", "3201")

    assert [frame["data"]["mark_price"] for frame in socket.take()] == ["90001", "90002", "90003"]


def test_the_ticker_of_all_contracts_is_one_group_and_some_never_appear() -> None:
    bench = Bench(options=Options(silent_symbols=frozenset({"DOGEUSDT"})))
    socket = bench.socket("/api")
    socket.subscribe("futures/ticker")
    bench.pass_time(1)

    frames = socket.take()

    assert {"futures/ticker"} == {frame["group"] for frame in frames}
    assert {"BTCUSDT", "ETHUSDT", "SOLUSDT", "ASTEROIDETHUSDT"} == {frame["data"]["symbol"] for frame in frames}


def test_the_group_can_carry_a_speed_that_nobody_asked_for() -> None:
    bench = Bench(options=Options(ticker_group_suffix="@100ms"))
    socket = bench.socket("/api")
    socket.subscribe(TICKER)
    bench.pass_time(1)

    assert f"{TICKER}@100ms" == socket.take()[0]["group"]


def test_an_order_is_told_as_submitted_and_filled_with_the_samples_keys() -> None:
    bench = Bench()
    socket = _private(bench, "futures/order")

    bench.open_long(client_order_id="c1")

    frames = socket.take("futures/order")
    first, second = (frame["data"][0] for frame in frames)
    sample = _sample("ws_order.json")["data"][0]
    assert [first["action"], second["action"]] == [2, 1]
    assert _shape(sample) == _shape(second)
    assert set(sample["order"]) == set(first["order"])
    assert (first["order"]["last_trade"], first["order"]["client_order_id"], first["order"]["state"]) == (None, "c1", 1)
    assert (second["order"]["state"], second["order"]["deal_size"]) == (4, "100")
    assert first["order"]["update_time"] < first["order"]["create_time"]
    assert first["order"]["price"] != "0"


def test_a_position_is_told_on_change_and_every_ten_seconds() -> None:
    bench = Bench(margin_mode=MarginMode.ISOLATED, options=Options(idle_close_ms=None))
    socket = _private(bench, "futures/position")
    bench.open_long(open_type="isolated")

    changed = socket.take("futures/position")
    for _ in range(40):
        bench.pass_time(0.5)
    beats = socket.take("futures/position")

    assert _shape(_sample("ws_position.json")) == _shape(changed[-1])
    assert (changed[-1]["data"][0]["open_type"], changed[-1]["data"][0]["position_type"]) == (1, 1)
    assert changed[-1]["data"][0]["liquidate_price"] != "0"
    assert len(beats) == 2


@pytest.mark.parametrize(("tells", "expected"), [(True, ["0"]), (False, [])])
def test_a_closed_position_is_told_once_or_drops_out(tells: bool, expected: list[str]) -> None:
    bench = Bench(options=Options(tells_closed_position=tells))
    bench.open_long()
    socket = _private(bench, "futures/position")

    bench.post("submit-order", {"symbol": "BTCUSDT", "side": 3, "type": "market", "size": 100})

    assert expected == [frame["data"][0]["hold_volume"] for frame in socket.take("futures/position")]


def test_an_asset_frame_is_an_object_and_only_for_its_currency() -> None:
    bench = Bench()
    socket = _private(bench, "futures/asset:USDT", "futures/asset:BTC")

    bench.open_long()

    frames = socket.take()
    assert {"futures/asset:USDT"} == {frame["group"] for frame in frames}
    assert _shape(_sample("ws_asset_capture.json")) == _shape(frames[0])


def test_a_stop_is_told_when_placed_and_the_order_it_makes_names_it() -> None:
    bench = Bench()
    bench.open_long()
    socket = _private(bench, "futures/order")
    stop = {
        "symbol": "BTCUSDT", "side": 3, "type": "stop_loss", "trigger_price": "80000", "executive_price": "0",
        "price_type": 2, "plan_category": 2,
    }  # fmt: skip
    order_id = bench.post("submit-tp-sl-order", stop).data["order_id"]

    placed = socket.take()[0]["data"][0]["order"]
    bench.move("BTCUSDT", "79000")
    made = [frame["data"][0]["order"] for frame in socket.take()]

    assert (order_id, "stop_loss", "80000", "fair_price") == (
        placed["order_id"],
        placed["type"],
        placed["trigger_price"],
        placed["trigger_price_type"],
    )
    assert {order_id} == {order["plan_order_id"] for order in made}


def test_a_liquidation_is_told_by_the_order_channel() -> None:
    bench = Bench(margin_mode=MarginMode.ISOLATED)
    bench.open_long(open_type="isolated")
    bench.post("submit-order", {"symbol": "BTCUSDT", "side": 3, "type": "limit", "price": "99000", "size": 10})
    socket = _private(bench, "futures/order", "futures/position")

    bench.move("BTCUSDT", "70000")

    actions = [frame["data"][0]["action"] for frame in socket.take("futures/order")]
    assert 7 in actions
    assert {1, 2} & set(actions) <= {2}


def test_a_forced_deleveraging_has_its_own_action() -> None:
    from decimal import Decimal

    bench = Bench()
    bench.open_long()
    socket = _private(bench, "futures/order")

    bench.exchange.auto_deleverage("main", "BTCUSDT", PositionSide.LONG, Decimal(10), bench.now_ms)

    assert {8, 9} & {frame["data"][0]["action"] for frame in socket.take("futures/order")}


def test_private_frames_go_to_their_own_account_only() -> None:
    from decimal import Decimal

    from guardd.simulator.dialects.bitmart.auth import ApiKey

    bench = Bench()
    bench.exchange.add_account("other", deposit=Decimal(1000))
    other = ApiKey(key="k2", secret="s2", memo="m2", uid="other")
    bench.dialect.keyring.put(other)
    socket = bench.socket()
    socket.login(other)
    socket.subscribe("futures/order", "futures/position", "futures/asset:USDT")

    bench.open_long()

    assert socket.take() == []


PERIODIC = {
    "futures/depth20:BTCUSDT": "ws_depth20.json",
    "futures/depthAll20:BTCUSDT": "ws_depth_all20.json",
    "futures/depthIncrease20:BTCUSDT": "ws_depth_increase_snapshot.json",
    "futures/fundingRate:BTCUSDT": "ws_funding_rate.json",
    "futures/klineBin1m:BTCUSDT": "ws_kline_documented.json",
    "futures/markPriceKlineBin1m:BTCUSDT": "ws_markprice_kline.json",
}


@pytest.mark.parametrize("name", sorted(PERIODIC))
def test_a_periodic_frame_has_the_keys_and_types_of_its_sample(name: str) -> None:
    bench = Bench()
    socket = bench.socket("/api")
    socket.subscribe(name)
    bench.pass_time(1)

    frame = socket.take()[0]

    assert _shape(_sample(PERIODIC[name])["data"]) == _shape(frame["data"])
    assert name == frame["group"].split("@")[0]


def test_a_candle_comes_in_a_list_where_the_captured_form_is_chosen() -> None:
    bench = Bench(options=Options(candles_in_items=True))
    socket = bench.socket("/api")
    socket.subscribe("futures/klineBin1m:BTCUSDT")
    bench.pass_time(1)

    assert _shape(_sample("ws_kline_items_capture.json")) == _shape(socket.take()[0])


@pytest.mark.parametrize(
    ("name", "sample"),
    [("futures/bookticker:BTCUSDT", "ws_bookticker.json"), ("futures/trade:BTCUSDT", "ws_trade.json")],
)
def test_a_frame_of_a_price_move_has_the_keys_and_types_of_its_sample(name: str, sample: str) -> None:
    bench = Bench()
    socket = bench.socket("/api")
    socket.subscribe(name)
    bench.move("BTCUSDT", "90010")

    assert _shape(_sample(sample)) == _shape(socket.take(name)[0])


def test_an_increment_follows_the_snapshot_version_by_version_and_a_request_starts_anew() -> None:
    bench = Bench()
    name = "futures/depthIncrease5:BTCUSDT"
    socket = bench.socket("/api")
    socket.subscribe(name)
    bench.pass_time(0.2)
    bench.move("BTCUSDT", "90000.2")
    bench.pass_time(0.2)
    bench.pass_time(0.2)

    snapshot, update, empty = (frame["data"] for frame in socket.take())

    assert [each["type"] for each in (snapshot, update, empty)] == ["snapshot", "update", "update"]
    assert [update["version"] - snapshot["version"], empty["version"] - update["version"]] == [1, 1]
    assert "0" in [level["vol"] for level in update["asks"] + update["bids"]]
    assert (empty["asks"], empty["bids"]) == ([], [])
    socket.send({"action": "request", "args": [name]})
    bench.pass_time(0.2)
    assert socket.take()[0]["data"]["type"] == "snapshot"


def test_old_depth_topics_are_acknowledged_and_mute() -> None:
    bench = Bench()
    socket = bench.socket("/api")

    assert socket.subscribe("futures/v2/depth20:BTCUSDT")[0]["success"]
    bench.pass_time(2)
    assert socket.take() == []


# Faults of the stream


def _ticks(bench: Bench, socket: Socket, count: int) -> list[str]:
    for number in range(1, count + 1):
        bench.move("BTCUSDT", str(90_000 + number))
    return [frame["data"]["mark_price"] for frame in socket.take()]


def _fast() -> tuple[Bench, Socket]:
    bench = Bench(options=Options(ticker_interval_ms=0))
    socket = bench.socket("/api")
    socket.subscribe(TICKER)
    return bench, socket


def test_dropped_pushes_are_lost_and_the_same_seed_drops_the_same_ones() -> None:
    lost = []
    for _ in range(2):
        bench, socket = _fast()
        bench.faults.add(FaultKind.DROP_PUSH, rate=0.5)
        lost.append(_ticks(bench, socket, 40))

    assert 0 < len(lost[0]) < 40
    assert lost[0] == lost[1]


def test_a_late_push_comes_when_its_time_has_come() -> None:
    bench, socket = _fast()
    bench.faults.add(FaultKind.LATE_PUSH, delay_ms=700, times=1)

    assert _ticks(bench, socket, 2) == ["90002"]
    bench.pass_time(0.6)
    assert socket.take() == []
    bench.pass_time(0.2)
    assert [frame["data"]["mark_price"] for frame in socket.take()] == ["90001"]


def test_duplicated_and_reordered_pushes() -> None:
    bench, socket = _fast()
    bench.faults.add(FaultKind.DUPLICATE_PUSH, times=1)
    assert _ticks(bench, socket, 2) == ["90001", "90001", "90002"]

    bench, socket = _fast()
    bench.faults.add(FaultKind.REORDER_PUSH, times=1)
    assert _ticks(bench, socket, 3) == ["90002", "90001", "90003"]


def test_a_frozen_socket_is_open_and_silent() -> None:
    bench, socket = _fast()
    bench.faults.add(FaultKind.FREEZE_SOCKET, target="/api")

    assert _ticks(bench, socket, 3) == []
    assert socket.send({"action": "ping"}) == []
    assert socket.session.close is None
    bench.faults.clear()
    assert _ticks(bench, socket, 1) == ["90001"]


def test_a_bad_tick_is_wrong_in_the_mark_alone_and_only_on_the_feed() -> None:
    bench, socket = _fast()
    bench.faults.add(FaultKind.BAD_TICK, factor="0.5", times=1, symbol="BTCUSDT")

    bench.move("BTCUSDT", "90010")

    data = socket.take()[0]["data"]
    assert (data["mark_price"], data["last_price"], data["index_price"]) == ("45005", "90010", "90010")
    assert str(bench.exchange.query.quotes()["BTCUSDT"].mark) == "90010"


def test_a_closed_socket_and_a_refused_login() -> None:
    bench, socket = _fast()
    bench.faults.add(FaultKind.CLOSE_SOCKET, times=1)
    bench.faults.add(FaultKind.REFUSE_LOGIN)

    bench.pass_time(0.1)

    assert socket.session.close is not None
    assert not bench.socket().login()[0]["success"]


def test_private_topics_can_be_unavailable_for_the_moment() -> None:
    bench = Bench()
    socket = bench.socket()
    socket.login()
    bench.faults.add(FaultKind.LOGIN_UNAVAILABLE, times=1)

    first, second = socket.subscribe("futures/order"), socket.subscribe("futures/order")

    assert _shape(_sample("ws_auth_temporarily_unavailable.json")) == _shape(first[0])
    assert first[0]["error"] == "authentication is temporarily unavailable"
    assert second[0]["success"]


def test_a_fault_can_be_for_one_topic_and_one_account() -> None:
    bench = Bench(options=Options(ticker_interval_ms=0))
    socket = _private(bench, "futures/position", "futures/order", TICKER)
    bench.faults.add(FaultKind.DROP_PUSH, target="futures/position", account="main")

    bench.post("submit-order", LONG_OPEN)
    bench.move("BTCUSDT", "90001")

    groups = {frame["group"] for frame in socket.take()}
    assert {"futures/order", TICKER} == groups
