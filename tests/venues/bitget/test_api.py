"""One call, from headers to verdict (Bitget reference, 2-4 and 15; UTA reference, 1 and 14)."""

import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardd.errors import CredentialsError, PayloadError, VenueBusy, VenueRefused, VenueUnreachable
from guardd.model.event import BlockKind, BlockMoved
from guardd.model.facts import RequestFinished
from guardd.model.outcome import Accepted, Outcome, Reason, Rejected, Unknown
from guardd.venues.bitget.api import LEFT_HEADER, FamilyDenied
from guardd.venues.bitget.endpoint import Endpoint
from guardd.venues.bitget.sign import signature
from guardd.venues.limiter import Lane
from tests.venues.bitget.bench import (
    CREDENTIALS,
    PAGE,
    REFUSED,
    TIME,
    TIMED_OUT,
    Answer,
    Bench,
    Request,
    bench,
    ok,
    refusal,
)

POSITIONS = Endpoint("all-position", "GET", "/api/v2/mix/position/all-position", signed=True)
TICKERS = Endpoint("tickers", "GET", "/api/v2/mix/market/tickers", signed=False)
PLACE = Endpoint("place-order", "POST", "/api/v2/mix/order/place-order", signed=True)
CANCEL = Endpoint("cancel-order", "POST", "/api/v2/mix/order/cancel-order", signed=True)
CLOSE = Endpoint("close-positions", "POST", "/api/v3/trade/close-positions", signed=True)
BODY = {"symbol": "BTCUSDT", "size": "0.01"}


async def written(
    on: Bench,
    *answers: Answer,
    endpoint: Endpoint = PLACE,
    body: dict[str, object] | Sequence[object] = BODY,
    deadline_s: float = 3.0,
) -> Outcome:
    on.network.on(endpoint.path, *answers)
    return await on.parts.api.write(endpoint, body, lane=Lane.EMERGENCY, deadline_s=deadline_s)


async def data_of(on: Bench, *answers: Answer, endpoint: Endpoint = POSITIONS) -> object:
    on.network.on(endpoint.path, *answers)
    return await on.parts.api.read(endpoint, (("productType", "USDT-FUTURES"), ("marginCoin", "USDT")))


def proved(request: Request) -> bool:
    """Whether the signature is that of the very bytes that were sent."""
    found = signature(
        CREDENTIALS,
        timestamp=request.headers["ACCESS-TIMESTAMP"],
        method=request.method,
        path_and_query=request.target,
        body=request.text or "",
    )
    return found == request.headers["ACCESS-SIGN"]


# What is sent


async def test_the_text_that_is_signed_is_the_text_that_is_sent() -> None:
    on = bench()
    await written(on, ok({"orderId": "1"}))
    (request,) = on.network.writes
    assert proved(request)
    assert request.text == '{"symbol":"BTCUSDT","size":"0.01"}'
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["User-Agent"].startswith("guardd/")


async def test_a_batch_of_v3_signs_its_array_and_an_empty_body_is_the_empty_text() -> None:
    on = bench()
    await written(on, ok(), endpoint=CLOSE, body=[{"symbol": "BTCUSDT"}])
    await written(on, ok(), endpoint=CLOSE, body={})
    first, second = on.network.writes
    assert first.text == '[{"symbol":"BTCUSDT"}]'
    assert second.text == ""
    assert proved(first)
    assert proved(second)


async def test_queries_go_in_ascending_order_of_keys_and_are_signed_as_they_go() -> None:
    on = bench()
    await data_of(on, ok([]))
    (request,) = on.network.sent("all-position")
    assert request.target.endswith("?marginCoin=USDT&productType=USDT-FUTURES")
    assert proved(request)


@given(st.lists(st.tuples(st.text(min_size=1), st.text()), max_size=5))
async def test_whatever_a_query_holds_its_signature_is_of_what_was_sent(query: list[tuple[str, str]]) -> None:
    on = bench()
    on.network.on("all-position", ok([]))
    await on.parts.api.read(POSITIONS, [(name.strip("\ud800") or "a", value) for name, value in query])
    (request,) = on.network.sent("all-position")
    assert proved(request)


async def test_public_calls_carry_no_key() -> None:
    on = bench()
    await data_of(on, ok([]), endpoint=TICKERS)
    await on.parts.api.measure_time()
    assert on.network.private == []


