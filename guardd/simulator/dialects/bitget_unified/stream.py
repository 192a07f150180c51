"""The WebSocket side: who listens to what, and the frames that happenings and time turn into. UTA reference, 11.

Account and position show all of it first, the rest begins with the next change. Positions are told one by one: opened,
changed by a fill or by a closing order that rests or goes, and once more when they end. A move of the mark alone tells nothing.
"""

from collections.abc import Callable
from decimal import Decimal
from functools import partial

from guardd.simulator.dialects.bitget_common.envelope import Json, Row, dump
from guardd.simulator.dialects.bitget_common.sockets import NORMAL_CLOSE, Session, SocketSide, Topic
from guardd.simulator.dialects.bitget_unified import account, frames, public, topics
from guardd.simulator.dialects.bitget_unified.coin import COIN_CONTRACTS
from guardd.simulator.dialects.bitget_unified.desk import Category, Desk
from guardd.simulator.dialects.bitget_unified.lookups import maker_of
from guardd.simulator.dialects.bitget_unified.strategies import held
from guardd.simulator.dialects.bitget_unified.strategy import pushed_row
from guardd.simulator.dialects.bitget_unified.words import number
from guardd.simulator.faults import FaultKind
from guardd.simulator.happenings import (
    BalanceChanged,
    Happening,
    MarkChanged,
    OrderAction,
    OrderChanged,
    PlanChanged,
    PositionChanged,
)
from guardd.simulator.orders import Order, Plan
from guardd.simulator.records import AccountKind, PositionView, Quote, Trade
from guardd.simulator.tape import MINUTE_MS, Print, next_funding_ms
from guardd.simulator.wire import Close, Push

_BOOK_PERIOD_MS, _CANDLE_PERIOD_MS = 150, 1_000
_CONNECTS_WITHIN_MS = 300_000
_PRINTS_FIRST = 50
_TWINS = {
    twin: tuple((Category.COIN, each.symbol) for each in COIN_CONTRACTS.values() if each.twin == twin)
    for twin in {each.twin for each in COIN_CONTRACTS.values()}
}


