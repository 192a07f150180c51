"""Keys, signatures, timestamps, and the account's family: reference, 3 and 16.1."""

import json
from pathlib import Path

import pytest

from guardd.simulator.dialects.bitget.endpoints import ENDPOINTS
from guardd.simulator.dialects.bitget_common.auth import ApiKey, Family
from tests.changed import replace
from tests.simulator.dialect_bitget.bench import KEY, OPEN_LONG, READ_ONLY, USDT, Bench, full

VECTORS = json.loads((Path(__file__).parents[2] / "samples" / "bitget" / "auth_test_vectors.json").read_text())
PATH = "position/all-position"
QUERY = "marginCoin=USDT&productType=USDT-FUTURES"


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda vector: vector["name"])
def test_signature_of_the_reference_vectors(vector) -> None:
    key = ApiKey(key="k", secret="guardd-test-secret-0123456789abcdef", passphrase="p", uid="x")

    signed = key.sign(vector["timestamp"], vector["method"], vector["request_path_with_query"], vector["body"])

    assert signed == vector["signature_base64"]


def _get(bench: Bench, query: str = QUERY, **changes: str):
    headers = {**bench.headers("GET", PATH, query=query), **changes}
    kept = {name: value for name, value in headers.items() if value}
    return bench.send("GET", PATH, headers=kept, query=query)


def test_a_signed_read_is_answered_and_one_in_another_order_too() -> None:
    bench = Bench()

    assert _get(bench).code == "00000"
    assert _get(bench, query="productType=USDT-FUTURES&marginCoin=USDT").code == "00000"


def test_the_signature_covers_the_query_as_sent() -> None:
    bench = Bench()
    headers = bench.headers("GET", PATH, query="productType=USDT-FUTURES&marginCoin=USDT")

    assert bench.send("GET", PATH, headers=headers, query=QUERY).code == "40009"


def test_the_signature_covers_the_exact_bytes_of_the_body() -> None:
    bench = Bench()
    spaced, compact = json.dumps(OPEN_LONG), json.dumps(OPEN_LONG, separators=(",", ":"))
    headers = bench.headers("POST", "order/place-order", body=compact)

    assert bench.send("POST", "order/place-order", headers=headers, body=spaced.encode()).code == "40009"
    assert bench.send("POST", "order/place-order", headers=headers, body=compact.encode()).code == "00000"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"ACCESS-KEY": ""}, "40001"),
        ({"ACCESS-SIGN": ""}, "40002"),
        ({"ACCESS-TIMESTAMP": ""}, "40003"),
        ({"ACCESS-PASSPHRASE": ""}, "40011"),
        ({"ACCESS-KEY": "nobody"}, "40006"),
        ({"ACCESS-PASSPHRASE": "wrong"}, "40012"),
        ({"ACCESS-SIGN": "wrong"}, "40009"),
        ({"ACCESS-TIMESTAMP": "now"}, "40005"),
        ({"paptrading": "1"}, "40099"),
    ],
)
def test_each_fault_of_the_headers_has_its_code_and_http_400(changes: dict, code: str) -> None:
    got = _get(Bench(), **changes)

    assert (got.status, got.code, got.json["data"]) == (400, code, None)


@pytest.mark.parametrize(
    ("off_ms", "code"), [(29_000, "00000"), (-29_000, "00000"), (31_000, "40008"), (-31_000, "40008")]
)
def test_a_timestamp_may_be_thirty_seconds_off(off_ms: int, code: str) -> None:
    bench = Bench()
    timestamp = str(bench.now_ms + off_ms)
    sign = KEY.sign(timestamp, "GET", f"{full(PATH)}?{QUERY}")

    assert _get(bench, **{"ACCESS-TIMESTAMP": timestamp, "ACCESS-SIGN": sign}).code == code


def test_a_key_bound_to_other_addresses_is_40018_and_a_demo_key_wants_its_header() -> None:
    bench = Bench()
    bench.dialect.keyring.put(replace(KEY, ips=("192.0.2.1",)))
    assert _get(bench).code == "40018"

    bench.dialect.keyring.put(replace(KEY, demo=True))
    assert _get(bench).code == "40099"
    assert _get(bench, paptrading="1").code == "00000"


def test_a_key_that_only_reads_reads() -> None:
    bench = Bench()

    assert bench.get(PATH, key=READ_ONLY, **USDT).code == "00000"
    assert bench.post("order/place-order", OPEN_LONG, key=READ_ONLY).code == "40014"
    assert bench.get("/api/v2/spot/account/info", key=READ_ONLY).data["authorities"] == ["readonly"]


def test_a_body_that_does_not_call_itself_json_is_40007() -> None:
    bench = Bench()
    text = json.dumps(OPEN_LONG)
    headers = {**bench.headers("POST", "order/place-order", body=text), "Content-Type": "text/plain"}

    assert bench.send("POST", "order/place-order", headers=headers, body=text.encode()).code == "40007"


def test_a_unified_account_gets_40085_on_every_private_call_before_its_signature_is_looked_at() -> None:
    bench = Bench()
    bench.dialect.keyring.move("main", Family.UNIFIED)

    private = [each for each in ENDPOINTS.values() if each.private]
    for endpoint in private:
        bench.now_ms += 1_000
        got = bench.send(endpoint.method, endpoint.path, headers={"ACCESS-KEY": KEY.key, "ACCESS-SIGN": "wrong"})
        assert (got.status, got.code) == (400, "40085"), endpoint.name
    assert len(private) > 30
    assert bench.send("GET", "/api/v2/public/time").code == "00000"


def test_a_classic_account_gets_40084_from_the_unified_api() -> None:
    bench = Bench()

    got = bench.send("GET", "/api/v3/account/info", headers={"ACCESS-KEY": KEY.key})

    assert (got.status, got.code) == (400, "40084")


def test_an_account_that_is_upgraded_in_mid_operation_is_told_so_from_then_on() -> None:
    bench = Bench()
    assert bench.get(PATH, **USDT).code == "00000"

    bench.dialect.keyring.move("main", Family.UNIFIED)

    assert bench.get(PATH, **USDT).code == "40085"


def test_an_account_that_has_switched_is_proved_by_the_other_apis_probe_and_a_wrong_key_is_named_there() -> None:
    bench = Bench()
    for path in ("/api/v3/account/info", "/api/v3/account/settings"):
        assert bench.get(path).code == "40084"
    bench.dialect.keyring.move("main", Family.UNIFIED)

    assert bench.get("/api/v3/account/settings").data["accountMode"] == "unified"
    assert "uta_trade" in bench.get("/api/v3/account/info").data["permissions"]
    assert bench.get("/api/v3/position/current-position").code == "40404"
    assert bench.get("/api/v3/account/info", key=replace(KEY, key="nobody")).code == "40006"
    assert bench.get("/api/v3/account/info", key=replace(KEY, secret="wrong")).code == "40009"


def test_a_retired_path_and_an_unknown_one_are_told_apart() -> None:
    bench = Bench()

    retired, unknown = bench.send("GET", "/api/mix/v1/market/time"), bench.send("GET", "/api/v2/mix/nothing")

    assert (retired.status, retired.code) == (400, "30032")
    assert (unknown.status, unknown.code) == (404, "40404")


def test_a_key_hides_its_secrets() -> None:
    assert KEY.secret not in repr(KEY)
    assert KEY.passphrase not in repr(KEY)
