"""The real server on loopback: HTTP, WebSocket, stamps, control routes."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import aiohttp
import pytest

from guardd.clock import SystemClock
from guardd.simulator.dialects.bitmart.auth import ApiKey
from guardd.simulator.dialects.bitmart.desk import Options
from guardd.simulator.faults import FaultKind
from guardd.simulator.run import DEFAULT_ACCOUNTS, ServeSettings, build, serve
from guardd.simulator.server import SimulatorServer

MAIN = DEFAULT_ACCOUNTS[0]
KEY = ApiKey(key=MAIN.key, secret=MAIN.secret, memo=MAIN.passphrase, uid="main")
ORDER = {"symbol": "BTCUSDT", "side": 1, "type": "market", "size": 100, "leverage": "10", "open_type": "cross"}
FAST = ServeSettings(options=Options(ticker_interval_ms=0, idle_close_ms=None, subscribe_within_ms=None))


class Client:
    def __init__(self, server: SimulatorServer, http: aiohttp.ClientSession) -> None:
        self.server, self.http = server, http

    async def get(self, path: str, **query: str) -> tuple[int, dict]:
        headers = {"X-BM-KEY": KEY.key}
        async with self.http.get(self.server.rest_url + path, headers=headers, params=query) as answer:
            return answer.status, json.loads(await answer.text())

    async def post(self, path: str, body: object) -> tuple[int, dict]:
        text, timestamp = json.dumps(body), str(time.time_ns() // 1_000_000)
        headers = {
            "X-BM-KEY": KEY.key,
            "X-BM-TIMESTAMP": timestamp,
            "X-BM-SIGN": KEY.sign(timestamp, text),
            "Content-Type": "application/json",
        }
        async with self.http.post(self.server.rest_url + path, data=text.encode(), headers=headers) as answer:
            return answer.status, json.loads(await answer.text())

    async def control(self, method: str, path: str, body: object = None) -> tuple[int, object]:
        url = f"{self.server.rest_url}/_simulator/{path}"
        async with self.http.request(method, url, json=body) as answer:
            return answer.status, await answer.json()

    @asynccontextmanager
    async def socket(self, path: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        async with self.http.ws_connect(f"{self.server.stream_url}{path}?protocol=1.1") as socket:
            yield socket


@asynccontextmanager
async def running(settings: ServeSettings = FAST) -> AsyncIterator[Client]:
    async with build(settings, SystemClock()) as server, aiohttp.ClientSession() as http:
        yield Client(server, http)


async def _next(socket: aiohttp.ClientWebSocketResponse, group: str | None = None) -> dict:
    while True:
        frame = json.loads((await socket.receive(timeout=3)).data)
        if group in (None, frame.get("group")) and "action" not in frame:
            return frame


async def _subscribe(socket: aiohttp.ClientWebSocketResponse, *names: str, login: bool = False) -> None:
    if login:
        timestamp = str(time.time_ns() // 1_000_000)
        sign = KEY.sign(timestamp, "bitmart.WebSocket")
        await socket.send_json({"action": "access", "args": [KEY.key, timestamp, sign, "web"]})
        assert json.loads((await socket.receive(timeout=3)).data) == {"action": "access", "success": True}
    await socket.send_json({"action": "subscribe", "args": list(names)})
    for _ in names:
        assert json.loads((await socket.receive(timeout=3)).data)["success"]


async def test_an_order_over_http_is_told_over_the_socket_and_stands_in_the_ledger() -> None:
    async with running() as client, client.socket("/user") as socket:
        await _subscribe(socket, "futures/order", "futures/position", login=True)

        status, answer = await client.post("/contract/private/submit-order", ORDER)
        frame = await _next(socket, "futures/position")
        _, held = await client.get("/contract/private/position-v2")

        assert (status, answer["code"]) == (200, 1000)
        assert "100" == frame["data"][0]["hold_volume"] == held["data"][0]["current_amount"]
        assert client.server.exchange.ledger.summary("main").fills == 1


async def test_the_answer_carries_the_limit_headers_and_parses_as_the_venues_json() -> None:
    async with running() as client, client.http.get(client.server.rest_url + "/system/time") as answer:
        body = await answer.json()

        assert answer.headers["X-BM-RateLimit-Limit"] == "10"
        assert abs(body["data"]["server_time"] - time.time_ns() // 1_000_000) < 2_000


async def test_a_price_move_reaches_a_subscriber_and_is_stamped_before_it_left() -> None:
    async with running() as client, client.socket("/api") as socket:
        await _subscribe(socket, "futures/ticker:BTCUSDT")

        client.server.set_price("BTCUSDT", Decimal(91_000))
        frame = await _next(socket)
        received_ns = time.monotonic_ns()

        stamp = client.server.stamps.tickers[-1]
        assert (stamp.symbol, stamp.mark) == ("BTCUSDT", "91000")
        assert frame["data"]["mark_price"] == "91000"
        assert 0 <= received_ns - stamp.mono_ns < 2_000_000_000


async def test_a_request_is_stamped_when_its_last_byte_arrived() -> None:
    async with running() as client:
        before_ns = time.monotonic_ns()
        await client.post("/contract/private/submit-order", {**ORDER, "client_order_id": "stamped"})
        after_ns = time.monotonic_ns()

        status, stamps = await client.control("GET", "stamps")
        stamp = stamps["requests"][-1]

        assert (status, stamp["uid"], stamp["path"]) == (200, "main", "/contract/private/submit-order")
        assert before_ns < stamp["mono_ns"] < after_ns
        assert json.loads(stamp["body"])["client_order_id"] == "stamped"
        assert (await client.control("GET", f"stamps?after_request={stamp['sequence']}"))[1] == {
            "requests": [],
            "tickers": [],
        }


async def test_a_frame_over_the_limit_closes_with_1009() -> None:
    async with running() as client, client.socket("/api") as socket:
        await socket.send_str(json.dumps({"action": "subscribe", "args": ["x" * 2_200]}))

        message = await socket.receive(timeout=3)

        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1009)


async def test_a_refused_login_is_answered_and_then_closed() -> None:
    async with running() as client, client.socket("/user") as socket:
        await socket.send_json({"action": "access", "args": ["nobody", "1", "x", "web"]})

        assert not json.loads((await socket.receive(timeout=3)).data)["success"]
        assert aiohttp.WSMsgType.CLOSE is (await socket.receive(timeout=3)).type


async def test_a_protocol_ping_gets_a_protocol_pong() -> None:
    async with running() as client:
        url = f"{client.server.stream_url}/api?protocol=1.1"
        async with client.http.ws_connect(url, autoping=False) as socket:
            await socket.ping(b"hello")

            message = await socket.receive(timeout=3)

            assert (message.type, message.data) == (aiohttp.WSMsgType.PONG, b"hello")


async def test_a_socket_without_topics_is_closed_by_the_pulse() -> None:
    settings = ServeSettings(options=Options(subscribe_within_ms=100))
    async with running(settings) as client, client.socket("/api") as socket:
        assert aiohttp.WSMsgType.CLOSE is (await socket.receive(timeout=3)).type


@pytest.mark.parametrize(("kind", "fills"), [(FaultKind.TIMEOUT_BEFORE, 0), (FaultKind.TIMEOUT_AFTER, 1)])
async def test_a_swallowed_request_runs_into_the_clients_time_out(kind: FaultKind, fills: int) -> None:
    async with running() as client:
        client.server.faults.add(kind, target="*submit-order")

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.post("/contract/private/submit-order", ORDER), 0.3)

        assert fills == client.server.exchange.ledger.summary("main").fills
        assert client.server.stamps.requests[-1].status == 0


async def test_a_clock_that_is_off_shows_in_system_time_and_refuses_timestamps() -> None:
    async with running() as client:
        client.server.faults.add(FaultKind.CLOCK_OFFSET, offset_ms=90_000)

        _, body = await client.get("/system/time")
        _, refused = await client.post("/contract/private/submit-order", ORDER)

        assert 85_000 < body["data"]["server_time"] - time.time_ns() // 1_000_000 < 95_000
        assert refused["code"] == 30007


async def test_partial_fills_come_in_slices_and_end_with_the_fault() -> None:
    async with running() as client:
        client.server.faults.add(FaultKind.PARTIAL_FILL, factor="0.25", delay_ms=150)
        client.server.pulse()

        await client.post("/contract/private/submit-order", ORDER)
        _, first = await client.get("/contract/private/position-v2")
        await asyncio.sleep(1)
        _, last = await client.get("/contract/private/position-v2")

        assert (first["data"][0]["current_amount"], last["data"][0]["current_amount"]) == ("25", "100")


async def test_a_triggered_plan_can_fail_to_execute() -> None:
    async with running() as client:
        await client.post("/contract/private/submit-order", ORDER)
        stop = {
            "symbol": "BTCUSDT", "side": 3, "type": "stop_loss", "trigger_price": "88000", "executive_price": "0",
            "price_type": 2, "plan_category": 2,
        }  # fmt: skip
        await client.post("/contract/private/submit-tp-sl-order", stop)
        client.server.faults.add(FaultKind.PLAN_FAILS, target="stop_loss")

        client.server.set_price("BTCUSDT", Decimal(87_000))

        summary = client.server.exchange.ledger.summary("main")
        assert (summary.plans_failed, summary.liquidations) == (1, 0)
        assert len(client.server.exchange.query.positions("main")) == 1


# Control


async def test_another_process_can_trade_move_prices_and_read_what_happened() -> None:
    async with running() as client:
        order = {"uid": "main", "symbol": "BTCUSDT", "side": "buy", "size": "50"}
        assert (await client.control("POST", "orders", order))[0] == 200
        plan = {
            "uid": "main", "symbol": "BTCUSDT", "kind": "stop_loss", "side": "sell", "trigger_price": "88000",
        }  # fmt: skip
        assert (await client.control("POST", "plans", plan))[0] == 200
        assert (await client.control("POST", "prices", {"symbol": "BTCUSDT", "mark": "87000"}))[0] == 200

        _, summary = await client.control("GET", "summary")
        _, rows = await client.control("GET", "ledger?uid=main&kind=fill")
        _, state = await client.control("GET", "state")

        assert (summary["main"]["fills"], summary["main"]["plans_triggered"]) == (2, 1)
        assert [row["kind"] for row in rows] == ["fill", "fill"]
        assert state["accounts"]["main"]["positions"] == []
        assert state["quotes"]["BTCUSDT"]["mark"] == "87000"


async def test_a_price_path_plays_at_its_own_pace_and_can_be_stopped() -> None:
    async with running() as client:
        path = {"kind": "scripted", "symbol": "BTCUSDT", "points": [[0, "90000"], [200, "89000"]], "step_ms": 20}
        await client.control("POST", "prices", {"paths": [path]})
        await asyncio.sleep(0.4)
        assert Decimal(89_000) == client.server.exchange.query.quotes()["BTCUSDT"].mark

        crash = {"kind": "crash", "symbol": "SOLUSDT", "class": "alt", "duration_ms": 60_000}
        await client.control("POST", "prices", {"paths": [crash]})
        assert (await client.control("DELETE", "prices"))[1] == {"stopped": 1}


async def test_faults_are_set_listed_and_cleared_over_http() -> None:
    async with running() as client:
        fault = {"kind": "unavailable", "target": "*position-v2", "times": 1, "for_ms": 5_000}
        assert (await client.control("POST", "faults", fault))[0] == 200

        assert (await client.get("/contract/private/position-v2"))[0] == 503
        assert (await client.get("/contract/private/position-v2"))[0] == 200
        assert (await client.control("GET", "faults"))[1][0]["hits"] == 1
        assert (await client.control("DELETE", "faults?name=unavailable"))[1] == []


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("POST", "faults", {"kind": "nonsense"}, 400, "expected one of"),
        ("POST", "prices", {"symbol": "BTCUSDT"}, 400, "mark"),
        ("POST", "prices", {"symbol": "BTCUSDT", "mark": "NaN"}, 400, "mark"),
        ("POST", "orders", {"uid": "main", "symbol": "NOPE", "side": "buy", "size": "1"}, 409, "NOPE"),
        ("POST", "orders", {"uid": "nobody", "symbol": "BTCUSDT", "side": "buy", "size": "1"}, 404, "nobody"),
        ("GET", "stamps?after_request=x", None, 400, "after_request"),
    ],
)
async def test_a_malformed_control_request_is_told_what_was_expected(
    method: str, path: str, body: object, status: int, words: str
) -> None:
    async with running() as client:
        answered, said = await client.control(method, path, body)

        assert status == answered
        assert words in said["error"]


async def test_an_account_added_at_run_time_can_log_in_and_trade() -> None:
    async with running() as client:
        account = {
            "uid": "late", "deposit": "500", "key": "k", "secret": "s", "passphrase": "m", "margin_mode": "isolated",
        }  # fmt: skip
        assert (await client.control("POST", "accounts", account))[0] == 200
        assert (await client.control("POST", "accounts", account))[0] == 400

        assert client.server.exchange.query.settings("late", "BTCUSDT").margin_mode.value == "isolated"
        async with client.http.get(
            client.server.rest_url + "/contract/private/assets-detail", headers={"X-BM-KEY": "k"}
        ) as answer:
            assert (await answer.json())["data"][0]["equity"] == "500"


async def test_serving_announces_addresses_and_keys_and_ends_when_cancelled() -> None:
    said: list[str] = []
    complete = asyncio.Event()

    def announce(line: str) -> None:
        said.append(line)
        if len(said) == 1 + len(DEFAULT_ACCOUNTS):
            complete.set()

    task = asyncio.ensure_future(serve(ServeSettings(), SystemClock(), announce))
    await asyncio.wait_for(complete.wait(), 5)
    url = said[0].split("listens on ")[1].split(" ")[0]

    async with aiohttp.ClientSession() as http, http.get(f"{url}/contract/public/details") as answer:
        assert answer.status == 200
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert any(MAIN.key in line and MAIN.secret in line for line in said)


async def test_a_task_that_fails_ends_the_server_loudly() -> None:
    async def fail() -> None:
        raise RuntimeError("a bug")

    async def run() -> None:
        async with build(FAST, SystemClock()) as server:
            server.spawn("bug", fail())
            await asyncio.sleep(5)

    with pytest.raises(ExceptionGroup) as raised:
        await run()

    assert str(raised.value.exceptions[0]) == "a bug"


async def test_leaving_the_server_closes_open_sockets_and_swallowed_requests() -> None:
    async with aiohttp.ClientSession() as http:
        async with build(FAST, SystemClock()) as server:
            client = Client(server, http)
            server.faults.add(FaultKind.TIMEOUT_BEFORE, target="/system/time")
            hanging = asyncio.ensure_future(client.get("/system/time"))
            socket = await http.ws_connect(f"{server.stream_url}/api?protocol=1.1")
            await asyncio.sleep(0.1)

        with pytest.raises(aiohttp.ClientError):
            await asyncio.wait_for(hanging, 3)
        assert aiohttp.WSMsgType.CLOSE is (await socket.receive(timeout=3)).type or socket.closed
        await socket.close()
