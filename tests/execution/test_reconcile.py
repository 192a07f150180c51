"""Protection of one position: the ladder, moves, replacement without a gap, strangers, and people who work against it."""

import pytest

from guardd.execution.closing import closing_steps
from guardd.execution.fired import finish_fired
from guardd.execution.proposal import Bounds, FiredStop
from guardd.execution.reconcile import reconcile
from guardd.model.decision import Close, Reduce
from guardd.model.event import MarkSeen, OperatorSpoke, OperatorWord, Source
from guardd.model.intent import Action, CancelOrder, ModifyProtection, PlaceProtection, Stage
from guardd.model.names import MarginMode, OrderId, PriceType, RuleName, Severity
from guardd.model.order import PlanForm, ProtectionKind
from guardd.model.outcome import Reason
from guardd.model.position import episode_id
from guardd.model.reading import Absent
from tests.changed import replace
from tests.execution.bench import BOUNDS, EPISODE, LONG, OPENED_MS, SHORT, Bench, D, plan, position, protect, wanted
from tests.execution.fake_venue import CAN_ALL, Answer

TP = ProtectionKind.TAKE_PROFIT


@pytest.fixture
async def bench():
    bench = Bench()
    await bench.hold(position())
    yield bench
    await bench.end()


def triggers(bench: Bench) -> list[str]:
    return sorted(str(each.trigger_price) for each in bench.venue.plans.values())


def forms_sent(bench: Bench) -> list[PlanForm]:
    return [sent.write.form for sent in bench.venue.sent if isinstance(sent.write, PlaceProtection)]


def only(bench: Bench):
    [order] = bench.venue.plans.values()
    return order


def fall_to(bench: Bench, mark: str) -> Bounds:
    """The venue's reads show this mark from now on, and so do the bounds."""
    bench.venue.rows[LONG] = replace(bench.venue.rows[LONG], mark_price=D(mark))
    return Bounds(mark=D(mark), liquidation_price=D(80))


async def test_a_position_without_a_stop_gets_one_on_the_whole_position(bench: Bench) -> None:
    steps = await bench.protect(wanted("90"))
    assert (only(bench).trigger_price, only(bench).size) == (D(90), None)
    assert (steps.proposals, steps.unprotected) == ((), "")


async def test_stop_and_take_profit_are_two_orders(bench: Bench) -> None:
    await bench.protect(wanted("90"), wanted("110", kind=TP))
    assert triggers(bench) == ["110", "90"]


async def test_it_is_unprotected_until_the_stop_is_listed(bench: Bench) -> None:
    steps = reconcile(protect(wanted()), bench.state, BOUNDS, now=bench.now)
    assert steps.unprotected
    bench.go(steps)
    assert reconcile(protect(wanted()), bench.state, BOUNDS, now=bench.now).unprotected
    await bench.settle(3)
    assert not reconcile(protect(wanted()), bench.state, BOUNDS, now=bench.now).unprotected


async def test_a_stop_that_is_right_but_for_less_than_a_move_is_settled_and_one_that_was_just_moved_waits(
    bench: Bench,
) -> None:
    await bench.protect(wanted("90"))
    near = reconcile(protect(wanted("90.05")), bench.state, BOUNDS, now=bench.now)
    assert (near.proposals, near.waits) == ((), False)
    await bench.settle(6)
    await bench.protect(wanted("92"), rounds=1, seconds=1)
    soon = reconcile(protect(wanted("93")), bench.state, BOUNDS, now=bench.now)
    assert (soon.proposals, soon.waits) == ((), True)


# The ladder


async def test_the_ladder_goes_whole_sized_plan(bench: Bench) -> None:
    bench.venue.script.extend([Reason.INVALID, Reason.OTHER])
    await bench.protect(wanted(), seconds=3)
    assert forms_sent(bench) == [PlanForm.WHOLE, PlanForm.SIZED, PlanForm.PLAN]
    assert (only(bench).form, only(bench).size) == (PlanForm.PLAN, D(100))


async def test_a_form_that_is_accepted_and_not_listed_is_the_next_rungs_turn(bench: Bench) -> None:
    bench.venue.script.append(Answer.ACCEPT_NOT_LISTED)
    await bench.protect(wanted(), seconds=3)
    assert forms_sent(bench) == [PlanForm.WHOLE, PlanForm.SIZED]


