"""What becomes of a write: accepted, rejected or unknown, and what is mended and tried once more (reference, 16)."""

import json
from decimal import Decimal

import pytest

from guardd.errors import CredentialsError, VenueBusy, VenueRefused, VenueUnreachable
from guardd.model.event import VenueClosingSeen
from guardd.model.intent import CloseAtMarket, ModifyProtection, SetLeverage
from guardd.model.names import AccountName, ClientId, MarginMode, PositionKey, Side, Symbol
from guardd.model.order import PlanForm
from guardd.model.outcome import Accepted, Outcome, Reason, Rejected, Unknown
from guardd.venues.bitmart.endpoints import TRADE_FEE_RATE
from guardd.venues.bitmart.sign import signature
from guardd.venues.limiter import Lane
from tests.venues.bitmart.bench import CREDENTIALS, REFUSED, TIMED_OUT, Answer, Bench, bench, ok, refusal
from tests.venues.bitmart.requests import modify
from tests.venues.bitmart.test_bodies import protection

LONG = PositionKey(AccountName("main"), Symbol("BTCUSDT"), Side.LONG)
CLOSE = CloseAtMarket(key=LONG, size=Decimal(10))
PAGE = "<!DOCTYPE html><html><title>Just a moment... | Cloudflare</title></html>"


async def closed(on: Bench, *answers: Answer, deadline_s: float = 3.0) -> Outcome:
    on.network.on("submit-order", *answers)
    return await on.send(CLOSE, deadline_s=deadline_s)


def codes(outcome: Outcome) -> tuple[Reason, str]:
    assert isinstance(outcome, Rejected)
    return outcome.reason, outcome.code


async def test_code_1000_is_accepted_with_the_id_as_text() -> None:
    outcome = await closed(bench(), ok({"order_id": 98765432109876543, "price": "market price"}))
    assert isinstance(outcome, Accepted)
    assert outcome.order_id == "98765432109876543"


@pytest.mark.parametrize("data", [None, {}, [], "x", {"order_id": {}}, {"order_id": 1.5}])
async def test_a_strange_answer_with_code_1000_is_accepted_without_an_id(data: object) -> None:
    outcome = await closed(bench(), ok(data))
    assert isinstance(outcome, Accepted)
    assert outcome.order_id is None


@pytest.mark.parametrize("code", [30016, 30019, 30030, 42000])
async def test_an_error_at_http_200_is_rejected(code: int) -> None:
    assert (await closed(bench(), refusal(code, status=200))).code == str(code)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "answer",
    [
        TIMED_OUT,
        (502, "<html>bad gateway</html>"),
        (503, PAGE),
        (200, "not json"),
        (200, "{}"),
        (200, '{"message":"Ok"}'),
        (500, {"code": 40016, "message": "x"}),
        (502, {"code": 40021, "message": "x"}),
        (500, {"code": 40012, "message": "System error"}),
        (400, {"code": 49999, "message": "x"}),
        (400, {"code": 77777, "message": "never published"}),
        (200, {"code": 30009, "message": "x"}),
    ],
)
async def test_I07_an_answer_that_proves_nothing_is_unknown_and_nothing_is_sent_again(answer: Answer) -> None:
    on = bench()
    assert isinstance(await closed(on, answer), Unknown)
    assert len(on.network.writes) == 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((403, PAGE), Reason.EDGE_BLOCKED),
        ((403, "error code: 1010"), Reason.EDGE_BLOCKED),
        (refusal(30013, status=429), Reason.RATE_LIMITED),
        (refusal(30017, status=418), Reason.BANNED),
        (refusal(30014, status=503), Reason.MAINTENANCE),
        (refusal(30018, status=503), Reason.INVALID),
        (refusal(30010, status=403), Reason.PERMISSION),
        (refusal(40050, status=403), Reason.DUPLICATE_CLIENT_ID),
        (refusal(40018), Reason.POSITION_GONE),
        (refusal(40020), Reason.SIZE_ABOVE_POSITION),
        (refusal(40012, "You contract account available balance not enough.", status=500), Reason.BALANCE),
        (refusal(25601), Reason.MAINTENANCE),
    ],
)
async def test_an_answer_that_proves_that_nothing_happened_is_rejected_with_its_reason(
    answer: Answer, reason: Reason
) -> None:
    on = bench()
    outcome = await closed(on, answer)
    assert isinstance(outcome, Rejected)
    assert reason is outcome.reason
    assert len(on.network.writes) == 1


