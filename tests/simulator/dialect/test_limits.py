"""Rate limits and bans: reference section 4, table 4.1 to the letter."""

from guardd.simulator.dialects.bitmart.endpoints import ENDPOINTS
from guardd.simulator.limits import BanRule, Limits, Rate, Scope, Verdict
from tests.simulator.dialect.bench import KEY, Bench

RATE = Rate(count=3, window_s=2, scope=Scope.IP)


def _verdicts(limits: Limits, times_ms: list[int], ip: str = "a") -> list[Verdict]:
    return [limits.charge("GET /x", RATE, ip, ip, now_ms).verdict for now_ms in times_ms]


def test_the_call_after_the_last_allowed_one_is_refused_until_the_window_ends() -> None:
    assert [*[Verdict.PASS] * 3, Verdict.TOO_MANY, Verdict.TOO_MANY, Verdict.PASS] == _verdicts(
        Limits(), [0, 10, 20, 30, 1_999, 2_000]
    )


def test_callers_and_endpoints_are_counted_apart() -> None:
    limits = Limits()
    _verdicts(limits, [0, 0, 0])

    assert _verdicts(limits, [0], ip="b") == [Verdict.PASS]
    assert Verdict.PASS is limits.charge("GET /y", RATE, "a", "a", 0).verdict


def test_an_address_that_ignores_429_is_banned_and_later_free_again() -> None:
    limits = Limits(BanRule(refusals=3, within_s=10, length_s=60))

    verdicts = _verdicts(limits, [0] * 7)

    assert [*[Verdict.PASS] * 3, *[Verdict.TOO_MANY] * 3, Verdict.BANNED] == verdicts
    assert _verdicts(limits, [59_999, 60_000]) == [Verdict.BANNED, Verdict.PASS]


def test_an_address_that_slows_down_after_a_429_is_not_banned() -> None:
    limits = Limits(BanRule(refusals=3, within_s=10, length_s=60))

    verdicts = _verdicts(limits, [0, 0, 0, 0, 12_000, 12_000, 12_000, 12_000, 24_000, 24_000, 24_000, 24_000])

    assert Verdict.BANNED not in verdicts


def test_headers_count_what_is_used_in_spite_of_their_name() -> None:
    bench = Bench()

    used = [bench.send("GET", "/contract/public/details").headers["x-bm-ratelimit-remaining"] for _ in range(3)]
    last = bench.send("GET", "/contract/public/details").headers

    assert used == ["1", "2", "3"]
    assert tuple(last[f"x-bm-ratelimit-{name}"] for name in ("limit", "reset", "mode")) == ("12", "2", "IP")


def test_over_the_limit_is_429_with_30013_and_the_headers() -> None:
    bench = Bench()
    path = "/contract/private/position-v2"
    answers = [bench.send("GET", path, headers={"x-bm-key": KEY.key}) for _ in range(7)]

    assert [got.status for got in answers] == [200] * 6 + [429]
    assert answers[-1].code == 30013
    assert (
        answers[-1].headers["x-bm-ratelimit-mode"],
        answers[-1].headers["x-bm-ratelimit-remaining"],
    ) == ("KEY", "7")


def test_two_keys_of_one_account_share_a_uid_bucket_but_not_a_key_bucket() -> None:
    bench = Bench()
    from guardd.simulator.dialects.bitmart.auth import ApiKey

    second = ApiKey(key="key-2", secret="s2", memo="m2", uid="main")
    bench.dialect.keyring.put(second)
    for _ in range(4):
        bench.signed("cancel-all-after", '{"symbol":"BTCUSDT","timeout":0}')
    for _ in range(2):
        bench.signed("cancel-orders", '{"symbol":"BTCUSDT"}')

    assert bench.signed("cancel-all-after", '{"symbol":"BTCUSDT","timeout":0}', key=second).code == 30013
    assert bench.signed("cancel-orders", '{"symbol":"BTCUSDT"}', key=second).code == 1000


def test_a_banned_address_gets_418_everywhere_and_another_address_none() -> None:
    bench = Bench(ban_rule=BanRule(refusals=2, within_s=10, length_s=60))
    for _ in range(14):
        bench.send("GET", "/contract/public/depth", query={"symbol": "BTCUSDT"})

    banned = bench.send("GET", "/system/time")

    assert (banned.status, banned.code) == (418, 30017)
    assert bench.send("GET", "/system/time", ip="10.9.9.9").code == 1000


def test_a_refused_write_was_not_executed() -> None:
    bench = Bench()
    order = '{"symbol":"BTCUSDT","side":1,"type":"market","size":1,"leverage":"10","open_type":"cross"}'
    answers = [bench.signed("submit-order", order) for _ in range(25)]

    assert (sum(got.code == 1000 for got in answers), answers[-1].code) == (24, 30013)
    assert bench.get("position-v2").data[0]["current_amount"] == "24"


def test_the_limits_that_bite_are_those_of_the_table() -> None:
    expected = {
        "GET /system/time": (10, 1, "IP"),
        "GET /contract/public/details": (12, 2, "IP"),
        "GET /contract/public/open-interest": (2, 2, "IP"),
        "GET /contract/private/trade-fee-rate": (2, 2, "KEY"),
        "GET /contract/private/position-v2": (6, 2, "KEY"),
        "GET /contract/private/position-risk": (24, 2, "KEY"),
        "GET /contract/private/get-position-mode": (2, 2, "KEY"),
        "GET /contract/private/order": (50, 2, "KEY"),
        "GET /contract/private/order-history": (6, 2, "KEY"),
        "POST /contract/private/submit-order": (24, 2, "KEY"),
        "POST /contract/private/modify-limit-order": (24, 2, "UID"),
        "POST /contract/private/cancel-order": (40, 2, "KEY"),
        "POST /contract/private/cancel-orders": (2, 2, "KEY"),
        "POST /contract/private/cancel-all-after": (4, 2, "UID"),
        "POST /contract/private/cancel-plan-order": (40, 2, "UID"),
        "POST /contract/private/submit-tp-sl-order": (24, 2, "UID"),
        "POST /contract/private/submit-leverage": (24, 2, "KEY"),
        "POST /account/v1/transfer-contract": (1, 2, "KEY"),
    }
    rates = {each.name: (each.rate.count, each.rate.window_s, each.rate.scope.value) for each in ENDPOINTS.values()}

    assert expected == {name: rates[name] for name in expected}