async def test_demo_marks_every_call_and_live_none() -> None:
    for demo in (True, False):
        on = bench(demo=demo)
        await data_of(on, ok([]), endpoint=TICKERS)
        await written(on, ok())
        assert {request.headers.get("paptrading") for request in on.network.requests} == {"1" if demo else None}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/v2/mix/order/place-order", True),
        ("/api/v2/mix/order/close-positions", True),
        ("/api/v2/mix/order/place-tpsl-order", True),
        ("/api/v2/mix/order/place-pos-tpsl", True),
        ("/api/v3/trade/place-order", True),
        ("/api/v3/trade/place-strategy-order", True),
        ("/api/v2/mix/order/cancel-order", False),
        ("/api/v2/mix/order/modify-tpsl-order", False),
        ("/api/v2/mix/account/set-margin", False),
    ],
)
async def test_the_brokers_code_goes_with_placements_alone(path: str, expected: bool) -> None:
    endpoint = Endpoint("e", "POST", path, signed=True)
    for code in ("abcd", None):
        on = bench(channel_code=code)
        await written(on, ok(), endpoint=endpoint)
        (request,) = on.network.writes
        assert ("X-CHANNEL-API-CODE" in request.headers) is (expected and code is not None)


# What became of a write


async def test_an_order_taken_is_accepted_with_its_id() -> None:
    outcome = await written(bench(), ok({"orderId": "121211212122", "clientOid": "gd1"}))
    assert isinstance(outcome, Accepted)
    assert outcome.order_id == "121211212122"


@pytest.mark.parametrize(
    "data",
    [None, "success", "", {}, [], {"orderId": None}, {"orderId": ""}, {"orderId": {}}, {"list": []}, [{"a": 1}, {}], 7],
)
async def test_an_acknowledgement_without_an_id_is_accepted_without_one(data: object) -> None:
    outcome = await written(bench(), ok(data))
    assert isinstance(outcome, Accepted)
    assert outcome.order_id is None


@pytest.mark.parametrize(
    "data",
    [
        {"list": [{"orderId": "5"}]},
        [{"orderId": "5", "code": "00000"}],
        {"successList": [{"orderId": "5"}], "failureList": []},
    ],
)
async def test_the_only_leg_gives_the_id(data: object) -> None:
    outcome = await written(bench(), ok(data), endpoint=CLOSE)
    assert isinstance(outcome, Accepted)
    assert outcome.order_id == "5"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (
            {"successList": [], "failureList": [{"orderId": "1", "errorCode": "43118", "errorMsg": "x"}]},
            Reason.DUPLICATE_CLIENT_ID,
        ),
        ({"list": [{"orderId": "1", "code": "24056", "msg": "notExisted"}]}, Reason.ORDER_GONE),
        ([{"orderId": "1", "code": "25203", "msg": "Insufficient margin"}], Reason.BALANCE),
    ],
)
async def test_a_leg_that_is_refused_under_00000_is_a_refusal(data: object, reason: Reason) -> None:
    outcome = await written(bench(), ok(data), endpoint=CLOSE)
    assert isinstance(outcome, Rejected)
    assert outcome.reason is reason


@pytest.mark.parametrize("code", [{}, {"errorCode": ""}, {"errorCode": None}, {"errorCode": "99999"}])
@pytest.mark.parametrize("words", ["notExistend", "success", ""])
async def test_I07_a_leg_that_is_refused_by_no_known_code_leaves_the_outcome_open_whatever_its_words(
    code: dict[str, object], words: str
) -> None:
    data = {"successList": [], "failureList": [{"orderId": "1", "errorMsg": words, **code}]}
    assert isinstance(await written(bench(), ok(data), endpoint=CLOSE), Unknown)


@pytest.mark.parametrize(
    "answer",
    [
        TIMED_OUT,
        (200, ""),
        (200, "not json"),
        (200, "{}"),
        (200, '{"msg":"success"}'),
        (200, '{"code":null}'),
        (200, '{"code":""}'),
        (200, "null"),
        (400, ok({"orderId": "1"})),
        (500, {"code": "40762", "msg": "x"}),
        (502, "<html>bad gateway</html>"),
        (503, PAGE),
        (504, ""),
        refusal("40010"),
        refusal("40725"),
        refusal("45001"),
        refusal("40015"),
        refusal("25000"),
        refusal("25001"),
        refusal("98765"),
    ],
)
async def test_I07_an_answer_that_proves_nothing_is_unknown_and_nothing_is_sent_again(answer: Answer) -> None:
    on = bench()
    assert isinstance(await written(on, answer), Unknown)
    assert len(on.network.writes) == 1


