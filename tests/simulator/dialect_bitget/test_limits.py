"""Rate limits: reference, 4."""

import pytest

from guardd.simulator.dialects.bitget.endpoints import ENDPOINTS, MIX
from guardd.simulator.dialects.bitget_common.endpoints import OVERALL
from tests.simulator.dialect_bitget.bench import KEY, USDT, Bench

ALL = f"{MIX}/position/all-position"


def _read(bench: Bench, key=KEY, ip: str = "10.0.0.1"):
    query = "productType=USDT-FUTURES"
    return bench.send("GET", ALL, headers=bench.headers("GET", ALL, query=query, key=key), query=query, ip=ip)


def test_the_sixth_read_of_a_second_is_429_with_the_observed_body() -> None:
    bench = Bench()

    answers = [_read(bench) for _ in range(6)]

    assert [got.status for got in answers] == [200] * 5 + [429]
    assert [got.headers["x-mbx-used-remain-limit"] for got in answers] == ["4", "3", "2", "1", "0", "0"]
    assert {**answers[-1].json, "requestTime": 0} == {
        "code": "429", "msg": "Too Many Requests", "requestTime": 0, "data": None,
    }  # fmt: skip
    bench.now_ms += 1_000
    assert _read(bench).status == 200


def test_private_calls_are_counted_by_account_whatever_the_address() -> None:
    bench = Bench()
    for _ in range(5):
        _read(bench)

    assert _read(bench, ip="10.0.0.2").status == 429


def test_public_market_calls_share_twenty_a_second_of_an_address() -> None:
    bench = Bench()
    for number in range(20):
        path = "market/tickers" if number % 2 else "market/contracts"
        assert bench.send("GET", path, query="productType=USDT-FUTURES").status == 200

    assert bench.send("GET", "market/tickers", query="productType=USDT-FUTURES").status == 429
    assert bench.send("GET", "market/tickers", query="productType=USDT-FUTURES", ip="10.0.0.2").status == 200
    assert bench.send("GET", "/api/v2/public/time").status == 200


def test_the_overall_limit_of_an_address_takes_five_minutes_to_recover() -> None:
    bench = Bench()
    for _ in range(OVERALL.count):
        bench.dialect.limits.charge("overall", OVERALL, "10.0.0.9", "10.0.0.9", bench.now_ms)
    assert bench.send("GET", "/api/v2/public/time", ip="10.0.0.9").status == 429

    bench.now_ms += 240_000
    assert bench.send("GET", "/api/v2/public/time", ip="10.0.0.9").status == 429
    assert bench.send("GET", "/api/v2/public/time", ip="10.0.0.8").status == 200
    bench.now_ms += 61_000
    assert bench.send("GET", "/api/v2/public/time", ip="10.0.0.9").status == 200


def test_a_refused_write_was_not_executed() -> None:
    bench = Bench()
    body = {
        **USDT, "symbol": "BTCUSDT", "marginCoin": "USDT", "marginMode": "crossed", "size": "0.01", "side": "buy",
        "tradeSide": "open", "orderType": "market",
    }  # fmt: skip

    codes = [bench.post_now("order/place-order", body).code for _ in range(11)]

    assert codes == ["00000"] * 10 + ["429"]
    assert bench.held() == [("long", "0.1")]


@pytest.mark.parametrize(
    ("name", "count", "scope"),
    [
        ("GET /api/v2/public/time", 20, "IP"),
        (f"GET {MIX}/market/query-position-lever", 10, "IP"),
        (f"GET {MIX}/account/accounts", 10, "UID"),
        (f"POST {MIX}/account/set-leverage", 5, "UID"),
        (f"POST {MIX}/account/set-margin", 5, "UID"),
        (f"GET {MIX}/position/all-position", 5, "UID"),
        (f"GET {MIX}/position/history-position", 20, "UID"),
        (f"POST {MIX}/order/place-order", 10, "UID"),
        (f"POST {MIX}/order/batch-place-order", 5, "UID"),
        (f"POST {MIX}/order/close-positions", 1, "UID"),
        (f"POST {MIX}/order/place-tpsl-order", 10, "UID"),
        (f"GET {MIX}/order/orders-plan-pending", 10, "UID"),
        ("POST /api/v2/spot/wallet/transfer", 10, "UID"),
    ],
)
def test_the_limits_that_bite_are_those_of_the_table(name: str, count: int, scope: str) -> None:
    method, path = name.split(" ")
    rate = ENDPOINTS[method, path].rate

    assert (rate.count, rate.window_s, rate.scope.value) == (count, 1, scope)
