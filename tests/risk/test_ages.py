"""How old is too old."""

import pytest

from guardd.model.event import MarkSeen, OrdersRead
from guardd.model.fold import fold
from guardd.model.names import MarginMode
from guardd.risk.ages import Ages, ages_of, blind_on, limits, plans_are_fresh
from tests.model.accounts import BTC, START, D, account, key, later, row

ISOLATED, CROSS = MarginMode.ISOLATED, MarginMode.CROSS


def aged(mark_s: float | None = 0, position_s: float | None = 0, account_s: float | None = 0) -> Ages:
    return Ages(mark_s=mark_s, position_s=position_s, account_s=account_s, plans_s=0)


def test_every_source_has_an_age_of_its_own() -> None:
    state = account(row())
    fold(state, MarkSeen(BTC, D(89000), later(4)))
    fold(state, OrdersRead(started=START, at=later(2), resting=(), plans=()))
    ages = ages_of(state, state.held[key()], later(5))
    assert (ages.mark_s, ages.position_s, ages.account_s, ages.plans_s) == (1, 5, 5, 3)
    assert ages.oldest_s(CROSS) == 5


@pytest.mark.parametrize(
    ("ages", "near", "mode", "blind"),
    [
        (aged(mark_s=15), False, ISOLATED, ()),
        (aged(mark_s=15.1), False, ISOLATED, ("mark",)),
        (aged(position_s=15), False, ISOLATED, ()),
        (aged(position_s=15.1), False, ISOLATED, ("position",)),
        (aged(position_s=3), True, ISOLATED, ()),
        (aged(position_s=3.1), True, ISOLATED, ("position",)),
        (aged(account_s=99), True, ISOLATED, ()),
        (aged(account_s=15.1), False, CROSS, ("account",)),
        (aged(account_s=3.1), True, CROSS, ("account",)),
        (aged(mark_s=None, account_s=None), False, CROSS, ("mark", "account")),
    ],
)
def test_I09_what_is_older_than_its_limit_is_blindness(
    ages: Ages, near: bool, mode: MarginMode, blind: tuple[str, ...]
) -> None:
    found = blind_on(ages, limits(15, near=near), mode)
    assert tuple(text.split(":")[0] for text in found) == blind


def test_the_limit_of_the_mark_is_the_policys() -> None:
    assert blind_on(aged(mark_s=6), limits(5, near=False), ISOLATED)
    assert not blind_on(aged(mark_s=6), limits(7, near=False), ISOLATED)


def test_an_age_that_was_never_begun_is_no_age() -> None:
    assert aged(mark_s=None).oldest_s(ISOLATED) is None
    assert aged(account_s=None).oldest_s(ISOLATED) == 0
    assert aged(account_s=None).oldest_s(CROSS) is None


def test_plan_orders_count_for_a_minute() -> None:
    fresh, old, never = (Ages(mark_s=0, position_s=0, account_s=0, plans_s=s) for s in (60, 60.5, None))
    assert plans_are_fresh(fresh)
    assert not plans_are_fresh(old)
    assert not plans_are_fresh(never)
