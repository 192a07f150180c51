"""Every code of both references, and what a guard does about it (Bitget reference, 15; UTA reference, 14)."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from guardd.model.outcome import Reason, Rejected, Unknown
from guardd.venues.bitget.errors import (
    CREDENTIAL_CODES,
    FAMILY_CODES,
    GuardAction,
    action_for,
    in_maintenance_window,
    is_unknown_order,
    is_unknown_symbol,
    judge_write,
    meaning_of,
    reason_for,
)
from guardd.venues.bitget.refusals import REFUSALS, SECTIONS

SAMPLES = Path(__file__).parents[2] / "samples"
ERROR_SAMPLES = sorted([*(SAMPLES / "bitget").glob("error_*.json"), *(SAMPLES / "bitget-uta").glob("error_*.json")])
CALM_MS = int(datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp() * 1000)
DEPLOYING_MS = int(datetime(2026, 11, 18, 7, tzinfo=UTC).timestamp() * 1000)


def judged(code: str, *, status: int = 400, text: str = "no", at_ms: int = CALM_MS) -> Rejected | Unknown:
    return judge_write(status=status, code=code, text=text, at_ms=at_ms)


def test_each_section_holds_as_many_codes_as_the_reference_prints() -> None:
    """15.1 without 00000; 15.3 with 40708 of 11.3; 15.6 with 24056 and 25201 of the UTA reference, and 40084 in 15.1."""
    counts = {name: len(codes) for name, codes in SECTIONS.items()}
    assert counts == {
        "15.1": 71,
        "15.2": 70,
        "15.3": 128 + 1,
        "15.4": 34,
        "15.5": 53,
        "15.6": 64 - 1 + 2,
        "V3 list": 22,
    }
    assert len(REFUSALS) == sum(counts.values()), "a code stands in two sections"


def test_codes_are_texts_of_digits_and_leading_zeros_count() -> None:
    assert all(code.isascii() and code.isdecimal() for code in REFUSALS)
    assert {"00001", "01001"} <= set(REFUSALS)
    assert "1001" not in REFUSALS


@pytest.mark.parametrize(
    ("action", "codes"),
    [
        (GuardAction.OK, "22001 45031 40814 43025 25204 24056"),
        (GuardAction.RETRY, "40010 40910 40015 45001 50031 43059 40908 40725 45023 43003 42013 25000 25001 25003"),
        (GuardAction.SLOW, "429 22035 70228 50009 25004"),
        (GuardAction.CLOCK, "40004 40005 40008 40911 40078"),
        (GuardAction.REREAD, "22002 40804 43023 43031 45122 40917 25227 25601 25202 40939 40774 25100 25108"),
        (GuardAction.FIX, "40009 400172 40808 41103 22038 43011 40762 45110 43007 25200 25230 25244 25610 25611 30032"),
        (GuardAction.WAIT, "40200 22004 40931 45009 40880 22043 22039 40878 25008 25011 25012"),
        (
            GuardAction.ALERT,
            "40006 40012 40018 40014 40084 40085 25245 40099 22045 45108 40889 43022 25013 25599 25620",
        ),
    ],
)
def test_codes_have_the_action_word_of_the_reference(action: GuardAction, codes: str) -> None:
    assert {code: action_for(code) for code in codes.split()} == dict.fromkeys(codes.split(), action)


@pytest.mark.parametrize(
    ("reason", "codes"),
    [
        (Reason.ORDER_GONE, "22001 40768 43020 43025 25204"),
        (Reason.POSITION_GONE, "22002 25227 40837 25601"),
        (Reason.SIZE_ABOVE_POSITION, "40804 40755 40939 43023 25226 25232 25595"),
        (Reason.DUPLICATE_CLIENT_ID, "40786 43118 25212"),
        (Reason.PROTECTION_EXISTS, "43030 43031 25594"),
        (Reason.TRIGGER_PASSED, "40917 45122 40915 43034 40829 40836"),
        (
            Reason.TRIGGER_PASSED,
            "25579 25580 25581 25582 25585 25586 25587 25588 25589 25590 25591 25592 25650 25651 25652",
        ),
        (Reason.INVALID, "25583 25584 25602 25603 25604 25605"),
        (Reason.TOO_MANY_PLAN_ORDERS, "40889 40890 43071 25599"),
        (Reason.POSITION_LIQUIDATING, "45009 40879 22043 25008"),
        (Reason.INSTRUMENT_PAUSED, "22045 40721 40931 25013 45119 25209"),
        (Reason.BALANCE, "43012 40754 25202 40893"),
        (Reason.PRECISION, "41103 22038 25244 25606 25609 25610"),
        (Reason.SIZE_BOUNDS, "45110 43007 45104 25611"),
        (Reason.PERMISSION, "40014 40018 40085 40084 25245 25620"),
        (Reason.VENUE_CLOSING, "45107 45108"),
        (Reason.CREDENTIALS, "40006 40009 40012 40037 40099"),
        (Reason.CLOCK, "40008 40911"),
    ],
)
def test_codes_come_down_to_the_guards_reasons(reason: Reason, codes: str) -> None:
    assert {code: reason_for(code) for code in codes.split()} == dict.fromkeys(codes.split(), reason)


@pytest.mark.parametrize(
    "code",
    [
        "40010",
        "40910",
        "40015",
        "45001",
        "40725",
        "40908",
        "43059",
        "45023",
        "42013",
        "43137",
        "25000",
        "25001",
        "25003",
    ],
)
def test_I07_a_code_that_may_hide_an_execution_leaves_the_outcome_unknown(code: str) -> None:
    assert isinstance(judged(code), Unknown)


def test_whatever_the_table_says_to_retry_is_uncertain_and_nothing_else_by_chance() -> None:
    uncertain = {code for code, row in REFUSALS.items() if not row.certain}
    retried = {code for code, row in REFUSALS.items() if row.action is GuardAction.RETRY}
    assert uncertain - retried == {"43137", "40909"}
    assert retried <= uncertain


def test_I07_an_unpublished_code_is_unknown_and_read_again() -> None:
    assert isinstance(judged("99999"), Unknown)
    assert isinstance(judged(""), Unknown)
    assert action_for("99999") is GuardAction.REREAD
    assert reason_for("99999") is Reason.OTHER
    assert meaning_of("99999") == "unpublished code"


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_I07_a_server_fault_leaves_even_a_certain_code_open(status: int) -> None:
    assert isinstance(judged("40762", status=status), Unknown)


@pytest.mark.parametrize("status", [200, 400, 401, 403])
def test_a_business_answer_is_judged_by_its_code_whatever_the_status(status: int) -> None:
    outcome = judged("22002", status=status, text="No position to close")
    assert outcome == Rejected(reason=Reason.POSITION_GONE, code="22002", text="No position to close")


def test_a_refusal_without_words_gets_the_tables() -> None:
    outcome = judged("40804", text="")
    assert isinstance(outcome, Rejected)
    assert outcome.text == "more than the closable position"


def test_40808_is_a_wrong_parameter_except_where_the_deployment_may_be_speaking() -> None:
    words = "Parameter verification exception size checkBDScale error value=0.00001 checkScale=3"
    assert isinstance(judged("40808"), Rejected)
    assert isinstance(judged("40808", text=words, at_ms=DEPLOYING_MS), Rejected)
    assert isinstance(judged("40808", text="Parameter verification exception", at_ms=DEPLOYING_MS), Unknown)


def test_the_window_of_deployments_is_three_days_from_two_to_six_in_utc_plus_8() -> None:
    def at(day: int, hour: int) -> bool:
        return in_maintenance_window(int(datetime(2026, 11, day, hour, tzinfo=UTC).timestamp() * 1000))

    assert [day for day in range(16, 23) if at(day, 7)] == [17, 18, 19]
    assert [hour for hour in range(24) if at(18, hour)] == [6, 7, 8, 9]


def test_families_and_unknown_things_are_known_by_their_codes() -> None:
    assert {"40084", "40085", "25245"} == FAMILY_CODES
    assert {"40006", "40009", "40012", "40036", "40037", "40099"} <= CREDENTIAL_CODES
    assert not CREDENTIAL_CODES & FAMILY_CODES
    assert all(map(is_unknown_order, ("22001", "40768", "25204", "24056")))
    assert not is_unknown_order("22002")
    assert is_unknown_symbol("40034")


@pytest.mark.parametrize("path", ERROR_SAMPLES, ids=lambda path: path.stem)
def test_every_recorded_refusal_has_a_row(path: Path) -> None:
    sample = json.loads(path.read_text())
    assert str(sample["code"]) in REFUSALS
