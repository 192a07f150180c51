"""Prices computed ahead: exact to the tick, and no crossing is ever missed."""

import timeit
from decimal import Decimal
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardd.model.event import BalanceRead, InstrumentsRead, MarkSeen, OrdersRead
from guardd.model.fold import fold
from guardd.model.names import MarginMode, Side, Symbol
from guardd.model.position import Position
from guardd.model.reading import Absent
from guardd.model.state import AccountState
from guardd.policy.conditions import Truth, Use
from guardd.policy.crossings import answers, leaves_of
from guardd.policy.explain import acts_at, view_of
from guardd.policy.language import UNIT_OF, Metric, Policy, Unit
from guardd.policy.view import View, views
from guardd.policy.watch import RANGE, watch
from tests.changed import replace
from tests.model.accounts import BTC, ETH, SAMPLE_TIERS, START, D, account, instrument, key, row, stop
from tests.policy.guarded import cross, policy_of, rule

TICK = D("0.1")
LONG = row(venue_liquidation=D(81000))


def bounds(policy: Policy, state: AccountState, symbol: Symbol = BTC) -> tuple[Decimal, Decimal]:
    found = watch(policy, state, now=START).bounds[symbol]
    return found.low, found.high


# Exact to the tick


def test_a_rule_fires_at_the_tick_below_and_not_at_the_last_one_within() -> None:
    policy = policy_of(rule("{profit_from_entry: {below: -5%}}", "notify: {}"))
    assert bounds(policy, account(LONG))[0] == D("85500.0")


def test_a_closing_rule_is_solved_on_the_number_that_may_close() -> None:
    """(m − 81000) ÷ m < 5 % below 85263.157…"""
    policy = policy_of(rule("{distance_to_liquidation: {below: 5%}}", "close: {}"))
    view = view_of(policy, account(LONG), key(), START)
    assert view is not None
    assert acts_at(policy.rules[0], view) == D("85263.1")


def test_a_rule_that_is_true_is_watched_for_becoming_false() -> None:
    """A contrary observation resets `for`: the mark's way back is a crossing too."""
    policy = policy_of(rule("{profit_from_entry: {below: -1%}}", "close: {}", more="for: 2s"))
    low, high = bounds(policy, account(LONG))
    assert high == D("89099.9")
    assert low == D(89000) * RANGE[0]


def test_a_short_is_watched_upwards() -> None:
    policy = policy_of(rule("{profit_from_entry: {below: -1%}}", "close: {}"))
    assert bounds(policy, account(row(Side.SHORT)))[1] == D("90900.0")


def test_without_rules_only_the_range_bounds_the_watch() -> None:
    low, high = bounds(policy_of("name: s\nthen: [stop_loss: {trigger: {from_entry: -8%}}]"), account(LONG))
    assert (low, high) == (D(89000) * RANGE[0], D(89000) * RANGE[1])


def test_views_that_somebody_made_already_are_solved_as_its_own() -> None:
    policy = policy_of(rule("{profit_from_entry: {below: -1%}}", "close: {}"))
    state = account(LONG, row(symbol=ETH, side=Side.SHORT))
    first = watch(policy, state, now=START)
    wanted = frozenset({BTC})
    again = watch(policy, state, now=START, previous=first, symbols=wanted, seen=views(policy, state, START, wanted))
    assert again == watch(policy, state, now=START, previous=first, symbols=wanted) == first


def test_views_of_too_few_are_made_anew() -> None:
    """A cross instrument brings the others of its account along."""
    policy = policy_of(rule("{account_margin_ratio: {above: 80%}}", "close: {}"))
    state = account(cross(), cross(symbol=ETH))
    first = watch(policy, state, now=START)
    wanted = frozenset({BTC})
    again = watch(policy, state, now=START, previous=first, symbols=wanted, seen=views(policy, state, START, wanted))
    assert again.bounds.keys() == first.bounds.keys() == {BTC, ETH}


def test_instruments_that_are_not_held_never_cross() -> None:
    made = watch(policy_of(rule("{profit_from_entry: {below: -1%}}", "close: {}")), account(LONG), now=START)
    assert not made.crossed(Symbol("XRPUSDT"), D(1))


def test_a_held_instrument_without_a_mark_is_looked_at_with_its_first() -> None:
    state = account(LONG)
    state.marks.clear()
    state.held[key()].position = replace(LONG, mark_price=Absent.UNKNOWN)
    made = watch(policy_of(rule("{profit_from_entry: {below: -1%}}", "close: {}")), state, now=START)
    assert made.crossed(BTC, D(89000))