@pytest.mark.parametrize(
    ("answer", "reason", "code"),
    [
        ((403, PAGE), Reason.EDGE_BLOCKED, "403"),
        (refusal("429", status=429), Reason.RATE_LIMITED, "429"),
        ((429, "slow down"), Reason.RATE_LIMITED, "429"),
        (refusal("25004"), Reason.RATE_LIMITED, "25004"),
        (refusal("22002"), Reason.POSITION_GONE, "22002"),
        (refusal("22002", status=200), Reason.POSITION_GONE, "22002"),
        (refusal("40014", status=403), Reason.PERMISSION, "40014"),
        (refusal("40018"), Reason.PERMISSION, "40018"),
        (refusal("40006", status=401), Reason.CREDENTIALS, "40006"),
        ((400, {"code": 400172, "msg": "x"}), Reason.INVALID, "400172"),
    ],
)
async def test_an_answer_that_proves_that_nothing_happened_is_rejected_with_its_reason(
    answer: Answer, reason: Reason, code: str
) -> None:
    on = bench()
    outcome = await written(on, answer)
    assert isinstance(outcome, Rejected)
    assert (outcome.reason, outcome.code) == (reason, code)
    assert len(on.network.writes) == 1


async def test_a_connection_that_is_refused_until_the_deadline_was_never_sent() -> None:
    outcome = await written(bench(), REFUSED, deadline_s=0.05)
    assert isinstance(outcome, Rejected)
    assert outcome.reason is Reason.NOT_SENT


# The clock


@pytest.mark.parametrize("code", ["40004", "40005", "40008", "40911"])
async def test_a_timestamp_that_is_refused_is_measured_anew_and_the_write_sent_once_more(code: str) -> None:
    on = bench()
    await on.parts.api.measure_time()
    on.network.venue_ahead_ms = 60_000
    outcome = await written(on, refusal(code), ok({"orderId": "1"}))
    assert isinstance(outcome, Accepted)
    first, second = (int(request.headers["ACCESS-TIMESTAMP"]) for request in on.network.writes)
    assert second - first >= 60_000


async def test_a_timestamp_that_is_refused_again_is_a_refusal() -> None:
    on = bench()
    outcome = await written(on, refusal("40008"))
    assert isinstance(outcome, Rejected)
    assert outcome.reason is Reason.CLOCK
    assert len(on.network.writes) == 2


async def test_nothing_is_signed_while_the_venues_time_is_unknown() -> None:
    on = bench()
    on.network.on(TIME, (502, "bad gateway"))
    outcome = await written(on, ok())
    assert isinstance(outcome, Rejected)
    assert outcome.reason is Reason.CLOCK
    assert on.network.writes == []


async def test_a_read_whose_timestamp_is_refused_is_made_again() -> None:
    on = bench()
    assert await data_of(on, refusal("40008"), ok([1])) == [1]


@pytest.mark.parametrize("data", [None, {}, {"serverTime": "soon"}, []])
async def test_a_time_that_cannot_be_read_is_no_time(data: object) -> None:
    on = bench()
    on.network.on(TIME, ok(data))
    with pytest.raises(PayloadError):
        await on.parts.api.measure_time()
    assert not on.parts.api.time.trusted()


# Reads


@pytest.mark.parametrize("data", [None, [], {}, "success"])
async def test_a_read_gives_the_data_whatever_it_is(data: object) -> None:
    assert await data_of(bench(), ok(data)) == data


async def test_a_passing_fault_is_read_again_within_the_deadline() -> None:
    on = bench()
    assert await data_of(on, refusal("40725"), refusal("40010"), ok([1])) == [1]
    assert len(on.network.sent("all-position")) == 3


async def test_a_fault_that_stays_is_told_after_four_tries() -> None:
    on = bench()
    with pytest.raises(VenueRefused) as error:
        await data_of(on, refusal("40725"))
    assert error.value.code == "40725"
    assert len(on.network.sent("all-position")) == 4