async def test_a_connection_that_is_refused_until_the_deadline_was_never_sent() -> None:
    on = bench()
    reason, _ = codes(await closed(on, REFUSED, deadline_s=0.05))
    assert reason is Reason.NOT_SENT


async def test_the_text_that_is_signed_is_the_text_that_is_sent() -> None:
    on = bench()
    await closed(on, ok({"order_id": 1}))
    (request,) = on.network.writes
    assert request.text is not None
    stamp = request.headers["X-BM-TIMESTAMP"]
    assert signature(CREDENTIALS, timestamp_ms=int(stamp), body=request.text) == request.headers["X-BM-SIGN"]
    assert request.headers["X-BM-KEY"] == "the-key"
    assert request.headers["Content-Type"] == "application/json"


async def test_reads_carry_the_key_alone_and_public_calls_not_even_that() -> None:
    on = bench()
    on.network.on("get-position-mode", ok({"position_mode": "hedge_mode"}))
    await on.venue.position_mode()
    await on.venue.clock_offset_ms()
    keyed, public = on.network.requests
    assert keyed.headers["X-BM-KEY"] == "the-key"
    assert not {"X-BM-SIGN", "X-BM-TIMESTAMP"} & set(keyed.headers)
    assert not {"X-BM-KEY", "X-BM-SIGN"} & set(public.headers)


async def test_a_venue_that_wants_signed_reads_gets_them_from_then_on() -> None:
    on = bench()
    mode = ok({"position_mode": "hedge_mode"})
    on.network.on("get-position-mode", refusal(30004, status=401), mode)
    await on.venue.position_mode()
    first, second = on.network.sent("get-position-mode")
    assert "X-BM-SIGN" not in first.headers
    stamp = second.headers["X-BM-TIMESTAMP"]
    assert signature(CREDENTIALS, timestamp_ms=int(stamp), body="") == second.headers["X-BM-SIGN"]


@pytest.mark.parametrize("broker_id", ["Broker1", None])
async def test_the_brokers_id_is_on_every_request_when_configured_and_on_none_else(broker_id: str | None) -> None:
    on = bench(broker_id=broker_id)
    on.network.on("get-position-mode", ok({"position_mode": "hedge_mode"}))
    await on.venue.position_mode()
    await closed(on, ok({"order_id": 1}))
    assert len(on.network.requests) == 3  # mode, time, close
    for request in on.network.requests:
        assert broker_id == request.headers.get("X-BM-BROKER-ID")
        assert request.headers["User-Agent"].startswith("guardd/")


@pytest.mark.parametrize("code", [30007, 30008, 40008, 40039])
async def test_a_clock_refusal_is_answered_by_measuring_the_venues_time_and_one_more_try(code: int) -> None:
    on = bench()
    await on.venue.clock_offset_ms()
    on.network.venue_ahead_ms = 90_000
    assert isinstance(await closed(on, refusal(code, status=401), ok({"order_id": 1})), Accepted)
    first, second = on.network.writes
    gained = int(second.headers["X-BM-TIMESTAMP"]) - int(first.headers["X-BM-TIMESTAMP"])
    assert gained == 90_000


async def test_a_clock_refusal_that_stays_is_rejected_after_one_more_try() -> None:
    on = bench()
    assert codes(await closed(on, refusal(30007, status=401))) == (Reason.CLOCK, "30007")
    assert len(on.network.writes) == 2


async def test_a_wrong_signature_is_made_anew_once() -> None:
    on = bench()
    assert codes(await closed(on, refusal(30005, status=401))) == (Reason.CREDENTIALS, "30005")
    assert len(on.network.writes) == 2


async def test_40013_measures_the_clock_and_lets_the_bucket_rest() -> None:
    on = bench()
    await on.venue.clock_offset_ms()
    measured = len(on.network.sent("/system/time"))
    reason, _ = codes(await closed(on, refusal(40013)))
    assert reason is Reason.RATE_LIMITED
    assert len(on.network.sent("/system/time")) == measured + 1
    assert codes(await on.send(CLOSE, deadline_s=0.5))[0] is Reason.RATE_LIMITED
    assert len(on.network.writes) == 1