def test_resting_stops_and_prices_asked_for_are_watched_too() -> None:
    policy = policy_of("name: s\nthen: [stop_loss: {trigger: {from_entry: -8%}}]")
    state = account(LONG)
    fold(state, OrdersRead(started=START, at=START, resting=(), plans=(stop("86000"),)))
    made = watch(policy, state, now=START, also={BTC: [D(91000), D(85000)]})
    assert not made.crossed(BTC, D("86000.1"))
    assert made.crossed(BTC, D(86000))
    assert not made.crossed(BTC, D("90999.9"))
    assert made.crossed(BTC, D(91000))


def test_any_mark_of_a_cross_account_affects_all_of_it() -> None:
    policy = policy_of(rule("{account_margin_ratio: {above: 60%}}", "close: {}"))
    made = watch(policy, account(cross(), cross(symbol=ETH), wallet="3000"), now=START)
    assert made.affected(ETH) == {BTC, ETH}
    isolated = watch(policy, account(LONG, row(symbol=ETH)), now=START)
    assert isolated.affected(ETH) == {ETH}


def test_the_other_instruments_of_a_cross_account_use_up_its_slack() -> None:
    policy = policy_of(rule("{account_margin_ratio: {above: 60%}}", "close: {}"))
    made = watch(policy, account(cross(), cross(symbol=ETH), wallet="3000"), now=START)
    assert made.slack is not None
    assert not made.crossed(ETH, D(88900))
    assert not made.crossed(ETH, D(89000))
    assert not made.crossed(BTC, D(88900))
    assert made.crossed(ETH, D(85000)) or made.crossed(BTC, D(85000))


def test_a_tick_costs_less_than_a_few_microseconds() -> None:
    """Two comparisons, whatever the number of rules; the bound is loose because machines are shared."""
    policy = policy_of(rule("{account_margin_ratio: {above: 60%}}", "close: {}"))
    made = watch(policy, account(cross(), cross(symbol=ETH), wallet="3000"), now=START)
    mark = D("88999.9")
    looks = timeit.repeat(lambda: made.crossed(BTC, mark), number=10_000, repeat=5, timer=process_time)
    best = min(looks) / 10_000
    assert best < 5e-6


def test_a_position_about_which_nothing_changed_is_not_solved_again() -> None:
    policy = policy_of(rule("{distance_to_liquidation: {below: 5%}}", "close: {}"))
    state = account(LONG, row(symbol=ETH, venue_liquidation=D(81000)))
    first = watch(policy, state, now=START)
    fold(state, MarkSeen(BTC, D(88000), START))
    state.held[key(symbol=ETH)].position = replace(state.held[key(symbol=ETH)].position, quantity=D(50))
    second = watch(policy, state, now=START, previous=first)
    assert second.solved[key()] is first.solved[key()]
    assert second.solved[key(symbol=ETH)] is not first.solved[key(symbol=ETH)]
    assert second.bounds[BTC].anchor == D(88000)


def test_a_position_whose_mark_left_its_bounds_is_solved_again() -> None:
    policy = policy_of(rule("{distance_to_liquidation: {below: 5%}}", "close: {}"))
    state = account(LONG)
    first = watch(policy, state, now=START)
    fold(state, MarkSeen(BTC, D(84000), START))
    assert watch(policy, state, now=START, previous=first).bounds == watch(policy, state, now=START).bounds


def crossed_account() -> AccountState:
    return account(cross(), cross(symbol=ETH), wallet="3000")


def test_a_cross_position_is_solved_again_when_half_its_slack_is_spent_and_not_before() -> None:
    policy = policy_of(rule("{account_margin_ratio: {above: 60%}}", "close: {}"))
    state = crossed_account()
    first = watch(policy, state, now=START)
    fold(state, MarkSeen(ETH, D(88900), START))
    second = watch(policy, state, now=START, previous=first)
    assert second.solved[key()] is first.solved[key()]
    assert first.slack is not None
    assert second.slack is not None
    assert second.slack < first.slack
    fold(state, MarkSeen(ETH, D(88000) - first.slack * 6, START))
    third = watch(policy, state, now=START, previous=second)
    assert third.solved[key()] is not first.solved[key()]


def test_a_second_cross_instrument_makes_the_first_feel_the_account() -> None:
    policy = policy_of(rule("{account_margin_ratio: {above: 60%}}", "close: {}"))
    alone = watch(policy, account(cross(), wallet="3000"), now=START)
    both = watch(policy, crossed_account(), now=START, previous=alone)
    assert alone.slack is None
    assert both.slack is not None
    assert both.solved[key()].slack is not None