async def test_below_the_last_rung_the_guard_watches_the_price_itself_and_says_unprotected(bench: Bench) -> None:
    bench.venue.script.extend([Reason.INVALID] * 3)
    steps = await bench.protect(wanted("90"), rounds=4, seconds=2)
    [software] = steps.software_stops
    assert (software.trigger_price, software.rule) == (D(90), RuleName("rest"))
    assert "no form of stop is taken" in steps.unprotected


async def test_refused_in_every_form_the_oldest_refusal_is_tried_again_each_ten_seconds(bench: Bench) -> None:
    bench.venue.script.extend([Reason.INVALID] * 6)
    await bench.protect(wanted(), rounds=4, seconds=2)
    for _ in range(3):
        await bench.settle(10)
        await bench.read()
        steps = await bench.protect(wanted(), rounds=1, seconds=1)
        assert steps.software_stops, "meanwhile the guard watches the price itself"
    assert forms_sent(bench) == [PlanForm.WHOLE, PlanForm.SIZED, PlanForm.PLAN] * 2


async def test_what_no_form_will_change_is_asked_again_after_a_minute(bench: Bench) -> None:
    bench.venue.script.extend([Reason.TRIGGER_TOO_FAR] * 3)
    await bench.protect(wanted(), rounds=10, seconds=2)
    assert len(forms_sent(bench)) == 1
    bench.venue.script.clear()
    await bench.settle(60)
    await bench.read()
    steps = await bench.protect(wanted(), seconds=3)
    assert only(bench).form is PlanForm.WHOLE
    assert not steps.software_stops


@pytest.mark.parametrize("reason", [Reason.RATE_LIMITED, Reason.NOT_SENT, Reason.CLOCK])
async def test_a_rejection_that_says_nothing_about_the_form_keeps_the_rung(bench: Bench, reason: Reason) -> None:
    bench.venue.script.append(reason)
    await bench.protect(wanted(), seconds=3)
    assert forms_sent(bench) == [PlanForm.WHOLE, PlanForm.WHOLE]


async def test_a_stop_that_no_form_could_place_is_watched_at_once(bench: Bench) -> None:
    bench.venue.script.append(Reason.TRIGGER_TOO_FAR)
    steps = await bench.protect(wanted(), rounds=2, seconds=2)
    assert forms_sent(bench) == [PlanForm.WHOLE]
    assert steps.software_stops


# Moves: invariant I11 and the pace


async def test_I11_a_stop_moves_only_towards_the_price(bench: Bench) -> None:
    await bench.protect(wanted("90"))
    await bench.settle(6)
    await bench.protect(wanted("85"))
    assert triggers(bench) == ["90"]
    await bench.protect(wanted("92"))
    assert triggers(bench) == ["92"]


async def test_a_move_uses_the_venues_own_modify(bench: Bench) -> None:
    await bench.protect(wanted("90"))
    order_id = only(bench).order_id
    await bench.settle(6)
    await bench.protect(wanted("92"))
    assert only(bench).order_id == order_id
    assert isinstance(bench.venue.sent[-1].write, ModifyProtection)


async def test_moves_are_at_least_a_thousandth_and_five_seconds_apart(bench: Bench) -> None:
    await bench.protect(wanted("90"))
    await bench.settle(6)
    assert not reconcile(protect(wanted("90.08")), bench.state, BOUNDS, now=bench.now).proposals
    bench.go(reconcile(protect(wanted("91")), bench.state, BOUNDS, now=bench.now))
    await bench.settle(2)
    assert not reconcile(protect(wanted("92")), bench.state, BOUNDS, now=bench.now).proposals
    await bench.settle(4)
    assert reconcile(protect(wanted("92")), bench.state, BOUNDS, now=bench.now).proposals


async def test_a_take_profit_follows_the_entry_both_ways(bench: Bench) -> None:
    await bench.protect(wanted("110", kind=TP))
    await bench.settle(6)
    await bench.protect(wanted("108", kind=TP))
    assert triggers(bench) == ["108"]


async def test_a_take_profit_that_nobody_wants_ends_and_a_stop_stays(bench: Bench) -> None:
    await bench.protect(wanted("90"), wanted("110", kind=TP))
    await bench.protect()
    assert triggers(bench) == ["90"]


