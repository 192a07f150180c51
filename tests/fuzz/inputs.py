"""What people and programs send: the word, a saved status, and requests and frames at the simulator's dialects."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from guardd.cli.asking import confirmed
from guardd.cli.given_position import read_snapshot
from guardd.errors import ConfigurationError
from tests.fuzz import law, samples
from tests.fuzz.target import Target
from tests.simulator.dialect import bench as bitmart
from tests.simulator.dialect_bitget import bench as classic
from tests.simulator.dialect_bitget_unified import bench as unified

ROUNDS_MAX: Final = 500
"""Requests to one bench before it is made anew: its tape grows."""


def _confirm(text: bytes) -> object:
    """Only the very word confirms."""
    word = text.decode("utf-8", "replace")
    if confirmed("close everything", word) and word != "CONFIRM":
        raise law.Unsound(f"confirmed by {word!r}")
    return None


def _snapshot(text: bytes) -> object:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "now.json"
        file.write_bytes(text)
        read_snapshot(file)
    return None


class _Desk:
    """One call of a dialect, signed as a client would: any body is answered with the venue's refusal or its success."""

    def __init__(self, make: Callable[[], Any], post: Callable[[Any, str], Any]) -> None:
        self._make = make
        self._post = post
        self._bench: Any = None
        self._rounds = 0

    def __call__(self, body: bytes) -> object:
        if self._rounds % ROUNDS_MAX == 0:
            self._bench = self._make()
        self._rounds += 1
        self._bench.now_ms += 2_000
        got = self._post(self._bench, body.decode("utf-8", "replace"))
        if got.status == 500 or "code" not in got.json:  # BitMart says 503 to what is no JSON (16.1, code 30018)
            raise law.Unsound(f"HTTP {got.status}: {got.text[:100]}")
        return None


def _bitmart(path: str) -> _Desk:
    return _Desk(bitmart.Bench, lambda made, text: made.signed(path, text))


def _classic(path: str) -> _Desk:
    def post(made: Any, text: str) -> Any:
        return made.send("POST", path, headers=made.headers("POST", path, body=text), body=text.encode())

    return _Desk(classic.Bench, post)


def _unified(path: str) -> _Desk:
    whole = f"/api/v3/{path}"

    def post(made: Any, text: str) -> Any:
        headers = unified._signed(unified.KEY, str(made.now_ms), "POST", whole, text)
        return made.send("POST", whole, headers=headers, body=text.encode())

    return _Desk(unified.Bench, post)


def _frames(make: Callable[[], Any]) -> Callable[[bytes], object]:
    """Text frames at a private socket."""
    made = make()

    def read(text: bytes) -> object:
        made.socket().send_text(text.decode("utf-8", "replace"))
        return None

    return read


def _body(venue: str, *names: str) -> tuple[bytes, ...]:
    """The bodies of requests: some samples have them bare, some beside their call."""
    whole = (json.loads(text) for text in samples.of(venue, *names))
    return tuple(json.dumps(each.get("body", each)).encode() for each in whole)


_SNAPSHOT: Final = (
    b'{"mode":"enforce","accounts":[{"name":"main","venue":"bitmart","state":"live","equity":"1042.11","margin_ratio":"0.31",'
    b'"positions":[{"symbol":"BTCUSDT","side":"long","margin_mode":"isolated","leverage":"10","quantity":"0.1","entry_price":"90000",'
    b'"mark_price":"89120.4","liquidation_price":"81407.0","unrealized_pnl":"-87.96"}]}]}'
)
_BATCH: Final = (
    b'{"symbol":"BTCUSDT","productType":"USDT-FUTURES","marginCoin":"USDT","marginMode":"crossed",'
    b'"orderList":[{"size":"0.01","side":"buy","tradeSide":"open","orderType":"market"}]}'
)
_SUBSCRIBE: Final = (
    b'{"op":"subscribe","args":[{"instType":"USDT-FUTURES","channel":"positions","instId":"default"}]}',
    b'{"op":"login","args":[{"apiKey":"a","passphrase":"b","timestamp":"1","sign":"c"}]}',
    b'{"action":"access","args":["key","1","sign","web"]}',
    b'{"action":"subscribe","args":["futures/position"]}',
)

TARGETS: Final = (
    Target("cli.confirm", _confirm, (b"CONFIRM",), (ConfigurationError,), json=False),
    Target("cli.snapshot", _snapshot, (_SNAPSHOT,), (ConfigurationError,)),
    Target(
        "simulator.bitmart.submit-order", _bitmart("submit-order"), _body("bitmart", "req_submit_order_open_market"), ()
    ),
    Target(
        "simulator.bitmart.plan",
        _bitmart("submit-plan-order"),
        _body("bitmart", "req_submit_plan_order_market_stop_long"),
        (),
    ),
    Target(
        "simulator.bitget.place-order",
        _classic("order/place-order"),
        _body("bitget", "request_place_order_documented"),
        (),
    ),
    Target("simulator.bitget.batch", _classic("order/batch-place-order"), (_BATCH,), ()),
    Target("simulator.bitget.plan", _classic("order/place-pos-tpsl"), _body("bitget", "request_place_pos_tpsl"), ()),
    Target(
        "simulator.unified.place-order",
        _unified("trade/place-order"),
        _body("bitget-uta", "request_close_long_hedge"),
        (),
    ),
    Target(
        "simulator.unified.strategy",
        _unified("trade/place-strategy-order"),
        _body("bitget-uta", "request_stop_full_long"),
        (),
    ),
    Target("simulator.bitmart.frame", _frames(bitmart.Bench), _SUBSCRIBE, ()),
    Target("simulator.bitget.frame", _frames(classic.Bench), _SUBSCRIBE, ()),
    Target("simulator.unified.frame", _frames(unified.Bench), _SUBSCRIBE, ()),
)
