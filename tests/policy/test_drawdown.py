"""`account_drawdown` in a rule: of the whole account, moved by account reads alone, and never a reason while it is unknown."""

from decimal import Decimal

import pytest

from guardd.model.event import LedgerRead, MarkSeen
from guardd.model.flow import Flow, FlowKind
from guardd.model.fold import fold
from guardd.model.names import MarginMode, Symbol
from guardd.model.position import Position
from guardd.policy.language import Metric
from guardd.policy.watch import watch
from tests.model.accounts import BTC, ETH, D, row
from tests.policy.guarded import Guarded, acts, cross, guarded, policy_of, rule

ENOUGH = rule("{account_drawdown: {above: 20%}}", "close: {}", name="enough")


def fallen(policy: str, *rows: Position, by: str) -> Guarded:
    """The day's high is known; then so much of the wallet was lost, and the ledger says how."""
    here = guarded(policy_of(policy), *rows, wallet="5000")
    flows: tuple[Flow, ...] = ()
    for loss in (D(0), D(0), D(by)):
        if loss:
            flows = (Flow(id="1", at_ms=here.now.wall_ms, currency="USDT", amount=-loss, kind=FlowKind.PNL),)
            here.wallet = str(Decimal(here.wallet) - loss)
        fold(here.state, LedgerRead(started=here.now, at=here.now, since_ms=0, flows=flows))
        here.wait(0.5)
    for each in rows:
        here.frame("89000", each.key.symbol, last="89000", index="89000")
    return here


def test_cross_positions_go_one_at_a_time_and_isolated_ones_each_for_itself() -> None:
    """It is an account-wide condition (interfaces.md 2.5)."""
    behind_both = fallen(ENOUGH, cross(symbol=BTC), cross(symbol=ETH), by="1500")
    assert len(acts(behind_both.look())) == 1
    apart = [row(symbol=symbol, mark="89000", mode=MarginMode.ISOLATED) for symbol in (BTC, ETH)]
    assert len(acts(fallen(ENOUGH, *apart, by="1500").look())) == 2


@pytest.mark.parametrize("when", ["{account_drawdown: {above: 20%}}", "{not: {account_drawdown: {below: 20%}}}"])
def test_while_it_is_unknown_no_rule_that_hangs_on_it_acts(when: str) -> None:
    here = fallen(rule(when, "close: {}"), row(mark="89000"), by="1500")
    assert len(acts(here.look())) == 1
    here = fallen(rule(when, "close: {}"), row(mark="89000"), by="1500")
    here.wallet = "3000"
    here.wait(0.5)
    here.frame("89000", last="89000", index="89000")
    assert acts(here.look()) == []


def test_no_mark_moves_it_and_no_tick_is_compared_with_it() -> None:
    here = fallen(ENOUGH, row(mark="89000"), by="100")
    before = here.look().risks[0].account_drawdown
    fold(here.state, MarkSeen(BTC, D("84000"), here.now))
    assert here.look().risks[0].account_drawdown == before
    of_time = policy_of(rule("{data_age: {above: 1h}}", "close: {}"))
    by_drawdown, by_time = (watch(policy, here.state, now=here.now).bounds[BTC] for policy in (here.policy, of_time))
    assert (by_drawdown.low, by_drawdown.high) == (by_time.low, by_time.high)


def test_the_sentence_names_it_in_percent() -> None:
    [close] = acts(fallen(ENOUGH, row(mark="89000"), by="1500").look())
    assert "account_drawdown 30.61 % is above 20 %" in close.reason
    assert dict(close.inputs)[Metric.ACCOUNT_DRAWDOWN].startswith("0.306")
    assert Symbol("BTCUSDT") in close.reason