async def test_no_write_is_signed_while_the_venues_time_is_unknown() -> None:
    on = bench()
    on.network.on("/system/time", (502, "<html></html>"))
    outcome = await closed(on, ok({"order_id": 1}))
    assert isinstance(outcome, Rejected)
    assert outcome.reason is Reason.CLOCK
    assert on.network.writes == []


async def test_an_old_measurement_is_renewed_before_a_write() -> None:
    on = bench()
    await on.venue.clock_offset_ms()
    on.clock.pass_time(30_000)  # at 200 ppm the estimate may be 6 s off by now
    measured = len(on.network.sent("/system/time"))
    assert isinstance(await closed(on, ok({"order_id": 1})), Accepted)
    assert len(on.network.sent("/system/time")) == measured + 1


async def test_I24_a_step_of_the_wall_clock_moves_no_timestamp() -> None:
    on = bench()
    await on.venue.clock_offset_ms()
    before = on.clock.now().wall_ms
    on.clock.step_wall(-300)
    await closed(on, ok({"order_id": 1}))
    assert int(on.network.writes[0].headers["X-BM-TIMESTAMP"]) == before


async def test_time_is_asked_at_the_spot_host_and_then_at_the_futures_host() -> None:
    on = bench()
    on.network.down.add("https://api-cloud.bitmart.com")
    on.network.venue_ahead_ms = 250
    assert await on.venue.clock_offset_ms() == 250
    assert on.network.hosts[0] == "https://api-cloud.bitmart.com"
    assert on.network.hosts[-1] == "https://api-cloud-v2.bitmart.com"


# second forms


@pytest.mark.parametrize("code", [40011, 40012, 40043])
@pytest.mark.parametrize("form", [PlanForm.WHOLE, PlanForm.SIZED])
async def test_a_stop_refused_in_the_first_form_is_tried_once_in_the_second(code: int, form: PlanForm) -> None:
    on = bench()
    on.network.on("submit-tp-sl-order", refusal(code), ok({"order_id": "5"}))
    assert isinstance(await on.send(protection(form)), Accepted)
    first, second = (request.body for request in on.network.writes)
    assert (first["executive_price"], first.get("category")) == ("0", None)
    assert (second["executive_price"], second["category"]) == ("84000", "market")


async def test_a_stop_refused_in_both_forms_is_rejected_with_the_last_word() -> None:
    on = bench()
    on.network.on("submit-tp-sl-order", refusal(40011))
    assert codes(await on.send(protection(PlanForm.WHOLE))) == (Reason.INVALID, "40011")
    assert len(on.network.writes) == 2


@pytest.mark.parametrize("answer", [TIMED_OUT, refusal(40012, "Position does not exist"), refusal(40031), (500, "")])
async def test_I07_a_stop_is_not_tried_in_another_form_unless_the_form_was_refused(answer: Answer) -> None:
    on = bench()
    on.network.on("submit-tp-sl-order", answer)
    assert not isinstance(await on.send(protection(PlanForm.WHOLE)), Accepted)
    assert len(on.network.writes) == 1


async def test_a_moved_stop_has_a_second_form_too() -> None:
    on = bench()
    on.network.on("modify-tp-sl-order", refusal(40043), ok({"order_id": "5"}))
    move: ModifyProtection = modify(PlanForm.WHOLE)
    assert isinstance(await on.send(move), Accepted)
    assert [request.body.get("category") for request in on.network.writes] == [None, "market"]


@pytest.mark.parametrize("code", [40011, 40012])
async def test_a_close_refused_for_its_form_is_tried_once_in_the_minimal_form(code: int) -> None:
    on = bench()
    assert isinstance(await closed(on, refusal(code), ok({"order_id": 6})), Accepted)
    assert on.network.writes[1].body == {"symbol": "BTCUSDT", "side": 3, "type": "market", "size": 10}


