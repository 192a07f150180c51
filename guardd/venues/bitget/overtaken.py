"""Price frames that another overtook on the way: what they say is no longer so (Bitget reference, 13.3: `ts` is the push's time).

In a crash single frames come many seconds late among the others. Taken for the market of now, one of them had closed a part of
a position at a price that was long gone (I9).
"""

from dataclasses import dataclass, field
from typing import Final

from guardd.model.event import MarkSeen
from guardd.model.instant import NS_PER_S
from guardd.model.names import Symbol

BELIEVED_NS: Final = 3 * NS_PER_S
"""So long after its arrival a frame puts earlier ones aside, some ten times the pace of tickers. A time that the venue had wrong,
or a clock that it set back, then costs three seconds of prices and not the stream."""
TEXT_MAX: Final = 20


@dataclass(slots=True)
class Order:
    """Of one connection: of each symbol the latest frame by the venue's time. Cheap: it stands on the path of every tick."""

    _latest: dict[Symbol, MarkSeen] = field(default_factory=dict)

    def overtaken(self, seen: MarkSeen) -> bool:
        """True: a frame that was sent later has just been here."""
        sent_ms = seen.venue_ms
        if sent_ms is None:
            return False
        latest = self._latest.get(seen.symbol)
        earlier = latest is not None and latest.venue_ms is not None and sent_ms < latest.venue_ms
        if latest is not None and earlier and seen.at.mono_ns - latest.at.mono_ns <= BELIEVED_NS:
            return True
        self._latest[seen.symbol] = seen
        return False


def pushed_ms(ts: object) -> int | None:
    """The `ts` of a push, a number or its text; None for anything else: without it a frame is taken as it comes."""
    if isinstance(ts, str) and ts.isascii() and ts.isdecimal() and len(ts) < TEXT_MAX:
        return int(ts)
    return ts if isinstance(ts, int) else None
