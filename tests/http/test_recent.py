"""What was decided lately, as the page tells it: one entry for one thing, the newest first, never more than so many."""

import pytest

from guardd.http.recent import KEPT, TEXT_LETTERS_MAX, Recent, What
from guardd.model.facts import IntentStaged, Refused, RuleFired
from guardd.model.intent import Action, Stage
from guardd.model.names import ClientId, OrderId, RuleName, Severity
from guardd.model.outcome import Accepted, Outcome, Reason, Rejected, Unknown
from tests.changed import replace
from tests.telemetry.making import MAIN, START, WHO, intent, key, said, staged, view

NOW_MS = 1_767_225_600_123
REASON = intent().reason


@pytest.fixture
def recent() -> Recent:
    return Recent(now_ms=lambda: NOW_MS)


def fired(text: str = REASON) -> RuleFired:
    return RuleFired(**WHO, key=key(), rule=RuleName("trim"), text=text)


def test_a_decision_is_one_entry_whatever_stages_it_comes_to(recent: Recent) -> None:
    for stage in (Stage.DECIDED, Stage.JOURNALLED, Stage.SENT, Stage.ACCEPTED, Stage.VERIFIED):
        assert recent(staged(stage))
    (entry,) = recent.entries
    assert (entry.kind, entry.stage, entry.rule, entry.action) == (What.DECISION, "verified", "trim", "reduce")
    assert (entry.reason, entry.id, entry.at_ms) == (REASON, "gd1abc", START.wall_ms)
    assert entry.number == 5


@pytest.mark.parametrize(
    ("stage", "outcome", "severity", "detail"),
    [
        (Stage.ACCEPTED, Accepted(order_id=OrderId("7"), sent_ns=1), Severity.INFO, "order 7"),
        (Stage.ACCEPTED, Accepted(order_id=None, sent_ns=1), Severity.INFO, ""),
        (
            Stage.REJECTED,
            Rejected(reason=Reason.BALANCE, code="40012", text="too little"),
            Severity.WARNING,
            "balance (code 40012: too little)",
        ),
        (Stage.UNKNOWN, Unknown(why="no answer in 3 s"), Severity.WARNING, "no answer in 3 s"),
        (Stage.FAILED, None, Severity.CRITICAL, ""),
    ],
)
def test_what_came_of_it_is_told_with_its_weight(
    recent: Recent, stage: Stage, outcome: Outcome | None, severity: Severity, detail: str
) -> None:
    recent(staged(stage, outcome))
    (entry,) = recent.entries
    assert (entry.severity, entry.detail) == (severity, detail)


def test_a_decision_the_rule_that_led_to_it_and_what_was_told_are_one_entry(recent: Recent) -> None:
    for fact in (staged(Stage.DECIDED), said(Severity.WARNING, text=REASON), fired()):
        recent(fact)
    assert [entry.kind for entry in recent.entries] == [What.DECISION]


def test_a_rule_that_only_tells_has_the_weight_of_what_was_told(recent: Recent) -> None:
    recent(said(Severity.CRITICAL, text="near the end"))
    recent(fired("near the end"))
    assert [(entry.kind, entry.severity, entry.rule) for entry in recent.entries] == [
        (What.RULE, Severity.CRITICAL, "trim")
    ]


def test_a_refusal_says_why_once(recent: Recent) -> None:
    refused = Refused(**WHO, key=key(), rule=RuleName("trim"), action=Action.REDUCE, why="at most 30 orders a minute")
    recent(refused)
    recent(said(Severity.WARNING, edge="refused/main/trim", text="reduce by trim is not sent"))
    recent(refused)
    (entry,) = recent.entries
    assert (entry.kind, entry.reason, entry.at_ms) == (What.REFUSED, "at most 30 orders a minute", NOW_MS)


def test_what_is_only_for_information_and_what_is_no_happening_are_left_out(recent: Recent) -> None:
    assert not recent(said(Severity.INFO))
    assert not recent(view())
    assert recent.entries == ()


def test_the_newest_comes_first_and_the_oldest_goes(recent: Recent) -> None:
    for number in range(KEPT + 5):
        recent(said(Severity.WARNING, edge=f"edge {number}", text=f"text {number}"))
    reasons = [entry.reason for entry in recent.entries]
    assert (len(reasons), reasons[0], reasons[-1]) == (KEPT, f"text {KEPT + 4}", "text 5")


def test_what_happens_again_is_new_again(recent: Recent) -> None:
    for edge in ("first", "second", "first"):
        recent(said(Severity.WARNING, edge=edge, text=edge))
    assert [entry.reason for entry in recent.entries] == ["first", "second"]


def test_a_long_text_is_cut(recent: Recent) -> None:
    long = replace(intent(), reason="x" * 5_000, id=ClientId("gd1long"))
    recent(IntentStaged(**WHO, intent=long, stage=Stage.VERIFIED, outcome=None, detail="y" * 5_000))
    (entry,) = recent.entries
    assert (len(entry.reason), len(entry.detail)) == (TEXT_LETTERS_MAX, TEXT_LETTERS_MAX)
    assert entry.account == MAIN
