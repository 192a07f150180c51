"""What people hear of edges: each occasion once, and again when it comes again."""

from guardd.daemon.telling import Teller
from guardd.execution.closing import closing_steps
from guardd.model.decision import Close, Reduce
from guardd.model.event import MarkSeen, OrderPushed, PositionsRead
from guardd.model.facts import Contested, Fact, ForcedExit, ForcedExitKind, Said
from guardd.model.fold import fold
from guardd.model.names import OrderId, RuleName, Severity
from guardd.model.order import OrderAction, OrderUpdate, RestingKind
from guardd.model.state import News, NewsKind
from tests.execution.bench import BOUNDS, BTC, EPISODE, LONG, OPENED_MS, Bench, D, position, wanted


class Heard:
    def __init__(self) -> None:
        self.bench = Bench()
        self.facts: list[Fact] = []
        self.teller = Teller(state=self.bench.state, journal=self.bench.journal, listener=self.facts.append)

    def count(self, kind: type[Fact]) -> int:
        return sum(isinstance(fact, kind) for fact in self.facts)


async def test_an_order_of_the_venues_own_counts_as_one_forced_exit_however_often_it_is_pushed() -> None:
    heard = Heard()
    for order_id in ("7", "7", "7", "8"):
        news = News(kind=NewsKind.FORCED_EXIT, key=LONG, order_id=OrderId(order_id), action=OrderAction.LIQUIDATION)
        heard.teller.news(news, heard.bench.now)
    assert heard.count(ForcedExit) == 2


async def test_a_contest_counts_once_until_it_begins_anew() -> None:
    heard = Heard()
    for _ in range(3):
        heard.teller.contested(LONG, "its stop was cancelled by hand", heard.bench.now)
    assert heard.count(Contested) == 1
    heard.teller.settled(f"contested/{LONG}")
    heard.teller.contested(LONG, "its stop was cancelled by hand", heard.bench.now)
    assert heard.count(Contested) == 2


async def test_I21_what_was_settled_is_told_again_in_the_same_words() -> None:
    heard = Heard()
    assert heard.teller.say(Severity.CRITICAL, "blind", "blind: mark: 15.1 s old", heard.bench.now)
    assert not heard.teller.say(Severity.CRITICAL, "blind", "blind: mark: 15.1 s old", heard.bench.now)
    heard.teller.settled("blind")
    assert heard.teller.say(Severity.CRITICAL, "blind", "blind: mark: 15.1 s old", heard.bench.now)
    assert heard.count(Said) == 2


# Who ended it?


async def stopped_at(trigger: str) -> Heard:
    """A position under a verified stop of ours."""
    heard = Heard()
    await heard.bench.hold(position())
    await heard.bench.protect(wanted(trigger))
    assert heard.bench.state.held[LONG].episode.had_verified_stop
    return heard


def gone(heard: Heard) -> list[ForcedExit]:
    """Reads agree that it is flat; what is told of it."""
    state, started, news = heard.bench.state, heard.bench.now, list(heard.bench.news)
    for at in (started, started.later_by(3), started.later_by(14), started.later_by(25)):
        news.extend(fold(state, PositionsRead(started=at, at=at, positions=())).news)
    [ended] = [each for each in news if each.kind is NewsKind.EPISODE_ENDED]
    heard.teller.news(ended, heard.bench.now)
    return [fact for fact in heard.facts if isinstance(fact, ForcedExit)]


async def test_a_close_by_hand_is_external_although_our_stop_rested() -> None:
    heard = await stopped_at("90")
    fold(heard.bench.state, MarkSeen(BTC, D(100), heard.bench.now))
    assert [fact.kind for fact in gone(heard)] == [ForcedExitKind.EXTERNAL]
    await heard.bench.end()


async def test_a_stop_of_ours_that_a_push_showed_to_fire_is_our_own_exit() -> None:
    heard = await stopped_at("90")
    [plan] = heard.bench.venue.plans.values()
    fired = order_update(plan.order_id)
    fold(heard.bench.state, OrderPushed(at=heard.bench.now, update=fired))
    fold(heard.bench.state, MarkSeen(BTC, D(100), heard.bench.now))
    assert gone(heard) == []
    await heard.bench.end()


async def test_a_stop_whose_push_was_lost_is_known_by_the_mark_beyond_it() -> None:
    heard = await stopped_at("90")
    fold(heard.bench.state, MarkSeen(BTC, D("89.9"), heard.bench.now))
    assert gone(heard) == []
    await heard.bench.end()


async def test_what_a_reduction_left_and_somebody_closed_is_external() -> None:
    heard = Heard()
    bench = heard.bench
    await bench.hold(position())
    trim = Reduce(key=LONG, episode=EPISODE, rule=RuleName("trim"), size=D(25), reason="too near")
    assert bench.go(closing_steps(trim, bench.state, BOUNDS, now=bench.now))
    await bench.settle(5)
    assert [fact.kind for fact in gone(heard)] == [ForcedExitKind.EXTERNAL]
    await bench.end()


async def test_our_own_close_is_no_forced_exit() -> None:
    heard = Heard()
    bench = heard.bench
    await bench.hold(position())
    close = Close(key=LONG, episode=EPISODE, rule=RuleName("last-resort"), reason="the end is near")
    assert bench.go(closing_steps(close, bench.state, BOUNDS, now=bench.now))
    await bench.settle(5)
    assert gone(heard) == []
    await bench.end()


def order_update(plan_order_id: OrderId) -> OrderUpdate:
    return OrderUpdate(
        order_id=OrderId("born"),
        client_id=None,
        plan_order_id=plan_order_id,
        key=LONG,
        closes=True,
        action=OrderAction.FILLED,
        live=False,
        kind=RestingKind.MARKET,
        price=None,
        size=D(100),
        filled=D(100),
        average_price=D(90),
        venue_ms=OPENED_MS,
    )
