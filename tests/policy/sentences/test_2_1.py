"""interfaces.md 2.1, the clauses that no other test holds: what ends with an episode."""

import pytest

from guardd.errors import ConfigurationError
from guardd.model.decision import Reduce
from guardd.model.position import Position
from guardd.policy.language import Compare
from guardd.policy.load import load_policy
from tests.changed import replace
from tests.model.accounts import D, row
from tests.policy.guarded import VERIFIED, Guarded, acts, guarded, only, policy_of, protect, rule

LONG = row(venue_liquidation=D(82000))
TRIM = rule("{distance_to_liquidation: {below: 5%}}", "reduce: {by: 25%}", more="cooldown: 1h")


def reopened(here: Guarded, position: Position = LONG) -> None:
    """The same position, closed and opened again a second ago, and shown to people."""
    here.wait(1, read=False)
    here.read(replace(position, opened_ms=here.now.wall_ms))
    here.memory.show(here.state)


def test_a_cooldown_belongs_to_its_episode() -> None:
    here = guarded(policy_of(TRIM), LONG)
    here.send(only(here.mark("83000"), Reduce), *VERIFIED)
    assert acts(here.mark("83000")) == []
    reopened(here)
    assert len(acts(here.mark("83000"))) == 1


def test_a_ratchet_belongs_to_its_episode() -> None:
    here = guarded(policy_of("name: s\nthen: [stop_loss: {trigger: {liquidation_buffer: 25%}}]"), LONG)
    assert [order.trigger_price for order in protect(here.mark("89000")).wanted] == [D(84000)]
    lower = replace(LONG, liquidation_price=D(81600))
    here.read(lower)
    assert [order.trigger_price for order in protect(here.mark("89000")).wanted] == [D(84000)]
    reopened(here, lower)
    assert [order.trigger_price for order in protect(here.mark("89000")).wanted] == [D(83700)]


def test_a_first_placing_belongs_to_its_episode() -> None:
    """`from_mark` of the next life hangs on the mark of its own first placing."""
    here = guarded(policy_of("name: s\nthen: [stop_loss: {trigger: {from_mark: -2%}}]"), LONG)
    here.mark("92000")
    reopened(here)
    assert [order.trigger_price for order in protect(here.mark("90000")).wanted] == [D(88200)]


def test_what_a_rule_has_held_for_belongs_to_its_episode() -> None:
    here = guarded(policy_of(rule("{distance_to_liquidation: {below: 5%}}", "close: {}", more="for: 10s")), LONG)
    here.mark("83000")
    here.wait(9)
    reopened(here)
    here.wait(2)
    assert acts(here.mark("83000")) == []
    here.wait(10)
    assert len(acts(here.mark("83000"))) == 1


@pytest.mark.parametrize(
    ("written", "threshold", "coin"),
    [("100 USDT", "100", "USDT"), ("-12.5 USDC", "-12.5", "USDC"), ("0.5BTC", "0.5", "BTC")],
)
def test_money_is_an_amount_with_its_coin(written: str, threshold: str, coin: str) -> None:
    condition = policy_of(rule(f"{{unrealized_pnl: {{below: {written}}}}}", "notify: {}")).rules[0].when
    assert isinstance(condition, Compare)
    assert (condition.threshold, condition.coin) == (D(threshold), coin)


@pytest.mark.parametrize(("coin", "acts_on_it"), [("USDT", True), ("USDC", False)])
def test_money_is_in_the_settlement_coin_and_of_another_one_is_unknown_and_told(coin: str, acts_on_it: bool) -> None:
    """A loss of 700 USDT is none of 50 USDC: nothing says what the one is worth in the other."""
    here = guarded(policy_of(rule(f"{{unrealized_pnl: {{below: -50 {coin}}}}}", "close: {}")), LONG)
    assert bool(acts(here.mark("83000"))) is acts_on_it
    here.wait(16)
    told = [tell.text for tell in here.mark("83000").told if "can't be judged" in tell.text]
    assert bool(told) is not acts_on_it
    assert all("unrealized_pnl -700 USDT is not below -50 USDC" in text for text in told)


def test_an_aim_in_another_coin_is_refused_and_told() -> None:
    trim = rule("{leverage: {above: 5}}", "reduce: {until: {notional: 5000 USDC}}")
    decided = guarded(policy_of(trim), LONG).mark("83000")
    assert acts(decided) == []
    assert any("its aim is in USDC, and this position settles in USDT" in tell.text for tell in decided.told)


def test_nothing_of_an_invalid_policy_is_used() -> None:
    good = "  - {name: a, when: {leverage: {above: 5}}, then: [notify: {}]}\n"
    bad = "  - {name: b, when: {leverage: {above: 5%}}, then: [notify: {}]}\n"
    assert len(load_policy(f"version: 1\nrules:\n{good}", source="p.yaml").rules) == 1
    with pytest.raises(ConfigurationError):
        load_policy(f"version: 1\nrules:\n{good}{bad}", source="p.yaml")


def test_a_limit_on_money_is_in_usdt() -> None:
    """It holds for the account, whatever its positions settle in: each coin counts one to one."""
    with pytest.raises(ConfigurationError, match="found `500 EUR`, expected an amount in USDT"):
        load_policy("version: 1\nlimits: {top_up_per_day: 500 EUR}\nrules: []\n", source="p.yaml")
