"""Steps that put more behind a position: how much, when not, and what follows where they fail (interfaces.md 2.4 to 2.6)."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardd.errors import ConfigurationError
from guardd.model.decision import AddMargin, Close, Lever, LowerLeverage, Reduce, TopUp
from guardd.model.event import IntentMoved
from guardd.model.fold import fold
from guardd.model.intent import Action, Intent, SetLeverage, Stage, TransferToFutures, Write, client_id
from guardd.model.intent import AddMargin as AddMarginWrite
from guardd.model.names import Severity, Side
from guardd.model.outcome import Accepted
from guardd.model.position import Position
from guardd.model.reading import is_value
from guardd.policy.conditions import Use, metric_of
from guardd.policy.explain import action_text
from guardd.policy.language import Metric
from guardd.policy.load import load_policy
from guardd.policy.memory import Memory
from guardd.policy.sizes import leverage_until, margin_until, reading_with
from guardd.risk.assess import assess_on
from guardd.risk.ground import ground
from guardd.risk.strengthened import margin_for_leverage, with_more_behind
from tests.changed import replace
from tests.model.accounts import BTC, ETH, START, D, account, instrument, row
from tests.policy.guarded import SENT, VERIFIED, Guarded, acts, cross, every, guarded, only, policy_of, rule

NEAR = "83000"
"""With a 10x long of entry 90000 the venue's price is 81000 here: 2.4 % away."""
DANGER = "{distance_to_liquidation: {below: 5%}}"
LONG = row(venue_liquidation=D(81000))
REJECTED = (*SENT, Stage.REJECTED)
UNKNOWN = (*SENT, Stage.UNKNOWN)


def here(
    then: str, *rows: Position, when: str = DANGER, wallet: str = "2000", spot: bool = False, more: str = ""
) -> Guarded:
    """An account that can do everything, under one rule."""
    made = guarded(policy_of(rule(when, then, more=more)), *(rows or (LONG,)), wallet=wallet)
    able = replace(made.state.capabilities, add_margin=True, top_up=True, spot_balance=spot)
    made.state.capabilities, made.state.armed = able, True
    return made


def levers(on: Guarded) -> list[Lever]:
    return [each for each in on.look().decisions if isinstance(each, LowerLeverage | AddMargin | TopUp)]


def lever(on: Guarded, mark: str = NEAR) -> Lever:
    on.mark(mark)
    (found,) = levers(on)
    return found


def send(on: Guarded, decision: Lever, *stages: Stage) -> Intent:
    """What execution would tell of this step."""
    progress = on.state.progress.get((decision.episode, decision.rule))
    step = progress.steps if progress else 0
    write: Write
    match decision:
        case LowerLeverage():
            mode = on.state.held[decision.key].position.margin_mode
            write = SetLeverage(key=decision.key, margin_mode=mode, leverage=decision.leverage)
            action = Action.SET_LEVERAGE
        case AddMargin():
            write = AddMarginWrite(
                key=decision.key, amount=decision.amount, currency=decision.currency, margin_before=D(900)
            )
            action = Action.ADD_MARGIN
        case TopUp():
            write = TransferToFutures(key=decision.key, currency=decision.currency, amount=decision.amount)
            action = Action.TOP_UP
    intent = Intent(
        id=client_id(decision.key.account, decision.episode, decision.rule, step),
        account=decision.key.account,
        key=decision.key,
        episode=decision.episode,
        rule=decision.rule,
        step=step,
        action=action,
        write=write,
        decided=on.now,
        frame_ns=None,
        quantity_before=on.state.held[decision.key].position.quantity,
        closed_before=D(0),
        reason=decision.reason,
    )
    for stage in stages:
        on.move(intent, stage)
    return intent


def refusals(on: Guarded, mark: str = NEAR) -> list[str]:
    told = on.mark(mark).told
    return [tell.text for tell in told if "can't act" in tell.text]


# set_leverage


def test_a_leverage_is_lowered_to_what_the_rule_says_with_the_reason() -> None:
    step = lever(here("set_leverage: {to: 9}"))
    assert isinstance(step, LowerLeverage)
    assert step.leverage == 9
    assert step.reason == (
        "lower the leverage to 9 of BTCUSDT long at mark 83000: rule r, distance_to_liquidation 2.41 % is below 5 %"
    )
    assert dict(step.inputs)["mark"] == "83000"