def test_what_does_not_feel_the_account_holds_whatever_the_rest_of_it_does() -> None:
    policy = policy_of(rule("{profit_from_entry: {below: -5%}}", "close: {}"))
    state = crossed_account()
    first = watch(policy, state, now=START)
    fold(state, MarkSeen(ETH, D(86000), START))
    second = watch(policy, state, now=START, previous=first)
    assert second.solved[key()] is first.solved[key()]
    assert second.slack is None


# Laws

RATIOS = [D(text) for text in ("0.02", "0.05", "0.08", "0.15", "0.3", "0.6", "0.85")]
METRICS = [metric for metric in Metric if UNIT_OF[metric] is not Unit.DURATION]


@st.composite
def conditions(draw: st.DrawFn, depth: int = 0) -> str:
    if depth < 2 and draw(st.integers(0, 3)) == 0:
        word = draw(st.sampled_from(["all", "any", "not"]))
        if word == "not":
            return f"{{not: {draw(conditions(depth + 1))}}}"
        parts = draw(st.lists(conditions(depth + 1), min_size=1, max_size=3))
        return f"{{{word}: [{', '.join(parts)}]}}"
    metric = draw(st.sampled_from(METRICS))
    match UNIT_OF[metric]:
        case Unit.RATIO:
            sign = (
                draw(st.sampled_from(["", "-"]))
                if metric in (Metric.PROFIT_FROM_ENTRY, Metric.RETURN_ON_MARGIN)
                else ""
            )
            value = f"{sign}{draw(st.sampled_from(RATIOS))}"
        case Unit.MONEY:
            value = f"{draw(st.sampled_from([-500, -50, 100, 8900, 20000]))} USDT"
        case _:
            value = str(draw(st.sampled_from([3, 8, 11, 20])))
    return f"{{{metric}: {{{draw(st.sampled_from(['below', 'above']))}: {value}}}}}"


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    count = draw(st.integers(1, 4))
    then = st.sampled_from(["close: {}", "notify: {}", "reduce: {by: 25%}"])
    return policy_of(*(rule(draw(conditions()), draw(then), name=f"r{index}") for index in range(count)))


@st.composite
def accounts(draw: st.DrawFn) -> AccountState:
    rows: list[Position] = []
    for symbol in (BTC, ETH, Symbol("SOLUSDT")):
        for side in draw(st.sampled_from([(Side.LONG,), (Side.SHORT,), (Side.LONG, Side.SHORT), ()])):
            mode = draw(st.sampled_from(list(MarginMode)))
            entry = draw(st.sampled_from(["85000", "90000", "93000"]))
            venue: Decimal | Absent = Absent.UNKNOWN
            if draw(st.booleans()):
                share = draw(st.sampled_from([D("0.05"), D("0.1"), D("0.4")]))
                venue = D(entry) * (1 - side.sign * share)
            quantity = str(draw(st.sampled_from([1, 40, 100, 112, 1500])))
            rows.append(
                row(
                    side, symbol=symbol, quantity=quantity, entry=entry, mode=mode, venue_liquidation=venue, rate="0.01"
                )
            )
    tiers = SAMPLE_TIERS if draw(st.booleans()) else None
    listed = tuple(instrument(symbol, tiers=tiers) for symbol in (BTC, ETH, Symbol("SOLUSDT")))
    state = account(*rows, wallet=str(draw(st.sampled_from([900, 3000, 20000]))), instruments=listed)
    draw(st.sampled_from([as_it_is, with_ratio, as_pool, as_pool_with_pnl, in_two_coins]))(
        state, draw(st.sampled_from(RATIOS))
    )
    return state


def as_it_is(state: AccountState, ratio: Decimal) -> None:
    """One coin, and no figures of the venue's own."""


def with_ratio(state: AccountState, ratio: Decimal) -> None:
    """One coin, and the venue's ratio."""
    (known,) = state.balances.values()
    fold(state, BalanceRead(at=START, balances=(replace(known, margin_ratio=ratio),)))


def as_pool(state: AccountState, ratio: Decimal) -> None:
    """A unified account, with the venue's maintenance."""
    (known,) = state.balances.values()
    pool = replace(known, currency="USD", pooled=True, unrealized_pnl=Absent.UNKNOWN, foreign_collateral=True)
    assert isinstance(known.equity, Decimal)
    fold(state, BalanceRead(at=START, balances=(replace(pool, maintenance=abs(known.equity) * ratio),)))