# Replacement: invariants I3 and I5


@pytest.fixture
async def immovable():
    bench = Bench(capabilities=replace(CAN_ALL, modify_protection=False))
    await bench.hold(position())
    yield bench
    await bench.end()


async def test_I03_a_replacement_is_listed_before_the_old_stop_ends(immovable: Bench) -> None:
    bench = immovable
    await bench.protect(wanted("90"))
    await bench.settle(6)
    await bench.protect(wanted("92"))
    writes = [type(sent.write).__name__ for sent in bench.venue.sent]
    assert writes == ["PlaceProtection", "PlaceProtection", "CancelOrder"]
    assert triggers(bench) == ["92"]


async def test_I03_a_refused_modify_is_replaced_the_long_way(bench: Bench) -> None:
    await bench.protect(wanted("90"))
    await bench.settle(6)
    bench.venue.script.append(Reason.INVALID)
    await bench.protect(wanted("92"))
    assert triggers(bench) == ["92"]
    assert isinstance(bench.venue.sent[-1].write, CancelOrder)


async def test_I03_the_old_stop_stays_when_the_new_one_is_never_listed(immovable: Bench) -> None:
    bench = immovable
    await bench.protect(wanted("90"))
    await bench.settle(6)
    bench.venue.script.extend([Answer.ACCEPT_NOT_LISTED, Reason.INVALID])
    await bench.protect(wanted("92"), rounds=3, seconds=3)
    assert triggers(bench) == ["90"]


async def test_I03_where_the_venue_allows_one_the_gap_is_one_step_long(immovable: Bench) -> None:
    bench = immovable
    await bench.protect(wanted("90"))
    await bench.settle(6)
    bench.venue.script.extend([Reason.PROTECTION_EXISTS, Reason.PROTECTION_EXISTS])
    await bench.protect(wanted("92"), seconds=3)
    assert [type(sent.write).__name__ for sent in bench.venue.sent][-2:] == ["CancelOrder", "PlaceProtection"]
    assert triggers(bench) == ["92"]


async def test_I05_duplicates_of_ours_end_and_one_stays(bench: Bench) -> None:
    await bench.protect(wanted("90"))
    twin = replace(only(bench), order_id=OrderId("twin"))
    bench.venue.plans[twin.order_id] = twin
    await bench.read()
    await bench.protect(wanted("90"))
    assert len(bench.venue.plans) == 1


async def test_a_sized_stop_follows_the_quantity_before_anything_else() -> None:
    bench = Bench(capabilities=replace(CAN_ALL, whole_position_protection=False))
    await bench.hold(position())
    await bench.protect(wanted("90"))
    assert only(bench).size == 100
    bench.venue.rows[LONG] = position(quantity=60, closed_quantity=D(40))
    await bench.read()
    await bench.protect(wanted("90"), seconds=1.5)
    assert only(bench).size == 60
    await bench.end()


async def test_I10_a_sized_stop_that_a_position_outgrew_gives_way_to_one_on_the_whole_position() -> None:
    """A refused move left it sized. Nothing whole rests: a larger one beside it may find no room (Bitget classic 12.2)."""
    bench = Bench(capabilities=replace(CAN_ALL, modify_size=True))
    await bench.hold(position())
    await bench.protect(wanted("90"))
    await bench.settle(6)
    bench.venue.script.append(Reason.PRECISION)
    await bench.protect(wanted("92"))
    assert only(bench).size == 100
    await bench.settle(6)
    sent = len(bench.venue.sent)
    bench.venue.rows[LONG] = position(quantity=200)
    await bench.read()
    await bench.protect(wanted("92"))
    assert [type(each.write) for each in bench.venue.sent[sent:]] == [PlaceProtection, CancelOrder]
    assert (only(bench).trigger_price, only(bench).size) == (D(92), None)
    await bench.end()


async def test_I10_a_sized_stop_beside_a_looser_whole_one_of_the_user_is_enlarged_in_its_place() -> None:
    bench = Bench(capabilities=replace(CAN_ALL, modify_size=True))
    await bench.hold(position())
    bench.venue.plans[OrderId("theirs")] = plan("theirs", "85")
    await bench.read()
    await bench.protect(wanted("90"))
    bench.venue.rows[LONG] = position(quantity=200)
    await bench.read()
    await bench.protect(wanted("90"))
    assert forms_sent(bench) == [PlanForm.SIZED]
    assert isinstance(bench.venue.sent[-1].write, ModifyProtection)
    assert sorted((str(each.trigger_price), each.size) for each in bench.venue.plans.values()) == [
        ("85", None),
        ("90", D(200)),
    ]
    await bench.end()