@pytest.mark.parametrize("to", ["10", "12"])
def test_I17_a_leverage_is_never_set_to_what_it_is_or_higher(to: str) -> None:
    on = here(f"set_leverage: {{to: {to}}}")
    assert "the leverage is 10 already" in refusals(on)[0]
    assert levers(on) == []


def test_a_lower_leverage_that_the_free_balance_cant_pay_is_refused_and_the_next_action_goes() -> None:
    on = here("set_leverage: {to: 5}, reduce: {by: 25%}", wallet="1500")
    # 9000 at entry: 1800 at 5x against the 900 that are there, and 600 are free.
    assert "a leverage of 5 asks for 900 USDT, 600 are free" in refusals(on)[0]
    assert isinstance(only(on.look(), Reduce), Reduce)


def test_in_cross_a_lower_leverage_moves_no_danger_and_is_refused_unless_the_rule_is_about_leverage() -> None:
    on = here("set_leverage: {to: 5}, close: {}", cross(), when="{distance_to_liquidation: {below: 50%}}")
    assert "neither liquidation price nor margin ratio" in refusals(on, "89000")[0]
    assert every(on.look(), Close)
    about = here("set_leverage: {to: 5}", cross(), when="{leverage: {above: 5}}", wallet="9000")
    assert lever(about, "89000").key.symbol == BTC


def test_a_lower_leverage_has_one_try_a_breach() -> None:
    on = here("set_leverage: {to: 9}")
    send(on, lever(on), *REJECTED)
    assert "set_leverage was tried once in this breach" in refusals(on)[0]
    assert levers(on) == []
    on.wait(120)
    assert levers(on) == []
    on.mark("89000")
    assert lever(on)


# add_margin


def test_margin_is_added_by_its_amount_again_after_the_cooldown_and_up_to_at_most_in_an_episode() -> None:
    on = here("add_margin: {amount: 50 USDT, at_most: 120 USDT}")
    step = lever(on)
    assert isinstance(step, AddMargin)
    assert (step.amount, step.currency) == (D(50), "USDT")
    send(on, step, *VERIFIED)
    assert levers(on) == []
    on.wait(31)
    send(on, levers(on)[0], *VERIFIED)
    on.wait(31)
    assert "100 USDT went to it already, at_most is 120" in refusals(on)[0]
    on.mark("89000")
    assert levers(on) == []


def test_the_smallest_addition_that_restores_the_target_to_the_cent() -> None:
    on = here("add_margin: {until: {distance_to_liquidation: 8%}, at_most: 900 USDT}")
    step = lever(on)
    assert isinstance(step, AddMargin)
    assert step.amount.as_tuple().exponent == -2
    view = ground(on.state, on.state.held[LONG.key], now=on.now)
    for short, reached in ((Decimal(0), True), (D("0.01"), False)):
        after = assess_on(with_more_behind(view, step.amount - short), mark=D(NEAR)).closing_distance_to_liquidation
        assert is_value(after)
        assert (after >= D("0.08")) is reached


def test_an_addition_that_at_most_doesnt_reach_is_refused_with_what_it_takes_and_the_next_action_goes() -> None:
    on = here("add_margin: {until: {distance_to_liquidation: 8%}, at_most: 100 USDT}, close: {}")
    (why,) = refusals(on)
    assert (
        "no addition within 100 USDT (at_most, less what went already) brings it to distance_to_liquidation 8 %" in why
    )
    assert "that takes 46" in why
    assert every(on.look(), Close)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("cross", "a cross position has no margin of its own: top up"),
        ("unable", "this venue has no call that adds margin"),
        ("auto", "the venue itself adds margin to it (auto-margin)"),
        ("coin", "the rule speaks of USDC, and this position settles in USDT"),
        ("day", "top_up_per_day: 0 went in 24 hours, 600 more would pass 500"),
        ("free", "the margin addition takes 450 USDT, 100 are free"),
        ("lost", "the position may be gone already (I16)"),
    ],
)
def test_I16_margin_is_added_only_where_it_can_and_may_be(change: str, why: str) -> None:
    amount = {"coin": "50 USDC", "day": "600 USDT", "free": "450 USDT"}.get(change, "50 USDT")
    held = cross() if change == "cross" else replace(LONG, auto_margin=change == "auto")
    wallet = "1000" if change == "free" else "2000"
    when = "{distance_to_liquidation: {below: 50%}}" if change == "cross" else DANGER
    on = here(f"add_margin: {{amount: {amount}}}, close: {{}}", held, when=when, wallet=wallet)
    if change == "unable":
        on.state.capabilities = replace(on.state.capabilities, add_margin=False)
    if change == "lost":
        on.state.held[LONG.key].close_seen = on.now
    (found,) = refusals(on, "89000" if change == "cross" else NEAR)
    assert why in found
    assert levers(on) == []


