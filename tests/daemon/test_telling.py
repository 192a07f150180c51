"""What people hear of edges: each occasion once, and again when it comes again."""

from guardd.daemon.telling import Teller
from guardd.model.facts import Contested, Fact, ForcedExit, Said
from guardd.model.names import OrderId, Severity
from guardd.model.order import OrderAction
from guardd.model.state import News, NewsKind
from tests.execution.bench import LONG, Bench


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
