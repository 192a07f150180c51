"""Keys, signatures, timestamps: reference section 3."""

import json
from pathlib import Path

import pytest

from guardd.simulator.dialects.bitmart.auth import ApiKey, KeyState
from tests.simulator.dialect.bench import KEY, LONG_OPEN, READ_ONLY, Bench

SAMPLES = Path(__file__).parents[2] / "samples" / "bitmart"
VECTORS = json.loads((SAMPLES / "signature_vectors.json").read_text())["vectors"]
PATH = "/contract/private/submit-order"
BODY = json.dumps(LONG_OPEN)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_signature_of_the_reference_vectors(vector) -> None:
    key = ApiKey(key=vector["key"], secret=vector["secret"], memo=vector["memo"], uid="x")

    assert vector["sign_hex"] == key.sign(vector["timestamp"], vector["body"])


def _headers(bench: Bench, **changes: str) -> dict[str, str]:
    timestamp = changes.get("timestamp", str(bench.now_ms))
    headers = {"x-bm-key": KEY.key, "x-bm-timestamp": timestamp, "x-bm-sign": KEY.sign(timestamp, BODY)}
    return {**headers, **{name: value for name, value in changes.items() if name != "timestamp"}}


def _post(bench: Bench, headers: dict[str, str]):
    return bench.send("POST", PATH, headers=headers, body=BODY.encode())


def test_a_signed_order_is_accepted() -> None:
    bench = Bench()

    assert _post(bench, _headers(bench)).code == 1000


@pytest.mark.parametrize(("missing", "code"), [("x-bm-key", 30001), ("x-bm-sign", 30004), ("x-bm-timestamp", 30006)])
def test_each_missing_header_has_a_code_of_its_own(missing: str, code: int) -> None:
    bench = Bench()
    headers = _headers(bench)
    del headers[missing]

    got = _post(bench, headers)

    assert (401, code) == (got.status, got.code)
    assert {"code", "message", "trace", "data"} == set(got.json)


def test_an_unknown_key_is_30002() -> None:
    bench = Bench()

    assert _post(bench, _headers(bench, **{"x-bm-key": "nobody"})).code == 30002


@pytest.mark.parametrize(("state", "status", "code"), [("frozen", 401, 30003), ("expired", 403, 30011)])
def test_a_key_that_is_no_longer_live_is_refused(state: str, status: int, code: int) -> None:
    bench = Bench()
    bench.dialect.keyring.put(ApiKey(key=KEY.key, secret=KEY.secret, memo=KEY.memo, uid="main", state=KeyState(state)))

    got = _post(bench, _headers(bench))

    assert (status, code) == (got.status, got.code)


def test_a_key_bound_to_other_addresses_is_30010() -> None:
    bench = Bench()
    bench.dialect.keyring.put(ApiKey(key=KEY.key, secret=KEY.secret, memo=KEY.memo, uid="main", ips=("192.0.2.1",)))

    got = _post(bench, _headers(bench))

    assert (got.status, got.code) == (403, 30010)


def test_the_signature_covers_the_exact_text_sent() -> None:
    bench = Bench()
    reordered = json.dumps(dict(reversed(LONG_OPEN.items())))

    got = bench.send("POST", PATH, headers=_headers(bench), body=reordered.encode())

    assert (got.status, got.code) == (401, 30005)


@pytest.mark.parametrize("offset_ms", [-60_001, 60_001])
def test_a_timestamp_more_than_a_minute_off_is_30007(offset_ms: int) -> None:
    bench = Bench()

    assert _post(bench, _headers(bench, timestamp=str(bench.now_ms + offset_ms))).code == 30007


@pytest.mark.parametrize("offset_ms", [-60_000, 60_000])
def test_a_timestamp_a_minute_off_is_still_taken(offset_ms: int) -> None:
    bench = Bench()

    assert _post(bench, _headers(bench, timestamp=str(bench.now_ms + offset_ms))).code == 1000


@pytest.mark.parametrize("text", ["now", "1790000000000.5", "-1", "١٧٩٠٠٠٠٠٠٠٠٠٠"])
def test_a_timestamp_that_is_no_number_is_30008(text: str) -> None:
    bench = Bench()

    assert _post(bench, _headers(bench, timestamp=text)).code == 30008


def test_a_read_needs_only_the_key() -> None:
    bench = Bench()

    assert bench.get("position-v2").data == []


def test_a_read_with_signed_headers_is_accepted_too() -> None:
    bench = Bench()

    got = bench.send("GET", "/contract/private/get-position-mode", headers=_headers(bench))

    assert got.code == 1000


def test_a_read_only_key_reads_and_its_write_answers_http_200_with_30019() -> None:
    bench = Bench()

    got = bench.post("submit-order", LONG_OPEN, key=READ_ONLY)

    assert (got.status, got.code) == (200, 30019)
    assert bench.get("position-v2", key=READ_ONLY).data == []


def test_an_unknown_path_says_msg_and_not_message() -> None:
    got = Bench().send("GET", "/contract/public/nothing")

    assert (got.status, got.code) == (404, 30000)
    assert {"code", "msg", "trace"} == set(got.json)


def test_a_retired_path_answers_http_200_with_an_error_code() -> None:
    got = Bench().send("GET", "/contract/v1/tickers")

    assert (got.status, got.code) == (200, 30030)


def test_a_body_that_is_not_json_is_30018() -> None:
    bench = Bench()

    assert (lambda got: (got.status, got.code))(bench.signed(PATH, "symbol=BTCUSDT")) == (503, 30018)


def test_a_body_must_call_itself_json() -> None:
    bench = Bench()

    got = bench.send("POST", PATH, headers={**_headers(bench), "Content-Type": "text/plain"}, body=BODY.encode())

    assert (got.status, got.code) == (503, 30018)


def test_a_secret_never_shows_in_a_keys_representation() -> None:
    assert KEY.secret not in repr(KEY)
    assert KEY.memo not in repr(KEY)
