"""Which family an account is of: positive evidence only, and never a loop against the wrong one (UTA reference, 2)."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from guardd.errors import CredentialsError, PayloadError, VenueBusy, VenueError, VenueRefused, VenueUnreachable
from guardd.model.facts import ClockOffsetRead, RequestFinished, RequestResult
from guardd.model.intent import CloseAtMarket
from guardd.model.names import AccountName, ClientId, PositionKey, PositionMode, Severity, Side, Symbol
from guardd.model.outcome import Outcome, Reason, Rejected
from guardd.venues.bitget.family import ASKED_EVERY_S, Family, detect
from guardd.venues.limiter import Lane
from tests.venues.bitget.bench import PAGE, REFUSED, TIME, TIMED_OUT, Answer, Bench, bench, ok, refusal

SAMPLES = Path(__file__).parents[2] / "samples"
INFO = "/api/v3/account/info"
SETTINGS = "/api/v3/account/settings"
ACCOUNTS = "/api/v2/mix/account/accounts"
CLOSE = CloseAtMarket(key=PositionKey(AccountName("main"), Symbol("BTCUSDT"), Side.LONG), size=Decimal("0.01"))


def sample(name: str) -> Any:
    return json.loads((SAMPLES / name).read_text())


IDENTITY = sample("bitget-uta/account_info.json")
UNIFIED = sample("bitget-uta/account_settings.json")
CONVERTING = sample("bitget-uta/account_settings_switching.json")
CLASSIC_ONLY = refusal("40084", "You are in Classic Account mode")
UNIFIED_ONLY = refusal("40085", "You are in Unified Account mode")


def mode(word: str) -> dict[str, Any]:
    return {**UNIFIED, "data": {**UNIFIED["data"], "accountMode": word}}


def classic(on: Bench) -> Bench:
    on.network.on("/api/v3/", CLASSIC_ONLY)
    on.network.on(INFO, CLASSIC_ONLY)
    on.network.on(SETTINGS, CLASSIC_ONLY)
    on.network.on(ACCOUNTS, ok([]))
    on.network.on("/mix/position/all-position", ok([]))
    on.network.on("/mix/account/account", ok({"posMode": "hedge_mode"}))
    return on


def unified(on: Bench) -> Bench:
    on.network.on(INFO, IDENTITY)
    on.network.on(SETTINGS, UNIFIED)
    on.network.on(ACCOUNTS, UNIFIED_ONLY)
    on.network.on("/market/instruments", sample("bitget-uta/instruments_usdt_futures.json"))
    on.network.on("/position/current-position", ok({"list": None}))
    on.network.on("/account/assets", sample("bitget-uta/account_assets_flat.json"))
    return on


async def found(on: Bench) -> Family:
    return await detect(on.parts.api, product_type="USDT-FUTURES")


async def test_40084_to_a_unified_call_is_a_classic_account() -> None:
    assert await found(classic(bench())) is Family.CLASSIC


@pytest.mark.parametrize("word", ["unified", "hybrid"])
async def test_an_account_that_answers_v3_and_denies_v2_is_unified(word: str) -> None:
    on = unified(bench())
    on.network.on(SETTINGS, mode(word))
    assert await found(on) is Family.UNIFIED


@pytest.mark.parametrize("word", ["upgrading", "switching"])
async def test_a_conversion_in_progress_is_no_family(word: str) -> None:
    on = unified(bench())
    on.network.on(SETTINGS, mode(word))
    with pytest.raises(VenueBusy, match=word):
        await found(on)


async def test_an_account_mode_that_nobody_published_is_refused() -> None:
    on = unified(bench())
    on.network.on(SETTINGS, mode("quantum"))
    with pytest.raises(PayloadError, match="quantum"):
        await found(on)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (TIMED_OUT, VenueUnreachable),
        (REFUSED, VenueUnreachable),
        ((200, ""), VenueUnreachable),
        ((502, "<html>"), VenueUnreachable),
        ((403, PAGE), VenueBusy),
        (refusal("429", status=429), VenueBusy),
        (refusal("40006"), CredentialsError),
        (refusal("40009"), CredentialsError),
        (refusal("40012"), CredentialsError),
        (refusal("40037"), CredentialsError),
        (refusal("40099"), CredentialsError),
        (refusal("40018"), VenueRefused),
        (refusal("40725"), VenueRefused),
        (refusal("25245"), VenueRefused),
        (refusal("40085"), VenueRefused),
        (refusal("12345"), VenueRefused),
    ],
)
async def test_any_other_failure_proves_no_family(answer: Answer, error: type[Exception]) -> None:
    on = classic(bench())
    on.network.on(INFO, answer)
    with pytest.raises(error):
        await found(on)


async def test_an_account_that_answers_both_families_is_refused() -> None:
    on = unified(bench())
    on.network.on(ACCOUNTS, ok([]))
    with pytest.raises(VenueRefused, match="both answered"):
        await found(on)


async def test_an_account_that_both_families_deny_is_being_converted() -> None:
    on = classic(bench())
    on.network.on(ACCOUNTS, UNIFIED_ONLY)
    with pytest.raises(VenueBusy, match="converted"):
        await found(on)


@pytest.mark.parametrize("answer", [TIMED_OUT, (403, PAGE), refusal("429", status=429), refusal("40014")])
async def test_a_cross_check_that_fails_takes_nothing_from_the_evidence(answer: Answer) -> None:
    for on, expected in ((classic(bench()), Family.CLASSIC), (unified(bench()), Family.UNIFIED)):
        on.network.on(ACCOUNTS, answer)
        assert await found(on) is expected


async def test_a_classic_account_with_a_wrong_key_is_a_fault_of_credentials_though_40084_came_first() -> None:
    on = classic(bench())
    on.network.on(ACCOUNTS, refusal("40012"))
    with pytest.raises(CredentialsError):
        await found(on)


async def test_a_wrong_key_is_named_as_such_also_where_only_classic_calls_say_so() -> None:
    on = classic(bench())
    on.network.on(INFO, refusal("40404"))
    on.network.on(ACCOUNTS, refusal("40006"))
    with pytest.raises(CredentialsError):
        await found(on)


async def test_the_family_is_found_without_a_single_write() -> None:
    for on in (classic(bench()), unified(bench())):
        await found(on)
        assert on.network.writes == []


# The account as the daemon sees it


async def send(on: Bench) -> Outcome:
    return await on.venue.send(
        CLOSE, client_id=ClientId("gd1abc"), position_mode=PositionMode.HEDGE, lane=Lane.EMERGENCY, deadline_s=1.0
    )


async def reads(on: Bench, times: int) -> list[str]:
    """As the daemon polls: once a second; what became of each."""
    ends: list[str] = []
    for _ in range(times):
        try:
            await on.venue.balances()
            ends.append("ok")
        except VenueError as error:
            ends.append(getattr(error, "code", type(error).__name__))
        on.clock.pass_time(1.0)
    return ends


async def test_each_family_is_opened_as_what_it_is() -> None:
    for on, family in ((classic(bench()), "classic"), (unified(bench()), "unified")):
        assert on.venue.family == ""
        await on.venue.open()
        assert on.venue.family == family
        assert on.venue.name == "bitget"


async def test_opening_measures_the_time_once_and_warms_once_whatever_the_family() -> None:
    """One call for the time and those of the warming, which ask for it too."""
    asked = []
    for prepared in (classic(bench()), unified(bench())):
        await prepared.venue.open()
        asked.append(len(prepared.network.sent(TIME)))
        assert len([fact for fact in prepared.facts if isinstance(fact, ClockOffsetRead)]) == 1
    assert asked[0] == asked[1]


async def test_what_the_question_for_the_family_asks_for_is_no_failure() -> None:
    """40084 and 40085 are its answers: counted as `ok`, and nothing in the log."""
    for prepared in (classic(bench()), unified(bench())):
        await found(prepared)
        requests = [fact for fact in prepared.facts if isinstance(fact, RequestFinished)]
        assert {fact.result for fact in requests} == {RequestResult.OK}
        assert any(code in fact.detail for fact in requests for code in ("40084", "40085"))


async def test_the_same_codes_to_any_other_call_are_failures() -> None:
    on = classic(bench())
    await on.venue.open()
    on.facts.clear()
    on.network.on("/mix/position/all-position", UNIFIED_ONLY)
    with pytest.raises(VenueRefused):
        await on.venue.positions()
    assert RequestResult.REJECTED in {fact.result for fact in on.facts if isinstance(fact, RequestFinished)}


async def test_before_it_is_open_nothing_is_read_and_nothing_sent() -> None:
    on = bench()
    for read in (on.venue.positions, on.venue.balances, on.venue.orders, on.venue.position_mode, on.venue.prove_key):
        with pytest.raises(VenueUnreachable):
            await read()
    with pytest.raises(VenueUnreachable):
        on.venue.stream()
    outcome = await send(on)
    assert isinstance(outcome, Rejected)
    assert outcome.reason is Reason.NOT_SENT
    assert on.network.requests == []
    await on.venue.close()


async def test_before_it_is_open_it_can_do_what_both_families_can() -> None:
    on = bench()
    before = on.venue.capabilities
    assert before.whole_position_protection
    for opened in (classic(bench()), unified(bench())):
        await opened.venue.open()
        after = opened.venue.capabilities
        assert not before.plan_protection or after.plan_protection
        assert before.lookup_delay_s >= after.lookup_delay_s
        assert before.close_sides_follow_mode or not after.close_sides_follow_mode


@pytest.mark.parametrize("answer", [TIMED_OUT, (403, PAGE), CONVERTING, mode("quantum"), refusal("40725")])
async def test_what_a_later_try_may_mend_is_told_as_unreachable_or_busy(answer: Answer) -> None:
    on = unified(bench())
    on.network.on(SETTINGS, answer)
    with pytest.raises((VenueUnreachable, VenueBusy)):
        await on.venue.open()
    assert on.venue.family == ""
    unified(on)
    on.clock.pass_time(120.0)
    await on.venue.open()
    assert on.venue.family == "unified"


async def test_a_wrong_key_is_told_as_such_when_it_is_opened() -> None:
    on = unified(bench())
    on.network.on(INFO, refusal("40037"))
    with pytest.raises(CredentialsError):
        await on.venue.open()


async def test_a_venue_whose_time_cannot_be_read_is_not_opened() -> None:
    on = unified(bench())
    on.network.on(TIME, (502, "bad gateway"))
    with pytest.raises(VenueUnreachable):
        await on.venue.open()


@pytest.mark.parametrize("code", ["40084", "25245"])
async def test_a_unified_account_that_turns_classic_is_told_once_and_nothing_is_sent_any_more(code: str) -> None:
    on = unified(bench())
    await on.venue.open()
    on.clock.pass_time(ASKED_EVERY_S)
    classic(on)
    on.network.on("/account/assets", refusal(code))
    assert await reads(on, 5) == [code] * 5
    outcome = await send(on)
    assert isinstance(outcome, Rejected)
    assert (outcome.reason, outcome.code) == (Reason.PERMISSION, "")  # no code of the venue's: it never left
    assert code in outcome.text
    assert "restart guardd" in outcome.text
    assert outcome.retry_after_s is not None
    assert ASKED_EVERY_S - 5 <= outcome.retry_after_s <= ASKED_EVERY_S  # when the venue is asked again
    assert on.network.writes == []
    (told,) = [fact for fact in on.said("family") if fact.severity is Severity.CRITICAL]
    assert "Restart guardd" in told.text
    assert [fact.text for fact in on.said("family-changed")] == [
        "Bitget: this account is classic now: restart guardd, which guards it as that"
    ]


async def test_the_wrong_family_is_asked_for_at_most_each_thirty_seconds_and_its_calls_are_not_made() -> None:
    on = unified(bench())
    await on.venue.open()
    classic(on)
    on.network.on("/account/assets", CLASSIC_ONLY)
    before = len(on.network.private)
    await reads(on, 300)
    asked = [request.path for request in on.network.private[before:]]
    assert asked.count("/api/v3/account/assets") == 1
    assert 8 <= asked.count(INFO) <= 300 / ASKED_EVERY_S
    assert set(asked) == {"/api/v3/account/assets", INFO, ACCOUNTS}
    assert len(on.said("family")) == len(on.said("family-changed")) == 1


async def test_a_classic_account_that_is_upgraded_stops_while_it_is_converted_and_for_good_after_it() -> None:
    on = classic(bench())
    await on.venue.open()
    on.network.on(ACCOUNTS, UNIFIED_ONLY)
    on.network.on(INFO, IDENTITY)
    on.network.on(SETTINGS, CONVERTING)
    assert set(await reads(on, 40)) == {"40085"}
    assert isinstance(await send(on), Rejected)
    assert on.said("family-changed") == []
    on.network.on(SETTINGS, UNIFIED)
    assert set(await reads(on, 40)) == {"40085"}
    assert "unified now" in on.said("family-changed")[0].text
    assert isinstance(await send(on), Rejected)
    assert on.network.writes == []
    assert len(on.said("family", Severity.CRITICAL)) == 1


async def test_an_account_that_turns_back_is_guarded_again() -> None:
    on = unified(bench())
    await on.venue.open()
    classic(on)
    on.network.on("/account/assets", CLASSIC_ONLY)
    await reads(on, 3)
    unified(on)
    assert (await reads(on, 40))[-1] == "ok"
    assert [fact.text for fact in on.said("family-back")] == ["Bitget: this account is unified again; guardd goes on"]
    on.network.on("/account/assets", CLASSIC_ONLY)
    await reads(on, 1)
    assert len(on.said("family", Severity.CRITICAL)) == 2


async def test_an_outage_while_the_family_is_in_doubt_proves_nothing() -> None:
    on = unified(bench())
    await on.venue.open()
    on.network.on("/account/assets", CLASSIC_ONLY)
    on.network.on(INFO, (502, "<html>"))
    assert set(await reads(on, 40)) == {"40084"}
    assert on.said("family-changed") == on.said("family-back") == []


async def test_a_second_opening_asks_again_without_taking_the_question_for_a_denial() -> None:
    on = classic(bench())
    await on.venue.open()
    await on.venue.open()
    assert on.said("family") == []
    assert (await reads(on, 1))[0] != "40084"


async def test_prices_are_of_no_family() -> None:
    on = unified(bench())
    on.network.on("/market/tickers", sample("bitget-uta/tickers_usdt_futures.json"))
    await on.venue.open()
    on.network.on("/account/assets", CLASSIC_ONLY)
    await reads(on, 1)
    assert (await on.venue.mark(Symbol("BTCUSDT"))).mark > 0
