"""interfaces.md 2.4 and 2.5, what puts more behind a position: leverage, margin, transfers, and the cap on them."""

from dataclasses import dataclass
from typing import TypeAlias

import pytest

from guardd.model.decision import AddMargin, Close, LowerLeverage, TopUp
from guardd.model.intent import Action, Intent, SetLeverage, Stage, TransferToFutures, Write, client_id
from guardd.model.intent import AddMargin as AddMarginWrite
from guardd.model.names import MarginMode
from guardd.model.position import Position
from guardd.policy.decide import Decided
from guardd.policy.load import load_policy
from tests.changed import replace
from tests.model.accounts import CAPABILITIES, D, row
from tests.policy.guarded import SENT, VERIFIED, Guarded, cross, every, guarded, policy_of, rule

LONG = row(venue_liquidation=D(81000))
NEAR, FAR = "83000", "89000"
BELOW = "{distance_to_liquidation: {below: 5%}}"
REFUSED = "can't act"
Lever: TypeAlias = LowerLeverage | AddMargin | TopUp


@dataclass(frozen=True)
class Can:
    add_margin: bool = True
    top_up: bool = True
    set_leverage: bool = True
    spot_balance: bool = False


def stage(
    then: str, position: Position = LONG, *, wallet: str = "5000", can: Can | None = None, when: str = BELOW
) -> Guarded:
    here = guarded(policy_of(rule(when, then, more="cooldown: 1s")), position, wallet=wallet)
    able = can or Can()
    here.state.capabilities = replace(
        CAPABILITIES,
        add_margin=able.add_margin,
        top_up=able.top_up,
        set_leverage=able.set_leverage,
        spot_balance=able.spot_balance,
    )
    here.state.armed = True
    return here


def levers(decided: Decided) -> list[Lever]:
    return [each for each in decided.decisions if isinstance(each, LowerLeverage | AddMargin | TopUp)]


def why(decided: Decided) -> str:
    """Why the rule can't act, as it was told."""
    return "; ".join(tell.text for tell in decided.told if REFUSED in tell.text)


def send(here: Guarded, lever: Lever, *stages: Stage) -> Intent:
    """What execution would tell of it."""
    action, write = _write(lever)
    progress = here.state.progress.get((lever.episode, lever.rule))
    step = progress.steps if progress else 0
    intent = Intent(
        id=client_id(lever.key.account, lever.episode, lever.rule, step),
        account=lever.key.account,
        key=lever.key,
        episode=lever.episode,
        rule=lever.rule,
        step=step,
        action=action,
        write=write,
        decided=here.now,
        frame_ns=None,
        quantity_before=D(100),
        closed_before=D(0),
        reason=lever.reason,
    )
    for each in stages:
        here.move(intent, each)
    return intent


def _write(lever: Lever) -> tuple[Action, Write]:
    match lever:
        case LowerLeverage():
            return Action.SET_LEVERAGE, SetLeverage(
                key=lever.key, margin_mode=MarginMode.ISOLATED, leverage=lever.leverage
            )
        case AddMargin():
            write = AddMarginWrite(key=lever.key, amount=lever.amount, currency=lever.currency, margin_before=D(900))
            return Action.ADD_MARGIN, write
        case TopUp():
            return Action.TOP_UP, TransferToFutures(key=lever.key, currency=lever.currency, amount=lever.amount)


# set_leverage


def test_set_leverage_lowers() -> None:
    [step] = levers(stage("set_leverage: {to: 5}").mark(NEAR))
    assert isinstance(step, LowerLeverage)
    assert step.leverage == 5


@pytest.mark.parametrize("to", ["10", "20"])
def test_set_leverage_never_raises(to: str) -> None:
    decided = stage(f"set_leverage: {{to: {to}}}").mark(NEAR)
    assert levers(decided) == []
    assert "only ever lowered" in why(decided)


@pytest.mark.parametrize(("wallet", "may"), [("900", False), ("1000", False), ("5000", True)])
def test_set_leverage_checks_the_free_balance(wallet: str, may: bool) -> None:
    """Half the leverage asks for another 900 of margin, of which only what the wallet has beyond the first 900 is there."""
    decided = stage("set_leverage: {to: 5}", wallet=wallet).mark(NEAR)
    assert bool(levers(decided)) is may
    assert ("are free" in why(decided)) is not may


def test_set_leverage_is_tried_once_a_breach() -> None:
    here = stage("set_leverage: {to: 5}")
    [step] = levers(here.mark(NEAR))
    send(here, step, *SENT, Stage.REJECTED)
    here.wait(60)
    decided = here.mark(NEAR)
    assert levers(decided) == []
    assert "tried once in this breach" in why(decided)
    here.mark(FAR)
    assert len(levers(here.mark(NEAR))) == 1


# add_margin


