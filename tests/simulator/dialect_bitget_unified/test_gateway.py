"""Families, keys, limits and faults on V3's paths. UTA reference, 1 and 2; the key rules are V2's."""

import json
from pathlib import Path

import pytest

from guardd.simulator.dialects.bitget_common.auth import ApiKey, Family
from guardd.simulator.dialects.bitget_unified.desk import AccountMode
from guardd.simulator.faults import FaultKind
from guardd.simulator.terms import VenueState
from tests.simulator.dialect_bitget_unified.bench import CATEGORY, KEY, LONG_OPEN, STOP, Bench

VECTORS = json.loads((Path(__file__).parents[2] / "samples" / "bitget-uta" / "auth_test_vectors.json").read_text())
POSITIONS = "/api/v3/position/current-position"


def test_a_classic_accounts_key_gets_40084_whatever_it_signed() -> None:
    bench = Bench()
    bench.dialect.set_family("main", Family.CLASSIC)

    unsigned = bench.send("GET", "/api/v3/account/info", headers={"ACCESS-KEY": KEY.key})

    assert (unsigned.status, unsigned.code) == (400, "40084")
    assert "40084" == bench.open_long().code == bench.get("account/assets").code


def test_faults_switch_the_family_and_convert_the_account_while_they_stand() -> None:
    bench = Bench()
    bench.faults.add(FaultKind.OTHER_FAMILY, account="main")
    assert bench.get("account/assets").code == "40084" == bench.open_long().code
    assert bench.send("GET", "/api/v3/public/time").code == "00000"
    bench.faults.clear()
    bench.faults.add(FaultKind.CONVERTING, account="main")
    assert bench.get("account/settings").data["accountMode"] == "switching"
    assert bench.open_long().code == "25245"
    bench.faults.clear()
    assert bench.open_long().code == "00000"


def test_a_unified_accounts_key_gets_40085_on_v2_before_its_signature_is_looked_at() -> None:
    got = Bench().send("GET", "/api/v2/mix/account/accounts", headers={"ACCESS-KEY": KEY.key, "ACCESS-SIGN": "?"})

    assert (got.status, got.code) == (400, "40085")


def test_the_time_is_told_on_both_paths() -> None:
    bench = Bench()

    for path in ("/api/v2/public/time", "/api/v3/public/time"):
        assert {"serverTime": str(bench.now_ms)} == bench.send("GET", path).data


def test_vectors_of_the_reference_are_what_this_venue_checks() -> None:
    key = ApiKey(key=VECTORS["key"], secret=VECTORS["secret"], passphrase=VECTORS["passphrase"], uid="main")

    for vector in VECTORS["vectors"]:
        path = vector["request_path"]
        signed = key.sign(str(vector["timestamp"]), vector["method"], path, vector.get("body", ""))
        assert vector["sign"] == signed, vector


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"ACCESS-KEY": ""}, "40001"),
        ({"ACCESS-KEY": "nobody"}, "40006"),
        ({"ACCESS-SIGN": ""}, "40002"),
        ({"ACCESS-SIGN": "AAAA"}, "40009"),
        ({"ACCESS-TIMESTAMP": "1"}, "40008"),
        ({"ACCESS-TIMESTAMP": "now"}, "40005"),
        ({"ACCESS-PASSPHRASE": "wrong"}, "40012"),
        ({"paptrading": "1"}, "40099"),
    ],
)
def test_a_wrong_header_is_refused_by_its_own_code(changes: dict, code: str) -> None:
    bench = Bench()
    timestamp = str(bench.now_ms)
    headers = {
        "ACCESS-KEY": KEY.key,
        "ACCESS-PASSPHRASE": KEY.passphrase,
        "ACCESS-TIMESTAMP": timestamp,
        "ACCESS-SIGN": KEY.sign(timestamp, "GET", "/api/v3/account/assets"),
    }

    got = bench.send("GET", "/api/v3/account/assets", headers=headers | changes)

    assert (400, code) == (got.status, got.code)


def test_an_unknown_path_is_404_and_queries_want_their_parameters() -> None:
    bench = Bench()

    assert ((got := bench.get("market/nothing")).status, got.code) == (404, "40404")
    assert bench.get("market/tickers").code == "400172"
    assert bench.get("market/instruments", category="OPTIONS").code == "400172"
    assert bench.get("market/tickers", category=CATEGORY, symbol="NOPEUSDT").code == "25100"
    assert bench.get("market/instruments", category="SPOT").data == []