# top_up


CROSS_DANGER = "{account_margin_ratio: {above: 2%}}"


def test_a_top_up_goes_from_spot_to_futures_for_one_position_though_all_ask_for_it() -> None:
    rows = (cross(), cross(symbol=ETH))
    on = here("top_up: {amount: 100 USDT}", *rows, when=CROSS_DANGER)
    on.frame("89000", ETH, last="89000", index="89000")
    step = lever(on, "89000")
    assert isinstance(step, TopUp)
    assert (step.amount, step.currency) == (D(100), "USDT")
    send(on, step, *SENT)
    assert levers(on) == []


@pytest.mark.parametrize("spot", [True, False])
def test_without_a_readable_spot_balance_a_top_up_has_one_try_a_breach(spot: bool) -> None:
    on = here("top_up: {amount: 100 USDT}", cross(), when=CROSS_DANGER, spot=spot)
    send(on, lever(on, "89000"), *VERIFIED)
    assert levers(on) == []
    on.wait(31)
    on.mark("89000")
    assert len(levers(on)) == (1 if spot else 0)


@pytest.mark.parametrize("then", ["top_up: {amount: 100 USDT}", "add_margin: {amount: 50 USDT}"])
def test_I07_money_that_was_asked_for_and_never_seen_isnt_asked_for_again_in_the_same_breach(then: str) -> None:
    crossed = then.startswith("top_up")
    on = here(then, cross() if crossed else LONG, when=CROSS_DANGER if crossed else DANGER, spot=True)
    near = "89000" if crossed else NEAR
    send(on, lever(on, near), *UNKNOWN, Stage.FAILED)
    on.wait(60)
    assert "was tried once in this breach" in refusals(on, near)[0]


def test_a_try_for_one_position_is_a_try_for_the_account() -> None:
    on = here("top_up: {amount: 100 USDT}", cross(), cross(symbol=ETH), when=CROSS_DANGER)
    on.frame("89000", ETH, last="89000", index="89000")
    send(on, lever(on, "89000"), *REJECTED)
    on.wait(5)
    assert levers(on) == []


def test_a_transfer_for_an_isolated_position_is_refused() -> None:
    assert "puts nothing behind an isolated position" in refusals(here("top_up: {amount: 100 USDT}"))[0]


def test_why_each_action_of_a_rule_cant_go_is_told_together() -> None:
    (why,) = refusals(here("set_leverage: {to: 10}, top_up: {amount: 100 USDT}"))
    assert "the leverage is 10 already" in why
    assert "a transfer puts nothing behind an isolated position" in why


def test_I16_the_days_window_counts_transfers_and_additions_together() -> None:
    on = here("top_up: {amount: 300 USDT}", cross(), when=CROSS_DANGER, spot=True)
    send(on, lever(on, "89000"), *VERIFIED)
    on.wait(31)
    assert "top_up_per_day: 300 went in 24 hours, 300 more would pass 500" in refusals(on, "89000")[0]
    on.wait(24 * 3600)
    assert levers(on)


# What follows


THEN_CLOSE = "add_margin: {amount: 50 USDT}, close: {}"


def test_the_next_action_follows_a_verified_step_while_the_condition_still_holds() -> None:
    on = here(THEN_CLOSE)
    step = lever(on)
    assert acts(on.look()) == []
    send(on, step, *VERIFIED)
    assert every(on.look(), Close)