async def test_a_plan_order_takes_the_live_leverage_after_a_conflict() -> None:
    on = bench()
    row = {"symbol": "BTCUSDT", "leverage": "20", "open_type": "cross"}
    on.network.on("position-v2", ok([row]))
    on.network.on("submit-plan-order", refusal(40040), ok({"order_id": 7}))
    assert isinstance(await on.send(protection(PlanForm.PLAN)), Accepted)
    sent = [(request.body["leverage"], request.body["open_type"]) for request in on.network.writes]
    assert sent == [("10", "isolated"), ("20", "cross")]


@pytest.mark.parametrize(("live", "expected"), [("5", Accepted), ("10", Rejected)])
async def test_a_leverage_that_is_refused_but_stands_already_is_accepted(live: str, expected: type) -> None:
    on = bench()
    on.network.on("submit-leverage", refusal(40012, "leverage unchanged"))
    on.network.on("position-v2", ok([{"symbol": "BTCUSDT", "leverage": live, "open_type": "isolated"}]))
    outcome = await on.send(SetLeverage(key=LONG, margin_mode=MarginMode.ISOLATED, leverage=Decimal(5)))
    assert isinstance(outcome, expected)
    assert on.network.writes[0].body == {"symbol": "BTCUSDT", "leverage": "5", "open_type": "isolated"}


# reads


@pytest.mark.parametrize("code", [30001, 30002, 30003, 30011])
async def test_a_refused_key_is_a_credentials_error_that_names_no_secret(code: int) -> None:
    on = bench()
    on.network.on("assets-detail", refusal(code, status=401))
    with pytest.raises(CredentialsError) as raised:
        await on.venue.balances()
    assert str(code) in str(raised.value)
    assert not [secret for secret in ("the-key", "the-secret", "the#memo") if secret in str(raised.value)]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refusal(40012, "System error"), VenueRefused),
        ((403, PAGE), VenueBusy),
        (refusal(30013, status=429), VenueBusy),
        (refusal(30017, status=418), VenueBusy),
    ],
)
async def test_a_read_without_an_answer_is_an_error_that_says_why(answer: Answer, error: type[Exception]) -> None:
    on = bench()
    on.network.on("trade-fee-rate", answer)
    with pytest.raises(error):
        await on.parts.api.read(TRADE_FEE_RATE, deadline_s=0.05)


async def test_a_read_that_a_block_holds_back_names_its_endpoint_once() -> None:
    on = bench()
    on.network.on("trade-fee-rate", (403, PAGE))
    with pytest.raises(VenueBusy):
        await on.parts.api.read(TRADE_FEE_RATE, deadline_s=0.05)
    with pytest.raises(VenueBusy, match=r"^trade-fee-rate: Cloudflare blocks this address$"):
        await on.parts.api.read(TRADE_FEE_RATE, deadline_s=0.05)


async def test_an_unreachable_venue_is_told_as_such() -> None:
    on = bench()
    on.network.on("/system/time", REFUSED)
    with pytest.raises(VenueUnreachable):
        await on.parts.api.measure_time(0.05)


@pytest.mark.parametrize("code", [30014, 30016, 30030, 30031, 40014, 40015, 25601])
async def test_a_code_of_a_closing_venue_is_told_once_a_minute(code: int) -> None:
    on = bench()
    on.network.on("submit-order", refusal(code, status=200))
    await on.writes.send(CLOSE, client_id=ClientId("gd1abc"), lane=Lane.EMERGENCY, deadline_s=1)
    await on.writes.send(CLOSE, client_id=ClientId("gd1abd"), lane=Lane.EMERGENCY, deadline_s=1)
    seen = [event for event in on.noticed if isinstance(event, VenueClosingSeen)]
    assert len(seen) == 1
    assert str(code) in seen[0].why
    on.clock.pass_time(61)
    await on.writes.send(CLOSE, client_id=ClientId("gd1abe"), lane=Lane.EMERGENCY, deadline_s=1)
    assert len([event for event in on.noticed if isinstance(event, VenueClosingSeen)]) == 2


async def test_I26_no_credential_is_in_the_text_of_any_object() -> None:
    on = bench()
    await closed(on, ok({"order_id": 1}))
    shown = json.dumps([repr(CREDENTIALS), repr(on.parts), repr(on.facts), repr(on.noticed)])
    assert not [secret for secret in ("the-key", "the-secret", "the#memo") if secret in shown]