async def test_a_fault_of_the_server_is_read_again_four_times_and_not_sixteen() -> None:
    on = bench()
    with pytest.raises(VenueRefused):
        await data_of(on, refusal("40725", status=500))
    assert len(on.network.sent("all-position")) == 4


async def test_success_at_an_error_status_counts_as_rejected() -> None:
    on = bench()
    await written(on, (400, ok()))
    assert [fact.result for fact in on.facts if isinstance(fact, RequestFinished)][-1] == "rejected"


@pytest.mark.parametrize("code", ["40034", "40017", "22001", "40808", "77777"])
async def test_what_is_refused_for_good_is_not_asked_again(code: str) -> None:
    on = bench()
    with pytest.raises(VenueRefused):
        await data_of(on, refusal(code))
    assert len(on.network.sent("all-position")) == 1


@pytest.mark.parametrize("code", ["40006", "40009", "40012", "40036", "40037", "40099"])
async def test_a_key_that_is_refused_is_a_fault_of_credentials(code: str) -> None:
    with pytest.raises(CredentialsError, match=code) as error:
        await data_of(bench(), refusal(code, "Invalid ACCESS_KEY"))
    assert "the-secret" not in str(error.value)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (TIMED_OUT, VenueUnreachable),
        (REFUSED, VenueUnreachable),
        ((200, ""), VenueUnreachable),
        ((200, "null"), VenueUnreachable),
        ((502, "<html>"), VenueUnreachable),
        ((403, PAGE), VenueBusy),
        (refusal("429", status=429), VenueBusy),
        ((400, ok([])), VenueRefused),
    ],
)
async def test_a_read_without_a_usable_answer_says_why(answer: Answer, error: type[Exception]) -> None:
    with pytest.raises(error):
        await data_of(bench(), answer)


async def test_a_read_that_a_block_holds_back_names_its_endpoint_once() -> None:
    on = bench()
    with pytest.raises(VenueBusy):
        await data_of(on, (403, PAGE))
    with pytest.raises(VenueBusy, match=r"^all-position: Cloudflare blocks this address$"):
        await data_of(on)


# Limits and families


async def test_a_page_of_the_edge_begins_a_block_and_it_is_noticed() -> None:
    on = bench()
    await written(on, (403, PAGE))
    assert [notice.kind for notice in on.noticed if isinstance(notice, BlockMoved)] == [BlockKind.EDGE]


async def test_a_429_rests_its_bucket() -> None:
    on = bench()
    await written(on, refusal("429", status=429))
    assert [notice.kind for notice in on.noticed if isinstance(notice, BlockMoved)] == [BlockKind.RATE_LIMIT]
    outcome = await written(on, ok(), deadline_s=1.0)
    assert isinstance(outcome, Rejected)
    assert outcome.retry_after_s is not None
    assert len(on.network.writes) == 1


async def test_calls_of_others_show_in_the_countdown_of_the_header() -> None:
    on = bench()
    on.network.headers = {LEFT_HEADER: "2"}
    await written(on, ok())
    assert on.parts.transport.tokens()["place-order/uid"] == 0
    on.network.headers = {LEFT_HEADER: "nonsense"}
    await written(on, ok(), endpoint=CANCEL)
    assert on.parts.transport.tokens()["cancel-order/uid"] > 0


@pytest.mark.parametrize("code", ["40084", "40085", "25245"])
async def test_a_call_of_the_wrong_family_is_noticed_and_never_made_again(code: str) -> None:
    on = bench()
    outcome = await written(on, refusal(code, "account type"))
    assert isinstance(outcome, Rejected)
    assert (outcome.reason, outcome.code) == (Reason.PERMISSION, code)
    with pytest.raises(VenueRefused):
        await data_of(on, refusal(code))
    assert [(each.code, each.endpoint) for each in on.noticed if isinstance(each, FamilyDenied)] == [
        (code, "place-order"),
        (code, "all-position"),
    ]
    assert len(on.network.writes) == len(on.network.sent("all-position")) == 1


async def test_I26_no_text_of_a_failure_holds_what_was_sent() -> None:
    on = bench()
    for answer in (TIMED_OUT, REFUSED, (502, "x"), refusal("40009"), (200, "{}")):
        outcome = await written(on, answer, deadline_s=1.0)
        said = json.dumps(str(outcome)) + "".join(map(str, on.facts))
        assert not any(secret in said for secret in ("the-key", "the-secret", "the phrase", "BTCUSDT"))
