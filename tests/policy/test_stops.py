"""Where a stop or take-profit shall rest, and what happens where it can't."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardd.model.decision import Close, OnUnprotected, WantedOrder
from guardd.model.event import OrdersRead
from guardd.model.fold import fold
from guardd.model.names import OrderId, PriceType, Side
from guardd.model.order import ProtectionKind
from guardd.model.position import Position
from guardd.model.reading import Absent
from guardd.policy.decide import Decided
from tests.changed import replace
from tests.model.accounts import BTC, OPENED_MS, D, row, stop
from tests.policy.guarded import Guarded, acts, cross, every, guarded, policy_of, protect

STOP, PROFIT = ProtectionKind.STOP_LOSS, ProtectionKind.TAKE_PROFIT
LONG = row(venue_liquidation=D(82000))
SHORT = row(Side.SHORT, venue_liquidation=D(98000), mark="91000")


def rests(trigger: str, *, name: str = "s", more: str = "", action: str = "stop_loss") -> str:
    return f"name: {name}\nthen: [{action}: {{trigger: {trigger}{more}}}]"


def wanted(decided: Decided, kind: ProtectionKind = STOP) -> list[WantedOrder]:
    return [order for order in protect(decided).wanted if order.kind is kind]


def triggers(decided: Decided, kind: ProtectionKind = STOP) -> list[Decimal]:
    return [order.trigger_price for order in wanted(decided, kind)]


def stop_at(trigger: str, position: Position = LONG, mark: str = "89000", **choices: str) -> list[Decimal]:
    return triggers(guarded(policy_of(rests(trigger, **choices)), position).mark(mark))


def resting(here: Guarded, *prices: str, side: Side = Side.LONG, kind: ProtectionKind = STOP) -> None:
    plans = tuple(stop(price, side, order_id=price, kind=kind) for price in prices)
    here.state.own_order_ids.update(OrderId(price) for price in prices)
    fold(here.state, OrdersRead(started=here.now, at=here.now, resting=(), plans=plans))


# Where


@pytest.mark.parametrize(
    ("trigger", "position", "mark", "price"),
    [
        ("{from_entry: -3%}", LONG, "89000", "87300"),
        ("{from_entry: -3%}", SHORT, "91000", "92700"),
        ("{from_mark: -2%}", LONG, "89000", "87220"),
        ("{from_mark: -2%}", SHORT, "91000", "92820"),
        ("{liquidation_buffer: 25%}", LONG, "89000", "84000"),
        ("{liquidation_buffer: 25%}", SHORT, "91000", "96000"),
        ("{price: 86123.45}", LONG, "89000", "86123.5"),
        ("{price: 93123.45}", SHORT, "91000", "93123.4"),
        ("[{liquidation_buffer: 25%}, {from_entry: -8%}]", LONG, "89000", "84000"),
        ("[{from_entry: -4%}, {liquidation_buffer: 25%}]", LONG, "89000", "86400"),
        ("[{from_entry: -4%}, {liquidation_buffer: 25%}]", SHORT, "91000", "93600"),
        ("{from_entry: 1%}", LONG, "92000", "90900"),
    ],
)
def test_a_stop_lies_where_its_trigger_says_on_tick_towards_the_mark(
    trigger: str, position: Position, mark: str, price: str
) -> None:
    assert stop_at(trigger, position, mark) == [D(price)]


@pytest.mark.parametrize(("position", "mark", "price"), [(LONG, "89000", "82700"), (SHORT, "91000", "97300")])
def test_I04_a_stop_beyond_liquidation_is_put_a_tenth_of_the_way_to_the_mark(
    position: Position, mark: str, price: str
) -> None:
    assert stop_at("{from_entry: -20%}", position, mark) == [D(price)]


def test_a_list_takes_what_can_be_computed() -> None:
    without = replace(LONG, liquidation_price=Absent.UNKNOWN, margin=Absent.UNKNOWN)
    assert stop_at("[{liquidation_buffer: 25%}, {from_entry: -8%}]", without) == [D(82800)]
    decided = guarded(policy_of(rests("{liquidation_buffer: 25%}")), without).mark("89000")
    assert protect(decided).impossible == ("s: none of its triggers can be computed",)


@given(
    side=st.sampled_from(list(Side)),
    mark=st.decimals(min_value=82500, max_value=97500, places=2),
    share=st.decimals(min_value="-0.15", max_value="0.15", places=3),
    liquidation=st.decimals(min_value=81000, max_value=82400, places=1),
)
def test_I04_a_stop_always_lies_strictly_between_liquidation_and_mark(
    side: Side, mark: Decimal, share: Decimal, liquidation: Decimal
) -> None:
    venue = liquidation if side is Side.LONG else 180000 - liquidation
    here = guarded(policy_of(rests(f"{{from_entry: {share * 100}%}}")), row(side, venue_liquidation=venue))
    decided = here.mark(str(mark))
    bound = decided.risks[0].stop_bound
    assert isinstance(bound, Decimal)
    for price in triggers(decided):
        assert price % D("0.1") == 0
        assert side.sign * (mark - price) > 0
        assert side.sign * (price - bound) > 0


# A trigger that the mark has passed


def test_a_passed_trigger_gives_way_to_the_next_of_the_list() -> None:
    assert stop_at("[{from_entry: -1%}, {from_entry: -5%}]", mark="88000") == [D(85500)]


def test_when_all_are_passed_it_is_told_as_unprotected() -> None:
    decided = guarded(policy_of(rests("{from_entry: -1%}")), LONG).mark("88000")
    assert triggers(decided) == []
    assert protect(decided).impossible == ("s: the mark 88000 has passed its trigger 89100.00",)
    assert any("no stop can be placed" in tell.text for tell in decided.told)


def test_if_passed_alert_takes_no_other() -> None:
    assert stop_at("[{from_entry: -1%}, {from_entry: -5%}]", mark="88000", more=", if_passed: alert") == []


def test_if_passed_close_closes_only_after_the_episode_had_a_verified_stop() -> None:
    here = guarded(policy_of(rests("{from_entry: -1%}", more=", if_passed: close")), LONG)
    assert acts(here.mark("88000")) == []
    held = next(iter(here.state.held.values()))
    held.episode = replace(held.episode, had_verified_stop=True)
    close = every(here.look(), Close)
    assert [each.reason for each in close] == ["close BTCUSDT long at mark 88000: rule s, its stop at 89100 was passed"]


def test_I28_a_passed_stop_closes_on_no_unconfirmed_mark() -> None:
    here = guarded(policy_of(rests("{from_entry: -1%}", more=", if_passed: close")), LONG)
    here.mark("89500")
    held = next(iter(here.state.held.values()))
    held.episode = replace(held.episode, had_verified_stop=True)
    decided = here.bare("88000")
    assert acts(decided) == []
    assert decided.ask_rest == {BTC}
    assert len(acts(here.bare("88001"))) == 1


# The ratchet: I11


def test_I11_a_stop_never_moves_away_from_the_price_within_an_episode() -> None:
    here = guarded(policy_of(rests("{liquidation_buffer: 25%}")), LONG)
    assert triggers(here.mark("89000")) == [D(84000)]
    here.read(replace(LONG, liquidation_price=D(81500)))
    assert triggers(here.look()) == [D(84000)]
    here.read(replace(LONG, liquidation_price=D(83000)))
    assert triggers(here.look()) == [D(84750)]


def test_I11_what_rests_after_a_restart_is_the_least_there_is() -> None:
    here = guarded(policy_of(rests("{from_entry: -8%}")), LONG)
    resting(here, "85000")
    assert triggers(here.mark("89000")) == [D(85000)]


def test_I11_what_a_life_before_left_resting_binds_no_new_one() -> None:
    here = guarded(policy_of(rests("{from_entry: -8%}")), row(opened_ms=OPENED_MS + 60_000))
    resting(here, "85000")
    assert triggers(here.mark("89000")) == [D(82800)]


def test_I23_a_loosened_policy_never_moves_a_resting_stop() -> None:
    here = guarded(policy_of("name: w\nwhen: {leverage: {above: 50}}\nthen: [notify: {}]"), LONG)
    resting(here, "85000")
    assert triggers(here.mark("89000")) == [D(85000)]


def test_a_stop_that_rests_stays_wanted_while_the_mark_goes_through_it() -> None:
    """It is the venue's turn: nothing looser is put in its place."""
    here = guarded(policy_of(rests("[{from_entry: -5%}, {from_entry: -8%}]")), LONG)
    here.mark("89000")
    resting(here, "85500")
    assert triggers(here.mark("85400")) == [D(85500)]


