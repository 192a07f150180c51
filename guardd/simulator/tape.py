"""What the public can look up about the past: candles, prints and funding, gathered from what happens.

Candles are kept by the minute and merged into longer steps on demand; a price move is also taken as a print of a few
contracts, so that the public trade list lives without other clients.
"""

from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal

from msgspec import Struct

from guardd.simulator.happenings import Happening, MarkChanged, OrderChanged
from guardd.simulator.orders import Side
from guardd.simulator.records import Quote

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
FUNDING_INTERVAL_HOURS = 8
FUNDING_RATE = Decimal("0.0001")
_CANDLES_MAX = 1_500  # a day and an hour of minutes
_PRINTS_MAX = 100  # the largest `limit` of market-trade
_SETTLEMENTS_MAX = 100


@dataclass(slots=True, kw_only=True)
class Candle:
    """One minute. `at_ms` is its start; `volume` in contracts."""

    at_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal = Decimal(0)

    def take(self, price: Decimal, size: Decimal) -> None:
        self.high = max(self.high, price)
        self.low = min(self.low, price)
        self.close = price
        self.volume += size


class Print(Struct, frozen=True, kw_only=True):
    """One public trade; `size` in contracts."""

    trade_id: int
    price: Decimal
    size: Decimal
    buyer_is_maker: bool
    at_ms: int


class Settlement(Struct, frozen=True, kw_only=True):
    rate: Decimal
    at_ms: int


@dataclass(slots=True)
class _History:
    last: deque[Candle] = field(default_factory=lambda: deque(maxlen=_CANDLES_MAX))
    mark: deque[Candle] = field(default_factory=lambda: deque(maxlen=_CANDLES_MAX))
    prints: deque[Print] = field(default_factory=lambda: deque(maxlen=_PRINTS_MAX))
    settlements: deque[Settlement] = field(default_factory=lambda: deque(maxlen=_SETTLEMENTS_MAX))
    volume: Decimal = Decimal(0)
    turnover: Decimal = Decimal(0)  # contracts × price; times contract size it is quote money
    previous: Decimal | None = None
    expected_rate: Decimal = FUNDING_RATE
    _past: tuple[Candle, Decimal, Decimal] | None = None  # the candle that it was added up before, high, low

    def past(self, present: Candle) -> tuple[Decimal, Decimal]:
        """High and low of all minutes until this one, added up once a minute: every ticker shows them."""
        if self._past is None or self._past[0] is not present:
            self._past = present, max(each.high for each in self.last), min(each.low for each in self.last)
        return self._past[1], self._past[2]