def test_the_listing_says_when_nothing_may_be_opened_and_the_ticker_how_much_is_held() -> None:
    bench = Bench()
    bench.open_long()
    bench.open_long(qty="0.05", side="sell")
    asked = {"category": CATEGORY, "symbol": "BTCUSDT"}
    assert bench.get("market/tickers", **asked).data[0]["openInterest"] == "0.05"

    bench.exchange.set_state(VenueState.REDUCE_ONLY, bench.now_ms)

    assert bench.get("market/instruments", **asked).data[0]["status"] == "limit_open"
    assert bench.open_long().code == "25013"
    assert bench.open_long(side="sell", qty="0.05").code == "00000"


def test_limits_are_per_second_and_call() -> None:
    bench = Bench()

    codes = [bench.post("trade/close-positions", {"category": CATEGORY}, after_ms=0).code for _ in range(7)]
    ranks = [bench.get("position/adlRank").code for _ in range(2)]

    assert codes == ["00000"] * 5 + ["429"] * 2
    assert ranks == ["00000"] * 2


def test_a_write_that_timed_out_before_or_after_its_execution_answers_nothing() -> None:
    bench = Bench()
    for kind, held in ((FaultKind.TIMEOUT_BEFORE, []), (FaultKind.TIMEOUT_AFTER, [("long", "0.1")])):
        bench.faults.add(kind, target="*place-order")
        with pytest.raises(AssertionError, match="swallowed"):
            bench.open_long()
        bench.faults.clear()
        assert held == bench.sizes()


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        (FaultKind.TOO_MANY, 429, "429"),
        (FaultKind.UNAVAILABLE, 500, "40725"),
        (FaultKind.MAINTENANCE, 400, "40200"),
        (FaultKind.REFUSE, 400, "400172"),
    ],
)
def test_faults_answer_in_the_venues_own_envelope(kind: FaultKind, status: int, code: str) -> None:
    bench = Bench()
    bench.faults.add(kind)

    got = bench.open_long()

    assert (status, code) == (got.status, got.code)


@pytest.mark.parametrize("kind", [FaultKind.CLOUDFLARE_403, FaultKind.CLOUDFLARE_503, FaultKind.ERROR_HTML])
def test_pages_of_the_edge_are_no_json(kind: FaultKind) -> None:
    bench = Bench()
    bench.faults.add(kind)

    got = bench.get("account/assets")

    assert got.status in (403, 502, 503)
    with pytest.raises(json.JSONDecodeError):
        _ = got.json


def test_stale_and_empty_reads() -> None:
    bench = Bench()
    bench.open_long()
    assert bench.sizes() == [("long", "0.1")]
    bench.faults.add(FaultKind.STALE_READ, target=POSITIONS)
    bench.open_long(side="sell")
    assert bench.sizes() == [("long", "0.1")]
    bench.faults.clear()
    assert bench.sizes() == []

    bench.open_long()
    bench.post("trade/place-strategy-order", STOP)
    bench.faults.add(FaultKind.EMPTY_READ)
    assert (bench.sizes(), bench.stops(), bench.resting()) == ([], [], [])


def test_an_answer_by_accident_of_the_mode_never_leaks_a_write() -> None:
    bench = Bench()
    bench.dialect.set_account_mode("main", AccountMode.SWITCHING)

    bench.post("trade/place-batch", [{**LONG_OPEN, "posSide": "long"}])

    assert bench.sizes() == []


def test_the_market_calls_answer_without_a_key() -> None:
    bench = Bench()
    bench.move("BTCUSDT", "90001")
    bench.move("BTCUSDT", "90002")
    asked = {"category": CATEGORY, "symbol": "BTCUSDT"}

    def public(path: str, **query: str) -> object:
        bench.now_ms += 1_000
        return bench.send("GET", f"/api/v3/market/{path}", query=query).data

    book = public("orderbook", **asked, limit="3")
    candles = public("candles", **asked, interval="1m", type="mark")
    assert (len(book["a"]), len(book["b"])) == (3, 3)
    assert float(book["b"][0][0]) < float(book["a"][0][0])
    assert [len(row) for row in candles] == [7]
    assert candles[0][4] == "90002"
    assert len(public("tickers", category=CATEGORY)) == 5
    assert public("history-fund-rate", **asked) == {"resultList": []}
    bench.dialect.settle_funding(bench.now_ms)
    assert len(public("history-fund-rate", **asked)["resultList"]) == 1
    assert {"USDT", "USDC", "BTC", "ETH"} == {row["coin"] for row in public("discount-rate")}
    assert public("position-tier", **asked)[0]["leverage"] == "125"
    assert public("position-tier", category="SPOT") == []