def test_add_margin_adds_an_amount_up_to_its_cap() -> None:
    here = stage("add_margin: {amount: 120 USDT, at_most: 200 USDT}")
    [step] = levers(here.mark(NEAR))
    assert isinstance(step, AddMargin)
    assert (step.amount, step.currency) == (D(120), "USDT")
    send(here, step, *VERIFIED)
    here.wait(5)
    decided = here.mark(NEAR)
    assert levers(decided) == []
    assert "at_most is 200" in why(decided)


def test_add_margin_adds_until_its_aim_is_reached_and_no_more() -> None:
    """8 % below 83 000 is 76 360, 4 640 below the present price of liquidation; 0.1 BTC, and the fee of closing them."""
    [step] = levers(stage("add_margin: {until: {distance_to_liquidation: 8%}, at_most: 2000 USDT}").mark(NEAR))
    assert isinstance(step, AddMargin)
    assert step.amount == pytest.approx(D("463.72"), abs=D("0.02"))


def test_add_margin_beyond_its_cap_is_refused_and_told() -> None:
    decided = stage("add_margin: {until: {distance_to_liquidation: 12%}, at_most: 10 USDT}").mark(NEAR)
    assert levers(decided) == []
    assert "no addition within 10 USDT" in why(decided)


def test_add_margin_is_for_isolated_positions_only() -> None:
    when = "{leverage: {above: 5}}"
    decided = stage("add_margin: {amount: 100 USDT}", cross(), when=when).mark(FAR)
    assert levers(decided) == []
    assert "no margin of its own" in why(decided)


@pytest.mark.parametrize(
    ("can", "auto", "word"), [(Can(add_margin=False), False, "no call that adds"), (Can(), True, "auto-margin")]
)
def test_add_margin_is_for_venues_that_can_and_while_their_own_auto_margin_is_off(
    can: Can, auto: bool, word: str
) -> None:
    decided = stage("add_margin: {amount: 100 USDT}", replace(LONG, auto_margin=auto), can=can).mark(NEAR)
    assert levers(decided) == []
    assert word in why(decided)


# top_up


DANGER = "{account_margin_ratio: {above: 5%}}"


def test_top_up_moves_an_amount_from_spot_to_futures() -> None:
    [step] = levers(stage("top_up: {amount: 100 USDT}", cross(), wallet="900", when=DANGER).mark(FAR))
    assert isinstance(step, TopUp)
    assert (step.amount, step.currency) == (D(100), "USDT")


def test_top_up_is_for_cross_positions_only() -> None:
    decided = stage("top_up: {amount: 100 USDT}").mark(NEAR)
    assert levers(decided) == []
    assert "isolated" in why(decided)


@pytest.mark.parametrize(("readable", "again"), [(False, False), (True, True)])
def test_top_up_is_tried_once_where_no_spot_balance_can_be_read(readable: bool, again: bool) -> None:
    can = Can(spot_balance=readable)
    here = stage("top_up: {amount: 100 USDT}", cross(), wallet="900", when=DANGER, can=can)
    [step] = levers(here.mark(FAR))
    send(here, step, *SENT, Stage.REJECTED)
    here.wait(40)
    here.mark(FAR)
    here.wait(1)
    assert bool(levers(here.mark(FAR))) is again


# The day's cap, and what isn't verified


def test_what_one_rule_moved_counts_for_every_other_one_in_the_days_cap() -> None:
    """Transfers and margin additions together."""
    text = "version: 1\nlimits: {top_up_per_day: 300 USDT}\nrules:\n"
    text += (
        f"  - {{name: a, match: {{margin_mode: isolated}}, when: {BELOW}, then: [add_margin: {{amount: 200 USDT}}]}}\n"
    )
    text += f"  - {{name: t, match: {{margin_mode: cross}}, when: {DANGER}, then: [top_up: {{amount: 150 USDT}}]}}\n"
    here = stage("top_up: {amount: 150 USDT}", cross(), wallet="900", when=DANGER)
    here.policy = load_policy(text, source="p.yaml")
    [step] = levers(here.mark(FAR))
    send(here, step, *VERIFIED)
    here.read(row(venue_liquidation=D(81000)))
    here.wallet = "5000"
    here.read()
    here.memory.show(here.state)
    decided = here.mark(NEAR)
    assert levers(decided) == []
    assert "top_up_per_day: 150 went in 24 hours, 200 more would pass 300" in why(decided)


def test_a_margin_step_not_verified_in_two_seconds_counts_as_failed_and_the_next_action_follows() -> None:
    here = stage("add_margin: {amount: 100 USDT}, close: {}")
    [step] = levers(here.mark(NEAR))
    send(here, step, *SENT)
    here.wait(1.9)
    assert every(here.mark(NEAR), Close) == []
    here.wait(0.1)
    assert len(every(here.mark(NEAR), Close)) == 1