async def test_I01_tranches_of_a_ladder_never_sum_to_more_than_is_held(bench: Bench) -> None:
    await bench.protect(wanted("94", size=60, tranche=0), wanted("90", size=60, tranche=1))
    sizes = {str(each.trigger_price): each.size for each in bench.venue.plans.values()}
    assert sizes == {"94": D(60), "90": D(40)}


async def test_a_tranche_that_filled_is_done_for_the_episode(bench: Bench) -> None:
    half = wanted("110", kind=TP, size=50)
    await bench.protect(half)
    bench.venue.fire(only(bench).order_id)
    await bench.read()
    steps = await bench.protect(half)
    assert bench.venue.plans == {}
    assert not steps.notes


# Strangers: invariant I13


async def test_I13_a_users_adequate_stop_counts_and_is_left_alone(bench: Bench) -> None:
    bench.venue.plans[OrderId("users")] = plan("users", "91")
    await bench.read()
    steps = await bench.protect(wanted("90"))
    assert (bench.venue.sent, steps.unprotected) == ([], "")


async def test_I13_a_users_looser_stop_stays_and_ours_stands_beside_it(bench: Bench) -> None:
    bench.venue.plans[OrderId("users")] = plan("users", "85")
    await bench.read()
    steps = await bench.protect(wanted("90"))
    assert triggers(bench) == ["85", "90"]
    assert steps.unprotected == ""


async def test_where_the_venue_allows_one_and_it_is_the_users_the_position_is_told_unprotected(bench: Bench) -> None:
    bench.venue.plans[OrderId("users")] = plan("users", "85")
    await bench.read()
    bench.venue.script.extend([Reason.PROTECTION_EXISTS] * 2)
    steps = await bench.protect(wanted("90"), rounds=3, seconds=2)
    assert steps.unprotected.startswith("venue allows one")
    assert steps.software_stops
    assert triggers(bench) == ["85"]


@pytest.mark.parametrize(
    "flaw",
    [
        {"trigger_price": D("79")},
        {"trigger_price": D("101")},
        {"execution_price": D("89")},
        {"size": D(50), "form": PlanForm.SIZED},
    ],
    ids=["beyond liquidation", "past the mark", "limit execution", "half the position"],
)
async def test_a_users_inadequate_stop_does_not_count(bench: Bench, flaw: dict) -> None:
    bench.venue.plans[OrderId("users")] = plan("users", "91", **({"form": PlanForm.SIZED} | flaw))
    await bench.read()
    await bench.protect(wanted("90"))
    assert len(bench.venue.plans) == 2


async def test_a_users_stop_by_last_price_counts_with_a_warning(bench: Bench) -> None:
    bench.venue.plans[OrderId("users")] = plan("users", "91", price_type=PriceType.LAST)
    await bench.read()
    steps = await bench.protect(wanted("90"))
    assert [note.severity for note in steps.notes] == [Severity.WARNING]
    assert bench.venue.sent == []


# People who work against it


async def test_a_stop_cancelled_by_hand_is_restored_and_the_third_time_is_critical(bench: Bench) -> None:
    await bench.protect(wanted("90"))
    told: list[Severity] = []
    for _ in range(3):
        bench.venue.plans.clear()
        await bench.read()
        steps = reconcile(protect(wanted("90")), bench.state, BOUNDS, now=bench.now)
        told += [note.severity for note in steps.notes]
        bench.go(steps)
        await bench.settle(3)
        assert triggers(bench) == ["90"]
    assert told == [Severity.WARNING, Severity.WARNING, Severity.CRITICAL]
    assert "third time" in steps.contested


async def test_a_stop_loosened_by_hand_is_put_back_at_once(bench: Bench) -> None:
    await bench.protect(wanted("90"))
    order = only(bench)
    bench.venue.plans[order.order_id] = replace(order, trigger_price=D(85))
    await bench.read()
    steps = reconcile(protect(wanted("90")), bench.state, BOUNDS, now=bench.now)
    assert [note.severity for note in steps.notes] == [Severity.WARNING]
    bench.go(steps)
    await bench.settle(3)
    assert triggers(bench) == ["90"]


