"""Every expected decision within its step, and nothing else."""

from decimal import Decimal

import pytest

from guardd.model.names import Severity, Side
from guardd.policy.cases.judge import Heard, Made, Recording, Verdict, judge
from tests.policy.cases.scene import falling

D = Decimal
WANTED = """\
- {at: 3s, expect: [{rule: trim, action: reduce, size: 40, side: long}]}
- {at: 5s, expect: [{told: blind, severity: critical}]}"""
BLIND = Heard(at_s=D("5.25"), severity=Severity.CRITICAL, text="main: blind: mark: 10 s old")


def made(at_s: str, size: str = "40", *, rule: str = "trim", side: Side = Side.LONG) -> Made:
    return Made(at_s=D(at_s), rule=rule, action="reduce", symbol="BTCUSDT", side=side, figures={"size": D(size)})


def verdict(*came: Made, heard: tuple[Heard, ...] = (BLIND,)) -> Verdict:
    return judge(falling("90000x9", WANTED), Recording(made=list(came), heard=list(heard)))


def wrongs(found: Verdict) -> list[str]:
    return [pairing.wrong for pairing in found.pairings if pairing.wrong]


@pytest.mark.parametrize("at_s", ["3", "3.25", "3.999"])
def test_a_decision_may_come_at_any_moment_of_its_step(at_s: str) -> None:
    assert verdict(made(at_s)).passed


@pytest.mark.parametrize(
    ("came", "wrong"),
    [
        ((), ["it did not come"]),
        ((made("4"),), ["at 4s instead of 3s"]),
        ((made("2.999"),), ["at 2.999s instead of 3s"]),
        ((made("3", "41"),), ["size 41 instead of 40"]),
        ((made("3", side=Side.SHORT),), ["short instead of long"]),
        ((made("3", rule="other"),), ["it did not come", "nobody expected it"]),
        ((made("3"), made("3.5")), ["nobody expected it"]),
        ((made("3"), made("8")), ["nobody expected it"]),
        ((made("-1"), made("3")), ["nobody expected it"]),
    ],
)
def test_anything_else_is_wrong_and_says_how(came: tuple[Made, ...], wrong: list[str]) -> None:
    found = verdict(*came)
    assert not found.passed
    assert wrongs(found) == wrong


@pytest.mark.parametrize(
    "heard",
    [
        (),
        (Heard(at_s=D(7), severity=Severity.CRITICAL, text="blind"),),
        (Heard(at_s=D(5), severity=Severity.WARNING, text="blind"),),
        (Heard(at_s=D(5), severity=Severity.CRITICAL, text="stale"),),
    ],
)
def test_what_people_must_be_told_is_told_in_its_step_with_its_words(heard: tuple[Heard, ...]) -> None:
    assert wrongs(verdict(made("3"), heard=heard)) == ["nobody was told"]


def test_what_people_are_told_besides_is_free() -> None:
    other = Heard(at_s=D(1), severity=Severity.CRITICAL, text="something else")
    assert verdict(made("3"), heard=(other, BLIND)).passed


def test_a_task_that_failed_fails_the_case_whatever_came() -> None:
    recording = Recording(made=[made("3")], heard=[BLIND], broken=["main/guard: KeyError: 'x'"])
    found = judge(falling("90000x9", WANTED), recording)
    assert wrongs(found) == ["a task of the guard failed: main/guard: KeyError: 'x'"]


def test_before_the_end_only_steps_that_are_over_are_judged() -> None:
    case = falling("90000x9", WANTED)
    assert judge(case, Recording(), until_s=D(3)).passed
    assert not judge(case, Recording(), until_s=D(4)).passed
    assert judge(case, Recording(made=[made("3")]), until_s=D(5)).passed
    assert not judge(case, Recording(made=[made("0.5")]), until_s=D(1)).passed