def test_the_next_action_is_skipped_when_the_condition_no_longer_holds() -> None:
    on = here(THEN_CLOSE)
    send(on, lever(on), *VERIFIED)
    on.wait(0.5, read=False)
    on.read(replace(LONG, liquidation_price=D(70000), margin=D(950)))
    assert acts(on.look()) == []
    assert levers(on) == []


def test_the_next_action_follows_a_refusal_of_the_venue_at_once() -> None:
    on = here(THEN_CLOSE)
    send(on, lever(on), *REJECTED)
    assert every(on.look(), Close)


def test_each_action_of_a_rule_that_is_acted_on_is_told() -> None:
    on = here(THEN_CLOSE)
    told = on.mark(NEAR).told
    assert [(tell.severity, tell.text[:12]) for tell in told] == [(Severity.WARNING, "add 50 USDT ")]
    send(on, levers(on)[0], *REJECTED)
    told = on.look().told
    assert [(tell.severity, tell.text[:9]) for tell in told] == [(Severity.CRITICAL, "close BTC")]
    assert on.look().told == ()


@pytest.mark.parametrize("stages", [SENT, (*SENT, Stage.ACCEPTED), UNKNOWN])
def test_a_step_that_isnt_verified_in_two_seconds_counts_as_failed_and_the_next_action_follows(
    stages: tuple[Stage, ...],
) -> None:
    on = here(THEN_CLOSE)
    send(on, lever(on), *stages)
    on.wait(1.9)
    assert acts(on.mark(NEAR)) == []
    on.wait(0.2)
    assert every(on.mark(NEAR), Close)


def test_a_step_that_never_left_counts_as_failed_after_two_seconds() -> None:
    on = here(THEN_CLOSE)
    step = lever(on)
    on.wait(1.9)
    assert replace(lever(on), inputs=()) == replace(step, inputs=())
    on.wait(0.2)
    assert every(on.mark(NEAR), Close)


def test_observing_stays_at_the_first_action_and_lets_nothing_fail() -> None:
    on = here(THEN_CLOSE)
    on.state.armed = False
    lever(on)
    on.wait(60)
    assert lever(on)


def test_a_reduction_of_another_rule_waits_for_margin_in_flight_and_no_longer_than_two_seconds() -> None:
    on = guarded(
        policy_of(
            rule(DANGER, "add_margin: {amount: 50 USDT}", name="feed"),
            rule("{distance_to_liquidation: {below: 2.3%}}", "reduce: {by: 25%}", name="trim"),
        ),
        LONG,
    )
    on.state.capabilities, on.state.armed = replace(on.state.capabilities, add_margin=True), True
    send(on, lever(on), *SENT)
    assert acts(on.mark("82800")) == []
    on.wait(2.1)
    assert every(on.mark("82800"), Reduce)


def test_a_close_waits_for_no_margin() -> None:
    on = guarded(
        policy_of(
            rule(DANGER, "add_margin: {amount: 50 USDT}", name="feed"),
            rule("{distance_to_liquidation: {below: 2.3%}}", "close: {}", name="end"),
        ),
        LONG,
    )
    on.state.capabilities, on.state.armed = replace(on.state.capabilities, add_margin=True), True
    send(on, lever(on), *SENT)
    assert every(on.mark("82800"), Close)


def test_I16_nothing_is_added_to_a_position_that_is_being_closed() -> None:
    on = here("add_margin: {amount: 50 USDT}")
    on.mark("89000")
    held = on.state.held[LONG.key]
    on.send(Close(key=held.key, episode=held.episode.id, rule="other", reason="by hand"), *SENT)  # type: ignore[arg-type]
    on.mark(NEAR)
    assert levers(on) == []


def test_of_the_rules_that_want_something_the_strongest_goes_a_reduction_before_more_margin() -> None:
    on = guarded(
        policy_of(
            rule(DANGER, "add_margin: {amount: 50 USDT}", name="feed"),
            rule(DANGER, "reduce: {by: 25%}", name="trim"),
        ),
        LONG,
    )
    on.state.capabilities, on.state.armed = replace(on.state.capabilities, add_margin=True), True
    assert [each.rule for each in acts(on.mark(NEAR))] == ["trim"]
    assert levers(on) == []


