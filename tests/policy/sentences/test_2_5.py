"""interfaces.md 2.5, the clauses that no other test holds: several rules, positions, sides and lives."""

from guardd.daemon.telling import Teller
from guardd.execution.closing import closing_steps
from guardd.model.decision import Close, Reduce
from guardd.model.event import MarkSeen, PositionsRead
from guardd.model.facts import Contested, Fact, Said
from guardd.model.fold import fold
from guardd.model.intent import Stage
from guardd.model.names import RuleName, Severity, Side
from tests.changed import replace
from tests.execution.bench import BOUNDS, OPENED_MS, Bench, finish, position
from tests.execution.bench import LONG as HELD
from tests.model.accounts import ETH, D, key, row
from tests.policy.guarded import VERIFIED, acts, cross, every, guarded, only, policy_of, rule

NEAR = "83000"
LONG = row(venue_liquidation=D(81000))
BELOW = "{distance_to_liquidation: {below: 5%}}"
DANGER = rule("{account_margin_ratio: {above: 60%}}", "close: {}")


def test_after_the_strongest_went_the_position_is_judged_anew_from_what_the_venue_then_says() -> None:
    rules = [rule(BELOW, f"reduce: {{by: {share}%}}", name=f"r{share}") for share in (40, 25)]
    here = guarded(policy_of(*rules), LONG)
    first = only(here.mark(NEAR), Reduce)
    assert (first.rule, first.size) == ("r40", 40)
    here.send(first, *VERIFIED)
    here.read(replace(LONG, quantity=D(60)))
    second = only(here.mark(NEAR), Reduce)
    assert (second.rule, second.size) == ("r25", 15)
    here.read(replace(LONG, quantity=D(60), liquidation_price=D(70000)))
    assert acts(here.mark(NEAR)) == []


def test_the_next_cross_position_goes_once_the_account_was_judged_anew() -> None:
    rows = (cross(quantity="100"), cross(symbol=ETH, quantity="50"))
    here = guarded(policy_of(DANGER), *rows, wallet="1530")
    here.frame("80500", ETH, last="80500", index="80500")
    first = only(here.mark("80500"), Close)
    assert first.key == key()
    here.send(first, *VERIFIED)
    del here.state.held[key()]
    here.wallet = "505"
    here.read(rows[1])
    here.frame("80500", ETH, last="80500", index="80500")
    assert only(here.look(), Close).key == key(symbol=ETH)


def test_an_account_that_the_first_step_saved_takes_no_second() -> None:
    rows = (cross(quantity="100"), cross(symbol=ETH, quantity="50"))
    here = guarded(policy_of(DANGER), *rows, wallet="1530")
    here.frame("80500", ETH, last="80500", index="80500")
    here.send(only(here.mark("80500"), Close), *VERIFIED)
    del here.state.held[key()]
    here.wallet = "2000"
    here.read(rows[1])
    here.frame("80500", ETH, last="80500", index="80500")
    assert acts(here.look()) == []


def test_legs_of_one_instrument_that_close_for_their_own_reasons_go_net_side_first() -> None:
    both = rule("{account_margin_ratio: {above: 1%}}", "close: {}")
    own = rule("{leverage: {above: 5}}", "close: {}", name="own")
    rows = (cross(quantity="60"), cross(Side.SHORT, quantity="100"))
    here = guarded(policy_of(both, own), *rows, wallet="9000")
    assert [close.key.side for close in every(here.mark("90500"), Close)] == [Side.SHORT, Side.LONG]


def test_the_account_rule_ranks_by_what_the_step_leaves_and_not_by_size_alone() -> None:
    """The larger notional hedges nothing; the smaller one is the loss that a move of ten percent would make worse."""
    small, large = cross(quantity="40"), cross(symbol=ETH, quantity="100")
    here = guarded(policy_of(rule("{account_margin_ratio: {above: 5%}}", "close: {}")), small, large, wallet="900")
    fold(here.state, MarkSeen(ETH, D("89000"), here.now, index=D("89000"), last=D("89000")))
    assert only(here.mark("89000"), Close).key == key(symbol=ETH)


# Lives


def closed_and_reopened(times: int, *, apart_s: float) -> list[Fact]:
    """A position that the guard closes and somebody opens again, so often."""
    bench = Bench()
    facts: list[Fact] = []
    teller = Teller(state=bench.state, journal=bench.journal, listener=facts.append)
    now, opened_ms = bench.now, OPENED_MS
    for number in range(times + 1):
        now = now.later_by(apart_s)
        opened_ms += 60_000
        opened = PositionsRead(started=now, at=now, positions=(position(opened_ms=opened_ms, venue_ms=opened_ms),))
        for news in fold(bench.state, opened).news:
            teller.news(news, now)
        if number == times:
            break
        close = Close(key=HELD, episode=bench.state.held[HELD].episode.id, rule=RuleName("c"), reason="near")
        [asked] = closing_steps(close, bench.state, BOUNDS, now=now).proposals
        verdict = bench.judge(asked, now=now)
        finish(bench.state, verdict.intent, Stage.VERIFIED, now, filled=D(100))  # type: ignore[union-attr]
    return facts


def test_a_position_opened_again_after_three_closes_in_an_hour_is_contested_and_critical() -> None:
    facts = closed_and_reopened(3, apart_s=600)
    assert sum(isinstance(fact, Contested) for fact in facts) == 1
    [told] = [fact for fact in facts if isinstance(fact, Said) and "contested" in fact.text]
    assert told.severity is Severity.CRITICAL


def test_two_closes_or_three_in_more_than_an_hour_are_no_contest() -> None:
    assert not any(isinstance(fact, Contested) for fact in closed_and_reopened(2, apart_s=600))
    assert not any(isinstance(fact, Contested) for fact in closed_and_reopened(3, apart_s=1300))
