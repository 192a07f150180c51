"""The error table against section 16 of the reference: every code, its HTTP status, and what a guard does."""

import pytest

from guardd.model.outcome import Reason, Rejected, Unknown
from guardd.venues.bitmart.api import DIALECT
from guardd.venues.bitmart.errors import REFUSALS, GuardAction, action_for, judge_write, refusal_reason
from guardd.venues.transport import Judgement

HTTP_BY_CODE = {
    30000: 404,
    30009: None,
    30015: None,
    30013: 429,
    30014: 503,
    30017: 418,
    30018: 503,
    25601: None,
    **dict.fromkeys((30001, 30002, 30003, 30004, 30005, 30006, 30007, 30008), 401),
    **dict.fromkeys((30010, 30011, 30012), 403),
    **dict.fromkeys((30016, 30019, 30030, 30031, 42000), 200),
    **dict.fromkeys((*range(40001, 40046), 40059, 49998, 49999), 400),
    **dict.fromkeys((40046, 40047, 40048, 40049, 40050), 403),
    **dict.fromkeys((60000, 60001, 60002, 60008, 60009, 61003), 400),
    **dict.fromkeys((60020, 60021, 60022, 60026, 60027, 60028, 60029, 61005, 61006, 61007, 61008), 403),
    60030: 405,
    60031: 415,
    60050: 500,
    60051: 500,
    61001: 200,
    61004: 400,
}


def test_the_table_holds_exactly_the_codes_of_the_reference() -> None:
    assert {code: row.http for code, row in REFUSALS.items()} == HTTP_BY_CODE


@pytest.mark.parametrize("code", sorted(REFUSALS))
def test_each_code_is_rejected_for_its_reason_or_unknown_where_it_proves_nothing(code: int) -> None:
    row = REFUSALS[code]
    outcome = judge_write(status=row.http or 400, code=code, text="")
    if row.certain:
        assert isinstance(outcome, Rejected)
        assert (outcome.reason, outcome.text) == (row.reason, row.meaning)
    else:
        assert isinstance(outcome, Unknown)


@pytest.mark.parametrize(
    ("action", "codes"),
    [
        (GuardAction.RESYNC, {30007, 30008, 40008, 40039}),
        (GuardAction.SLOW_DOWN, {40013}),
        (GuardAction.SIGN_AGAIN, {30005}),
        (GuardAction.STOP, {30017}),
        (GuardAction.ADOPT, {40050}),
        (GuardAction.RETRY, {30013, 30014, 40015}),
        (GuardAction.DONE, {40003, 40018, 40021, 40035, 40036, 40037, 61004}),
    ],
)
def test_the_codes_that_change_what_is_sent_next_are_these(action: GuardAction, codes: set[int]) -> None:
    assert {code for code, row in REFUSALS.items() if row.action is action} == codes


def test_a_code_that_nobody_published_is_read_again_and_never_retried() -> None:
    assert action_for(45678) is GuardAction.REREAD
    assert isinstance(judge_write(status=400, code=45678, text="x"), Unknown)


@pytest.mark.parametrize(
    ("code", "text", "reason"),
    [
        (40012, "You contract account available Balance NOT enough.", Reason.BALANCE),
        (40011, "Position does not exist", Reason.POSITION_GONE),
        (40012, "SYMBOL_NOT_EXIST", Reason.INVALID),
        (40012, "Invalid order", Reason.LEVERAGE_CONFLICT),
        (40011, "Invalid parameter", Reason.INVALID),
        (40012, "System error", Reason.LEVERAGE_CONFLICT),
        (40012, "Position TP/SL order already exists", Reason.PROTECTION_EXISTS),
        (40012, "Invalid trigger price", Reason.TRIGGER_PASSED),
        (40016, "balance not enough", Reason.WOULD_LIQUIDATE),
    ],
)
def test_the_catch_all_codes_are_told_apart_by_fragments_of_their_text(code: int, text: str, reason: Reason) -> None:
    assert refusal_reason(code, text) is reason


@pytest.mark.parametrize(
    ("code", "judgement"),
    [
        ("1000", Judgement.OK),
        ("30013", Judgement.RATE_LIMITED),
        ("40013", Judgement.RATE_LIMITED),
        ("30017", Judgement.BANNED),
        ("40012", Judgement.REJECTED),
    ],
)
def test_the_transport_learns_what_a_code_means_for_the_rate(code: str, judgement: Judgement) -> None:
    assert DIALECT.judge(200, code) is judgement
