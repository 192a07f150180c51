"""Values as text and back: exactly, for whatever the model can hold."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardd.errors import JournalError
from guardd.journal.canonical import compact, decoded, decoded_outcome, encoded, of_compact, text_of
from guardd.model.account import Balance
from guardd.model.event import BalanceRead, InstrumentsRead, VenueLearned
from guardd.model.intent import (
    AddMargin,
    CancelKind,
    CancelOrder,
    CloseAtMarket,
    Intent,
    ModifyProtection,
    SetLeverage,
    TransferToFutures,
)
from guardd.model.names import MarginMode, OrderId, PriceType, Symbol
from guardd.model.order import PlanForm, ProtectionKind
from guardd.model.outcome import Accepted, Outcome, Reason, Rejected, Unknown
from guardd.model.reading import Absent
from tests.changed import replace
from tests.journal.making import intent, key, stop
from tests.model.accounts import CAPABILITIES

BALANCE = Balance(
    currency="USD",
    equity=Decimal("1000.00"),
    available=Decimal(1),
    frozen=Decimal(0),
    position_margin=Decimal(0),
    unrealized_pnl=Absent.UNKNOWN,
    maintenance=Decimal("8.5E+2"),
    margin_ratio=Decimal("0.85"),
    pooled=True,
)
WRITES = [
    CloseAtMarket(key=key(), size=Decimal(1), limit_price=Decimal("64000.10")),
    stop().write,
    ModifyProtection(
        key=key(),
        order_id=OrderId("1"),
        kind=ProtectionKind.TAKE_PROFIT,
        form=PlanForm.SIZED,
        trigger_price=Decimal("1E+3"),
        price_type=PriceType.LAST,
        size=Decimal("0.5"),
    ),
    CancelOrder(key=key(), order_id=OrderId("1"), kind=CancelKind.PLAN),
    SetLeverage(key=key(), margin_mode=MarginMode.CROSS, leverage=Decimal(5)),
    AddMargin(key=key(), amount=Decimal("31.20"), currency="USDT", margin_before=Decimal("900.00")),
    TransferToFutures(key=key(), currency="USDT", amount=Decimal(100)),
]
OUTCOMES: list[Outcome] = [
    Accepted(order_id=None, sent_ns=1),
    Rejected(reason=Reason.PRECISION, code="40001", text="\ud800 and \u2028", retry_after_s=2.0),
    Unknown(why=""),
]
decimals = st.decimals(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(exclude_categories=["Cs"]))


def there_and_back(value: Intent) -> Intent:
    return decoded(Intent, json.loads(text_of(encoded(value))))


@pytest.mark.parametrize("write", WRITES, ids=lambda write: type(write).__name__)
def test_an_intent_comes_back_whatever_it_writes(write) -> None:
    meant = replace(intent(), write=write)
    assert there_and_back(meant) == meant
    assert of_compact(compact(meant)) == meant
    assert text_of(encoded(of_compact(compact(meant)))) == text_of(encoded(meant))


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda outcome: type(outcome).__name__)
def test_an_outcome_comes_back(outcome: Outcome) -> None:
    assert decoded_outcome(json.loads(text_of(encoded(outcome)))) == outcome


@given(size=decimals, before=decimals, reason=texts, inputs=st.lists(st.tuples(texts, texts)).map(tuple))
def test_any_decimal_keeps_every_digit_and_any_text_every_letter(
    size: Decimal, before: Decimal, reason: str, inputs: tuple[tuple[str, str], ...]
) -> None:
    write = CloseAtMarket(key=key(), size=size)
    meant = replace(intent(), write=write, quantity_before=before, reason=reason, inputs=inputs)
    for back in (there_and_back(meant), of_compact(compact(meant))):
        assert back == meant
        assert isinstance(back.write, CloseAtMarket)
        assert (str(back.write.size), str(back.quantity_before)) == (str(size), str(before))


@pytest.mark.parametrize("text", [b"", b"[]", b'["close_at_market",{}]', b'["no such tag",{"write":{}}]', b'["x",[1]]'])
def test_what_is_no_intent_in_compact_form_is_an_error(text: bytes) -> None:
    with pytest.raises((JournalError, ValueError)):
        of_compact(text)


@given(reading=st.one_of(decimals, st.sampled_from(Absent)))
def test_a_reading_stays_a_number_or_the_reason_why_there_is_none(reading: Decimal | Absent) -> None:
    told = replace(BALANCE, equity=reading)
    back = decoded(Balance, json.loads(text_of(encoded(told))))
    assert back == told
    assert type(back.equity) is type(reading)


def test_what_an_account_can_do_and_holds_goes_onto_the_tape_and_comes_back() -> None:
    at = intent().decided
    learned = VenueLearned(at=at, capabilities=CAPABILITIES, family="unified")
    read = BalanceRead(at=at, balances=(BALANCE, replace(BALANCE, currency="USDC", pooled=False)))
    assert decoded(VenueLearned, json.loads(text_of(encoded(learned)))) == learned
    assert decoded(BalanceRead, json.loads(text_of(encoded(read)))) == read


def test_a_set_is_written_in_order_and_comes_back() -> None:
    asked = frozenset(Symbol(f"S{number}USDT") for number in range(9))
    read = InstrumentsRead(at=intent().decided, instruments=(), asked=asked)
    text = text_of(encoded(read))
    assert json.loads(text)["asked"] == sorted(asked)
    assert decoded(InstrumentsRead, json.loads(text)) == read


def test_the_same_value_gives_the_same_text() -> None:
    assert text_of({"b": 1, "a": [Decimal("1.0") == 1, None]}) == '{"a":[true,null],"b":1}'
    assert text_of(encoded(intent())) == text_of(encoded(intent()))
    assert text_of(encoded(intent())).isascii()


@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("Infinity"), object(), {1, 2}, b"x"])
def test_I19_what_has_no_form_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        encoded(value)


def test_a_field_that_an_older_record_lacks_takes_its_default() -> None:
    said = json.loads(text_of(encoded(intent())))
    del said["inputs"], said["write"]["limit_price"]
    back = decoded(Intent, said)
    assert back.inputs == ()
    assert isinstance(back.write, CloseAtMarket)
    assert back.write.limit_price is None


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("quantity_before", "many", "expected Decimal"),
        ("quantity_before", 1.5, "expected Decimal"),
        ("action", "open_position", "expected Action"),
        ("step", "3", "expected int"),
        ("step", True, "expected int"),
        ("inputs", "x", "expected a list"),
        ("inputs", [["a"]], "expected 2 items"),
        ("write", {"is": "open_position"}, "expected a known kind"),
        ("write", {"is": "accepted", "order_id": None, "sent_ns": 1}, "expected a known kind"),
        ("key", [], "expected PositionKey"),
    ],
)
def test_a_record_that_does_not_fit_is_refused_with_what_was_expected(field: str, value: object, told: str) -> None:
    said = json.loads(text_of(encoded(intent())))
    with pytest.raises(JournalError, match=told):
        decoded(Intent, {**said, field: value})


def test_a_record_that_lacks_what_has_no_default_is_refused_by_name() -> None:
    said = json.loads(text_of(encoded(intent())))
    del said["rule"]
    with pytest.raises(JournalError, match="a record of Intent lacks rule"):
        decoded(Intent, said)
