"""The classic account's WebSocket side: who listens to what, and the frames that happenings and time turn into.

Bitget reference, 13.3 to 13.9. Orders, plans, fills and closed positions have no first message; positions and account show
all of it first, and positions all of it every time: a closed one is simply missing.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from guardd.simulator.dialects.bitget import frames, public, rows
from guardd.simulator.dialects.bitget.desk import Desk
from guardd.simulator.dialects.bitget.products import COIN_SYMBOL, COINS, Product, product_of
from guardd.simulator.dialects.bitget.words import number
from guardd.simulator.dialects.bitget_common.envelope import Json, Row, dump
from guardd.simulator.dialects.bitget_common.sockets import (
    NORMAL_CLOSE,
    Session,
    SocketSide,
    Topic,
    missing,
)
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
from guardd.simulator.orders import Order, Plan, Side
from guardd.simulator.records import PositionView, Quote, Trade
from guardd.simulator.refusals import Refused
from guardd.simulator.tape import Print
from guardd.simulator.wire import Close, Push

PUBLIC_PATH, PRIVATE_PATH = "/v2/ws/public", "/v2/ws/private"
PRIVATE = ("positions", "positions-history", "account", "equity", "orders", "orders-algo", "fill", "adl-noti")
_BY_SYMBOL = ("orders", "fill")  # `instId` a symbol or `default`, the others `default` only
_CANDLES_MIN = {"1m": 1, "5m": 5, "15m": 15, "30m": 30, "1H": 60, "4H": 240, "12H": 720, "1D": 1440, "1W": 10080}
_DEPTHS = {"books": 15, "books1": 1, "books5": 5, "books15": 15}
_CANDLES = tuple(f"candle{step}" for step in _CANDLES_MIN)
_PUBLIC = ("ticker", "trade", *_DEPTHS, *_CANDLES)
_BOOK_PERIOD_MS, _CANDLE_PERIOD_MS = 150, 1_000
_CONNECTS_WITHIN_MS = 300_000


class BitgetStreams:
    """All open sockets. Feed it every happening (`hear`) and let it look at the time (`tick`)."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._side = SocketSide(
            faults=desk.faults,
            keyring=desk.keyring,
            rules=desk.options.sockets,
            read=self._read,
            new_connection=lambda: f"{desk.random.getrandbits(32):08x}",
            private_path=PRIVATE_PATH,
        )
        self._sessions: list[Session] = []
        self._connects_ms: list[int] = []
        self._stirred: dict[tuple[str, Product], None] = {}  # whose positions are told when the operation has ended
        self._ticker_due_ms = self._book_due_ms = self._candle_due_ms = 0

    @property
    def sessions(self) -> tuple[Session, ...]:
        return tuple(self._sessions)

    def held_by(self, session: object) -> tuple[Topic, ...]:
        """What a socket has subscribed to; nothing, where it isn't one of ours."""
        return tuple(session.held.values()) if isinstance(session, Session) else ()

    def ticker_text(self, symbol: str, quote: Quote, now_ms: int) -> str:
        """The ticker push at these prices as it goes over the wire, for a tape (`simulator.feed`)."""
        contract = self._desk.exchange.query.contract(symbol)
        argument = {"instType": product_of(contract).value, "channel": "ticker", "instId": symbol}
        row = frames.ticker(self._desk, contract, quote, now_ms)
        return dump({"action": "snapshot", "arg": argument, "data": [row], "ts": now_ms})

    def open(self, path: str, now_ms: int, deliver: Callable[[Push], None]) -> Session:
        """A new socket; pushes go to `deliver`. One too many in five minutes is ended at once."""
        session = Session(self._side, path=path, now_ms=now_ms, deliver=deliver)
        self._connects_ms = [each for each in self._connects_ms if each > now_ms - _CONNECTS_WITHIN_MS]
        self._connects_ms.append(now_ms)
        if len(self._connects_ms) > self._desk.options.sockets.connects_per_5_min:
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
                    self._ticker(symbol, quote, now_ms)
                self._print(symbol, made, now_ms)
            case OrderChanged(uid=uid, order=order, action=action, trade=trade):
                self._order(uid, order, action, trade, now_ms)
                self._print(order.symbol, made, now_ms)
            case PlanChanged(uid=uid, plan=plan, action=action):
                self._plan(uid, plan, frames.PLAN_STATES[action], now_ms)
            case PositionChanged(uid=uid, position=view):
                self._position(uid, view, now_ms)
            case BalanceChanged(uid=uid, balance=balance):
                self._settled(uid, balance.coin, now_ms)
            case _:
                pass

    def tick(self, now_ms: int) -> None:
        """Everything that goes by the clock: welcomes, tickers, books, candles, late pushes, closes."""
        for session in self.sessions:
            if session.welcomes:
                self._welcome_all(session, now_ms)
        interval_ms = self._desk.options.ticker_interval_ms
        if interval_ms and now_ms >= self._ticker_due_ms:
            self._ticker_due_ms = now_ms + interval_ms
            for symbol, quote in self._desk.exchange.query.quotes().items():
                self._ticker(symbol, quote, now_ms)
        if now_ms >= self._book_due_ms:
            self._book_due_ms = now_ms + _BOOK_PERIOD_MS
            self._periodic(_DEPTHS, now_ms)
        if now_ms >= self._candle_due_ms:
            self._candle_due_ms = now_ms + _CANDLE_PERIOD_MS
            self._periodic(_CANDLES, now_ms)
        for session in self.sessions:
            session.release(now_ms)
            session.check(now_ms)

    def _read(self, argument: Mapping[str, str]) -> Topic:
        """`instType`, `channel` and the selector that this channel takes."""
        kind, channel = argument.get("instType", ""), argument.get("channel", "")
        named = argument.get("coin" if channel == "account" else "instId", "")
        product = next((each for each in Product if each.value == kind.upper()), None)
        if product is None or channel not in (*PRIVATE, *_PUBLIC):
            raise missing(kind, channel, named)
        if channel == "equity":
            named = ""
        elif channel == "account":
            if named not in ("default", COINS.get(product, "")):
                raise missing(kind, channel, named)
        elif (named != "default" or channel in _PUBLIC) and not (
            channel in (*_BY_SYMBOL, *_PUBLIC) and self._listed(named, product)
        ):
            raise missing(kind, channel, named)
        private = channel in PRIVATE
        return Topic(
            arg=dict(argument),
            channel=channel,
            instrument_type=product.value,
            selector=named,
            private=private,
            timed=channel in _DEPTHS or channel in _CANDLES,
        )

    def _listed(self, symbol: str, product: Product) -> bool:
        if product is Product.COIN:
            return symbol == COIN_SYMBOL
        try:
            return product_of(self._desk.exchange.query.contract(symbol)) is product
        except Refused:
            return False

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
        """What a channel shows first; None for those that begin with the next change."""
        product = Product(topic.instrument_type)
        match topic.channel:
            case "positions":
                return self._positions(uid, product)
            case "account":
                return self._account(uid, product)
            case "equity":
                return self._equity(uid, product)
            case "ticker":
                quote = self._desk.exchange.query.quotes().get(topic.selector)
                return [self._ticker_row(topic.selector, quote, now_ms)] if quote else None
            case "trade":
                prints = self._desk.tape.prints(topic.selector, 50)
                return [frames.public_trade(each) for each in prints]
            case channel if channel.startswith("candle"):
                step = _CANDLES_MIN[channel.removeprefix("candle")]
                return frames.candles(self._desk, topic.selector, step, 200, now_ms)
            case _:
                return None

    # Public channels

    def _ticker(self, symbol: str, quote: Quote, now_ms: int) -> None:
        if symbol in self._desk.options.silent_symbols:
            return
        product = product_of(self._desk.exchange.query.contract(symbol))
        listeners = self._listeners(f"{product.value}/ticker/{symbol}")
        if not listeners:
            return
        row = self._ticker_row(symbol, quote, now_ms)
        for session, topic in listeners:
            self._send(session, topic, [row], now_ms, mark=str(row["markPrice"]))

    def _ticker_row(self, symbol: str, quote: Quote, now_ms: int) -> Row:
        contract = self._desk.exchange.query.contract(symbol)
        row = frames.ticker(self._desk, contract, quote, now_ms)
        bad = self._desk.faults.strikes(FaultKind.BAD_TICK, now_ms, target=f"ticker:{symbol}", symbol=symbol)
        if bad is not None:
            row["markPrice"] = number((quote.mark * Decimal(bad.factor)).quantize(contract.tick))
        return row

    def _print(self, symbol: str, made: Print | None, now_ms: int) -> None:
        if made is None:
            return
        product = product_of(self._desk.exchange.query.contract(symbol))
        for session, topic in self._listeners(f"{product.value}/trade/{symbol}"):
            self._send(session, topic, [frames.public_trade(made)], now_ms, action="update")

    def _periodic(self, channels: Sequence[str] | Mapping[str, int], now_ms: int) -> None:
        for session in self.sessions:
            for topic in session.timed:
                if topic.channel not in channels:
                    continue
                if topic.channel in _DEPTHS:
                    self._send(session, topic, [self._book(topic, now_ms)], now_ms)
                else:
                    step = _CANDLES_MIN[topic.channel.removeprefix("candle")]
                    newest = frames.candles(self._desk, topic.selector, step, 1, now_ms)
                    self._send(session, topic, newest, now_ms, action="update")

    def _book(self, topic: Topic, now_ms: int) -> Row:
        contract = self._desk.exchange.query.contract(topic.selector)
        quote, most = self._desk.exchange.query.quote(topic.selector), _DEPTHS[topic.channel]
        return {
            "asks": public.book_rows(self._desk, contract, Side.SELL, quote, most),
            "bids": public.book_rows(self._desk, contract, Side.BUY, quote, most),
            "checksum": 0,
            "seq": now_ms,
            "ts": str(now_ms),
        }

    # Private channels

    def _order(self, uid: str, order: Order, action: OrderAction, trade: Trade | None, now_ms: int) -> None:
        product = product_of(self._desk.exchange.query.contract(order.symbol))
        self._stirred[uid, product] = None
        self._tell(uid, product, "orders", order.symbol, frames.order(self._desk, order, trade), now_ms)
        if trade is not None:
            self._tell(uid, product, "fill", order.symbol, frames.fill(self._desk, order, trade), now_ms)
        if action is OrderAction.ADL_PASSIVE_FILL and trade is not None:
            row = frames.adl(order, trade)
            self._tell(uid, product, "adl-noti", order.symbol, row, now_ms, pushed="update")

    def _plan(self, uid: str, plan: Plan, states: Sequence[str], now_ms: int) -> None:
        """A trigger is told as executing first (12.8)."""
        product = product_of(self._desk.exchange.query.contract(plan.symbol))
        for state in states:
            self._tell(uid, product, "orders-algo", plan.symbol, frames.plan(self._desk, plan, state), now_ms)

    def _position(self, uid: str, view: PositionView, now_ms: int) -> None:
        product = product_of(self._desk.exchange.query.contract(view.symbol))
        self._stirred[uid, product] = None
        if not view.size:
            self._tell(uid, product, "positions-history", view.symbol, frames.closed(self._desk, view), now_ms)

    def _settled(self, uid: str, coin: str, now_ms: int) -> None:
        """An operation has ended: its positions in full, the account and the equity of the coin."""
        for of, product in [each for each in self._stirred if each[0] == uid]:
            del self._stirred[of, product]
            for session, topic in self._private(uid, f"{product.value}/positions/default"):
                self._send(session, topic, self._positions(uid, product), now_ms)
        for product in (each for each, its_coin in COINS.items() if its_coin == coin):
            for session, topic in self._private(uid, f"{product.value}/account/"):
                self._send(session, topic, self._account(uid, product), now_ms)
            for session, topic in self._private(uid, f"{product.value}/equity/"):
                self._send(session, topic, self._equity(uid, product), now_ms)

    def _positions(self, uid: str, product: Product) -> Json:
        return [frames.position(self._desk, view) for view in rows.views(self._desk, uid, product)]

    def _account(self, uid: str, product: Product) -> Json:
        coin = COINS.get(product)
        return [frames.account(self._desk, uid, coin)] if coin else []

    def _equity(self, uid: str, product: Product) -> Json:
        coin = COINS.get(product)
        return [frames.equity(self._desk, uid, coin)] if coin else []

    def _tell(
        self, uid: str, product: Product, channel: str, symbol: str, row: Row, now_ms: int, *, pushed: str = "snapshot"
    ) -> None:
        for selector in ("default", symbol):
            for session, topic in self._private(uid, f"{product.value}/{channel}/{selector}"):
                self._send(session, topic, [row], now_ms, action=pushed)

    # Delivery

    def _listeners(self, key: str) -> list[tuple[Session, Topic]]:
        return [(session, session.held[key]) for session in self._sessions if key in session.held]

    def _private(self, uid: str, prefix: str) -> list[tuple[Session, Topic]]:
        return [
            (session, topic)
            for session in self._sessions
            if session.uid == uid
            for topic in session.held.values()
            if topic.key == prefix or (prefix.endswith("/") and topic.key.startswith(prefix))
        ]

    def _send(
        self, session: Session, topic: Topic, data: Json, now_ms: int, *, action: str = "snapshot", mark: str = ""
    ) -> None:
        frame: Row = {"action": action, "arg": topic.arg, "data": data, "ts": now_ms}
        ticker = topic.selector if mark else ""
        session.push(Push(text=dump(frame), topic=topic.name, ticker=ticker, mark=mark), now_ms)
