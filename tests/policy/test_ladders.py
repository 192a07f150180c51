"""Ladders of stops and take-profits: what each tranche is for, and how several rules become one (interfaces.md 2.4, 2.5)."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from guardd.model.decision import WantedOrder
from guardd.model.event import IntentMoved, OrdersRead
from guardd.model.fold import fold
from guardd.model.intent import Action, CancelKind, CancelOrder, Intent, PlaceProtection, Stage, client_id
from guardd.model.names import MarginMode, OrderId, PriceType, RuleName, Side
from guardd.model.order import PlanForm, ProtectionKind
from guardd.model.state import Past
from guardd.policy.ladders import Held, Ladder, Rung, joined
from guardd.policy.memory import Memory
from tests.changed import replace
from tests.model.accounts import D, instrument, row, stop
from tests.policy.guarded import VERIFIED, Guarded, acts, guarded, policy_of, protect

STOP, PROFIT = ProtectionKind.STOP_LOSS, ProtectionKind.TAKE_PROFIT
LONG = row(venue_liquidation=D(70000), quantity="100")
HALVES = (
    "name: s\nthen: [stop_loss: [{trigger: {from_entry: -3%}, size: 50%}, {trigger: {from_entry: -6%}, size: 50%}]]"
)
PROFITS = (
    "name: p\nthen: [take_profit: [{trigger: {from_entry: 2%}, size: 25%}, "
    "{trigger: {from_entry: 4%}, size: 25%}, {trigger: {from_entry: 6%}, size: 50%}]]"
)

Rest = list[tuple[str, Decimal, Decimal | None]]


def rest(here: Guarded, kind: ProtectionKind = STOP) -> Rest:
    """Slot, trigger and size of what shall rest, in the order in which it fires."""
    wanted = [order for order in protect(here.look()).wanted if order.kind is kind]
    return [(f"{order.rule}/{order.tranche}", order.trigger_price, order.size) for order in wanted]


def sizes(here: Guarded, kind: ProtectionKind = STOP) -> list[Decimal | None]:
    return [size for _, _, size in rest(here, kind)]


def placed(here: Guarded, order: WantedOrder, order_id: str) -> None:
    """As after its placing was read back: the order is listed and its intent verified."""
    held = here.state.held[LONG.key]
    write = PlaceProtection(
        key=LONG.key,
        kind=order.kind,
        form=PlanForm.SIZED,
        trigger_price=order.trigger_price,
        price_type=order.price_type,
        size=order.size,
        position_size=held.position.quantity,
        leverage=D(10),
        margin_mode=MarginMode.ISOLATED,
    )
    intent = Intent(
        id=client_id(LONG.key.account, held.episode.id, order.slot, int(order_id)),
        account=LONG.key.account,
        key=LONG.key,
        episode=held.episode.id,
        rule=order.slot,
        step=int(order_id),
        action=Action.STOP_LOSS if order.kind is STOP else Action.TAKE_PROFIT,
        write=write,
        decided=here.now,
        frame_ns=None,
        quantity_before=held.position.quantity,
        closed_before=held.position.closed_quantity,
        reason="test",
    )
    for stage in VERIFIED:
        fold(here.state, IntentMoved(at=here.now, intent=intent, stage=stage, order_id=OrderId(order_id)))
    size = None if order.size is None else str(order.size)
    plan = stop(str(order.trigger_price), order_id=order_id, size=size, kind=order.kind)
    listed(here, *here.state.plans.values(), plan)


def listed(here: Guarded, *plans) -> None:
    fold(here.state, OrdersRead(started=here.now, at=here.now, resting=(), plans=plans))


def place_all(here: Guarded) -> None:
    for number, order in enumerate(protect(here.look()).wanted):
        placed(here, order, str(100 + number))


def gone(here: Guarded, order_id: str, *, closed: int) -> None:
    """An order is no longer listed, and so many contracts of the position were closed."""
    listed(here, *(plan for plan in here.state.plans.values() if plan.order_id != order_id))
    shrink(here, closed)


def shrink(here: Guarded, closed: int) -> None:
    now = here.state.held[LONG.key].position
    here.now = here.now.later_by(1)
    here.read(replace(now, quantity=now.quantity - closed, closed_quantity=now.closed_quantity + closed))


def grow(here: Guarded, by: int) -> None:
    now = here.state.held[LONG.key].position
    here.now = here.now.later_by(1)
    here.read(replace(now, quantity=now.quantity + by))


def restarted(here: Guarded) -> Guarded:
    """Another run: of what the policy remembered only that is left which the journal keeps with the episode."""
    for footing in here.look().footings:
        fold(here.state, footing)
    here.memory = Memory()
    return here


# Shares


def test_a_ladder_is_one_order_for_each_tranche_with_its_share() -> None:
    here = guarded(policy_of(HALVES), LONG)
    assert rest(here) == [("s/0", D(87300), D(50)), ("s/1", D(84600), D(50))]
    here = guarded(policy_of(PROFITS), LONG)
    assert rest(here, PROFIT) == [("p/0", D(91800), D(25)), ("p/1", D(93600), D(25)), ("p/2", D(95400), D(50))]


def test_sizes_are_on_step_and_the_last_tranche_takes_what_rounding_left() -> None:
    thirds = "name: s\nthen: [stop_loss: [{trigger: {from_entry: -3%}, size: 33.3%}, {trigger: {from_entry: -4%}, size: 33.3%}, "
    thirds += "{trigger: {from_entry: -5%}, size: 33.4%}]]"
    assert sizes(guarded(policy_of(thirds), replace(LONG, quantity=D(10)))) == [4, 3, 3]
    assert sizes(guarded(policy_of(thirds), replace(LONG, quantity=D(3)))) == [1, 1, 1]
    assert sizes(guarded(policy_of(thirds), replace(LONG, quantity=D(2)))) == [1, 1]


def test_a_tranche_below_the_venues_minimum_goes_with_the_one_before_it_and_the_first_is_made_as_large_as_that() -> (
    None
):
    policy = policy_of(HALVES.replace("size: 50%}]]", "size: 50%}]]").replace("size: 50%}, {", "size: 4%}, {"))
    here = guarded(policy, replace(LONG, quantity=D(100)))
    here.state.instruments[LONG.key.symbol] = replace(instrument(), min_size=D(10))
    assert sizes(here) == [10, 44]
    small = guarded(policy_of(HALVES), replace(LONG, quantity=D(12)))
    small.state.instruments[LONG.key.symbol] = replace(instrument(), min_size=D(10))
    assert rest(small) == [("s/0", D(87300), None)], "a rest of two could never be closed: it goes with the first"


def test_of_one_contract_the_first_tranche_is_the_whole_position() -> None:
    assert rest(guarded(policy_of(HALVES), replace(LONG, quantity=D(1)))) == [("s/0", D(87300), None)]


def test_tranches_below_100_percent_leave_a_part_without_a_stop_and_that_is_told() -> None:
    here = guarded(policy_of("name: s\nthen: [stop_loss: {trigger: {from_entry: -3%}, size: 60%}]"), LONG)
    decided = here.mark("89000")
    assert sizes(here) == [60]
    (told,) = [tell.text for tell in decided.told]
    assert told.endswith(
        "partly unprotected: its stops are for 60 of 100 contracts (the policy's tranches come to 60%)"
    )
    assert here.look().told == (), "told once"


def test_a_tranche_that_was_passed_before_it_could_be_placed_is_told_as_a_part_without_a_stop() -> None:
    here = guarded(policy_of(HALVES), LONG)
    decided = here.mark("87000")
    assert rest(here) == [("s/1", D(84600), D(50))]
    assert any(
        "50 of 100 contracts (s: the mark 87000 has passed its trigger 87300.00)" in tell.text for tell in decided.told
    )


def test_if_passed_close_of_a_tranche_that_never_rested_closes_its_share_and_then_it_is_done() -> None:
    closing = HALVES.replace("-3%}, size: 50%", "-3%}, size: 50%, if_passed: close")
    here = guarded(policy_of(closing), LONG)
    held = here.state.held[LONG.key]
    held.episode = replace(held.episode, had_verified_stop=True)
    (step,) = acts(here.mark("87000"))
    assert (step.size, step.rule) == (50, "s/stop_loss/0/finish")  # type: ignore[union-attr]
    intent = here.send(step, *VERIFIED[:-1])
    fold(here.state, IntentMoved(at=here.now, intent=intent, stage=Stage.VERIFIED, filled=D(50)))
    shrink(here, 50)
    assert acts(here.mark("86990")) == []
    assert rest(here) == [("s/1", D(84600), None)]


# What happens to the position


def test_a_filled_tranche_is_done_for_the_episode_and_the_others_keep_their_sizes() -> None:
    here = guarded(policy_of(PROFITS), LONG)
    place_all(here)
    gone(here, "100", closed=25)
    here.mark("91000")
    assert rest(here, PROFIT) == [("p/1", D(93600), D(25)), ("p/2", D(95400), D(50))]


def test_a_filled_tranche_stays_done_after_a_restart_and_when_its_orders_are_long_forgotten() -> None:
    here = guarded(policy_of(PROFITS), LONG)
    place_all(here)
    gone(here, "100", closed=25)
    restarted(here).state.finished = Past()
    assert sizes(here, PROFIT) == [25, 50]


def test_a_tranche_that_somebody_cancelled_isnt_done() -> None:
    here = guarded(policy_of(PROFITS), LONG)
    place_all(here)
    gone(here, "100", closed=0)
    assert sizes(here, PROFIT) == [25, 25, 50]


def test_of_two_tranches_that_are_gone_only_as_many_are_done_as_was_closed() -> None:
    here = guarded(policy_of(PROFITS), LONG)
    place_all(here)
    listed(here, *(plan for plan in here.state.plans.values() if plan.order_id == "102"))
    shrink(here, 25)
    assert [slot for slot, _, _ in rest(here, PROFIT)] == ["p/1", "p/2"]


def test_a_tranche_that_we_ended_ourselves_isnt_done_by_what_somebody_else_closed() -> None:
    here = guarded(policy_of(PROFITS), LONG)
    place_all(here)
    ended(here, "100")
    shrink(here, 25)
    assert [slot for slot, _, _ in rest(here, PROFIT)] == ["p/0", "p/1", "p/2"]


def ended(here: Guarded, order_id: str) -> None:
    held = here.state.held[LONG.key]
    rule = RuleName(f"end/{order_id}")
    intent = Intent(
        id=client_id(LONG.key.account, held.episode.id, rule, 0),
        account=LONG.key.account,
        key=LONG.key,
        episode=held.episode.id,
        rule=rule,
        step=0,
        action=Action.CANCEL_PROTECTION,
        write=CancelOrder(key=LONG.key, order_id=OrderId(order_id), kind=CancelKind.PLAN),
        decided=here.now,
        frame_ns=None,
        quantity_before=held.position.quantity,
        closed_before=held.position.closed_quantity,
        reason="test",
    )
    for stage in VERIFIED:
        fold(here.state, IntentMoved(at=here.now, intent=intent, stage=stage))


def test_what_the_guard_itself_closed_fills_no_tranche() -> None:
    trim = "name: trim\nwhen: {profit_from_entry: {below: -2%}}\nthen: [reduce: {by: 25%}]"
    here = guarded(policy_of(PROFITS, trim), LONG)
    place_all(here)
    (step,) = acts(here.mark("88000"))
    intent = here.send(step, *VERIFIED[:-1])
    fold(here.state, IntentMoved(at=here.now, intent=intent, stage=Stage.VERIFIED, filled=D(25)))
    gone(here, "100", closed=25)
    assert [slot for slot, _, _ in rest(here, PROFIT)] == ["p/0", "p/1", "p/2"]


def test_a_reduction_leaves_the_tranches_that_fire_first_their_sizes() -> None:
    here = guarded(policy_of(HALVES), LONG)
    shrink(here, 30)
    assert sizes(here) == [50, 20]


def test_an_addition_re_bases_what_is_left() -> None:
    """Of 100 a quarter was taken; 100 more came: what is left, a quarter and a half, is now a third and two thirds of 175."""
    here = guarded(policy_of(PROFITS), LONG)
    place_all(here)
    gone(here, "100", closed=25)
    grow(here, 100)
    assert sizes(here, PROFIT) == [59, 116]


def test_an_addition_after_a_stop_tranche_filled_leaves_nothing_without_a_stop() -> None:
    here = guarded(policy_of(HALVES), LONG)
    place_all(here)
    gone(here, "100", closed=50)
    grow(here, 30)
    assert rest(here) == [("s/1", D(84600), None)]


def test_an_addition_before_any_fill_raises_every_tranche() -> None:
    here = guarded(policy_of(HALVES), LONG)
    grow(here, 60)
    assert sizes(here) == [80, 80]


# Ratchet and reload


def test_I11_each_tranche_stays_as_tight_as_it_was() -> None:
    here = guarded(policy_of(HALVES), LONG)
    here.look()
    here.read(replace(LONG, entry_price=D(88000)))
    assert rest(here) == [("s/0", D(87300), D(50)), ("s/1", D(84600), D(50))]


def test_I11_a_tranche_stays_as_tight_over_a_restart() -> None:
    here = restarted(guarded(policy_of(HALVES), LONG))
    here.read(replace(LONG, entry_price=D(88000)))
    assert rest(here) == [("s/0", D(87300), D(50)), ("s/1", D(84600), D(50))]


def test_I23_a_policy_with_another_ladder_takes_nothing_of_the_old_ones_tightness() -> None:
    here = guarded(policy_of(HALVES), LONG)
    here.look()
    looser = (
        HALVES.replace("-3%", "-5%").replace("size: 50%}, {", "size: 20%}, {").replace("size: 50%}]]", "size: 80%}]]")
    )
    here.policy = policy_of(looser)
    by_trigger = [(trigger, size) for _, trigger, size in rest(here)]
    assert by_trigger == [(D(87300), D(50)), (D(84600), D(50))]


def test_I23_a_rule_that_is_gone_leaves_its_ladder() -> None:
    here = guarded(policy_of(HALVES), LONG)
    here.look()
    here.policy = policy_of("name: w\nwhen: {leverage: {above: 50}}\nthen: [notify: {}]")
    assert rest(here) == [("s/0", D(87300), D(50)), ("s/1", D(84600), D(50))]


def test_from_mark_is_fixed_at_first_placing_over_a_restart_too() -> None:
    both = (
        "name: s\nthen: [stop_loss: [{trigger: {from_mark: -2%}, size: 50%}, {trigger: {from_mark: -4%}, size: 50%}]]"
    )
    profit = "name: p\nthen: [take_profit: {trigger: {from_mark: 5%}}]"
    here = guarded(policy_of(both, profit), LONG)
    here.mark("89000")
    restarted(here).mark("92000")
    assert [trigger for _, trigger, _ in rest(here)] == [D(87220), D(85440)]
    assert [trigger for _, trigger, _ in rest(here, PROFIT)] == [D(93450)]


# Several rules


def test_of_several_ladders_the_tightest_sum_wins_at_every_price() -> None:
    whole = "name: w\nthen: [stop_loss: {trigger: {from_entry: -4%}}]"
    here = guarded(policy_of(HALVES, whole), LONG)
    assert rest(here) == [("s/0", D(87300), D(50)), ("w/0", D(86400), D(50))]


def test_what_another_rules_tranche_closed_need_not_be_closed_again() -> None:
    other = HALVES.replace("name: s", "name: t").replace("-3%", "-4%").replace("-6%", "-8%")
    here = guarded(policy_of(HALVES, other), LONG)
    assert [slot for slot, _, _ in rest(here)] == ["s/0", "s/1"]
    place_all(here)
    gone(here, "100", closed=50)
    here.policy = policy_of(other)
    here.memory.of(here.state.held[LONG.key].episode.id).latched.clear()
    listed(here)
    assert rest(here) == [("t/1", D(82800), None)], "its own first half was closed by the other rule's"


def test_of_several_take_profits_the_nearest_sum_wins() -> None:
    whole = "name: w\nthen: [take_profit: {trigger: {from_entry: 5%}}]"
    here = guarded(policy_of(PROFITS, whole), LONG)
    assert rest(here, PROFIT) == [("p/0", D(91800), D(25)), ("p/1", D(93600), D(25)), ("w/0", D(94500), D(50))]


def test_two_stops_of_one_rule_are_two_ladders_and_no_sum() -> None:
    two = "name: s\nthen: [{stop_loss: {trigger: {from_entry: -5%}}}, {stop_loss: {trigger: {from_entry: -3%}}}]"
    assert rest(guarded(policy_of(two), LONG)) == [("s/1", D(87300), None)]


RUNGS = st.lists(
    st.tuples(st.integers(800, 990), st.sampled_from(["0.1", "0.25", "0.33", "0.5", "1"])), min_size=1, max_size=4
)


@given(
    rules=st.lists(RUNGS, min_size=1, max_size=3),
    quantity=st.integers(1, 300),
    more=st.integers(0, 200),
    least=st.sampled_from([1, 5, 20]),
    side=st.sampled_from(list(Side)),
)
def test_I01_joined_ladders_are_never_looser_than_any_rule_nor_more_than_is_held(
    rules: list[list[tuple[int, str]]], quantity: int, more: int, least: int, side: Side
) -> None:
    """At every price at least as much has been closed as any single rule asks; what rests comes to no more than is held."""
    ladders: list[Ladder] = []
    for number, rule in enumerate(rules):
        rungs: list[Rung] = []
        left = D(1)
        for place, (price, share) in enumerate(rule):
            taken = min(D(share), left)
            left -= taken
            if taken > 0:
                trigger = D(price) if side is Side.LONG else D(2000 - price)
                rungs.append(
                    Rung(
                        rule=RuleName(f"r{number}"),
                        tranche=place,
                        trigger_price=trigger,
                        share=taken,
                        price_type=PriceType.MARK,
                    )
                )
        ladders.append(Ladder(rungs=tuple(rungs)))
    held = Held(quantity=D(quantity), largest=D(quantity + more), instrument=replace(instrument(), min_size=D(least)))
    orders = joined(ladders, held, STOP, side.sign)
    resting = [(order.trigger_price, D(quantity) if order.size is None else order.size) for order in orders]
    assert sum(size for _, size in resting) <= quantity
    assert all(size >= min(least, quantity) and size % 1 == 0 for _, size in resting)
    assert len({order.slot for order in orders}) == len(orders)
    left = D(quantity) - sum((size for _, size in resting), D(0))
    assert left == 0 or left >= least, "a rest that could never be closed"
    for ladder in ladders:
        for rung in ladder.rungs:
            by_then = [each for each in ladder.rungs if side.sign * (each.trigger_price - rung.trigger_price) >= 0]
            asked = min(sum((each.share for each in by_then), D(0)) * held.largest, D(quantity))
            closed = sum((size for price, size in resting if side.sign * (price - rung.trigger_price) >= 0), D(0))
            assert closed >= asked
