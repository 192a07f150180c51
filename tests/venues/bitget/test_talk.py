"""What is said on a connection of Bitget's, and what keeps us away (Bitget reference, 13.1-13.3)."""

import asyncio
import json
from collections.abc import Sequence
from decimal import Decimal
from random import Random

import pytest

from guardd.clock import ManualClock
from guardd.errors import PayloadError, VenueUnreachable
from guardd.model.event import Event, MarkSeen, StreamMoved, StreamName
from guardd.model.facts import Fact
from guardd.model.instant import Instant
from guardd.model.names import AccountName, Severity, Symbol
from guardd.venues.bitget import LIMITS, Access, hosts_for
from guardd.venues.bitget.admission import (
    LOGIN_PAUSE_CAP_S,
    LOGIN_PAUSE_FIRST_S,
    SLOW_DOWN_PAUSE_S,
    SOCKET_REFUSALS,
    Admission,
    SocketAction,
    socket_action,
)
from guardd.venues.bitget.frames import Push, Topic, topic
from guardd.venues.bitget.sockets import PING_EVERY_S, link, terms
from guardd.venues.bitget.talk import MALFORMED_MAX, REQUESTS_MAX, PrivateTalk, PublicTalk
from guardd.venues.limiter import LimiterRegistry
from guardd.venues.stream import keep_connected
from tests.venues.bitget.bench import CREDENTIALS
from tests.venues.wires import FakeSocket, FakeWire

BTC, ETH = Symbol("BTCUSDT"), Symbol("ETHUSDT")
AT = Instant(1_000_000_000, 1_700_000_000_000)
POSITIONS = topic(instType="USDT-FUTURES", channel="positions", instId="default")
ORDERS = topic(instType="USDT-FUTURES", channel="orders", instId="default")
ADL = topic(instType="USDT-FUTURES", channel="adl-noti", instId="default")


def ticker_topic(symbol: Symbol) -> Topic:
    return topic(instType="USDT-FUTURES", channel="ticker", instId=symbol)


def price(frame: str | bytes, at: Instant) -> MarkSeen | None:
    text = frame if isinstance(frame, str) else frame.decode()
    if text == "broken":
        raise PayloadError(where="ticker", found="nothing", expected="a mark")
    symbol, _, mark = ("", "", "") if text.startswith("{") else text.partition(" ")
    return MarkSeen(Symbol(symbol), Decimal(mark), at) if mark else None


def ack(each: Topic, event: str = "subscribe") -> str:
    return json.dumps({"event": event, "arg": dict(each.fields)})


def error(code: int, about: Topic | None = None) -> str:
    arg = {} if about is None else {"arg": dict(about.fields)}
    return json.dumps({"event": "error", "code": code, "msg": "words", **arg})


def later(seconds: float) -> Instant:
    return AT.later_by(seconds)


class Told:
    def __init__(self) -> None:
        self.said: list[tuple[str, str, Severity]] = []

    def __call__(self, edge: str, text: str, severity: Severity = Severity.WARNING) -> None:
        self.said.append((edge, text, severity))

    @property
    def edges(self) -> list[str]:
        return [edge for edge, _, _ in self.said]


async def no_clock() -> int:
    return 0


def public() -> tuple[PublicTalk, Told]:
    told = Told()
    talk = PublicTalk(topic_of=ticker_topic, price=price, tell=told)
    talk.opening(AT)
    return talk, told


def private(admission: Admission | None = None) -> tuple[PrivateTalk, Told]:
    told = Told()
    talk = PrivateTalk(
        credentials=CREDENTIALS,
        now_s=lambda: 1_700_000_000,
        topics=(POSITIONS, ORDERS),
        optional=(ADL,),
        read=lambda push, at: (MarkSeen(Symbol(push.channel), Decimal(1), at),),
        admission=admission or Admission(tell=told, measure_time=no_clock),
    )
    return talk, told


def ops(frames: Sequence[str]) -> list[tuple[str, list[str]]]:
    parsed = [json.loads(frame) for frame in frames]
    return [(each["op"], [arg.get("instId", "") for arg in each["args"]]) for each in parsed]


# Public


