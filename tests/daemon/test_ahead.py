"""The rule that comes next is solved when its answer may have changed, and not by the clock."""

from decimal import Decimal

from guardd.daemon.ahead import Ahead
from guardd.model.reading import Absent
from guardd.policy.explain import view_of
from guardd.policy.language import Policy
from guardd.policy.watch import Watch, watch
from guardd.risk.assess import PositionRisk
from tests.changed import replace
from tests.model.accounts import BTC, D, key, row
from tests.policy.guarded import Guarded, cross, guarded, policy_of, rule

WARN = rule("{profit_from_entry: {below: -5%}}", "notify: {}")
OLD = rule("{all: [{profit_from_entry: {below: -5%}}, {position_age: {above: 1h}}]}", "notify: {}")
NEAR = rule("{distance_to_liquidation: {below: 5%}}", "close: {}")
LONG = row(venue_liquidation=D(81000))
CROSS = replace(cross(), liquidation_price=D(81000))


class Bench:
    """One position, its watch and what is shown of it. After `swap` of the policy an answer that was solved anew is another."""

    def __init__(self, policy: Policy, there: Guarded) -> None:
        self.policy, self.there = policy, there
        self.watch = watch(policy, there.state, now=there.now)
        self.ahead = Ahead(there.state)

    def look(self, *, after_s: float = 0.0, solved: Watch | None = None) -> Decimal | Absent:
        self.there.now = self.there.now.later_by(after_s)
        self.ahead.look(self.policy, (solved or self.watch).solved, self.there.now)
        return self.ahead.of(self.risk())[1]

    def risk(self) -> PositionRisk:
        view = view_of(self.policy, self.there.state, key(), self.there.now)
        assert view is not None
        return view.risk

    def swap(self, policy: Policy) -> None:
        self.policy = policy


def test_as_long_as_the_watch_holds_nothing_is_solved_again() -> None:
    bench = Bench(policy_of(WARN), guarded(policy_of(WARN), LONG))
    shown = bench.look()
    assert shown == D("85499.9")
    bench.swap(policy_of(rule("{profit_from_entry: {below: -6%}}", "notify: {}")))
    assert bench.look(after_s=3_600) == shown


def test_another_solution_of_the_watch_is_looked_at_within_a_second() -> None:
    bench = Bench(policy_of(WARN), guarded(policy_of(WARN), LONG))
    shown = bench.look()
    bench.swap(policy_of(rule("{profit_from_entry: {below: -6%}}", "notify: {}")))
    fresh = watch(bench.policy, bench.there.state, now=bench.there.now)
    assert bench.look(after_s=0.5, solved=fresh) == shown
    assert bench.look(after_s=0.5, solved=fresh) == D("84599.9")


def test_what_moves_without_an_edge_is_looked_at_every_thirty_seconds() -> None:
    """A cross position feels the rest of its account; an age grows by itself."""
    for text, position in ((WARN, cross()), (OLD, LONG)):
        policy = policy_of(text)
        bench = Bench(policy, guarded(policy, position))
        shown = bench.look()
        bench.swap(policy_of(text.replace("-5%", "-6%")))
        assert bench.look(after_s=29.9) == shown
        assert bench.look(after_s=0.1) != shown


def test_a_rule_that_is_true_is_shown_at_the_present_mark_wherever_that_goes() -> None:
    there = guarded(policy_of(WARN), LONG)
    there.frame("85000", BTC)
    bench = Bench(policy_of(WARN), there)
    assert bench.look() == D("85000")
    there.frame("84000", BTC)
    assert bench.look() == D("84000")


def test_before_the_first_look_nothing_is_said() -> None:
    bench = Bench(policy_of(WARN), guarded(policy_of(WARN), LONG))
    assert bench.ahead.of(bench.risk()) == (None, Absent.NONE)
    bench.look()
    assert bench.ahead.of(bench.risk())[0] == "r"
    bench.ahead.forget(key())
    assert bench.ahead.of(bench.risk()) == (None, Absent.NONE)


def test_every_rule_that_the_mark_makes_act_is_told_the_next_one_first() -> None:
    policy = policy_of(
        rule("{profit_from_entry: {below: -8%}}", "notify: {}", name="far"),
        rule("{profit_from_entry: {below: -5%}}", "notify: {}", name="near"),
    )
    there = guarded(policy, LONG)
    bench = Bench(policy, there)
    bench.look()
    assert [(each.rule, each.at_mark_price, each.is_true) for each in bench.ahead.all_of(key())] == [
        ("near", D("85499.9"), False),
        ("far", D("82799.9"), False),
    ]
    there.frame("85000", BTC)
    bench.look(after_s=2, solved=watch(policy, there.state, now=there.now))
    assert [(each.rule, each.at_mark_price, each.is_true) for each in bench.ahead.all_of(key())] == [
        ("near", D("85000"), True),
        ("far", D("82799.9"), False),
    ]


def test_a_liquidation_price_that_moved_is_shown_in_what_follows_from_it() -> None:
    """At once where it doesn't move by itself; of a cross position when it moved by a hundredth of the way."""
    for position, number, moved in ((LONG, "81001", True), (CROSS, "81070", False), (CROSS, "81090", True)):
        policy = policy_of(NEAR)
        there = guarded(policy, position)
        bench = Bench(policy, there)
        shown = bench.look()
        held = there.state.held[key()]
        held.position = replace(held.position, liquidation_price=D(number))
        fresh = watch(policy, there.state, now=there.now, previous=bench.watch)
        assert (bench.look(after_s=1, solved=fresh) != shown) is moved, (number, shown)
