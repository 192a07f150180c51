"""Each REST fault alone: what the client sees, and what truly happened."""

import json

import pytest

from guardd.simulator.faults import Fault, FaultKind, Faults, feed_faults
from guardd.simulator.prices import crash_feed_effects
from tests.simulator.dialect.bench import KEY, LONG_OPEN, START_MS, Bench

ORDER = "/contract/private/submit-order"


def _held(bench: Bench) -> int:
    return sum(int(view.size) for view in bench.exchange.query.positions("main"))


def _raw_order(bench: Bench):
    text, timestamp = json.dumps(LONG_OPEN), str(bench.now_ms)
    headers = {"x-bm-key": KEY.key, "x-bm-timestamp": timestamp, "x-bm-sign": KEY.sign(timestamp, text)}
    return bench.raw("POST", ORDER, headers=headers, body=text.encode())


@pytest.mark.parametrize(("kind", "held"), [(FaultKind.TIMEOUT_BEFORE, 0), (FaultKind.TIMEOUT_AFTER, 100)])
def test_a_time_out_hides_whether_the_order_was_executed(kind: FaultKind, held: int) -> None:
    bench = Bench()
    bench.faults.add(kind, target=ORDER)

    assert _raw_order(bench).response is None
    assert held == _held(bench)


@pytest.mark.parametrize(
    ("kind", "status", "words"),
    [
        (FaultKind.CLOUDFLARE_403, 403, "cf-"),
        (FaultKind.CLOUDFLARE_1010, 403, "error code: 1010"),
        (FaultKind.CLOUDFLARE_503, 503, "Cloudflare"),
        (FaultKind.ERROR_HTML, 502, "Bad Gateway"),
    ],
)
def test_an_edge_page_is_no_json_and_nothing_was_executed(kind: FaultKind, status: int, words: str) -> None:
    bench = Bench()
    bench.faults.add(kind)

    got = bench.open_long()

    assert status == got.status
    assert words in got.text
    assert "cf-ray" in got.headers
    assert "x-bm-ratelimit-limit" not in got.headers
    assert _held(bench) == 0


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        (FaultKind.TOO_MANY, 429, 30013),
        (FaultKind.BANNED, 418, 30017),
        (FaultKind.UNAVAILABLE, 503, 30014),
        (FaultKind.MAINTENANCE, 200, 30016),
    ],
)
def test_a_gateway_fault_answers_with_the_venues_json(kind: FaultKind, status: int, code: int) -> None:
    bench = Bench()
    bench.faults.add(kind)

    got = bench.open_long()

    assert (status, code, 0) == (got.status, got.code, _held(bench))


def test_a_chosen_refusal_hits_the_chosen_call_only() -> None:
    bench = Bench()
    bench.open_long()
    bench.faults.add(FaultKind.REFUSE, target="*tp-sl*", code=40043)
    stop = {
        "symbol": "BTCUSDT", "side": 3, "type": "stop_loss", "trigger_price": "80000", "executive_price": "0",
        "price_type": 2, "plan_category": 2,
    }  # fmt: skip

    assert bench.post("submit-tp-sl-order", stop).code == 40043
    assert bench.post("cancel-orders", {"symbol": "BTCUSDT"}).code == 1000


def test_default_library_agents_get_the_1010_page_and_a_named_one_none() -> None:
    bench = Bench()
    bench.faults.add(FaultKind.AGENT_CHECK)

    def status(agent: str) -> int:
        return bench.send("GET", "/system/time", headers={"User-Agent": agent}).status

    assert [
        status(agent) for agent in ("Python/3.11 aiohttp/3.14", "python-requests/2.32", "", "guardd/0.1 (+ops)")
    ] == [403, 403, 403, 200]


def test_a_stale_read_answers_an_earlier_state_until_it_ends() -> None:
    bench = Bench()
    bench.open_long()
    before = bench.get("position-v2").data
    bench.faults.add(FaultKind.STALE_READ, target="*position-v2")

    bench.open_long()

    assert before == bench.get("position-v2").data
    bench.faults.clear()
    assert bench.get("position-v2").data[0]["current_amount"] == "200"


def test_an_empty_read_loses_positions_that_exist() -> None:
    bench = Bench()
    bench.open_long()
    bench.faults.add(FaultKind.EMPTY_READ, target="*position*")

    assert bench.get("position-v2").data == []
    assert bench.get("assets-detail").data
    assert _held(bench) == 100


def test_a_slow_answer_carries_its_delay() -> None:
    bench = Bench()
    bench.faults.add(FaultKind.SLOW, delay_ms=250)

    assert bench.raw("GET", "/system/time").delay_ms == 250


def test_a_fault_has_a_window_a_count_an_account_and_a_symbol() -> None:
    faults = Faults()
    kind = FaultKind.SLOW
    faults.set(Fault(name="a", kind=kind, from_ms=100, until_ms=200, times=2, account="main", symbol="BTC*"))

    def strikes(now_ms: int, account: str = "main", symbol: str = "BTCUSDT") -> bool:
        return faults.strikes(kind, now_ms, account=account, symbol=symbol) is not None

    assert [strikes(99), strikes(200), strikes(150, "x"), strikes(150, symbol="ETHUSDT")] == [
        False,
        False,
        False,
        False,
    ]
    assert [strikes(100), strikes(199), strikes(150)] == [True, True, False]


def test_a_rate_is_drawn_by_the_seed_and_not_disturbed_by_other_faults() -> None:
    def draws(seed: int, *, other: bool) -> list[bool]:
        faults = Faults(seed=seed)
        faults.set(Fault(name="half", kind=FaultKind.DROP_PUSH, rate=0.5))
        if other:
            faults.set(Fault(name="third", kind=FaultKind.LATE_PUSH, rate=0.3))
        found = []
        for now_ms in range(50):
            if other:
                faults.strikes(FaultKind.LATE_PUSH, now_ms)
            found.append(faults.strikes(FaultKind.DROP_PUSH, now_ms) is not None)
        return found

    assert draws(1, other=False) == draws(1, other=True)
    assert draws(1, other=False) != draws(2, other=False)
    assert 10 < sum(draws(1, other=False)) < 40


def test_the_feed_of_a_crash_stalls_and_then_lags() -> None:
    faults = Faults(seed=3)
    for fault in feed_faults(crash_feed_effects(1_000), start_ms=10_000):
        faults.set(fault)
    ticker = "futures/ticker:BTCUSDT"

    assert faults.strikes(FaultKind.DROP_PUSH, 11_200, target=ticker) is None
    assert faults.strikes(FaultKind.DROP_PUSH, 11_400, target=ticker) is not None
    assert faults.strikes(FaultKind.DROP_PUSH, 11_400, target="futures/position") is None
    late = [faults.strikes(FaultKind.LATE_PUSH, 20_000, target=ticker) for _ in range(300)]
    delays = {fault.delay_ms for fault in late if fault}
    assert {5_000, 15_000} <= delays
    assert late.count(None) > 150


def test_a_rate_outside_zero_to_one_is_refused() -> None:
    with pytest.raises(ValueError, match="rate 2"):
        Fault(name="x", kind=FaultKind.SLOW, rate=2)


def test_too_many_429s_by_fault_lead_to_a_ban_as_real_ones_do() -> None:
    bench = Bench()
    bench.faults.add(FaultKind.TOO_MANY)
    for _ in range(20):
        bench.send("GET", "/system/time")
    bench.faults.clear()

    assert bench.send("GET", "/system/time").status == 418
    assert bench.now_ms == START_MS
