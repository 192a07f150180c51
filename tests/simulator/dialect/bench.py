"""A BitMart venue on a table: the dialect without sockets, and a client that signs as the reference says."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from guardd.simulator.contracts import default_contracts, default_prices
from guardd.simulator.dialects.bitmart.auth import ApiKey
from guardd.simulator.dialects.bitmart.desk import Options
from guardd.simulator.dialects.bitmart.dialect import BitmartDialect
from guardd.simulator.dialects.bitmart.session import Session
from guardd.simulator.engine import Exchange
from guardd.simulator.faults import Faults
from guardd.simulator.limits import BanRule, Limits
from guardd.simulator.orders import MarginMode, PositionMode
from guardd.simulator.terms import FillModel, Terms
from guardd.simulator.wire import Push, Request

START_MS = 1_790_000_000_000
KEY = ApiKey(key="key-main", secret="secret-main", memo="memo#main", uid="main")
READ_ONLY = ApiKey(key="key-read", secret="secret-read", memo="memo", uid="main", may_trade=False)
LONG_OPEN = {"symbol": "BTCUSDT", "side": 1, "type": "market", "size": 100, "leverage": "10", "open_type": "cross"}


@dataclass(frozen=True)
class Got:
    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self):
        return json.loads(self.text)

    @property
    def code(self) -> int:
        return self.json["code"]

    @property
    def data(self):
        assert self.json["code"] == 1000, self.text
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
        ban_rule: BanRule | None = None,
        deposit: str = "10000",
    ) -> None:
        self.now_ms = START_MS
        self.faults = Faults(seed=7)
        self.exchange = Exchange(default_contracts(), seed=1, now_ms=START_MS, terms=terms, fills=fills)
        self.exchange.add_account(
            "main",
            deposit=Decimal(deposit),
            spot=Decimal(500),
            position_mode=position_mode,
            margin_mode=margin_mode,
        )
        self.dialect = BitmartDialect(
            self.exchange, keys=[KEY, READ_ONLY], faults=self.faults, limits=Limits(ban_rule), options=options
        )
        for symbol, price in default_prices().items():
            self.exchange.move(symbol, mark=price, now_ms=START_MS)

    def pass_time(self, seconds: float) -> None:
        self.now_ms += int(seconds * 1000)
        self.exchange.advance(self.now_ms)
        self.dialect.tick(self.now_ms)

    def move(self, symbol: str, mark: str) -> None:
        self.exchange.move(symbol, mark=Decimal(mark), now_ms=self.now_ms)

    def raw(self, method: str, path: str, *, headers=None, body: bytes = b"", query=None, ip: str = "10.0.0.1"):
        request = Request(
            method=method,
            path=path,
            query=query or {},
            headers=_JSON | {name.lower(): value for name, value in (headers or {}).items()},
            body=body,
            peer_ip=ip,
            now_ms=self.now_ms,
        )
        return self.dialect.answer(request)

    def send(self, method: str, path: str, **more) -> Got:
        reply = self.raw(method, path, **more)
        assert reply.response is not None, "the call was swallowed"
        return Got(reply.response.status, reply.response.headers, reply.response.body.decode())

    def get(self, path: str, *, key: ApiKey = KEY, **query: str) -> Got:
        """A KEYED read; each in a window of its own, so that limits don't interfere."""
        self.now_ms += 2_000
        return self.send("GET", _full(path), headers={"X-BM-KEY": key.key}, query=query)

    def post(self, path: str, body: object, *, key: ApiKey = KEY) -> Got:
        """A SIGNED write; each in a window of its own."""
        self.now_ms += 2_000
        return self.signed(path, json.dumps(body), key=key)

    def signed(self, path: str, text: str, *, key: ApiKey = KEY) -> Got:
        timestamp = str(self.now_ms)
        headers = {"X-BM-KEY": key.key, "X-BM-TIMESTAMP": timestamp, "X-BM-SIGN": key.sign(timestamp, text)}
        return self.send("POST", _full(path), headers=headers, body=text.encode())

    def open_long(self, **changes: object) -> Got:
        return self.post("submit-order", {**LONG_OPEN, **changes})

    def socket(self, path: str = "/user") -> "Socket":
        return Socket(self, path)


class Socket:
    """One WebSocket without a wire: what was answered and what was pushed, parsed."""

    def __init__(self, bench: Bench, path: str) -> None:
        self.bench = bench
        self.pushed: list[Push] = []
        self.session: Session = bench.dialect.open(path, bench.now_ms, self.pushed.append)

    def send_text(self, text: str) -> list:
        return [json.loads(answer) for answer in self.session.on_frame(text, self.bench.now_ms)]

    def send(self, message: object) -> list:
        return self.send_text(json.dumps(message))

    def login(self, key: ApiKey = KEY) -> list:
        timestamp = str(self.bench.now_ms)
        return self.send({"action": "access", "args": [key.key, timestamp, key.sign(timestamp, LOGIN), "web"]})

    def subscribe(self, *names: str) -> list:
        return self.send({"action": "subscribe", "args": list(names)})

    def take(self, group: str | None = None) -> list:
        """Frames pushed since the last look, by group if given."""
        frames = [json.loads(push.text) for push in self.pushed]
        self.pushed.clear()
        return [frame for frame in frames if group in (None, frame["group"])]


LOGIN = "bitmart.WebSocket"
_JSON = {"content-type": "application/json"}


def _full(path: str) -> str:
    return path if path.startswith("/") else f"/contract/private/{path}"
