"""BitMart over one exchange: the REST and the WebSocket half, put together for the server."""

from collections.abc import Callable, Iterable
from random import Random

from guardd.simulator.dialects.bitmart.auth import ApiKey, Keyring
from guardd.simulator.dialects.bitmart.desk import Desk, Options
from guardd.simulator.dialects.bitmart.session import PRIVATE_PATH, PUBLIC_PATH, Session
from guardd.simulator.dialects.bitmart.stream import BitmartStreams
from guardd.simulator.dialects.bitmart.venue import BitmartVenue
from guardd.simulator.engine import Exchange
from guardd.simulator.faults import Faults
from guardd.simulator.happenings import Happening
from guardd.simulator.limits import Limits
from guardd.simulator.tape import Tape, next_funding_ms
from guardd.simulator.wire import Push, Reply, Request, StreamSession


class BitmartDialect:
    """Speaks BitMart Futures V2 for `exchange`. Subscribe `hear` to it, call `tick` often."""

    stream_paths = (PUBLIC_PATH, PRIVATE_PATH)

    def __init__(
        self,
        exchange: Exchange,
        *,
        keys: Iterable[ApiKey],
        faults: Faults | None = None,
        limits: Limits | None = None,
        options: Options | None = None,
    ) -> None:
        self.faults = faults or Faults()
        self.limits = limits or Limits()
        self.keyring = Keyring(keys)
        self.desk = Desk(
            exchange=exchange,
            tape=Tape(),
            faults=self.faults,
            options=options or Options(),
            random=Random(self.faults.seed),  # noqa: S311 -- reproducible traces, not secrets
        )
        self.venue = BitmartVenue(self.desk, self.keyring, self.limits)
        self.streams = BitmartStreams(self.desk, self.keyring)
        self._funding_due_ms = next_funding_ms(exchange.now_ms)
        exchange.subscribe(self.hear)

    def answer(self, request: Request) -> Reply:
        return self.venue.answer(request)

    def add_key(self, uid: str, key: str, secret: str, passphrase: str, *, may_trade: bool) -> None:
        self.keyring.put(ApiKey(key=key, secret=secret, memo=passphrase, uid=uid, may_trade=may_trade))

    def account_of(self, request: Request) -> str:
        key = self.keyring.of_request(request.headers)
        return key.uid if key else ""

    def open(self, path: str, now_ms: int, deliver: Callable[[Push], None]) -> Session:
        return self.streams.open(path, now_ms, deliver)

    def drop(self, session: StreamSession) -> None:
        if isinstance(session, Session):
            self.streams.drop(session)

    def hear(self, happening: Happening) -> None:
        self.streams.hear(happening, self.desk.tape.hear(happening))

    def tick(self, now_ms: int) -> None:
        """Funding is settled when its hour comes; then the streams look at the time."""
        if now_ms >= self._funding_due_ms:
            self._funding_due_ms = next_funding_ms(now_ms)
            self.settle_funding(now_ms)
        self.streams.tick(now_ms)

    def settle_funding(self, now_ms: int) -> None:
        """Settle every contract that has a price, at its expected rate."""
        exchange, tape = self.desk.exchange, self.desk.tape
        for symbol in exchange.query.quotes():
            rate = tape.expected_rate(symbol)
            exchange.settle_funding(symbol, rate, now_ms)
            tape.settled(symbol, rate, now_ms)
