"""Bitget's unified account over one exchange: the REST and the WebSocket half, put together for the server."""

import json
from collections.abc import Callable, Iterable
from random import Random

from msgspec.structs import replace

from guardd.simulator.dialects.bitget_common.auth import ApiKey, Family, Keyring
from guardd.simulator.dialects.bitget_common.envelope import dump
from guardd.simulator.dialects.bitget_common.gateway import NEVER_BANNED, Counter, Gateway
from guardd.simulator.dialects.bitget_common.sockets import Session
from guardd.simulator.dialects.bitget_unified.calls import CANCEL_STRATEGY_PATH, handlers
from guardd.simulator.dialects.bitget_unified.codes import code_of
from guardd.simulator.dialects.bitget_unified.coin import CoinPosition
from guardd.simulator.dialects.bitget_unified.desk import AccountMode, Closed, Desk, Options
from guardd.simulator.dialects.bitget_unified.endpoints import ENDPOINTS
from guardd.simulator.dialects.bitget_unified.orders import seeks_risk
from guardd.simulator.dialects.bitget_unified.stream import UnifiedStreams
from guardd.simulator.dialects.bitget_unified.topics import PRIVATE_PATH, PUBLIC_PATH
from guardd.simulator.engine import Exchange
from guardd.simulator.faults import Faults
from guardd.simulator.happenings import Happening, Liquidated, PositionChanged
from guardd.simulator.limits import Limits
from guardd.simulator.orders import MarginMode
from guardd.simulator.tape import Tape, next_funding_ms
from guardd.simulator.terms import LeverageChange, RestingCloses, Terms
from guardd.simulator.wire import Push, Reply, Request, StreamSession

_FIRST_POSITION_ID = 1_300_000_000_000_000_000


class BitgetUnifiedDialect:
    """Speaks Bitget V3 for `exchange`, whose accounts are unified. It hears the exchange by itself; call `tick` often."""

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
        self.keyring = Keyring(keys, home=Family.UNIFIED)
        self.desk = Desk(
            exchange=exchange,
            tape=Tape(),
            faults=self.faults,
            keyring=self.keyring,
            options=options or Options(),
            random=Random(self.faults.seed),  # noqa: S311 -- reproducible ids, not secrets
        )
        counter = Counter(
            family=Family.UNIFIED,
            endpoints=ENDPOINTS,
            handlers=handlers(self.desk),
            code_of=code_of,
            seeks_risk=seeks_risk,
            other_prefix="/api/v2/",
        )
        self.gateway = Gateway(
            counter,
            exchange=exchange,
            faults=self.faults,
            random=self.desk.random,
            keyring=self.keyring,
            limits=self.limits,
        )
        self.streams = UnifiedStreams(self.desk)
        self._funding_due_ms = next_funding_ms(exchange.now_ms)
        exchange.subscribe(self.hear)

    def answer(self, request: Request) -> Reply:
        reply = self.gateway.answer(request)
        self.streams.catch_up(max(request.now_ms, self.desk.exchange.now_ms))
        return _with_text_time(reply) if request.path == CANCEL_STRATEGY_PATH else reply

    def add_key(self, uid: str, key: str, secret: str, passphrase: str, *, may_trade: bool) -> None:
        self.keyring.put(ApiKey(key=key, secret=secret, passphrase=passphrase, uid=uid, may_trade=may_trade))

    def account_of(self, request: Request) -> str:
        return self.gateway.account_of(request)

    def set_account_mode(self, uid: str, mode: AccountMode) -> None:
        """What `settings` says from now on; an account that is being converted takes no writes (25245)."""
        self.desk.standing(uid).mode = mode

    def set_family(self, uid: str, family: Family) -> None:
        """The owner has switched the account: a classic one's key gets 40084 here, before its signature is looked at."""
        self.keyring.move(uid, family)

    def hold_coin_position(self, uid: str, position: CoinPosition) -> None:
        """Plant a Coin-M position, for clients that must show what they can't guard."""
        self.desk.standing(uid).coin_positions.append(position)

    def open(self, path: str, now_ms: int, deliver: Callable[[Push], None]) -> Session:
        return self.streams.open(path, now_ms, deliver)

    def drop(self, session: StreamSession) -> None:
        if isinstance(session, Session):
            self.streams.drop(session)

    def hear(self, happening: Happening) -> None:
        self._remember(happening)
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

    def _remember(self, happening: Happening) -> None:
        """Closed lives and liquidations."""
        match happening:
            case PositionChanged(uid=uid, position=view, sequence=sequence):
                self.desk.note_size(view)
                if not view.size:
                    closed = Closed(position_id=str(_FIRST_POSITION_ID + sequence), view=view)
                    self.desk.standing(uid).closed.append(closed)
            case Liquidated(uid=uid, at_ms=at_ms, margin_mode=MarginMode.CROSS):
                self.desk.standing(uid).liquidated_ms = at_ms
            case _:
                pass


def unified_terms() -> Terms:
    """What the reference says of margin and liquidation here, and where it is silent the stricter reading."""
    return Terms(
        leverage_change=LeverageChange.ANY,
        order_sets_leverage=True,
        larger_side_counts=True,
        cross_margin_at_mark=True,
        orders_need_maintenance=True,
        net_hedges_first=True,
        partial_liquidation=True,
        partial_isolated=False,
        partial_tiers=2,
        liquidation_cancels_all=True,
        max_orders_per_symbol=400,
        one_way_closes=RestingCloses.DISPLACE,
        linked_presets=True,
        plans_blind_ms=300,
        plan_client_ids_kept_ms=6 * 3_600_000,
    )


def _with_text_time(reply: Reply) -> Reply:
    """`requestTime` of this one answer is text (recorded)."""
    response = reply.response
    if response is None or response.status != 200:
        return reply
    body = json.loads(response.body)
    body["requestTime"] = str(body["requestTime"])
    return replace(reply, response=replace(response, body=dump(body).encode()))