async def test_a_stop_cancelled_by_hand_while_halted_stays_cancelled_until_resume(bench: Bench) -> None:
    await bench.protect(wanted("90"))
    bench.post(OperatorSpoke(at=bench.now, word=OperatorWord.HALT, why="test"))
    bench.venue.plans.clear()
    await bench.read()
    steps = await bench.protect(wanted("90"))
    assert bench.venue.plans == {}
    assert "while halted" in steps.unprotected
    bench.post(OperatorSpoke(at=bench.now, word=OperatorWord.RESUME, why="test"))
    await bench.protect(wanted("90"))
    assert triggers(bench) == ["90"]


async def test_a_position_without_any_stop_gets_one_even_while_halted(bench: Bench) -> None:
    bench.post(OperatorSpoke(at=bench.now, word=OperatorWord.HALT, why="test"))
    await bench.protect(wanted("90"))
    assert triggers(bench) == ["90"]


# A stop that fired


async def test_a_stop_that_fired_and_left_a_rest_is_finished_by_order(bench: Bench) -> None:
    await bench.protect(wanted("90"))
    bench.venue.fire(only(bench).order_id, fill_ratio=D("0.5"))
    through = fall_to(bench, "89")
    await bench.read()
    [fired] = reconcile(protect(wanted("90")), bench.state, through, now=bench.now).fired
    assert finish_fired(fired, bench.state, now=bench.now) is None, "it has a moment to fill"
    await bench.settle(2)
    await bench.read()
    decision = finish_fired(fired, bench.state, now=bench.now)
    assert isinstance(decision, Close)
    assert decision.rule == "rest"


async def test_a_stop_that_failed_is_finished_although_the_policy_names_it_no_more(bench: Bench) -> None:
    await bench.protect(wanted("90"))
    order_id = only(bench).order_id
    through = fall_to(bench, "89")
    assert not reconcile(protect(), bench.state, through, now=bench.now).fired, "it is listed still"
    bench.venue.plans.clear()
    await bench.settle(1)
    await bench.read()
    assert not reconcile(protect(), bench.state, BOUNDS, now=bench.now).fired, "the mark isn't past it"
    [fired] = reconcile(protect(), bench.state, through, now=bench.now).fired
    assert (fired.order_id, fired.size) == (order_id, None)
    await bench.settle(2)
    await bench.read()
    assert isinstance(finish_fired(fired, bench.state, now=bench.now), Close)


async def test_I28_a_stop_that_vanished_during_one_bad_tick_did_not_fire(bench: Bench) -> None:
    await bench.protect(wanted("90"))
    bench.venue.plans.clear()
    await bench.settle(1)
    await bench.read()
    bench.state.rest_marks[LONG.symbol] = MarkSeen(LONG.symbol, D(100), bench.now, source=Source.REST)
    through = Bounds(mark=D(89), liquidation_price=D(80))
    assert not reconcile(protect(), bench.state, through, now=bench.now).fired


async def test_I11_a_mark_read_before_a_stop_vanished_does_not_prove_that_somebody_cancelled_it(bench: Bench) -> None:
    await bench.protect(wanted("90"))
    bench.state.rest_marks[LONG.symbol] = MarkSeen(LONG.symbol, D(100), bench.now, source=Source.REST)
    await bench.settle(1)
    bench.venue.plans.clear()
    await bench.read()
    bench.state.held[LONG].read = bench.now.later_by(-1)
    through = Bounds(mark=D(89), liquidation_price=D(80))
    steps = reconcile(protect(wanted("85")), bench.state, through, now=bench.now)
    assert (steps.position_first, steps.proposals, steps.fired) == (True, (), ())
    assert "gone" in steps.unprotected
    bench.state.rest_marks[LONG.symbol] = MarkSeen(LONG.symbol, D(89), bench.now, source=Source.REST)
    bench.state.held[LONG].read = bench.now.later_by(1)
    steps = reconcile(protect(wanted("85")), bench.state, through, now=bench.now.later_by(1))
    assert (len(steps.fired), steps.proposals) == (1, ())


