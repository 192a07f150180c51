"""A unified account on a table: the dialect without sockets, and a client that signs as the reference says."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from urllib.parse import urlencode

from guardd.simulator.dialects.bitget_common.auth import ApiKey
from guardd.simulator.dialects.bitget_common.listing import bitget_contracts, bitget_prices
from guardd.simulator.dialects.bitget_common.sockets import Session
from guardd.simulator.dialects.bitget_unified.desk import Options
from guardd.simulator.dialects.bitget_unified.dialect import BitgetUnifiedDialect, unified_terms
from guardd.simulator.engine import Exchange
from guardd.simulator.faults import Faults
from guardd.simulator.orders import MarginMode, PositionMode
from guardd.simulator.records import AccountKind
from guardd.simulator.terms import FillModel, Terms
from guardd.simulator.wire import Push, Request

START_MS = 1_790_000_000_000
KEY = ApiKey(key="key-main", secret="secret-main", passphrase="pass#main", uid="main")
READ_ONLY = ApiKey(key="key-read", secret="secret-read", passphrase="pass", uid="main", may_trade=False)
CATEGORY = "USDT-FUTURES"
LONG_OPEN = {"category": CATEGORY, "symbol": "BTCUSDT", "qty": "0.1", "side": "buy", "orderType": "market"}
STOP = {
    "category": CATEGORY, "symbol": "BTCUSDT", "type": "tpsl", "tpslMode": "full", "posSide": "long",
    "stopLoss": "80000", "slTriggerBy": "mark", "slOrderType": "market", "clientOid": "g-sl-1",
}  # fmt: skip


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
        options: Options | None = None,
        terms: Terms | None = None,
        fills: FillModel | None = None,
        deposit: str = "10000",
        deposits: Mapping[str, Decimal] | None = None,
    ) -> None:
        self.now_ms = START_MS
        self.hedge = position_mode is PositionMode.HEDGE
        self.faults = Faults(seed=7)
        self.exchange = Exchange(
            bitget_contracts(), seed=1, now_ms=START_MS, terms=terms or unified_terms(), fills=fills
        )
        self.exchange.add_account(
            "main",
            deposit=Decimal(deposit),
            deposits=deposits,
            spot=Decimal(500),
            position_mode=position_mode,
            margin_mode=MarginMode.CROSS,
            kind=AccountKind.UNIFIED,
        )
        self.dialect = BitgetUnifiedDialect(self.exchange, keys=[KEY, READ_ONLY], faults=self.faults, options=options)
        for symbol, price in bitget_prices().items():
            self.exchange.move(symbol, mark=price, now_ms=START_MS)

    def pass_time(self, seconds: float) -> None:
        self.now_ms += int(seconds * 1000)
        self.exchange.advance(self.now_ms)
        self.dialect.tick(self.now_ms)

    def move(self, symbol: str, mark: str, *, last: str = "") -> None:
        """The mark, and with it last and book unless they are told to stand elsewhere."""
        if not last:
            self.exchange.move(symbol, mark=Decimal(mark), now_ms=self.now_ms)
            return
        at = Decimal(last)
        self.exchange.move(symbol, mark=Decimal(mark), last=at, bid=at - 1, ask=at + 1, now_ms=self.now_ms)

    def raw(self, method: str, path: str, *, headers=None, body: bytes = b"", query=None, raw_query="", ip="10.0.0.1"):
        request = Request(
            method=method,
            path=path,
            query=query or {},
            raw_query=raw_query,
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
        """A signed read; each in a window of its own, so that limits don't interfere."""
        self.now_ms += 1_000
        full, sent = _full(path), urlencode(query)
        headers = _signed(key, str(self.now_ms), "GET", f"{full}?{sent}" if sent else full, "")
        return self.send("GET", full, headers=headers, query=query, raw_query=sent)

    def post(self, path: str, body: object, *, key: ApiKey = KEY, after_ms: int = 1_000) -> Got:
        """A signed write; each in a window of its own unless told otherwise."""
        self.now_ms += after_ms
        text, full = json.dumps(body), _full(path)
        headers = _signed(key, str(self.now_ms), "POST", full, text)
        return self.send("POST", full, headers=headers, body=text.encode())

    def open_long(self, **changes: object) -> Got:
        side = {"posSide": "long"} if self.hedge else {}
        return self.post("trade/place-order", {**LONG_OPEN, **side, **changes})

    def open_short(self, **changes: object) -> Got:
        side = {"posSide": "short"} if self.hedge else {}
        return self.post("trade/place-order", {**LONG_OPEN, "side": "sell", **side, **changes})

    def positions(self, category: str = CATEGORY) -> list:
        return self.get("position/current-position", category=category).data["list"] or []

    def sizes(self) -> list[tuple[str, str]]:
        return [(row["posSide"], row["total"]) for row in self.positions()]

    def resting(self) -> list:
        return self.get("trade/unfilled-orders").data["list"] or []

    def stops(self) -> list:
        return self.get("trade/unfilled-strategy-orders", category=CATEGORY).data

    def socket(self, path: str = "/v3/ws/private") -> "Socket":
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
        self.bench.now_ms += 200
        return [json.loads(answer) for answer in self.send_text(json.dumps(message))]

    def login(self, key: ApiKey = KEY) -> list:
        timestamp = str(self.bench.now_ms // 1000)
        sign = key.sign(timestamp, "GET", "/user/verify")
        wanted = {"apiKey": key.key, "passphrase": key.passphrase, "timestamp": timestamp, "sign": sign}
        return self.send({"op": "login", "args": [wanted]})

    def subscribe(self, *args: dict[str, str]) -> list:
        answers = self.send({"op": "subscribe", "args": list(args)})
        self.bench.pass_time(0.05)
        return answers

    def private(self, *names: str) -> "Socket":
        self.login()
        selected = ("strategy-order", "fast-fill")
        self.subscribe(
            *(
                {"instType": "UTA", "topic": name, **({"symbol": "default"} if name in selected else {})}
                for name in names
            )
        )
        return self

    def take(self, topic: str | None = None) -> list:
        """Frames pushed since the last look, by topic if given."""
        found = [json.loads(push.text) for push in self.pushed]
        self.pushed.clear()
        return [frame for frame in found if topic in (None, frame["arg"]["topic"])]


_JSON = {"content-type": "application/json"}


def _signed(key: ApiKey, timestamp: str, method: str, path: str, body: str) -> dict[str, str]:
    return {
        "ACCESS-KEY": key.key,
        "ACCESS-PASSPHRASE": key.passphrase,
        "ACCESS-TIMESTAMP": timestamp,
        "ACCESS-SIGN": key.sign(timestamp, method, path, body),
    }


def _full(path: str) -> str:
    return path if path.startswith("/") else f"/api/v3/{path}"