def test_I28_nothing_is_moved_on_one_unconfirmed_mark() -> None:
    on = here(THEN_CLOSE)
    on.bare(NEAR)
    assert levers(on) == []


# The solvers


positions = st.builds(
    lambda side, entry, leverage, away, quantity: (side, entry, leverage, away, quantity),
    st.sampled_from(Side),
    st.integers(20_000, 200_000),
    st.integers(2, 50),
    st.integers(2, 60),
    st.integers(1, 2_000),
)


@given(positions, st.sampled_from([Metric.DISTANCE_TO_LIQUIDATION, Metric.MARGIN_RATIO]), st.integers(1, 60))
def test_the_smallest_margin_and_the_highest_leverage_that_reach_a_target_do_and_one_less_doesnt(
    drawn: tuple[Side, int, int, int, int], metric: Metric, percent: int
) -> None:
    side, entry, leverage, away, quantity = drawn
    # At `away` percent of the way from entry to bankruptcy, at most.
    mark = entry * (1 - side.sign * Decimal(away) / 100 / leverage)
    held = row(side, quantity=str(quantity), entry=str(entry), mark=f"{mark:.1f}", leverage=str(leverage))
    state = account(held, wallet="1000000")
    on = ground(state, state.held[held.key], now=START)
    risk, target = assess_on(on, mark=D(f"{mark:.1f}")), Decimal(percent) / 100

    def there(amount: Decimal) -> bool:
        after = reading_with(metric, on, risk, amount)
        if not is_value(after):
            return metric is Metric.DISTANCE_TO_LIQUIDATION
        return after >= target if metric is Metric.DISTANCE_TO_LIQUIDATION else after <= target

    before = metric_of(risk, metric, Use.CLOSE)
    assert before is not None
    assert is_value(before)
    notional = risk.notional
    assert is_value(notional)
    amount = margin_until(metric, target, on, risk, instrument(), at_most=2 * notional)
    if amount is None:
        assert not there(2 * notional - D("0.01"))
    else:
        assert there(amount)
        assert amount == D("0.01") or not there(amount - D("0.01"))
    found = leverage_until(metric, target, on, risk)
    for each, reaches in ((found, True), (None if found is None else found + 1, False)):
        if each is not None and each < leverage:
            more = margin_for_leverage(on, each)
            assert is_value(more)
            assert there(more) is reaches


def test_a_reduction_that_cant_help_an_isolated_position_says_what_would() -> None:
    on = here("reduce: {until: {distance_to_liquidation: 8%}}")
    (why,) = refusals(on)
    assert "no size within at_most 50 % brings an isolated position to distance_to_liquidation 8 %" in why
    assert "46" in why
    assert "USDT more margin or a leverage of 6 would, or closing it" in why


def test_a_loss_is_reduced_until_so_much_of_it_is_left_and_a_gain_until_so_much_is_taken() -> None:
    loss = here("reduce: {until: {unrealized_pnl: -500 USDT}, at_most: 100%}")
    # 0.1 BTC, 7000 below entry: 700 lost. 71 of 100 contracts hold 497 of it.
    assert only(loss.mark(NEAR), Reduce).size == 29
    gain = here(
        "reduce: {until: {unrealized_pnl: 300 USDT}, at_most: 100%}", when="{unrealized_pnl: {above: 500 USDT}}"
    )
    assert only(gain.mark("98000"), Reduce).size == 63


def test_an_aim_that_is_reached_already_is_no_reason_to_reduce() -> None:
    on = here("reduce: {until: {notional: 20000 USDT}}, close: {}")
    assert "notional 20000 USDT is reached already" in refusals(on)[0]
    assert every(on.look(), Close)


def test_a_verified_addition_is_known_by_the_fold_and_counted_once() -> None:
    on = here("add_margin: {amount: 50 USDT, at_most: 50 USDT}")
    intent = send(on, lever(on), *UNKNOWN)
    assert "0 USDT went" not in str(refusals(on))
    fold(
        on.state,
        IntentMoved(at=on.now, intent=intent, stage=Stage.VERIFIED, outcome=Accepted(order_id=None, sent_ns=1)),
    )
    on.wait(31)
    assert "50 USDT went to it already" in refusals(on)[0]