def as_pool_with_pnl(state: AccountState, ratio: Decimal) -> None:
    """The same, with the unrealised PnL of the same answer."""
    (known,) = state.balances.values()
    as_pool(state, ratio)
    (pool,) = state.balances.values()
    fold(state, BalanceRead(at=START, balances=(replace(pool, unrealized_pnl=known.unrealized_pnl),)))


def in_two_coins(state: AccountState, ratio: Decimal) -> None:
    """One instrument settles in another coin."""
    (known,) = state.balances.values()
    fold(state, InstrumentsRead(at=START, instruments=(replace(state.instruments[ETH], settle="USDC"),)))
    other = replace(known, currency="USDC", equity=D(10_000) * ratio, unrealized_pnl=Absent.UNKNOWN)
    fold(state, BalanceRead(at=START, balances=(known, other)))


def told(policy: Policy, state: AccountState) -> dict[tuple[str, str, Use], Truth]:
    """The truth of every rule for every position, by full evaluation."""
    return {
        (str(view.held.key), each.name, use): view.truth_on_last_values(each, use)
        for view in views(policy, state, START)
        for each in view.rules
        for use in Use
        if use is Use.WARN or each.delevers
    }


@settings(deadline=None, max_examples=80)
@given(policies(), accounts(), st.data())
def test_no_crossing_is_ever_missed(policy: Policy, state: AccountState, data: st.DataObject) -> None:
    if not state.held:
        return
    made = watch(policy, state, now=START)
    before = told(policy, state)
    symbols = sorted({held.symbol for held in state.held})
    for _ in range(12):
        symbol = data.draw(st.sampled_from(symbols))
        old = state.marks[symbol].mark
        step = data.draw(st.integers(-400, 400)) * data.draw(st.sampled_from([D("0.03"), D(1), D(20)]))
        mark = max(old + step, D(1000))
        fold(state, MarkSeen(symbol, mark, START))
        after = told(policy, state)
        if made.crossed(symbol, mark):
            part = made.affected(symbol) if data.draw(st.booleans()) else None
            made, before = watch(policy, state, now=START, previous=made, symbols=part), after
        assert after == before


@settings(deadline=None, max_examples=80)
@given(policies(), accounts(), st.data())
def test_no_crossing_is_missed_while_the_venues_numbers_drift(
    policy: Policy, state: AccountState, data: st.DataObject
) -> None:
    """Reads that move a liquidation price by no more than the watch was solved for change no answer, wherever the marks go."""
    if not state.held:
        return
    made = watch(policy, state, now=START)
    before = told(policy, state)
    keys = sorted(state.held)
    for _ in range(12):
        held = state.held[data.draw(st.sampled_from(keys))]
        number, seen = held.position.liquidation_price, state.marks[held.key.symbol].mark
        if isinstance(number, Decimal):
            share = data.draw(st.integers(-12, 12)) * D("0.0001")
            held.position = replace(held.position, liquidation_price=number + share * abs(seen - number))
        step = data.draw(st.integers(-400, 400)) * data.draw(st.sampled_from([D("0.03"), D(1)]))
        mark = max(seen + step, D(1000))
        fold(state, MarkSeen(held.key.symbol, mark, START))
        after = told(policy, state)
        counted = {
            each: made.solved[each].counted(there.position.liquidation_price) for each, there in state.held.items()
        }
        moved = any(made.solved[each].liquidation != number for each, number in counted.items())
        if made.crossed(held.key.symbol, mark) or moved:
            made, before = watch(policy, state, now=START, previous=made), after
        assert after == before


def test_a_cross_positions_number_that_drifts_is_solved_for_again_when_it_went_too_far() -> None:
    policy = policy_of(rule("{distance_to_liquidation: {below: 5%}}", "close: {}"))
    state = account(replace(cross(), liquidation_price=D(81000)), wallet="3000")
    first = watch(policy, state, now=START)
    assert first.solved[key()].drift == D(8000) / 1024
    assert first.solved[key()].counted(D(81007)) == D(81000)
    told_as(state, D(81007))
    second = watch(policy, state, now=START, previous=first)
    assert second.solved[key()] is first.solved[key()]
    told_as(state, D(81008))
    third = watch(policy, state, now=START, previous=second)
    assert third.solved[key()].liquidation == D(81008)


