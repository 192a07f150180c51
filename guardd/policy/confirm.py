"""One bad price never closes a position (I28, interfaces.md 2.3).

A mark past a trigger is believed when a second witness says so too: the same frame's last or mid price, if the mark lies
within 3 % of the frame's own index; the frame before or after it, if it isn't the same one delivered twice; or one mark read
by REST. The last price is a witness, never the mark. Unconfirmed after a second it is told as critical and asked on; the
resting stop stands.

What "past the trigger" means is the asker's: a test of a price, so that conditions of every shape are confirmed alike.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Final

from guardd.model.event import MarkSeen, Source
from guardd.model.instant import Instant
from guardd.model.names import Symbol

INDEX_TOLERANCE: Final = Decimal("0.03")
"""A mark further than this from its own frame's index doesn't confirm itself."""
REST_DEADLINE_S: Final = 0.5
"""How long the one REST mark may take; asked again after it while the breach lasts."""
UNCONFIRMED_AFTER_S: Final = 1.0


class Verdict(StrEnum):
    CONFIRMED = "confirmed"
    WAIT = "wait"
    """The next frame or the REST mark that was asked for will tell."""
    ASK_REST = "ask_rest"
    """The same, and one REST mark is wanted now."""
    UNCONFIRMED = "unconfirmed"
    """More than a second has passed: critical, told once; WAIT and ASK_REST go on."""


@dataclass(slots=True)
class _Seen:
    """What a symbol's frames said, newest last, and how long a breach of it waits for its second witness."""

    current: MarkSeen
    before: MarkSeen | None = None
    rest: MarkSeen | None = None
    doubted_since: Instant | None = None
    asked: Instant | None = None
    told: bool = False


@dataclass(slots=True)
class Confirmation:
    """The witnesses of one account, a symbol each. `seen` is called with every frame of a held symbol and every REST mark."""

    _symbols: dict[Symbol, _Seen] = field(default_factory=dict)

    def seen(self, frame: MarkSeen) -> None:
        """Take a frame in. Cheap: it stands on the path of every tick."""
        known = self._symbols.get(frame.symbol)
        if known is None:
            self._symbols[frame.symbol] = _Seen(current=frame, rest=frame if frame.source is Source.REST else None)
            return
        if frame.source is Source.REST:
            known.rest = frame
        current = known.current
        if frame.at.mono_ns > current.at.mono_ns:
            if frame.mark != current.mark or not _repeats(frame, current):
                known.before = current
            known.current = frame

    def waiting(self, symbol: Symbol) -> bool:
        """True while a breach on this symbol waits for a witness: each further frame is then looked at in full."""
        known = self._symbols.get(symbol)
        return known is not None and known.doubted_since is not None

    def verdict(
        self, present: MarkSeen, past: Callable[[Decimal], bool], now: Instant, rest: MarkSeen | None = None
    ) -> Verdict:
        """Is this mark, found past a trigger, to be believed? `past` tests a price.

        `present` is the state's mark of the instrument, which may have come with a read of positions instead of a frame; `rest`
        the last mark that any read by REST brought.
        """
        self.seen(present)
        known = self._symbols[present.symbol]
        if any(past(price) for price in _witnesses(known, present, rest)):
            return Verdict.CONFIRMED
        if known.doubted_since is None:
            known.doubted_since = now
        if not known.told and now.seconds_since(known.doubted_since) >= UNCONFIRMED_AFTER_S:
            known.told = True
            return Verdict.UNCONFIRMED
        if known.asked is None or now.seconds_since(known.asked) >= REST_DEADLINE_S:
            known.asked = now
            return Verdict.ASK_REST
        return Verdict.WAIT

    def witnesses(self, present: MarkSeen, rest: MarkSeen | None = None) -> tuple[Decimal, ...]:
        """The prices that may confirm this mark; arguments as for `verdict`."""
        self.seen(present)
        return tuple(_witnesses(self._symbols[present.symbol], present, rest))

    def reached(self, present: MarkSeen, rest: MarkSeen | None, sign: int) -> Decimal | None:
        """How far up (`sign` 1) or down (-1) the mark has come by its own word and a second witness's; None without one."""
        self.seen(present)
        known = self._symbols[present.symbol]
        prices = _own_witnesses(present) + ([known.before.mark] if known.before is not None else [])
        prices += [
            read.mark for read in (known.rest, rest) if read is not None and read.at.mono_ns != present.at.mono_ns
        ]
        if not prices:
            return None
        return min(present.mark, max(prices)) if sign > 0 else max(present.mark, min(prices))

    def settle(self, symbol: Symbol) -> None:
        """Nothing on this symbol is in doubt any more: confirmed for every step that hung on it, or the mark came back."""
        known = self._symbols.get(symbol)
        if known is not None:
            known.doubted_since, known.asked, known.told = None, None, False

    def __bool__(self) -> bool:
        """It remembers a mark of anything."""
        return bool(self._symbols)

    def forget(self, symbols: frozenset[Symbol]) -> None:
        """Keep only what is said of these symbols."""
        for symbol in [symbol for symbol in self._symbols if symbol not in symbols]:
            del self._symbols[symbol]


def _repeats(frame: MarkSeen, before: MarkSeen) -> bool:
    """The same in all it says: perhaps one frame that was delivered twice, and so no second witness. Each read is one."""
    return (
        frame.mark == before.mark
        and frame.last == before.last
        and frame.index == before.index
        and frame.bid == before.bid
        and frame.ask == before.ask
        and frame.source is before.source is Source.STREAM
    )


def _witnesses(known: _Seen, present: MarkSeen, rest: MarkSeen | None) -> list[Decimal]:
    """Prices that may confirm the present mark; never the mark itself."""
    found = _own_witnesses(present)
    if known.before is not None:
        found.append(known.before.mark)
    for read in (known.rest, rest):
        if read is not None and read.at.mono_ns != present.at.mono_ns and _is_later(read, known.doubted_since):
            found.append(read.mark)
    return found


def _own_witnesses(frame: MarkSeen) -> list[Decimal]:
    """Last and mid of a frame whose mark is near its index; nothing otherwise."""
    if frame.index is None or frame.index <= 0 or abs(frame.mark - frame.index) > INDEX_TOLERANCE * frame.index:
        return []
    found = [frame.last] if frame.last is not None else []
    if frame.bid is not None and frame.ask is not None and frame.bid > 0 and frame.ask > 0:
        found.append((frame.bid + frame.ask) / 2)
    return found


def _is_later(rest: MarkSeen, doubted_since: Instant | None) -> bool:
    """A REST mark counts when it was read after the doubt arose."""
    return doubted_since is not None and rest.at.mono_ns >= doubted_since.mono_ns