def test_prices_pass_and_what_is_new_or_no_longer_held_is_told_to_the_venue() -> None:
    talk, _ = public()
    assert ops(talk.wanted(frozenset({ETH, BTC}))) == [("subscribe", [BTC, ETH])]
    assert len(talk.waiting) == 2
    talk.on_frame(ack(ticker_topic(BTC)), AT)
    talk.on_frame(ack(topic(instId="ethusdt", instType="usdt-futures", channel="ticker")), AT)
    assert list(talk.waiting) == []
    assert talk.on_frame("BTCUSDT 5", AT) == (MarkSeen(BTC, Decimal(5), AT),)
    assert ops(talk.wanted(frozenset({ETH}))) == [("unsubscribe", [BTC])]
    assert talk.wanted(frozenset({ETH})) == ()


def test_a_symbol_that_is_refused_is_told_and_not_asked_for_again() -> None:
    talk, told = public()
    talk.wanted(frozenset({BTC, ETH}))
    talk.on_frame(error(30001, ticker_topic(ETH)), AT)
    talk.on_frame(ack(ticker_topic(BTC)), AT)
    assert list(talk.waiting) == []
    assert told.edges == ["refused-ticker USDT-FUTURES ETHUSDT"]
    assert talk.wanted(frozenset({BTC, ETH})) == ()
    assert talk.failed is None


@pytest.mark.parametrize("refused_first", [True, False])
def test_a_refusal_without_its_topic_is_that_of_the_topic_that_stays_unanswered(refused_first: bool) -> None:
    talk, told = public()
    talk.wanted(frozenset({BTC, ETH}))
    frames = [error(30001), ack(ticker_topic(BTC))]
    for frame in frames if refused_first else reversed(frames):
        talk.on_frame(frame, AT)
    assert list(talk.waiting) == []
    assert told.edges == ["refused-ticker USDT-FUTURES ETHUSDT"]


def test_one_price_that_cannot_be_read_is_dropped_and_a_row_of_them_ends_the_connection() -> None:
    talk, told = public()
    talk.on_frame("broken", AT)
    assert told.edges == ["public-frame"]
    talk.on_frame("BTCUSDT 5", AT)
    for _ in range(MALFORMED_MAX):
        talk.on_frame("broken", AT)
    with pytest.raises(PayloadError):
        talk.on_frame("broken", AT)


@pytest.mark.parametrize("code", [30006, 30007])
def test_a_venue_that_wants_fewer_messages_loses_us_for_a_while(code: int) -> None:
    talk, _ = public()
    talk.on_frame(error(code), AT)
    assert talk.failed is not None


def test_subscription_requests_are_counted_by_the_hour_and_a_fresh_connection_has_its_own() -> None:
    talk, _ = public()
    sent = 0
    for turn in range(REQUESTS_MAX):
        sent += len(talk.wanted(frozenset({Symbol(f"C{turn}USDT")})))
        if talk.failed is not None:
            break
    assert sent == REQUESTS_MAX
    assert talk.failed is not None
    assert public()[0].wanted(frozenset({BTC})) != ()


def test_towards_the_end_of_the_hours_requests_what_is_carried_too_much_stays() -> None:
    talk, _ = public()
    sent = [talk.wanted(frozenset({BTC} if turn % 2 == 0 else {ETH})) for turn in range(2 * REQUESTS_MAX)]
    assert sum(map(len, sent)) <= REQUESTS_MAX
    assert talk.failed is None
    assert not sent[-1]