def test_an_isolated_positions_number_is_taken_as_it_is() -> None:
    policy = policy_of(rule("{distance_to_liquidation: {below: 5%}}", "close: {}"))
    state = account(LONG)
    first = watch(policy, state, now=START)
    told_as(state, D("81000.1"))
    assert watch(policy, state, now=START, previous=first).solved[key()].liquidation == D("81000.1")


def test_next_to_an_edge_no_movement_of_the_number_is_passed_over() -> None:
    """At 5 % but for a hair: a number that is nearer by a thousandth of the way would make the rule true."""
    policy = policy_of(rule("{distance_to_liquidation: {below: 5%}}", "close: {}"))
    made = watch(policy, account(replace(cross(), liquidation_price=D(84549)), wallet="3000"), now=START)
    assert made.solved[key()].drift == 0


def told_as(state: AccountState, number: Decimal) -> None:
    held = state.held[key()]
    held.position = replace(held.position, liquidation_price=number)


@settings(deadline=None, max_examples=80)
@given(policies(), accounts())
def test_a_bound_is_the_last_tick_at_which_nothing_changes(policy: Policy, state: AccountState) -> None:
    """Isolated positions, one on its instrument: at the bound every comparison answers as now, a tick further one doesn't, or
    the search's own end is there."""
    for view in views(policy, state, START):
        alone = sum(held.symbol == view.held.key.symbol for held in state.held) == 1
        if view.cross or not alone:
            continue
        made = watch(policy, state, now=START).bounds[view.held.key.symbol]
        for inside, step in ((made.low, -TICK), (made.high, TICK)):
            assert same_answers(policy, state, view, inside)
            outside = inside + step
            ends = not RANGE[0] <= outside / view.risk.mark <= RANGE[1] or beyond_end(view, outside)
            assert ends or not same_answers(policy, state, view, inside + step - inside % TICK)


def same_answers(policy: Policy, state: AccountState, view: View, mark: Decimal) -> bool:
    leaves = leaves_of(view.rules)
    moved = replace(state, marks={**state.marks, view.held.key.symbol: MarkSeen(view.held.key.symbol, mark, START)})
    there = view_of(policy, moved, view.held.key, START)
    assert there is not None
    return answers(leaves, there.risk) == answers(leaves, view.risk)


def beyond_end(view: View, mark: Decimal) -> bool:
    """At or beyond one of the liquidation prices, or within a tick of the mark itself."""
    numbers = [view.held.position.liquidation_price, view.on.near_liquidation, view.on.closing_liquidation]
    between = sorted((mark, view.risk.mark))
    ends = any(isinstance(number, Decimal) and between[0] <= number <= between[1] for number in numbers)
    return ends or abs(mark - view.risk.mark) <= TICK


@settings(deadline=None, max_examples=60)
@given(policies(), accounts())
def test_the_price_shown_is_the_first_at_which_the_rule_acts(policy: Policy, state: AccountState) -> None:
    for view in views(policy, state, START):
        for each in view.rules:
            mark = acts_at(each, view)
            use = Use.CLOSE if each.delevers else Use.WARN
            if mark is None or mark == view.risk.mark:
                continue
            back = TICK if mark < view.risk.mark else -TICK
            assert truth_at(policy, state, view, each.name, use, mark) is Truth.TRUE
            if abs(mark - view.risk.mark) > TICK:
                assert truth_at(policy, state, view, each.name, use, mark + back) is not Truth.TRUE


def truth_at(policy: Policy, state: AccountState, view: View, name: str, use: Use, mark: Decimal) -> Truth:
    moved = replace(state, marks={**state.marks, view.held.key.symbol: MarkSeen(view.held.key.symbol, mark, START)})
    there = view_of(policy, moved, view.held.key, START)
    assert there is not None
    return there.truth_on_last_values(next(each for each in there.rules if each.name == name), use)


def test_the_bound_holds_for_marks_between_ticks() -> None:
    policy = policy_of(rule("{profit_from_entry: {below: -5%}}", "notify: {}"))
    made = watch(policy, account(LONG), now=START)
    assert made.crossed(BTC, D("85499.99"))
    assert not made.crossed(BTC, D("85500.01"))


@pytest.mark.parametrize("mark", ["81000", "80900"])
def test_a_mark_at_or_beyond_the_venues_liquidation_price_is_always_looked_at(mark: str) -> None:
    policy = policy_of(rule("{distance_to_liquidation: {below: 5%}}", "close: {}"))
    made = watch(policy, account(LONG), now=START)
    assert made.crossed(BTC, D(mark))
