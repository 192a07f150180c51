"""BitMart's WebSocket side: who listens to what, and the frames that happenings and time turn into."""

from collections.abc import Callable
from decimal import Decimal

from guardd.simulator.dialects.bitmart import frames, public, topics
from guardd.simulator.dialects.bitmart.auth import Keyring
from guardd.simulator.dialects.bitmart.desk import Desk
from guardd.simulator.dialects.bitmart.envelope import Json
from guardd.simulator.dialects.bitmart.rows import Row, number
from guardd.simulator.dialects.bitmart.session import Session, Subscription
from guardd.simulator.dialects.bitmart.topics import Family
from guardd.simulator.faults import FaultKind
from guardd.simulator.happenings import (
    BalanceChanged,
    Happening,
    MarkChanged,
    OrderChanged,
    PlanChanged,
    PositionChanged,
)
from guardd.simulator.orders import Side
from guardd.simulator.records import Quote
from guardd.simulator.tape import MINUTE_MS, Print
from guardd.simulator.wire import Push

TICKER = f"futures/{Family.TICKER}"


class BitmartStreams:
    """All open sockets. Feed it every happening (`hear`) and let it look at the time (`tick`)."""

    def __init__(self, desk: Desk, keyring: Keyring) -> None:
        self._desk = desk
        self._keyring = keyring
        self._sessions: list[Session] = []
        self._ticker_due_ms = 0
        self._heartbeat_due_ms = 0

    @property
    def sessions(self) -> tuple[Session, ...]:
        return tuple(self._sessions)

    def open(self, path: str, now_ms: int, deliver: Callable[[Push], None]) -> Session:
        """A new socket on /api or /user; pushes go to `deliver`."""
        session = Session(self._desk, self._keyring, path=path, now_ms=now_ms, deliver=deliver)
        self._sessions.append(session)
        return session

    def drop(self, session: Session) -> None:
        """The socket is gone."""
        if session in self._sessions:
            self._sessions.remove(session)

    def hear(self, happening: Happening, made: Print | None) -> None:
        """Push what this happening means to whoever asked; `made` is the public print it left on the tape."""
        if not self._sessions:
            return
        now_ms = happening.at_ms
        match happening:
            case MarkChanged(symbol=symbol, quote=quote):
                self._on_price(symbol, quote, now_ms)
            case OrderChanged(uid=uid, order=order, action=action, trade=trade):
                present = self._desk.exchange.query.quote(order.symbol)
                self._private(uid, Family.ORDER, [frames.order(action, order, trade, present)], now_ms)
            case PlanChanged(uid=uid, plan=plan, action=action) if action in frames.PLAN_ACTIONS:
                view = self._desk.exchange.query.position(uid, plan.symbol, plan.position_side)
                held = view.size if view else Decimal(0)
                self._private(uid, Family.ORDER, [frames.plan(action, plan, held)], now_ms)
            case PositionChanged(uid=uid, position=view):
                if view.size or self._desk.options.tells_closed_position:
                    self._private(uid, Family.POSITION, [frames.position(view)], now_ms)
            case BalanceChanged(uid=uid, balance=balance):
                self._private(uid, Family.ASSET, frames.asset(balance), now_ms)
            case _:
                pass
        if made is not None and isinstance(happening, MarkChanged | OrderChanged):
            symbol = happening.symbol if isinstance(happening, MarkChanged) else happening.order.symbol
            self._on_print(symbol, made, now_ms)

    def tick(self, now_ms: int) -> None:
        """Everything that goes by the clock: tickers, heartbeats, candles, books, late pushes, closes."""
        interval_ms = self._desk.options.ticker_interval_ms
        if interval_ms and now_ms >= self._ticker_due_ms:
            self._ticker_due_ms = now_ms + interval_ms
            for symbol, quote in self._desk.exchange.query.quotes().items():
                self._tickers(symbol, quote, now_ms)
        if now_ms >= self._heartbeat_due_ms:
            self._heartbeat_due_ms = now_ms + self._desk.options.position_heartbeat_ms
            self._position_heartbeats(now_ms)
        for session in self.sessions:
            session.release(now_ms)
            for held in list(session.held.values()):
                if held.topic.period_ms and now_ms >= held.due_ms:
                    held.due_ms = now_ms + held.topic.period_ms
                    self._periodic(session, held, now_ms)
            session.check(now_ms)

    def _private(self, uid: str, family: Family, data: Json, now_ms: int) -> None:
        name = f"futures/{family}:USDT" if family is Family.ASSET else f"futures/{family}"
        text = ""
        for session in self.sessions:
            if session.uid == uid and name in session.held:
                text = text or frames.text(name, data)
                session.push(Push(text=text, topic=name), now_ms)

    def _on_print(self, symbol: str, made: Print, now_ms: int) -> None:
        name = f"futures/{Family.TRADE}:{symbol}"
        listeners = self._listeners(name)
        if listeners:
            push = Push(text=frames.text(name, frames.public_trade(symbol, made)), topic=name)
            for session in listeners:
                session.push(push, now_ms)

    def _listeners(self, name: str) -> list[Session]:
        return [session for session in self._sessions if name in session.held]

    def _on_price(self, symbol: str, quote: Quote, now_ms: int) -> None:
        if not self._desk.options.ticker_interval_ms:
            self._tickers(symbol, quote, now_ms)
        for speed in ("", "@100ms", "@200ms"):
            name = f"futures/{Family.BOOK_TICKER}:{symbol}{speed}"
            listeners = self._listeners(name)
            if listeners:
                bid_vol, ask_vol = self._best_sizes(symbol, quote)
                text = frames.text(name, frames.best(symbol, quote, bid_vol, ask_vol, now_ms))
                for session in listeners:
                    session.push(Push(text=text, topic=name), now_ms)

    def _tickers(self, symbol: str, quote: Quote, now_ms: int) -> None:
        """The symbol's own topic, and the one of all contracts."""
        named = f"{TICKER}:{symbol}"
        topics_of_all = () if symbol in self._desk.options.silent_symbols else (TICKER,)
        data: Row | None = None
        for name in (named, *topics_of_all):
            listeners = self._listeners(name)
            if not listeners:
                continue
            data = data or self._ticker(symbol, quote, now_ms)
            push = Push(
                text=frames.text(name + self._desk.options.ticker_group_suffix, data),
                topic=name,
                ticker=symbol,
                mark=str(data["mark_price"]),
            )
            for session in listeners:
                session.push(push, now_ms)

    def _ticker(self, symbol: str, quote: Quote, now_ms: int) -> Row:
        bid_vol, ask_vol = self._best_sizes(symbol, quote)
        data = frames.ticker(symbol, quote, self._desk.tape, ask_vol, bid_vol)
        bad = self._desk.faults.strikes(FaultKind.BAD_TICK, now_ms, target=TICKER, symbol=symbol)
        if bad is not None:
            tick = self._desk.exchange.query.contract(symbol).tick
            data["mark_price"] = number((quote.mark * Decimal(bad.factor)).quantize(tick))
        return data

    def _best_sizes(self, symbol: str, quote: Quote) -> tuple[Decimal, Decimal]:
        contract = self._desk.exchange.query.contract(symbol)
        bids = public.book_levels(self._desk, contract, Side.BUY, quote, 1)
        asks = public.book_levels(self._desk, contract, Side.SELL, quote, 1)
        return (bids[0][1] if bids else Decimal(0)), (asks[0][1] if asks else Decimal(0))

    def _position_heartbeats(self, now_ms: int) -> None:
        """Every ten seconds what is held, all positions in one frame; nothing where nothing is held."""
        name = f"futures/{Family.POSITION}"
        for session in self.sessions:
            if name not in session.held:
                continue
            views = self._desk.exchange.query.positions(session.uid)
            if views:
                text = frames.text(name, [frames.position(view) for view in views])
                session.push(Push(text=text, topic=name), now_ms)

    def _periodic(self, session: Session, held: Subscription, now_ms: int) -> None:
        topic = held.topic
        data: list[Json] = []
        match topic.family:
            case Family.FUNDING:
                data = [frames.funding(topic.symbol, self._desk.tape, now_ms)]
            case Family.DEPTH | Family.DEPTH_ALL:
                data = self._depth(topic, now_ms)
            case Family.DEPTH_INCREASE:
                data = [self._increase(held, now_ms)]
            case Family.CANDLE | Family.MARK_CANDLE:
                data = self._candle(topic, now_ms)
            case _:
                pass
        for each in data:
            session.push(Push(text=frames.text(topic.group, each), topic=topic.name), now_ms)

    def _book(self, topic: topics.Topic) -> dict[Side, list[tuple[Decimal, Decimal]]]:
        contract = self._desk.exchange.query.contract(topic.symbol)
        quote = self._desk.exchange.query.quote(topic.symbol)
        return {side: public.book_levels(self._desk, contract, side, quote, topic.levels) for side in Side}

    def _depth(self, topic: topics.Topic, now_ms: int) -> list[Json]:
        book = self._book(topic)
        bids, asks = frames.levels(book[Side.BUY]), frames.levels(book[Side.SELL])
        if topic.family is Family.DEPTH_ALL:
            return [{"symbol": topic.symbol, "asks": asks, "bids": bids, "ms_t": now_ms}]
        # One side a frame: 1 bid, 2 ask.
        return [
            {"symbol": topic.symbol, "way": way, "depths": side, "ms_t": now_ms} for way, side in ((1, bids), (2, asks))
        ]

    def _increase(self, held: Subscription, now_ms: int) -> Row:
        """The whole book first, then what changed; a size of "0" deletes, versions follow one another."""
        book = self._book(held.topic)
        now = {(side.value, price): size for side in Side for price, size in book[side]}
        kind = "update" if held.version else "snapshot"
        gone = {key: Decimal(0) for key in held.book if key not in now}
        changed = {key: size for key, size in now.items() if held.book.get(key) != size} | gone
        held.version = held.version + 1 if held.version else now_ms % 1_000_000 + 1
        held.book = now
        return {
            "symbol": held.topic.symbol,
            "asks": _side_levels(changed, Side.SELL),
            "bids": _side_levels(changed, Side.BUY),
            "ms_t": now_ms,
            "version": held.version,
            "type": kind,
        }

    def _candle(self, topic: topics.Topic, now_ms: int) -> list[Json]:
        marks = topic.family is Family.MARK_CANDLE
        step_s = topic.step_min * MINUTE_MS // 1000
        start_s = now_ms // 1000 // step_s * step_s
        newest = self._desk.tape.candles(
            topic.symbol, marks=marks, step_min=topic.step_min, start_s=0, end_s=now_ms // 1000, most=1
        )
        in_items = self._desk.options.candles_in_items
        return [frames.candle(topic.symbol, newest[0], start_s, in_items=in_items)] if newest else []


def _side_levels(changed: dict[tuple[str, Decimal], Decimal], side: Side) -> list[Row]:
    levels = [(price, size) for (of, price), size in changed.items() if of == side.value]
    return frames.levels(sorted(levels, reverse=side is Side.BUY))
