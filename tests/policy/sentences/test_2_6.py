"""interfaces.md 2.6, the clauses that no other test holds: whose leash it is."""

from guardd.execution.approve import ApprovedIntent
from guardd.execution.closing import closing_steps
from guardd.execution.refusal import Refusal, RefusalKind
from guardd.model.decision import Close
from guardd.model.event import PositionsRead
from guardd.model.fold import fold
from guardd.model.intent import Stage
from guardd.model.names import PositionKey, RuleName
from guardd.model.position import episode_id
from tests.changed import replace
from tests.execution.bench import BOUNDS, LONG, OPENED_MS, SHORT, Bench, D, finish, position

SHORT_BOUNDS = replace(BOUNDS, liquidation_price=D(120))


def both_legs() -> Bench:
    bench = Bench()
    rows = (position(), position(SHORT, liquidation_price=D(120)))
    fold(bench.state, PositionsRead(started=bench.now, at=bench.now, positions=rows))
    return bench


def close(bench: Bench, key: PositionKey, rule: str) -> ApprovedIntent | Refusal:
    bounds = BOUNDS if key == LONG else SHORT_BOUNDS
    decision = Close(key=key, episode=episode_id(key, OPENED_MS), rule=RuleName(rule), reason="near")
    [asked] = closing_steps(decision, bench.state, bounds, now=bench.now).proposals
    verdict = bench.judge(asked, bounds=bounds)
    assert isinstance(verdict, ApprovedIntent | Refusal)
    return verdict


def test_the_breaker_counts_each_position_by_itself() -> None:
    bench = both_legs()
    for number in range(3):
        verdict = close(bench, LONG, f"r{number}")
        assert isinstance(verdict, ApprovedIntent)
        finish(bench.state, verdict.intent, Stage.FAILED, bench.now)
    fourth = close(bench, LONG, "r3")
    assert isinstance(fourth, Refusal)
    assert fourth.kind is RefusalKind.BREAKER
    assert isinstance(close(bench, SHORT, "r0"), ApprovedIntent)