class UnifiedStreams:
    """All open sockets. Feed it every happening (`hear`) and let it look at the time (`tick`)."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._side = SocketSide(
            faults=desk.faults,
            keyring=desk.keyring,
            rules=desk.options.rules,
            read=partial(topics.read, desk),
            new_connection=lambda: f"{desk.random.getrandbits(40):010x}",
            private_path=topics.PRIVATE_PATH,
            names_connection=True,
        )
        self._sessions: list[Session] = []
        self._connects_ms: list[int] = []
        self._ticker_due_ms = self._book_due_ms = self._candle_due_ms = 0

    @property
    def sessions(self) -> tuple[Session, ...]:
        return tuple(self._sessions)

    def open(self, path: str, now_ms: int, deliver: Callable[[Push], None]) -> Session:
        """A new socket; pushes go to `deliver`. One too many in five minutes is ended at once."""
        session = Session(self._side, path=path, now_ms=now_ms, deliver=deliver)
        self._connects_ms = [each for each in self._connects_ms if each > now_ms - _CONNECTS_WITHIN_MS]
        self._connects_ms.append(now_ms)
        if len(self._connects_ms) > self._desk.options.rules.connects_per_5_min:
            session.close = Close(code=NORMAL_CLOSE, reason="too many connections")
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
                if not self._desk.options.ticker_interval_ms:
                    self._tickers(symbol, quote, now_ms)
                self._print(symbol, made, now_ms)
            case OrderChanged(uid=uid, order=order, action=action, trade=trade):
                self._order(uid, order, action, trade, now_ms)
                self._print(order.symbol, made, now_ms)
            case PlanChanged(uid=uid, plan=plan):
                self._plan(uid, plan, now_ms)
            case PositionChanged(uid=uid, position=view):
                self._position(uid, view, now_ms)
            case BalanceChanged(uid=uid) if self._desk.exchange.query.account_kind(uid) is AccountKind.UNIFIED:
                self._tell(uid, "account", [self._account(uid)], now_ms)
            case _:
                pass

    def catch_up(self, now_ms: int) -> None:
        """Tell the strategies that a call changed, each once."""
        news, self._desk.news = dict.fromkeys(self._desk.news), []
        for uid, order_id in news:
            self._strategy(uid, order_id, now_ms)

    def tick(self, now_ms: int) -> None:
        """Everything that goes by the clock: welcomes, tickers, books, candles, late pushes, closes."""
        for session in self.sessions:
            if session.welcomes:
                self._welcome_all(session, now_ms)
        interval_ms = self._desk.options.ticker_interval_ms
        if interval_ms and now_ms >= self._ticker_due_ms:
            self._ticker_due_ms = now_ms + interval_ms
            for symbol, quote in self._desk.exchange.query.quotes().items():
                self._tickers(symbol, quote, now_ms)
        if now_ms >= self._book_due_ms:
            self._book_due_ms = now_ms + _BOOK_PERIOD_MS
            self._periodic(books=True, now_ms=now_ms)
        if now_ms >= self._candle_due_ms:
            self._candle_due_ms = now_ms + _CANDLE_PERIOD_MS
            self._periodic(books=False, now_ms=now_ms)
        for session in self.sessions:
            session.release(now_ms)
            session.check(now_ms)

    # First messages

    def _welcome_all(self, session: Session, now_ms: int) -> None:
        welcomes, session.welcomes = session.welcomes, []
        for topic in welcomes:
            self._welcome(session, topic, now_ms)

    def _welcome(self, session: Session, topic: Topic, now_ms: int) -> None:
        data = self._first(session.uid, topic, now_ms)
        if data is not None and topic.key in session.held:
            self._send(session, topic, data, now_ms)

    def _first(self, uid: str, topic: Topic, now_ms: int) -> Json:
        """What a topic shows first; None for those that begin with the next change."""
        match topic.channel:
            case "account":
                return [self._account(uid)]
            case "position":
                query = self._desk.exchange.query
                return [frames.position(view, query.contract(view.symbol)) for view in query.positions(uid)]
            case "publicTrade":
                prints = self._desk.tape.prints(_twin(topic.selector), _PRINTS_FIRST)
                return [frames.public_trade(each) for each in prints]
            case "ticker":
                quote = self._desk.exchange.query.quotes().get(_twin(topic.selector))
                return [self._ticker_row(topic.selector, quote, now_ms)] if quote else None
            case channel if channel.startswith(topics.CANDLES):
                return self._candles(topic, now_ms)
            case _:
                return None

    def _account(self, uid: str) -> Row:
        query = self._desk.exchange.query
        balances = [(each, query.usd_price(each.coin)) for each in account.wallets(self._desk, uid)]
        return frames.account(query.pool(uid), balances, self._desk.options.ratio_places)

    # Public topics

    def _tickers(self, symbol: str, quote: Quote, now_ms: int) -> None:
        """The contract's own ticker, and those of Coin-M contracts that follow it."""
        category = self._desk.category(symbol)
        for kind, name in ((category, symbol), *_TWINS.get(symbol, ())):
            listeners = self._listeners(f"{kind.value}/ticker/{name}")
            if not listeners:
                continue
            row = self._ticker_row(name, quote, now_ms)
            for session, topic in listeners:
                self._send(session, topic, [row], now_ms, mark=str(row["markPrice"]))

    def _ticker_row(self, symbol: str, quote: Quote, now_ms: int) -> Row:
        contract = self._desk.exchange.query.contract(_twin(symbol))
        row = {
            **public.ticker_figures(self._desk, contract, quote),
            "symbol": symbol,
            "nextFundingTime": str(next_funding_ms(now_ms)),
            "ts": str(now_ms),
        }
        wrong = self._desk.faults.strikes(FaultKind.BAD_TICK, now_ms, target=f"ticker:{symbol}", symbol=symbol)
        if wrong is not None:
            row["markPrice"] = number((quote.mark * Decimal(wrong.factor)).quantize(contract.tick))
        return row

    def _print(self, symbol: str, made: Print | None, now_ms: int) -> None:
        if made is None:
            return
        for session, topic in self._listeners(f"{self._desk.category(symbol).value}/publicTrade/{symbol}"):
            self._send(session, topic, [frames.public_trade(made)], now_ms, action="update")

    def _periodic(self, *, books: bool, now_ms: int) -> None:
        for session in self.sessions:
            for topic in session.timed:
                if books and topic.channel in topics.DEPTHS:
                    self._send(session, topic, [self._book(topic, now_ms)], now_ms)
                elif not books and topic.channel.startswith(topics.CANDLES):
                    newest = self._candles(topic, now_ms)
                    if newest:
                        self._send(session, topic, newest, now_ms, action="update")

    def _book(self, topic: Topic, now_ms: int) -> Row:
        """A whole book each time; no checksum."""
        query = self._desk.exchange.query
        symbol = _twin(topic.selector)
        sides = public.book(self._desk, query.contract(symbol), query.quote(symbol), topics.DEPTHS[topic.channel])
        return {**sides, "seq": now_ms, "pseq": 0, "ts": str(now_ms)}

    def _candles(self, topic: Topic, now_ms: int) -> list[Row]:
        step_min = public.STEPS_MIN[topic.channel.partition("@")[2]]
        newest = self._desk.tape.candles(
            _twin(topic.selector), marks=False, step_min=step_min, start_s=0, end_s=now_ms // 1000, most=1
        )
        return [frames.candle(each, each.at_ms - each.at_ms % (step_min * MINUTE_MS)) for each in newest]

    # Private topics

    def _order(self, uid: str, order: Order, action: OrderAction, trade: Trade | None, now_ms: int) -> None:
        query = self._desk.exchange.query
        if not any(session.uid == uid for session in self._sessions):
            return
        contract = query.contract(order.symbol)
        own = (each for each in query.trades(uid, order.symbol) if each.order_id == order.order_id)
        profit = sum((each.realized_pnl for each in own), Decimal(0)) if order.filled else Decimal(0)
        row = frames.order(order, contract, maker_of(self._desk, order), profit)
        self._tell(uid, "order", [row], now_ms)
        if trade is not None:
            self._tell(uid, "fill", [frames.fill(trade, order, contract)], now_ms)
            if not order.plan_id:
                self._tell(uid, "fast-fill", frames.fast_fill(trade, order, contract), now_ms, action="update")
            if action is OrderAction.ADL_PASSIVE_FILL:
                row = frames.deleveraged(trade, contract)
                self._tell(uid, "adl-notification", [row], now_ms, action="update")
        elif order.reduce:  # a closing order that rests or goes changes what is available
            view = query.position(uid, order.symbol, order.position_side)
            if view is not None:
                self._position(uid, view, now_ms)

    def _position(self, uid: str, view: PositionView, now_ms: int) -> None:
        contract = self._desk.exchange.query.contract(view.symbol)
        self._tell(uid, "position", [frames.position(view, contract)], now_ms, action="update")

    def _plan(self, uid: str, plan: Plan, now_ms: int) -> None:
        """A leg changed by itself: fired, failed, swept, or placed by an order's preset."""
        if self._desk.composing or plan.plan_id in self._desk.strategies.dropped:
            return
        self._strategy(uid, plan.pair_id, now_ms)

    def _strategy(self, uid: str, order_id: str, now_ms: int) -> None:
        if not self._private(uid, "strategy-order"):
            return
        strategy = self._desk.strategies.one(uid, order_id)
        if strategy is not None:
            category = self._desk.category(strategy.symbol).value
            row = pushed_row(strategy, category, held(self._desk, uid, strategy))
            self._tell(uid, "strategy-order", [row], now_ms)

    # Delivery

    def _listeners(self, key: str) -> list[tuple[Session, Topic]]:
        return [(session, session.held[key]) for session in self._sessions if key in session.held]

    def _private(self, uid: str, channel: str) -> list[tuple[Session, Topic]]:
        return [
            (session, topic)
            for session in self._sessions
            if session.uid == uid
            for topic in session.held.values()
            if topic.private and topic.channel == channel
        ]

    def _tell(self, uid: str, channel: str, data: Json, now_ms: int, *, action: str = "snapshot") -> None:
        for session, topic in self._private(uid, channel):
            self._send(session, topic, data, now_ms, action=action)

    def _send(
        self, session: Session, topic: Topic, data: Json, now_ms: int, *, action: str = "snapshot", mark: str = ""
    ) -> None:
        frame: Row = {"action": action, "arg": topic.arg, "data": data, "ts": now_ms}
        ticker = topic.selector if mark else ""
        session.push(Push(text=dump(frame), topic=topic.name, ticker=ticker, mark=mark), now_ms)


def _twin(symbol: str) -> str:
    """The contract whose prices are shown under this name."""
    coin = COIN_CONTRACTS.get(symbol)
    return coin.twin if coin is not None else symbol
