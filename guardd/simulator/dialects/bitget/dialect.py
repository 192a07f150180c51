"""Bitget's classic account over one exchange: the REST and the WebSocket half, put together for the server."""

from collections.abc import Callable, Iterable
from random import Random

from guardd.simulator.dialects.bitget.calls import handlers, seeks_risk
from guardd.simulator.dialects.bitget.desk import Desk, Options, code_of
from guardd.simulator.dialects.bitget.endpoints import ENDPOINTS
from guardd.simulator.dialects.bitget.products import CoinPosition
from guardd.simulator.dialects.bitget.stream import PRIVATE_PATH, PUBLIC_PATH, BitgetStreams
from guardd.simulator.dialects.bitget_common.auth import ApiKey, Family, Keyring
from guardd.simulator.dialects.bitget_common.gateway import NEVER_BANNED, Counter, Gateway
from guardd.simulator.dialects.bitget_common.sockets import Session
from guardd.simulator.engine import Exchange
from guardd.simulator.faults import Faults
from guardd.simulator.happenings import Happening
from guardd.simulator.limits import Limits
from guardd.simulator.tape import Tape, next_funding_ms
from guardd.simulator.wire import Push, Reply, Request, StreamSession


class BitgetDialect:
    """Speaks Bitget V2 mix for `exchange`. It hears the exchange by itself; call `tick` often."""

    stream_paths = (PUBLIC_PATH, PRIVATE_PATH)

    def __init__(
        self,
        exchange: Exchange,
        *,
        keys: Iterable[ApiKey] = (),
        faults: Faults | None = None,
        limits: Limits | None = None,
        options: Options | None = None,
    ) -> None:
        self.faults = faults or Faults()
        self.limits = limits or Limits(NEVER_BANNED)
        self.keyring = Keyring(keys, home=Family.CLASSIC)
        self.desk = Desk(
            exchange=exchange,
            tape=Tape(),
            faults=self.faults,
            keyring=self.keyring,
            options=options or Options(),
            random=Random(self.faults.seed),  # noqa: S311 -- reproducible traces, not secrets
        )
        counter = Counter(
            family=Family.CLASSIC,
            endpoints=ENDPOINTS,
            handlers=handlers(self.desk),
            code_of=code_of,
            seeks_risk=seeks_risk,
            other_prefix="/api/v3/",
            takes_numbers=True,
        )
        self.gateway = Gateway(
            counter,
            exchange=exchange,
            faults=self.faults,
            random=self.desk.random,
            keyring=self.keyring,
            limits=self.limits,
        )
        self.streams = BitgetStreams(self.desk)
        self._funding_due_ms = next_funding_ms(exchange.now_ms)
        exchange.subscribe(self.hear)

    def answer(self, request: Request) -> Reply:
        return self.gateway.answer(request)

    def add_key(self, uid: str, key: str, secret: str, passphrase: str, *, may_trade: bool) -> None:
        self.keyring.put(ApiKey(key=key, secret=secret, passphrase=passphrase, uid=uid, may_trade=may_trade))

    def account_of(self, request: Request) -> str:
        return self.gateway.account_of(request)

    def hold_coin_position(self, uid: str, position: CoinPosition) -> None:
        """Plant a Coin-M position, for clients that must show what they can't guard."""
        self.desk.memory.coin_positions.setdefault(uid, []).append(position)

    def open(self, path: str, now_ms: int, deliver: Callable[[Push], None]) -> Session:
        return self.streams.open(path, now_ms, deliver)

    def drop(self, session: StreamSession) -> None:
        if isinstance(session, Session):
            self.streams.drop(session)

    def hear(self, happening: Happening) -> None:
        self.desk.hear(happening)
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
