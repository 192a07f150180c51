"""A Bitget classic venue on a table: the dialect without sockets, and a client that signs as the reference says."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from guardd.simulator.dialects.bitget.desk import Options
from guardd.simulator.dialects.bitget.dialect import BitgetDialect
from guardd.simulator.dialects.bitget_common.auth import ApiKey
from guardd.simulator.dialects.bitget_common.listing import bitget_contracts, bitget_prices, bitget_terms
from guardd.simulator.dialects.bitget_common.sockets import Session
from guardd.simulator.engine import Exchange
from guardd.simulator.faults import Faults
from guardd.simulator.orders import MarginMode, PositionMode
from guardd.simulator.terms import FillModel, Terms
from guardd.simulator.wire import Push, Request

START_MS = 1_790_000_000_000
KEY = ApiKey(key="key-main", secret="secret-main", passphrase="pass-main", uid="main")
READ_ONLY = ApiKey(key="key-read", secret="secret-read", passphrase="pass-read", uid="main", may_trade=False)
USDT = {"productType": "USDT-FUTURES"}
BTC = {"symbol": "BTCUSDT", **USDT, "marginCoin": "USDT"}
OPEN_LONG = {
    **BTC, "marginMode": "crossed", "size": "0.1", "side": "buy", "tradeSide": "open", "orderType": "market",
}  # fmt: skip
CLOSE_LONG = {**OPEN_LONG, "tradeSide": "close"}
LIMIT = {**OPEN_LONG, "orderType": "limit", "price": "80000"}
STOP = {**BTC, "planType": "pos_loss", "triggerPrice": "80000", "triggerType": "mark_price", "holdSide": "long"}


@dataclass(frozen=True)
class Got:
    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self):
        return json.loads(self.text)

    @property
    def code(self) -> str:
        return self.json["code"]

    @property
    def data(self):
        assert self.json["code"] == "00000", self.text
        return self.json["data"]


class Bench:
    def __init__(
        self,
        *,
        position_mode: PositionMode = PositionMode.HEDGE,
        margin_mode: MarginMode = MarginMode.CROSS,
        options: Options | None = None,
        terms: Terms | None = None,
        fills: FillModel | None = None,
        deposit: str = "10000",
    ) -> None:
        self.now_ms = START_MS
        self.faults = Faults(seed=7)
        self.exchange = Exchange(
            bitget_contracts(), seed=1, now_ms=START_MS, terms=terms or bitget_terms(), fills=fills
        )
        self.exchange.add_account(
            "main",
            deposit=Decimal(deposit),
            deposits={"USDC": Decimal(1000)},
            spot=Decimal(500),
            position_mode=position_mode,
            margin_mode=margin_mode,
        )
        self.dialect = BitgetDialect(self.exchange, keys=[KEY, READ_ONLY], faults=self.faults, options=options)
        for symbol, price in bitget_prices().items():
            self.exchange.move(symbol, mark=price, now_ms=START_MS)

    def pass_time(self, seconds: float) -> None:
        self.now_ms += int(seconds * 1000)
        self.exchange.advance(self.now_ms)
        self.dialect.tick(self.now_ms)

    def move(self, symbol: str, mark: str) -> None:
        self.exchange.move(symbol, mark=Decimal(mark), now_ms=self.now_ms)

    def request(self, method: str, path: str, *, headers=None, body: bytes = b"", query: str = "", ip="10.0.0.1"):
        pairs = (pair.partition("=") for pair in query.split("&") if pair)
        return Request(
            method=method,
            path=full(path),
            query={name: value for name, _, value in pairs},
            raw_query=query,
            headers=_JSON | {name.lower(): value for name, value in (headers or {}).items()},
            body=body,
            peer_ip=ip,
            now_ms=self.now_ms,
        )

    def raw(self, method: str, path: str, **more):
        return self.dialect.answer(self.request(method, path, **more))

    def send(self, method: str, path: str, **more) -> Got:
        reply = self.raw(method, path, **more)
        assert reply.response is not None, "the call was swallowed"
        return Got(reply.response.status, reply.response.headers, reply.response.body.decode())

    def headers(self, method: str, path: str, *, query: str = "", body: str = "", key: ApiKey = KEY):
        timestamp = str(self.now_ms)
        signed = f"{full(path)}?{query}" if query else full(path)
        return {
            "ACCESS-KEY": key.key,
            "ACCESS-SIGN": key.sign(timestamp, method, signed, body),
            "ACCESS-TIMESTAMP": timestamp,
            "ACCESS-PASSPHRASE": key.passphrase,
        }

    def get(self, path: str, *, key: ApiKey = KEY, **query: str) -> Got:
        """A signed read; each in a window of its own, so that limits don't interfere."""
        self.now_ms += 1_000
        text = "&".join(f"{name}={value}" for name, value in sorted(query.items()))
        return self.send("GET", path, headers=self.headers("GET", path, query=text, key=key), query=text)

    def post(self, path: str, body: object, *, key: ApiKey = KEY) -> Got:
        """A signed write; each in a window of its own."""
        self.now_ms += 1_000
        return self.post_now(path, body, key=key)

    def post_now(self, path: str, body: object, *, key: ApiKey = KEY) -> Got:
        text = json.dumps(body)
        return self.send("POST", path, headers=self.headers("POST", path, body=text, key=key), body=text.encode())

    def open_long(self, **changes: object) -> Got:
        return self.post("order/place-order", {**OPEN_LONG, **changes})

    def place(self, **changes: object) -> Got:
        return self.post("order/place-order", {**OPEN_LONG, **changes})

    def stop(self, **changes: object) -> Got:
        return self.post("order/place-tpsl-order", {**STOP, **changes})

    def positions(self) -> list:
        return self.get("position/all-position", **USDT).data

    def held(self) -> list[tuple[str, str]]:
        return [(row["holdSide"], row["total"]) for row in self.positions()]

    def plans(self, family: str = "profit_loss") -> list:
        return self.get("order/orders-plan-pending", planType=family, **USDT).data["entrustedList"] or []

    def pending(self) -> list:
        return self.get("order/orders-pending", **USDT).data["entrustedList"] or []

    def socket(self, path: str = "/v2/ws/private") -> "Socket":
        return Socket(self, path)


