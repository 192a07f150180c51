"""Which resting orders are stops that one may rely on."""

import pytest

from guardd.model.decision import OnUnprotected, WantedOrder
from guardd.model.event import OrdersRead
from guardd.model.fold import fold
from guardd.model.names import MarginMode, PriceType, RuleName, Side
from guardd.model.order import PlanOrder, ProtectionKind
from guardd.model.reading import Absent
from guardd.model.state import AccountState
from guardd.risk.assess import assess_position
from guardd.risk.cover import Cover, cover, protected_notional_ratio
from tests.changed import replace
from tests.model.accounts import START, D, account, instrument, key, later, row, stop


def judge(
    *plans: PlanOrder, state: AccountState | None = None, wanted: tuple[WantedOrder, ...] = (), age_s: float = 0
) -> Cover:
    state = state or account(row(venue_liquidation=D(82000)))
    fold(state, OrdersRead(started=START, at=START, resting=None, plans=plans))
    now = later(age_s)
    held = next(iter(state.held.values()))
    return cover(state, held, assess_position(state, held, mark=D(89000), now=now), wanted=wanted, now=now)


def want(trigger: str, *, size: str | None = None, tranche: int = 0) -> WantedOrder:
    return WantedOrder(
        kind=ProtectionKind.STOP_LOSS,
        rule=RuleName("resting-protection"),
        tranche=tranche,
        trigger_price=D(trigger),
        price_type=PriceType.MARK,
        size=None if size is None else D(size),
        on_unprotected=OnUnprotected.ALERT,
    )


def test_a_whole_position_stop_between_liquidation_and_mark_protects() -> None:
    found = judge(stop("85000"))
    assert found.protected
    assert found.wanted_met
    assert found.covered == 100
    assert found.note == ""


def test_sized_stops_protect_when_they_cover_the_quantity_together() -> None:
    assert judge(stop("85000", size="60"), stop("84000", order_id="2", size="40")).protected
    short = judge(stop("85000", size="60"), stop("84000", order_id="2", size="39"))
    assert not short.protected
    assert short.note == "stops cover 99 of 100 contracts"


def test_a_stop_by_the_last_price_is_accepted_with_a_warning() -> None:
    found = judge(stop("85000", price_type=PriceType.LAST))
    assert found.protected
    assert "last price" in found.note


@pytest.mark.parametrize(
    ("plan", "word"),
    [
        (stop("82000"), "liquidation price"),
        (stop("81000"), "liquidation price"),
        (stop("89000"), "mark"),
        (stop("90000"), "mark"),
        (stop("85000", execution_price="84900"), "limit order"),
        (stop("95000", kind=ProtectionKind.TAKE_PROFIT), "no stop"),
        (stop("85000", kind=None), "no stop"),
        (stop("85000", Side.SHORT), "no stop"),
    ],
)
def test_what_would_not_end_the_position_in_time_is_no_stop(plan: PlanOrder, word: str) -> None:
    found = judge(plan)
    assert not found.protected
    assert found.adequate == ()
    assert word in found.note


def test_a_short_is_protected_from_above() -> None:
    state = account(row(Side.SHORT, venue_liquidation=D(96000)))
    assert judge(stop("95000", Side.SHORT), state=state).protected
    assert not judge(stop("96000", Side.SHORT), state=state).protected
    assert not judge(stop("88000", Side.SHORT), state=state).protected


def test_a_stop_looser_than_the_wanted_one_is_left_out_and_a_tighter_one_counts() -> None:
    wanted = (want("85000"),)
    assert judge(stop("85000"), wanted=wanted).wanted_met
    assert judge(stop("86000"), wanted=wanted).wanted_met
    loose = judge(stop("84000"), wanted=wanted)
    assert not loose.protected
    assert not loose.wanted_met
    assert "looser" in loose.note


def test_each_tranche_of_a_ladder_wants_its_size_at_least_as_tight() -> None:
    ladder = (want("86000", size="50"), want("84000", size="50", tranche=1))
    both = (stop("86000", size="50"), stop("84000", order_id="2", size="50"))
    assert judge(*both, wanted=ladder).wanted_met
    only_loose = judge(stop("84000"), wanted=ladder)
    assert only_loose.protected
    assert not only_loose.wanted_met
    assert judge(stop("86000"), wanted=ladder).wanted_met


def test_a_wanted_part_may_be_met_while_the_whole_is_not_protected() -> None:
    found = judge(stop("86000", size="50"), wanted=(want("86000", size="50"),))
    assert found.wanted_met
    assert not found.protected


def test_adequate_orders_come_tightest_first() -> None:
    found = judge(stop("84000", size="50"), stop("86000", order_id="2", size="50"))
    assert [plan.trigger_price for plan in found.adequate] == [D(86000), D(84000)]


def test_a_list_of_plan_orders_older_than_a_minute_protects_nothing() -> None:
    assert judge(stop("85000"), age_s=60).protected
    old = judge(stop("85000"), age_s=61, wanted=(want("85000"),))
    assert not old.protected
    assert not old.wanted_met
    assert "too old" in old.note


def test_a_list_that_was_never_read_protects_nothing() -> None:
    state = account(row())
    held = state.held[key()]
    risk = assess_position(state, held, mark=D(89000), now=START)
    assert not cover(state, held, risk, now=START).protected


def test_less_than_the_smallest_order_is_unprotectable_unless_something_covers_it() -> None:
    small = replace(instrument(), min_size=D(200))
    state = account(row(), instruments=(small,))
    assert judge(state=state).unprotectable
    assert not judge(stop("85000"), state=state).unprotectable


def test_where_no_liquidation_price_is_known_the_mark_alone_bounds_a_stop() -> None:
    state = account(row(margin=Absent.UNKNOWN))
    assert judge(stop("50000"), state=state).protected


def test_a_hedge_leg_that_gains_on_the_dangerous_side_is_bounded_by_the_mark_alone() -> None:
    state = account(row(mode=MarginMode.CROSS, quantity="30"), row(Side.SHORT, mode=MarginMode.CROSS), wallet="900")
    fold(state, OrdersRead(started=START, at=START, resting=None, plans=(stop("50000"),)))
    held = state.held[key()]
    risk = assess_position(state, held, mark=D(89000), now=START)
    assert risk.exposure is Side.SHORT
    assert cover(state, held, risk, now=START).protected


def test_the_protected_share_weighs_positions_by_notional() -> None:
    assert protected_notional_ratio([(D(300), True), (D(100), False)]) == D("0.75")
    assert protected_notional_ratio([]) is Absent.NONE
    assert protected_notional_ratio([(D(300), True), (Absent.UNKNOWN, True)]) is Absent.UNKNOWN


def test_a_stop_looser_by_less_than_stops_are_moved_for_is_as_good_as_wanted() -> None:
    assert judge(stop("84990"), wanted=(want("85000"),)).protected
    assert not judge(stop("84900"), wanted=(want("85000"),)).protected
