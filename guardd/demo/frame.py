"""One moment of the demo, with everything that is shown of it, and the two ways to show it as one protocol."""

from decimal import Decimal
from typing import Final, Protocol

from msgspec import Struct

from guardd.demo import scenario, story
from guardd.demo.scenario import Leg, Play
from guardd.demo.story import Line
from guardd.demo.verdict import Verdict
from guardd.demo.watch import Status, Venue


class Frame(Struct, frozen=True, kw_only=True):
    """`offset_ms` from the start of the play, negative before it."""

    offset_ms: int
    play: Play
    venue: Venue
    status: Status | None
    feed_silent: bool


class Show(Protocol):
    """Shows the demo. `words` are the demo's own, between the acts."""

    def words(self, text: str) -> None: ...

    def line(self, line: Line, offset_ms: int) -> None: ...

    def frame(self, frame: Frame) -> None: ...

    def end(self) -> None: ...

    def verdict(self, verdict: Verdict, *, observe: bool) -> None: ...


ACTS: Final = {
    "opening": "getting ready",
    "calm": "calm",
    "slide": "the market slides",
    "crash": "the crash of 2025-10-10",
    "over": "over",
}


def act_of(frame: Frame) -> str:
    """The act in words."""
    text = ACTS[frame.play.act(frame.offset_ms)]
    return f"{text}, and the price feed is silent" if frame.feed_silent else text


def marks_of(frame: Frame) -> list[tuple[str, str, Decimal]]:
    """(base coin, mark, change since the start) of each contract."""
    first = scenario.starting_prices()
    found: list[tuple[str, str, Decimal]] = []
    for each in scenario.LEGS:
        mark = frame.venue.quotes[each.symbol].mark
        change = mark / first[each.symbol] - 1
        found.append((story.CONTRACTS[each.symbol].base, story.price(each.symbol, mark), change))
    return found


class LegSeen(Struct, frozen=True, kw_only=True):
    """One leg of one account in words; all but `name` empty once it is gone."""

    name: str
    size: str = ""
    distance: str = ""
    danger: bool = False
    liquidation: str = ""
    stop: str = ""
    next_rule: str = ""


NEAR: Final = Decimal("0.03")
"""A distance to liquidation that is shown as danger."""


def legs_of(frame: Frame, uid: str) -> list[LegSeen]:
    return [_seen(frame, uid, each) for each in scenario.LEGS]


def _seen(frame: Frame, uid: str, leg: Leg) -> LegSeen:
    account = frame.venue.accounts[uid]
    position = account.position(leg.symbol, leg.side)
    name = f"{story.CONTRACTS[leg.symbol].base} {leg.side.value} {leg.margin_mode.value}"
    if position is None:
        return LegSeen(name=name)
    distance, stop = position.distance, account.stop(leg.symbol, leg.side)
    rule = frame.status.next_rule(leg.symbol, leg.side) if uid == scenario.GUARDED and frame.status else None
    at = story.price(leg.symbol, rule.at_mark_price) if rule and rule.at_mark_price is not None else "?"
    return LegSeen(
        name=name,
        size=story.coins(leg.symbol, position.size).split()[0],
        distance=story.percent(distance) if distance is not None else "none",
        danger=distance is not None and distance < NEAR,
        liquidation=story.price(leg.symbol, position.liquidation_price) if position.liquidation_price else "none",
        stop=story.price(leg.symbol, stop) if stop is not None else "no stop",
        next_rule=f"{rule.name} {at}" if rule else "",
    )
