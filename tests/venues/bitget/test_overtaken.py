"""A price frame that another overtook says nothing any more (I9), and a wrong time costs seconds of prices, never the stream."""

import json
from decimal import Decimal

import pytest

from guardd.model.instant import Instant
from guardd.model.names import Symbol
from guardd.venues.bitget.classic.parse.ticker import ticker as classic
from guardd.venues.bitget.frames import Topic, topic
from guardd.venues.bitget.overtaken import BELIEVED_NS, pushed_ms
from guardd.venues.bitget.talk import PublicTalk
from guardd.venues.bitget.unified.parse.ticker import ticker as unified

AT = Instant(1_000_000_000, 1_700_000_000_000)
SENT_MS = 1_700_000_000_000


def topic_of(symbol: Symbol) -> Topic:
    return topic(topic="ticker", symbol=symbol)


class Line:
    """A connection on which price frames of a family arrive."""

    def __init__(self, family: str = "unified") -> None:
        self.family = family
        self.talk = PublicTalk(
            topic_of=topic_of, price=unified if family == "unified" else classic, tell=lambda edge, text: None
        )

    def marks(self, mark: str, *, ts: object, after_s: float = 0.0, symbol: str = "ETHUSDT") -> list[Decimal]:
        """What the guard hears of a frame that was sent at `ts` and arrives after so long."""
        if self.family == "unified":
            arg, row = {"topic": "ticker", "symbol": symbol}, {"markPrice": mark}
        else:
            arg, row = {"channel": "ticker", "instId": symbol}, {"instId": symbol, "markPrice": mark}
        frame = {"action": "snapshot", "arg": arg, "data": [row], **({} if ts is None else {"ts": ts})}
        heard = self.talk.on_frame(json.dumps(frame), AT.later_by(after_s))
        return [each.mark for each in heard]  # type: ignore[union-attr]


@pytest.mark.parametrize("family", ["classic", "unified"])
def test_I09_a_frame_that_comes_forty_seconds_late_among_the_others_is_no_price_of_now(family: str) -> None:
    line = Line(family)
    assert line.marks("3026", ts=SENT_MS) == [3026]
    assert line.marks("2975", ts=SENT_MS - 40_000, after_s=0.1) == []
    assert line.marks("3027", ts=SENT_MS + 300, after_s=0.3) == [3027]


def test_each_symbol_has_an_order_of_its_own_and_one_moment_may_have_several_frames() -> None:
    line = Line()
    assert line.marks("3026", ts=SENT_MS) == [3026]
    assert line.marks("3025", ts=SENT_MS) == [3025]
    assert line.marks("84000", ts=SENT_MS - 1_000, symbol="BTCUSDT") == [84000]


def test_a_time_that_the_venue_had_wrong_costs_three_seconds_of_prices_and_not_the_stream() -> None:
    line = Line()
    assert line.marks("3026", ts=SENT_MS + 10**9) == [3026]
    last_s = BELIEVED_NS / 1e9
    assert line.marks("3027", ts=SENT_MS + 3_000, after_s=last_s) == []
    assert line.marks("3028", ts=SENT_MS + 3_300, after_s=last_s + 0.3) == [3028]
    assert line.marks("3029", ts=SENT_MS + 3_600, after_s=last_s + 0.6) == [3029]


@pytest.mark.parametrize("ts", [None, "", "soon", 1.5, [], "9" * 30])
def test_a_frame_without_a_time_is_taken_as_it_comes(ts: object) -> None:
    line = Line()
    assert line.marks("3026", ts=SENT_MS) == [3026]
    assert line.marks("3025", ts=ts) == [3025]
    assert pushed_ms(str(SENT_MS)) == SENT_MS