# One top-up is for all positions of the account


def two_cross(then: str, *, spot: bool = True) -> Guarded:
    on = here(then, cross(), cross(symbol=ETH), when=CROSS_DANGER, spot=spot)
    on.frame("89000", ETH, last="89000", index="89000")
    return on


def test_after_a_top_up_that_didnt_suffice_the_next_action_follows_for_every_position() -> None:
    on = two_cross("top_up: {amount: 100 USDT}, reduce: {by: 25%}")
    send(on, lever(on, "89000"), *VERIFIED)
    on.wait(1)
    on.mark("89000")
    assert levers(on) == []
    assert len(acts(on.look())) == 1


def test_the_cooldown_of_a_top_up_is_the_accounts() -> None:
    on = two_cross("top_up: {amount: 100 USDT}")
    send(on, lever(on, "89000"), *VERIFIED)
    on.wait(29)
    on.mark("89000")
    assert levers(on) == []
    on.wait(2)
    on.mark("89000")
    assert len(levers(on)) == 1


def test_I08_a_margin_step_of_an_earlier_run_holds_back_its_like_and_lets_the_next_action_go() -> None:
    on = here(THEN_CLOSE)
    intent = send(on, lever(on), *UNKNOWN)
    on.state.pending[intent.id].earlier_run = True
    on.memory = Memory()
    on.memory.show(on.state)
    assert on.state.unresolved == 0
    on.wait(2.1)
    on.mark(NEAR)
    assert levers(on) == []
    assert every(on.look(), Close)


# How they are written


def fault(then: str, when: str = f"when: {DANGER}") -> str:
    text = f"version: 1\nrules:\n  - name: r\n    {when}\n    then: [{then}]\n"
    with pytest.raises(ConfigurationError) as caught:
        load_policy(text, source="policy.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("then", "expected"),
    [
        ("set_leverage: {}", "expected a leverage such as to: 5"),
        ("set_leverage: {to: 0.5}", "expected a leverage of 1 or more"),
        ("set_leverage: {to: 20%}", "expected a number such as 10"),
        ("add_margin: {at_most: 5 USDT}", "found neither `amount` nor `until`, expected exactly one of them"),
        ("add_margin: {amount: 5 USDT, until: {margin_ratio: 5%}}", "found both `amount` and `until`"),
        ("add_margin: {until: {margin_ratio: 5%}}", "expected a cap such as at_most: 200 USDT"),
        ("add_margin: {until: {notional: 5 USDT}, at_most: 5 USDT}", "expected what more margin can change"),
        ("add_margin: {amount: 50}", "expected an amount with its coin such as 100 USDT"),
        ("add_margin: {amount: -50 USDT}", "expected an amount above zero"),
        ("add_margin: {amount: 50 USDT, at_most: 100 USDC}", "expected one coin in both"),
        ("top_up: {}", "expected an amount such as amount: 100 USDT"),
        ("top_up: {amount: 0 USDT}", "expected an amount above zero"),
        ("top_up: {amount: 100 USDT, at_most: 5 USDT}", "found the unknown key `at_most`"),
    ],
)
def test_a_fault_says_what_was_found_and_what_was_expected(then: str, expected: str) -> None:
    assert expected in fault(then)


@pytest.mark.parametrize("then", ["set_leverage: {to: 5}", "add_margin: {amount: 5 USDT}", "top_up: {amount: 5 USDT}"])
def test_a_lever_without_when_is_an_error(then: str) -> None:
    assert "lowers leverage or moves money without `when`" in fault(then, "cooldown: 30s")


def test_what_a_lever_would_do_is_said_in_words() -> None:
    policy = policy_of(
        rule(
            DANGER,
            "set_leverage: {to: 5}, add_margin: {amount: 50 USDT, at_most: 200 USDT}, "
            "add_margin: {until: {distance_to_liquidation: 12%}, at_most: 200 USDC}, top_up: {amount: 100 USDT}",
        )
    )
    assert [action_text(action) for action in policy.rules[0].then] == [
        "lower the leverage to 5",
        "add 50 USDT of margin, at most 200 USDT",
        "add margin until distance_to_liquidation is 12 %, at most 200 USDC",
        "move 100 USDT from spot to futures",
    ]