class Socket:
    """One WebSocket without a wire: what was answered and what was pushed, parsed."""

    def __init__(self, bench: Bench, path: str) -> None:
        self.bench = bench
        self.pushed: list[Push] = []
        self.session: Session = bench.dialect.open(path, bench.now_ms, self.pushed.append)

    def send_text(self, text: str) -> list[str]:
        return self.session.on_frame(text, self.bench.now_ms)

    def send(self, message: object) -> list:
        return [json.loads(answer) for answer in self.send_text(json.dumps(message))]

    def login(self, key: ApiKey = KEY, **changes: str) -> list:
        timestamp = str(self.bench.now_ms // 1000)
        wanted = {
            "apiKey": key.key,
            "passphrase": key.passphrase,
            "timestamp": timestamp,
            "sign": key.sign(timestamp, "GET", "/user/verify"),
        }
        return self.send({"op": "login", "args": [{**wanted, **changes}]})

    def subscribe(self, *channels: str, kind: str = "USDT-FUTURES", selector: str = "default") -> list:
        return self.send({"op": "subscribe", "args": [argument(each, kind, selector) for each in channels]})

    def take(self, channel: str | None = None) -> list:
        """Frames pushed since the last look, by channel if given."""
        frames = [json.loads(push.text) for push in self.pushed]
        self.pushed.clear()
        return [frame for frame in frames if channel in (None, frame["arg"]["channel"])]


def argument(channel: str, kind: str = "USDT-FUTURES", selector: str = "default") -> dict[str, str]:
    if channel == "equity":
        return {"instType": kind, "channel": channel}
    return {"instType": kind, "channel": channel, "coin" if channel == "account" else "instId": selector}


_JSON = {"content-type": "application/json"}


def full(path: str) -> str:
    return path if path.startswith("/") else f"/api/v2/mix/{path}"