def test_I04_a_stop_that_liquidation_has_overtaken_follows_it_towards_the_price() -> None:
    here = guarded(policy_of("name: w\nwhen: {leverage: {above: 50}}\nthen: [notify: {}]"), LONG)
    resting(here, "81500")
    assert triggers(here.mark("89000")) == [D(82700)]


def test_a_strangers_stop_is_no_ratchet() -> None:
    here = guarded(policy_of(rests("{from_entry: -8%}")), LONG)
    fold(here.state, OrdersRead(started=here.now, at=here.now, resting=(), plans=(stop("86000"),)))
    assert triggers(here.mark("89000")) == [D(82800)]


def test_from_mark_is_fixed_at_first_placing() -> None:
    here = guarded(policy_of(rests("{from_mark: -2%}")), LONG)
    assert triggers(here.mark("89000")) == [D(87220)]
    assert triggers(here.mark("92000")) == [D(87220)]


def test_the_tightest_stop_of_several_rules_wins() -> None:
    loose, tight = (
        rests("{from_entry: -8%}", name="a"),
        rests("{from_entry: -3%}", name="b", more=", on_unprotected: close"),
    )
    (order,) = wanted(guarded(policy_of(loose, tight), LONG).mark("89000"))
    assert (order.rule, order.trigger_price, order.on_unprotected) == ("b", D(87300), OnUnprotected.CLOSE)
    assert (order.size, order.price_type) == (None, PriceType.MARK)


