"""Decisions of accounts with several balances, or one pool behind everything: each by the figures of what stands behind it."""

from decimal import Decimal

from guardd.model.account import Balance
from guardd.model.decision import Close, Protect
from guardd.model.event import BalanceRead, InstrumentsRead
from guardd.model.fold import fold
from guardd.model.names import Side
from guardd.model.reading import Absent, Reading
from guardd.policy.explain import acts_at, view_of
from guardd.policy.watch import watch
from tests.changed import replace
from tests.model.accounts import BTC, ETH, D, balance, instrument, key, row
from tests.policy.guarded import Guarded, acts, cross, every, guarded, only, policy_of, rule

ACCOUNT = rule("{account_margin_ratio: {above: 60%}}", "close: {}")
NEAR = rule("{distance_to_liquidation: {below: 5%}}", "close: {}")
BUFFER = "name: s\nthen: [stop_loss: {trigger: {liquidation_buffer: 25%}}]"
EITHER = "name: s\nthen: [stop_loss: {trigger: [{liquidation_buffer: 25%}, {from_entry: -8%}]}]"


def pool(equity: str, maintenance: str, ratio: Reading = Absent.UNKNOWN) -> Balance:
    return Balance(
        currency="USD",
        equity=D(equity),
        available=D(0),
        frozen=D(0),
        position_margin=D(0),
        unrealized_pnl=Absent.UNKNOWN,
        maintenance=D(maintenance),
        margin_ratio=ratio,
        pooled=True,
    )


def told(here: Guarded, *balances: Balance) -> Guarded:
    fold(here.state, BalanceRead(at=here.now, balances=balances))
    return here


def test_a_unified_account_is_closed_by_the_venues_ratio_carried_on_with_the_marks() -> None:
    here = told(guarded(policy_of(ACCOUNT), cross()), pool("1000", "200"))
    assert acts(here.mark("88000")) == []
    close = only(here.mark("81500"), Close)
    assert dict(close.inputs)["account_margin_ratio"] == "0.7832", "195.8 of 250"


def test_the_trigger_price_of_a_unified_accounts_ratio_is_exact_to_the_tick() -> None:
    here = told(guarded(policy_of(ACCOUNT), cross()), pool("1000", "200"))
    view = view_of(here.policy, here.state, key(), here.now)
    assert view is not None
    at = acts_at(here.policy.rules[0], view)
    assert at is not None
    made = watch(here.policy, here.state, now=here.now)
    assert made.crossed(BTC, at)
    assert acts(here.mark(str(at + D("0.1")))) == []
    assert len(acts(here.mark(str(at)))) == 1


def test_a_unified_account_is_never_closed_by_our_own_liquidation_price() -> None:
    here = told(guarded(policy_of(NEAR), cross()), pool("1000", "200"))
    assert acts(here.mark("81000")) == []
    row_with = replace(cross(), liquidation_price=D("80000"))
    by_venue = told(guarded(policy_of(NEAR), row_with), pool("1000", "200"))
    assert len(acts(by_venue.mark("81000"))) == 1


def two_coins(tether: str, dollar: str) -> Guarded:
    """BTC settles in one coin, ETH in another."""
    rows = (cross(), cross(symbol=ETH))
    here = guarded(policy_of(ACCOUNT), *rows)
    fold(here.state, InstrumentsRead(at=here.now, instruments=(replace(instrument(ETH), settle="USDC"),)))
    usdc = replace(balance(rows[1], wallet=dollar), currency="USDC")
    return told(here, balance(rows[0], wallet=tether), usdc)


def test_the_danger_of_one_coin_closes_nothing_of_another() -> None:
    here = two_coins("5000", "180")
    close = only(here.mark("89000", ETH), Close)
    assert close.key == key(symbol=ETH)


def test_I28_another_coins_mark_need_not_be_confirmed() -> None:
    """Nothing that a breach of one coin rests on is anybody else's mark."""
    here = two_coins("5000", "180")
    here.bare("70000", BTC)
    here.frame("89000", ETH, last="89000", index="89000")
    assert key(symbol=ETH) in {close.key for close in every(here.look(), Close)}


def test_of_two_coins_in_danger_the_one_that_stands_worse_goes_first() -> None:
    worse = {"USDT": two_coins("165", "180"), "USDC": two_coins("180", "165")}
    for symbol, here in zip((BTC, ETH), worse.values(), strict=True):
        here.frame("89000", BTC, last="89000", index="89000")
        here.frame("89000", ETH, last="89000", index="89000")
        assert only(here.look(), Close).key == key(symbol=symbol)


# The venue's liquidation price: far, and none


def short_far_away(*rules: str) -> Guarded:
    far = row(
        Side.SHORT, quantity="10", entry="92000", mark="92171", venue_liquidation=D("17288450.45"), margin=D(172_000)
    )
    return guarded(policy_of(*rules), far)


def stop_of(here: Guarded) -> Decimal | None:
    [protect] = every(here.look(), Protect)
    return protect.wanted[0].trigger_price if protect.wanted else None


def test_a_stop_between_entry_and_a_far_liquidation_price_gives_way_to_the_nearer_one_of_a_list() -> None:
    assert stop_of(short_far_away(EITHER)) == D("99360.0")


def test_a_far_liquidation_price_of_a_short_never_makes_a_rule_true() -> None:
    here = short_far_away(NEAR, rule("{buffer_left: {below: 90%}}", "close: {}", name="b"))
    assert acts(here.look()) == []
    made = watch(here.policy, here.state, now=here.now)
    assert not made.crossed(BTC, D("93000"))
    assert acts(here.mark("100000")) == []


def test_without_a_liquidation_price_a_stop_by_it_is_told_and_the_next_of_a_list_taken() -> None:
    none = row(venue_liquidation=Absent.NONE, margin=Absent.UNKNOWN)
    assert stop_of(guarded(policy_of(EITHER), none)) == D("82800.0")
    here = guarded(policy_of(BUFFER), none)
    decided = here.look()
    [protect] = every(decided, Protect)
    assert protect.wanted == ()
    assert protect.impossible
    assert any("no stop can be placed" in tell.text for tell in decided.told)


def test_no_liquidation_price_is_no_blindness() -> None:
    """A well-funded account has none for months: that isn't a rule which can't be judged."""
    none = row(venue_liquidation=Absent.NONE, margin=Absent.UNKNOWN)
    here = guarded(policy_of(NEAR, stale_after="5s"), none)
    for _ in range(10):
        here.wait(1)
        assert not [tell for tell in here.look().told if "can't be judged" in tell.text]
