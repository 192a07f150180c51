"""interfaces.md 2.4, the clauses that no other test holds: what the actions do, and in which order."""

import pytest

from guardd.daemon.hands import Hands
from guardd.daemon.reader import ReadKind
from guardd.daemon.telling import Teller
from guardd.execution.proposal import Bounds
from guardd.model.decision import Close, OnUnprotected, Reduce
from guardd.model.event import OrdersRead
from guardd.model.facts import Fact, Said
from guardd.model.fold import fold
from guardd.model.instrument import Instrument
from guardd.model.intent import CloseAtMarket
from guardd.model.names import Severity, Side
from guardd.model.order import PlanOrder
from guardd.model.outcome import Reason
from guardd.model.position import Position
from guardd.risk.assess import assess_position
from guardd.risk.cover import Cover, cover
from tests.changed import replace
from tests.execution.bench import LONG as HELD
from tests.execution.bench import Bench, position, wanted
from tests.execution.bench import protect as wish
from tests.model.accounts import START, D, account, instrument, key, row, stop
from tests.policy.guarded import SENT, VERIFIED, acts, cross, every, guarded, only, policy_of, protect, rule

NEAR, FAR = "83000", "89000"
LONG = row(venue_liquidation=D(81000))
BELOW = "{distance_to_liquidation: {below: 5%}}"


# In order, judged anew, never waiting


def test_a_stop_and_a_notice_wait_neither_for_an_action_before_them_nor_for_its_cooldown() -> None:
    many = "reduce: {by: 25%}, stop_loss: {trigger: {price: 82000}}, notify: {severity: info}"
    here = guarded(policy_of(rule(BELOW, many, more="cooldown: 1h")), LONG)
    decided = here.mark(NEAR)
    assert [order.trigger_price for order in protect(decided).wanted] == [D(82000)]
    assert Severity.INFO in {tell.severity for tell in decided.told}
    here.send(only(decided, Reduce), *VERIFIED)
    here.mark(FAR)
    again = here.mark(NEAR)
    assert acts(again) == []
    assert [order.trigger_price for order in protect(again).wanted] == [D(82000)]
    assert Severity.INFO in {tell.severity for tell in again.told}


def test_actions_go_in_the_order_of_the_rule() -> None:
    steps = rule(BELOW, "reduce: {by: 10%}, reduce: {by: 20%}, close: {}", more="cooldown: 0s")
    here = guarded(policy_of(steps), LONG)
    sizes = []
    for _ in range(2):
        decided = only(here.mark(NEAR), Reduce)
        sizes.append(decided.size)
        here.send(decided, *VERIFIED)
        here.wait(1)
    assert sizes == [10, 20]
    assert len(every(here.mark(NEAR), Close)) == 1


def test_the_next_action_is_judged_on_the_figures_of_its_own_moment() -> None:
    """A quarter of what is held then, not of what was held when the rule became true."""
    here = guarded(policy_of(rule(BELOW, "reduce: {by: 50%}, reduce: {by: 50%}", more="cooldown: 0s")), LONG)
    here.send(only(here.mark(NEAR), Reduce), *VERIFIED)
    here.wait(1)
    here.read(replace(LONG, quantity=D(50)))
    assert only(here.mark(NEAR), Reduce).size == 25


@pytest.mark.parametrize("severity", list(Severity))
def test_notify_tells_with_its_severity(severity: Severity) -> None:
    here = guarded(policy_of(rule(BELOW, f"notify: {{severity: {severity}}}")), LONG)
    assert [tell.severity for tell in here.mark(NEAR).told] == [severity]


@pytest.mark.parametrize("action", ["close: {}", "reduce: {by: 25%}"])
def test_what_is_acted_on_is_told_without_a_notify(action: str) -> None:
    told = guarded(policy_of(rule(BELOW, action)), LONG).mark(NEAR).told
    assert [tell.rule for tell in told] == ["r"]


# Sizes


@pytest.mark.parametrize(("at_most", "share"), [("", 50), (", at_most: 20%", 20)])
def test_a_reduction_takes_at_most_half_where_the_rule_says_nothing_else(at_most: str, share: int) -> None:
    trim = f"reduce: {{until: {{distance_to_liquidation: 90%}}{at_most}}}"
    here = guarded(policy_of(rule("{distance_to_liquidation: {below: 12%}}", trim)), cross(), wallet="900")
    assert only(here.mark(FAR), Reduce).size == share


@pytest.mark.parametrize(("held", "reduction"), [("1", "until: {distance_to_liquidation: 12%}, at_most: 50%")])
def test_a_reduction_of_which_no_step_is_left_is_refused_and_told(held: str, reduction: str) -> None:
    here = guarded(policy_of(rule("{leverage: {above: 5}}", f"reduce: {{{reduction}}}")), cross(quantity=held))
    decided = here.mark(FAR)
    assert acts(decided) == []
    assert any("less than one step" in tell.text for tell in decided.told)