def test_an_hour_later_there_is_room_for_requests_again() -> None:
    talk, _ = public()
    for turn in range(REQUESTS_MAX // 2):
        talk.wanted(frozenset({BTC} if turn % 2 == 0 else {ETH}))
    talk.on_frame("BTCUSDT 1", later(3_601.0))
    for turn in range(REQUESTS_MAX // 2 - 1):
        talk.wanted(frozenset({BTC} if turn % 2 == 0 else {ETH}))
    assert talk.failed is None


# Private


def test_a_private_connection_logs_in_before_it_subscribes() -> None:
    talk, _ = private()
    (login,) = talk.opening(AT)
    assert json.loads(login)["op"] == "login"
    assert json.loads(login)["args"][0]["timestamp"] == "1700000000"
    assert not talk.admitted
    talk.on_frame('{"event":"login","code":0,"connId":"x"}', AT)
    assert talk.admitted
    (frame,) = talk.wanted(frozenset({BTC}))
    assert json.loads(frame)["args"] == [dict(each.fields) for each in (POSITIONS, ORDERS, ADL)]
    assert talk.wanted(frozenset({ETH})) == ()
    for each in (ADL, POSITIONS, ORDERS):
        assert talk.waiting
        talk.on_frame(ack(each), AT)
    assert list(talk.waiting) == []


def test_pushes_are_the_familys_own_to_read() -> None:
    talk, _ = private()
    frame = json.dumps({"action": "snapshot", "arg": dict(POSITIONS.fields), "data": [], "ts": 1})
    assert talk.on_frame(frame, AT) == (MarkSeen(Symbol("positions"), Decimal(1), AT),)
    assert talk.on_frame("pong", AT) == ()


def test_a_topic_that_may_be_missing_is_told_and_one_that_may_not_ends_the_connection() -> None:
    talk, told = private()
    talk.opening(AT)
    talk.on_frame('{"event":"login","code":"0"}', AT)
    talk.wanted(frozenset())
    talk.on_frame(error(30001, ADL), AT)
    assert talk.failed is None
    assert told.edges == ["refused-adl-noti USDT-FUTURES default"]
    talk.on_frame(error(30001, ORDERS), AT)
    assert talk.failed is not None
    assert "orders" in talk.failed


@pytest.mark.parametrize("code", [30001, 30004, 30005, 30011, 30012, 30013, 30014, 30015, 30016, 39999])
def test_any_refusal_before_the_login_is_taken_ends_the_connection(code: int) -> None:
    talk, told = private()
    talk.opening(AT)
    talk.on_frame(error(code), AT)
    assert talk.failed is not None
    assert str(code) in talk.failed
    assert len(told.said) == 1


@pytest.mark.parametrize("code", [30004, 30006, 30007])
def test_a_connection_that_lost_its_login_or_said_too_much_is_given_up(code: int) -> None:
    talk, _ = private()
    talk.on_frame('{"event":"login","code":"0"}', AT)
    talk.on_frame(error(code), AT)
    assert talk.failed is not None


def test_a_login_that_is_taken_ends_the_absence_that_an_earlier_one_cost() -> None:
    admission = Admission(tell=Told(), measure_time=no_clock)
    admission.refused("30005", "login failed")
    talk, _ = private(admission)
    assert admission.pause_s() > 0
    talk.on_frame('{"event":"login","code":"0"}', AT)
    assert admission.pause_s() == 0.0


# Admission


def test_every_error_code_of_the_sockets_has_a_row() -> None:
    expected = {
        SocketAction.FIX: {"30001", "30002", "30003", "30016"},
        SocketAction.RELOGIN: {"30004"},
        SocketAction.ALERT: {"30005", "30011", "30012", "30015"},
        SocketAction.SLOW: {"30006", "30007"},
        SocketAction.CLOCK: {"30013", "30014"},
    }
    found = {action: {code for code, row in SOCKET_REFUSALS.items() if row.action is action} for action in SocketAction}
    assert found == expected
    assert socket_action("39999") is None


@pytest.mark.parametrize("code", ["30005", "30011", "30012", "30015"])
def test_a_login_that_is_wrong_for_good_is_told_as_critical_and_not_hammered(code: str) -> None:
    told = Told()
    admission = Admission(tell=told, measure_time=no_clock)
    pauses: list[float] = []
    for _ in range(8):
        admission.refused(code, "Invalid sign")
        pauses.append(admission.pause_s())
    assert pauses[0] == LOGIN_PAUSE_FIRST_S
    assert pauses == sorted(pauses)
    assert pauses[-1] == LOGIN_PAUSE_CAP_S
    assert {severity for _, _, severity in told.said} == {Severity.CRITICAL}
    admission.granted()
    assert admission.pause_s() == 0.0


def test_too_many_messages_keep_us_away_for_a_while_and_other_refusals_for_no_longer_than_the_backoff() -> None:
    told = Told()
    admission = Admission(tell=told, measure_time=no_clock)
    admission.refused("30004", "")
    admission.refused("30016", "x")
    admission.refused("39999", "")
    assert admission.pause_s() == 0.0
    admission.refused("30007", "over limit")
    assert admission.pause_s() == SLOW_DOWN_PAUSE_S
    assert all(severity is Severity.WARNING for _, _, severity in told.said)


@pytest.mark.parametrize("code", ["30013", "30014"])
async def test_a_login_refused_for_its_time_has_the_clock_measured_even_when_that_fails_first(code: str) -> None:
    told = Told()
    measured: list[int] = []

    async def measure() -> int:
        measured.append(1)
        if len(measured) == 1:
            raise VenueUnreachable("time: no answer")
        return 0

    admission = Admission(tell=told, measure_time=measure)
    task = asyncio.ensure_future(admission.mend_clock())
    for expected in (1, 2):
        admission.refused(code, "Request timestamp expired")
        for _ in range(5):
            await asyncio.sleep(0)
        assert len(measured) == expected
    task.cancel()
    assert told.edges == ["login-clock", "clock", "login-clock"]


# A whole link


def access_over(wire: FakeWire, clock: ManualClock, facts: list[Fact]) -> Access:
    hosts = hosts_for("demo")
    random = Random(4)
    return Access(
        account=AccountName("main"),
        hosts=hosts,
        credentials=CREDENTIALS,
        demo=True,
        product_types=("USDT-FUTURES",),
        channel_code=None,
        clock=clock,
        limiter=LimiterRegistry(clock, random).limiter(host=hosts.rest, credential="k", limits=LIMITS, share=0.7),
        wire=wire,
        random=random,
        listener=facts.append,
    )


async def test_a_link_pings_in_text_notices_silence_and_keeps_away_when_its_login_is_refused() -> None:
    clock, facts, events = ManualClock(), list[Fact](), list[Event]()
    wire = FakeWire(clock)
    told = Told()
    admission = Admission(tell=told, measure_time=no_clock)
    held = link(
        access_over(wire, clock, facts),
        stream=StreamName.PRIVATE,
        path="/v2/ws/private",
        conversation=lambda: private(admission)[0],
        keep_away_s=admission.pause_s,
    )

    async def collect() -> None:
        async for event in keep_connected(held):
            events.append(event)

    async def tick(socket: FakeSocket, seconds: float) -> None:
        for _ in range(int(seconds / PING_EVERY_S)):
            socket.push("pong")
            await clock.advance(PING_EVERY_S, turns=6)

    def admit(socket: FakeSocket) -> None:
        socket.push('{"event":"login","code":0}', *(ack(each) for each in (POSITIONS, ORDERS, ADL)))

    task = asyncio.ensure_future(collect())
    await clock.advance(0.0)
    first = wire.opened[0]
    admit(first)
    await clock.advance(0.0)
    assert held.up
    await tick(first, 100.0)
    assert first.sent[2:] == ["ping"] * 4
    await clock.advance(8.0)
    assert not first.closed
    while len(wire.opened) == 1:
        await clock.advance(0.2)
    assert first.closed
    assert [event.up for event in events if isinstance(event, StreamMoved)] == [True, False]
    wire.opened[1].push(error(30015))
    await clock.advance(LOGIN_PAUSE_FIRST_S - 1.0)
    assert len(wire.opened) == 2
    await clock.advance(3.0)
    assert len(wire.opened) == 3
    assert [severity for _, _, severity in told.said] == [Severity.CRITICAL]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_the_terms_of_a_link_keep_a_margin_to_those_of_the_venue() -> None:
    clock = ManualClock()
    access = access_over(FakeWire(clock), clock, [])
    made = [terms(access, stream=StreamName.PUBLIC, path="/v3/ws/public", keep_away_s=lambda: 7.0) for _ in range(20)]
    for each in made:
        assert each.url == "wss://wspap.bitget.com/v3/ws/public"
        assert each.ping_frame == "ping"
        assert each.ping_every_s < 30 < each.silence_s < 120
        assert each.messages_per_s_max is not None
        assert each.messages_per_s_max < 10
        assert each.keep_away_s() == 7.0
        assert each.renew_after_s is not None
        assert 20 * 3_600 < each.renew_after_s < 24 * 3_600 - 600
    assert len({each.renew_after_s for each in made}) == len(made), "all of them renew at once"
    assert REQUESTS_MAX < 240


def test_a_push_says_where_it_came_from() -> None:
    push = Push(channel="orders", inst_type="UTA", selector="", action="update", rows=[], ts_ms=None)
    assert push.where == "push orders"