async def test_I11_a_stop_that_another_rule_had_moved_is_known_to_have_fired_where_it_was_moved_to(
    bench: Bench,
) -> None:
    await bench.protect(wanted("85"))
    await bench.settle(6)
    await bench.protect(wanted("90", rule="trail"))
    assert triggers(bench) == ["90"]
    through = fall_to(bench, "89")
    bench.venue.rows = {key: replace(row, mark_price=D(89)) for key, row in bench.venue.rows.items()}
    bench.venue.plans.clear()
    await bench.read()
    steps = reconcile(protect(wanted("85")), bench.state, through, now=bench.now)
    assert (len(steps.fired), steps.proposals) == (1, ())


async def test_I11_a_stop_of_a_trail_that_was_overtaken_comes_back_where_it_rested_and_fires_once(bench: Bench) -> None:
    """Its trail is past, so the policy names another stop; somebody cancelled the one that rested meanwhile."""
    await bench.protect(wanted("90", rule="trail"))
    bench.venue.plans.clear()
    await bench.settle(6)
    await bench.read()
    await bench.protect(wanted("85"))
    assert triggers(bench) == ["90"]
    through = fall_to(bench, "89")
    await bench.settle(6)
    await bench.read()
    steps = reconcile(protect(wanted("85")), bench.state, through, now=bench.now)
    assert steps.fired == ()
    bench.venue.plans.clear()
    await bench.settle(6)
    await bench.read()
    steps = reconcile(protect(wanted("85")), bench.state, through, now=bench.now)
    assert (len(steps.fired), steps.proposals) == (1, ())


async def test_I11_a_stop_comes_back_where_it_rested_though_the_wish_has_drifted_from_there() -> None:
    """Where a stop was wanted is remembered across a restart in steps of 0.1 %, and what rested is known to the tick."""
    bench, bounds = Bench(), Bounds(mark=D(100), liquidation_price=D(120))
    await bench.hold(position(SHORT, liquidation_price=D(120)))
    for wish, then in (("109.9", "109.9"), ("110", "109.9"), ("110.5", "110.5")):
        asked = protect(wanted(wish), key=SHORT, episode=episode_id(SHORT, OPENED_MS))
        bench.go(reconcile(asked, bench.state, bounds, now=bench.now), bounds=bounds)
        await bench.settle(3)
        assert triggers(bench) == [then], "further off than by a drift the wish itself is another"
        bench.venue.plans.clear()
        await bench.settle(6)
        await bench.read()
    await bench.end()


@pytest.mark.parametrize(("opposite", "then"), [(60, ["85"]), (0, [])], ids=["of a hedge", "alone"])
async def test_I15_what_a_fired_stop_left_of_a_hedge_gets_the_policys_next_stop(opposite: int, then: list[str]) -> None:
    """Closed alone it would raise the net exposure: nobody closes it, and it isn't left bare."""
    bench = Bench()
    legs = [position(SHORT, opposite, liquidation_price=D(140), margin_mode=MarginMode.CROSS)] if opposite else []
    await bench.hold(position(LONG, 20, margin_mode=MarginMode.CROSS), *legs)
    await bench.protect(wanted("90"))
    through = fall_to(bench, "89")
    bench.venue.rows = {key: replace(row, mark_price=D(89)) for key, row in bench.venue.rows.items()}
    bench.venue.plans.clear()
    await bench.read()
    steps = reconcile(protect(wanted("85")), bench.state, through, now=bench.now)
    assert len(steps.fired) == 1
    bench.go(steps, bounds=through)
    await bench.settle(3)
    assert triggers(bench) == then
    await bench.end()


async def test_a_stop_that_fired_whole_leaves_nothing_to_finish(bench: Bench) -> None:
    await bench.protect(wanted("90"))
    through = fall_to(bench, "89")
    order_id = only(bench).order_id
    bench.venue.plans.clear()
    await bench.read()
    [fired] = reconcile(protect(wanted("90")), bench.state, through, now=bench.now).fired
    assert fired.order_id == order_id
    bench.venue.rows.clear()
    for _ in range(3):
        await bench.settle(2)
        await bench.read()
    assert finish_fired(fired, bench.state, now=bench.now) is None