def test_cross_does_at_most_and_is_judged_again_after_the_cooldown() -> None:
    trim = "reduce: {until: {distance_to_liquidation: 50%}, at_most: 30%}"
    here = guarded(policy_of(rule("{distance_to_liquidation: {below: 12%}}", trim)), cross(), wallet="900")
    first = only(here.mark(FAR), Reduce)
    assert first.size == 30
    here.send(first, *VERIFIED)
    here.wait(31)
    here.read(cross(quantity="70"))
    here.wallet = "830"
    again = only(here.mark("83000"), Reduce)
    assert again.size == 21


def judged(position: Position, listed: Instrument, *plans: PlanOrder) -> Cover:
    state = account(position, instruments=(listed,))
    fold(state, OrdersRead(started=START, at=START, resting=(), plans=plans))
    held = state.held[key()]
    return cover(state, held, assess_position(state, held, mark=D(FAR), now=START), now=START)


def test_dust_that_cannot_be_closed_is_shown_as_unprotectable() -> None:
    least = replace(instrument(), min_size=D(5))
    assert judged(row(quantity="4"), least).note.startswith("unprotectable: 4 contracts")
    assert not judged(row(quantity="5"), least).note.startswith("unprotectable")
    assert judged(row(quantity="4"), least, stop("85000")).note == ""


def test_a_conditional_entry_is_no_stop() -> None:
    assert not judged(row(), instrument(), stop("85000", kind=None)).protected


# A stop that no form at the venue would take


class _Wants:
    def want(self, *kinds: ReadKind) -> None: ...


async def a_minute_without(on_unprotected: OnUnprotected) -> tuple[list[float], int]:
    """When it was told as critical, in seconds, and how many closes were sent in 66 s without a stop."""
    bench = Bench()
    await bench.hold(position())
    facts: list[Fact] = []
    hands = Hands(
        state=bench.state,
        executor=bench.executor,
        reader=_Wants(),  # type: ignore[arg-type]
        teller=Teller(state=bench.state, journal=bench.journal, listener=facts.append),
        bounds=lambda each: Bounds(mark=D(100), liquidation_price=D(80)),
        doubts=lambda each: (),
    )
    bench.venue.script.extend([Reason.TRIGGER_TOO_FAR] * 10)
    began = bench.now
    for _ in range(33):
        hands.act((wish(replace(wanted("90"), on_unprotected=on_unprotected)),), now=bench.now)
        hands.follow_up(now=bench.now)
        await bench.settle(2)
        await bench.read()
    critical = [fact for fact in facts if isinstance(fact, Said) and fact.severity is Severity.CRITICAL]
    closes = [sent for sent in bench.venue.sent if isinstance(sent.write, CloseAtMarket)]
    assert all(HELD.symbol in fact.text for fact in critical)
    await bench.end()
    return [fact.at.seconds_since(began) for fact in critical], len(closes)


async def test_without_a_stop_for_a_minute_is_critical_and_closes_only_where_the_policy_says_so() -> None:
    told, closes = await a_minute_without(OnUnprotected.ALERT)
    assert 60 <= told[0] < 64
    assert closes == 0
    _, closes = await a_minute_without(OnUnprotected.CLOSE)
    assert closes >= 1


def test_a_reduction_in_flight_holds_back_neither_stop_nor_notice() -> None:
    """Of another rule: its protection and its words go on."""
    other = rule(BELOW, "stop_loss: {trigger: {price: 82000}}, notify: {severity: info}", name="s")
    here = guarded(policy_of(rule(BELOW, "reduce: {by: 25%}"), other), LONG)
    here.frame(NEAR, last=NEAR, index=NEAR)
    here.send(Reduce(key=key(), episode=here.state.held[key()].episode.id, rule="r", size=D(25), reason="t"), *SENT)  # type: ignore[arg-type]
    decided = here.look()
    assert acts(decided) == []
    assert [order.trigger_price for order in protect(decided).wanted] == [D(82000)]
    assert Severity.INFO in {tell.severity for tell in decided.told}


@pytest.mark.parametrize(
    ("triggers", "side", "price"),
    [
        ("[{from_entry: -8%}, {from_entry: -4%}]", Side.LONG, "86400"),
        ("[{price: 83000}, {liquidation_buffer: 50%}, {from_mark: -5%}]", Side.LONG, "85500"),
        ("[{from_entry: -8%}, {from_entry: -4%}]", Side.SHORT, "93600"),
    ],
)
def test_of_a_list_of_triggers_the_one_nearest_to_the_mark_is_taken_wherever_it_stands(
    triggers: str, side: Side, price: str
) -> None:
    liquidation = D(81000) if side is Side.LONG else D(99000)
    here = guarded(
        policy_of(f"name: s\nthen: [stop_loss: {{trigger: {triggers}}}]"), row(side, venue_liquidation=liquidation)
    )
    [order] = protect(here.mark("90000")).wanted
    assert order.trigger_price == pytest.approx(D(price), abs=250)