def test_a_rule_with_a_condition_asks_for_its_stop_only_while_it_holds_and_then_the_stop_stays() -> None:
    lock = "name: lock\nwhen: {profit_from_entry: {above: 2%}}\nthen: [stop_loss: {trigger: {from_entry: 0.5%}}]"
    here = guarded(policy_of(lock), LONG)
    assert triggers(here.mark("91000")) == []
    assert triggers(here.mark("92000")) == [D(90450)]
    assert triggers(here.mark("91000")) == [D(90450)]


def test_while_blind_a_stop_stays_as_it_was_and_a_missing_one_is_reckoned_from_the_last_values() -> None:
    here = guarded(policy_of(rests("{liquidation_buffer: 25%}")), LONG)
    here.wait(60, read=False)
    assert triggers(here.look()) == [D(84000)]
    here.state.held[LONG.key].position = replace(LONG, liquidation_price=D(83000))
    assert triggers(here.look()) == [D(84000)]


def test_no_stop_of_the_smaller_leg_of_a_hedge_is_bound_by_the_other_sides_liquidation() -> None:
    here = guarded(policy_of(rests("{from_entry: -3%}")), cross(quantity="100"), cross(Side.SHORT, quantity="40"))
    short = next(each for each in here.mark("89000").decisions if getattr(each, "key", None) == here.rows[1].key)
    assert [order.trigger_price for order in short.wanted] == [D(92700)]  # type: ignore[union-attr]


# Take-profits


@pytest.mark.parametrize(("position", "mark", "price"), [(LONG, "89000", "95400"), (SHORT, "91000", "84600")])
def test_a_take_profit_lies_in_the_positions_favour(position: Position, mark: str, price: str) -> None:
    decided = guarded(policy_of(rests("{from_entry: 6%}", action="take_profit")), position).mark(mark)
    (order,) = wanted(decided, PROFIT)
    assert (order.trigger_price, order.price_type) == (D(price), PriceType.LAST)


def test_a_take_profit_follows_the_entry() -> None:
    here = guarded(policy_of(rests("{from_entry: 6%}", action="take_profit")), LONG)
    here.mark("89000")
    here.read(replace(LONG, entry_price=D(89000)))
    assert triggers(here.look(), PROFIT) == [D(94340)]


def test_a_take_profit_that_the_mark_has_passed_is_told_and_not_placed_but_stays_where_it_rests() -> None:
    here = guarded(policy_of(rests("{from_entry: 1%}", action="take_profit")), LONG)
    decided = here.mark("91000")
    assert triggers(decided, PROFIT) == []
    assert any("take-profit" in tell.text for tell in decided.told)
    resting(here, "90900", kind=PROFIT)
    assert triggers(here.look(), PROFIT) == [D(90900)]