async def test_a_stop_that_a_push_showed_to_have_fired_is_finished_and_not_restored(bench: Bench) -> None:
    await bench.protect(wanted("90"))
    bench.state.fired[only(bench).order_id] = LONG
    bench.venue.plans.clear()
    await bench.read()
    steps = reconcile(protect(wanted("90")), bench.state, BOUNDS, now=bench.now)
    assert (len(steps.fired), steps.proposals, steps.unprotected) == (1, (), "its stop fired")


async def test_a_tranches_rest_is_finished_for_a_minute_and_then_what_is_held_is_the_users(bench: Bench) -> None:
    fired = FiredStop(
        key=LONG,
        episode=EPISODE,
        rule=RuleName("rest"),
        order_id=OrderId("1"),
        size=D(40),
        quantity_before=D(110),
        at=bench.now,
    )
    await bench.settle(2)
    await bench.read()
    decision = finish_fired(fired, bench.state, now=bench.now)
    assert isinstance(decision, Reduce)
    assert decision.size == 30, "ten of forty were filled"
    await bench.settle(60)
    assert finish_fired(fired, bench.state, now=bench.now) is None


# What it stays out of


async def test_nothing_is_proposed_while_a_close_is_in_flight(bench: Bench) -> None:
    close = Close(key=LONG, episode=EPISODE, rule=RuleName("r"), reason="end")
    bench.go(closing_steps(close, bench.state, BOUNDS, now=bench.now))
    assert not reconcile(protect(wanted()), bench.state, BOUNDS, now=bench.now).proposals


async def test_a_close_that_nobody_hears_of_again_does_not_keep_the_position_from_its_stop(bench: Bench) -> None:
    close = Close(key=LONG, episode=EPISODE, rule=RuleName("r"), reason="end")
    bench.venue.script.append(Answer.UNKNOWN_LOST)
    bench.go(closing_steps(close, bench.state, BOUNDS, now=bench.now))
    bench.venue.reads_fail = True
    await bench.settle(3.5)
    assert bench.state.pending
    bench.go(reconcile(protect(wanted()), bench.state, BOUNDS, now=bench.now))
    await bench.settle(0.1)
    assert triggers(bench) == ["90"]


async def test_a_wish_for_an_earlier_life_of_the_position_proposes_nothing(bench: Bench) -> None:
    assert not reconcile(protect(wanted(), episode="other"), bench.state, BOUNDS, now=bench.now).proposals


async def test_without_a_plan_list_nothing_is_known_and_nothing_done() -> None:
    bench = Bench()
    bench.venue.rows = {LONG: position()}
    bench.post(await bench.venue.positions())
    steps = reconcile(protect(wanted()), bench.state, BOUNDS, now=bench.now)
    assert (steps.proposals, bool(steps.unprotected)) == ((), True)


async def test_an_earlier_lifes_stop_stands_until_the_new_one_is_listed(bench: Bench) -> None:
    await bench.protect(wanted("90"))
    reopened = position(opened_ms=OPENED_MS + 5_000, venue_ms=OPENED_MS + 6_000)
    bench.venue.rows[LONG] = reopened
    await bench.read()
    steps = await bench.protect(wanted("92"))
    assert triggers(bench) == ["92"]
    assert steps.unprotected == ""


async def test_a_shorts_stop_stands_above_the_mark() -> None:
    bench = Bench()
    await bench.hold(position(SHORT, liquidation_price=D(120)))
    bounds = Bounds(mark=D(100), liquidation_price=D(120))
    wish = protect(wanted("110"), key=SHORT, episode=episode_id(SHORT, OPENED_MS))
    [intent] = bench.go(reconcile(wish, bench.state, bounds, now=bench.now), bounds=bounds)
    await bench.settle(3)
    assert bench.stages(intent)[-1] is Stage.VERIFIED
    assert intent.action is Action.STOP_LOSS
    await bench.end()


async def test_I04_without_a_mark_no_stop_is_placed(bench: Bench) -> None:
    nowhere = Bounds(mark=Absent.UNKNOWN, liquidation_price=D(80))
    assert bench.go(reconcile(protect(wanted()), bench.state, nowhere, now=bench.now), bounds=nowhere) == []


async def test_nothing_is_placed_on_a_position_that_a_push_says_is_gone(bench: Bench) -> None:
    bench.state.held[LONG].close_seen = bench.clock.now()

    steps = reconcile(protect(wanted("90")), bench.state, BOUNDS, now=bench.clock.now())

    assert steps.proposals == ()