class Tape:
    """Feed it every happening; ask it about any symbol, also one that never traded."""

    def __init__(self) -> None:
        self._histories: dict[str, _History] = {}
        self._trade_id = 1_000_000_000

    def hear(self, happening: Happening) -> Print | None:
        """Take note; returns the print it made, if any."""
        match happening:
            case MarkChanged(symbol=symbol, quote=quote, at_ms=at_ms):
                return self._move(symbol, quote, at_ms)
            case OrderChanged(trade=trade) if trade is not None:
                history = self._of(trade.symbol)
                maker_buys = trade.maker == (trade.side is Side.BUY)
                return self._print(history, trade.price, trade.size, maker_buys, trade.at_ms)
            case _:
                return None

    def candles(self, symbol: str, *, marks: bool, step_min: int, start_s: int, end_s: int, most: int) -> list[Candle]:
        """Candles of `step_min` minutes whose start lies in the window, oldest first, the newest `most` of them."""
        history = self._of(symbol)
        merged: dict[int, Candle] = {}
        step_ms = step_min * MINUTE_MS
        for candle in history.mark if marks else history.last:
            start = candle.at_ms - candle.at_ms % step_ms
            if not start_s * 1000 <= start <= end_s * 1000:
                continue
            held = merged.get(start)
            if held is None:
                merged[start] = Candle(
                    at_ms=start,
                    open=candle.open,
                    high=candle.high,
                    low=candle.low,
                    close=candle.close,
                    volume=candle.volume,
                )
            else:
                held.high, held.low = max(held.high, candle.high), min(held.low, candle.low)
                held.close = candle.close
                held.volume += candle.volume
        return list(merged.values())[-most:]

    def newest(self, symbol: str, *, marks: bool) -> Candle | None:
        history = self._of(symbol)
        candles = history.mark if marks else history.last
        return candles[-1] if candles else None

    def prints(self, symbol: str, most: int) -> list[Print]:
        """Newest first."""
        return list(self._of(symbol).prints)[-most:][::-1]

    def settlements(self, symbol: str, most: int) -> list[Settlement]:
        """Newest first."""
        return list(self._of(symbol).settlements)[-most:][::-1]

    def settled(self, symbol: str, rate: Decimal, at_ms: int) -> None:
        self._of(symbol).settlements.append(Settlement(rate=rate, at_ms=at_ms))

    def expect(self, symbol: str, rate: Decimal) -> None:
        """Set the rate of the coming settlement."""
        self._of(symbol).expected_rate = rate

    def expected_rate(self, symbol: str) -> Decimal:
        return self._of(symbol).expected_rate

    def settled_rate(self, symbol: str) -> Decimal:
        settlements = self._of(symbol).settlements
        return settlements[-1].rate if settlements else FUNDING_RATE

    def volume(self, symbol: str) -> Decimal:
        """Contracts traded so far."""
        return self._of(symbol).volume

    def turnover(self, symbol: str) -> Decimal:
        """Sum of contracts × price so far."""
        return self._of(symbol).turnover

    def range(self, symbol: str) -> tuple[Decimal, Decimal, Decimal]:
        """High, low and change (a fraction) since the oldest candle kept, which is about a day."""
        candles = self._of(symbol).last
        if not candles:
            return Decimal(0), Decimal(0), Decimal(0)
        present = candles[-1]
        high, low = self._of(symbol).past(present)
        return max(high, present.high), min(low, present.low), self.change(symbol)

    def change(self, symbol: str) -> Decimal:
        candles = self._of(symbol).last
        return candles[-1].close / candles[0].open - 1 if candles else Decimal(0)

    def _move(self, symbol: str, quote: Quote, at_ms: int) -> Print | None:
        history = self._of(symbol)
        _take(history.mark, quote.mark, at_ms, Decimal(0))
        _take(history.last, quote.last, at_ms, Decimal(0))
        previous, history.previous = history.previous, quote.last
        if previous is None or previous == quote.last:
            return None
        size = Decimal(1 + self._trade_id % 50)
        return self._print(history, quote.last, size, quote.last < previous, at_ms)

    def _print(self, history: _History, price: Decimal, size: Decimal, buyer_is_maker: bool, at_ms: int) -> Print:
        self._trade_id += 1
        made = Print(trade_id=self._trade_id, price=price, size=size, buyer_is_maker=buyer_is_maker, at_ms=at_ms)
        history.prints.append(made)
        history.volume += size
        history.turnover += size * price
        _take(history.last, price, at_ms, size)
        return made

    def _of(self, symbol: str) -> _History:
        history = self._histories.get(symbol)
        if history is None:
            history = self._histories[symbol] = _History()
        return history


def next_funding_ms(now_ms: int) -> int:
    """The next whole multiple of the interval (UTC)."""
    interval_ms = FUNDING_INTERVAL_HOURS * HOUR_MS
    return now_ms - now_ms % interval_ms + interval_ms


def _take(candles: deque[Candle], price: Decimal, at_ms: int, size: Decimal) -> None:
    start = at_ms - at_ms % MINUTE_MS
    if candles and candles[-1].at_ms >= start:
        candles[-1].take(price, size)
    else:
        candles.append(Candle(at_ms=start, open=price, high=price, low=price, close=price, volume=size))
