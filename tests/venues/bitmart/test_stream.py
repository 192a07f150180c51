"""The talk on both sockets, frame by frame."""

import json
from decimal import Decimal

import pytest

from guardd.errors import PayloadError
from guardd.model.event import BalancePushed, MarkSeen, OrderPushed, PositionsPushed
from guardd.model.instant import Instant
from guardd.model.names import AccountName, Symbol
from guardd.venues.bitmart.stream import FRAME_BYTES_MAX, MALFORMED_MAX, PrivateTalk, PublicTalk, request_frames
from guardd.venues.stream import Conversation
from tests.venues.bitmart import samples
from tests.venues.bitmart.bench import CREDENTIALS

AT = Instant(5, 6)
BTC, ETH = Symbol("BTCUSDT"), Symbol("ETHUSDT")


class Public:
    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        self.talk = PublicTalk(tell=lambda edge, text: self.told.append((edge, text)))


class Private:
    def __init__(self) -> None:
        self.pushed: list[PositionsPushed] = []
        self.refused: list[str] = []
        self.now_ms = 1_700_000_000_000
        self.talk = PrivateTalk(
            account=AccountName("main"),
            credentials=CREDENTIALS,
            timestamp_ms=lambda: self.now_ms,
            pushed=self.pushed.append,
            login_refused=self.refused.append,
        )

    def acknowledge(self, action: str, group: str = "", *, success: bool = True, error: str = "") -> None:
        frame = {"action": action, "group": group, "success": success, "error": error}
        assert not self.talk.on_frame(json.dumps(frame), AT)


def acknowledged(group: str, *, success: bool = True, action: str = "subscribe") -> str:
    return json.dumps({"action": action, "group": group, "success": success, "error": "" if success else "no"})


def test_both_talks_are_conversations() -> None:
    talks: list[Conversation] = [Public().talk, Private().talk]
    assert [talk.admitted for talk in talks] == [True, False]


def test_a_price_topic_is_asked_for_each_symbol_and_waited_for() -> None:
    public = Public().talk
    (frame,) = public.wanted(frozenset({ETH, BTC}))
    expected = {"action": "subscribe", "args": ["futures/ticker:BTCUSDT", "futures/ticker:ETHUSDT"]}
    assert json.loads(frame) == expected
    public.on_frame(acknowledged("futures/ticker:BTCUSDT@100ms"), AT)
    assert set(public.waiting) == {"futures/ticker:ETHUSDT"}
    public.on_frame(acknowledged("futures/ticker:ETHUSDT"), AT)
    assert not public.waiting


def test_only_what_changed_is_asked_for_later() -> None:
    public = Public().talk
    public.wanted(frozenset({BTC}))
    public.on_frame(acknowledged("futures/ticker:BTCUSDT"), AT)
    assert not public.wanted(frozenset({BTC}))
    left, joined = (json.loads(frame) for frame in public.wanted(frozenset({ETH})))
    assert left == {"action": "unsubscribe", "args": ["futures/ticker:BTCUSDT"]}
    assert joined == {"action": "subscribe", "args": ["futures/ticker:ETHUSDT"]}


def test_a_refused_symbol_is_told_and_neither_waited_for_nor_asked_for_again() -> None:
    public = Public()
    public.talk.wanted(frozenset({BTC, ETH}))
    public.talk.on_frame(acknowledged("futures/ticker:ETHUSDT", success=False), AT)
    assert set(public.talk.waiting) == {"futures/ticker:BTCUSDT"}
    assert not public.talk.wanted(frozenset({BTC, ETH}))
    assert [edge for edge, _ in public.told] == ["refused-futures/ticker:ETHUSDT"]
    assert public.talk.failed is None


def test_no_request_frame_reaches_two_thousand_bytes() -> None:
    symbols = frozenset(Symbol(f"ASTEROID{n:03d}USDT") for n in range(300))
    frames = Public().talk.wanted(symbols)
    assert len(frames) > 1
    assert all(len(frame.encode()) < FRAME_BYTES_MAX for frame in frames)
    asked = [topic for frame in frames for topic in json.loads(frame)["args"]]
    assert sorted(asked) == sorted(f"futures/ticker:{symbol}" for symbol in symbols)


def test_no_topics_make_no_frame() -> None:
    assert request_frames("subscribe", ()) == ()


def test_prices_become_marks_stamped_with_their_arrival() -> None:
    (seen,) = Public().talk.on_frame(samples.text("ws_ticker.json").encode(), AT)
    assert isinstance(seen, MarkSeen)
    assert (seen.symbol, seen.mark, seen.at) == (BTC, Decimal("97153.7"), AT)


def test_one_unreadable_price_is_dropped_and_told_and_takes_no_other_away() -> None:
    public = Public()
    bad = json.dumps({"group": "futures/ticker:ETHUSDT", "data": {"symbol": "ETHUSDT", "mark_price": "0"}})
    assert public.talk.on_frame(bad, AT) == ()
    assert public.talk.on_frame(samples.text("ws_ticker.json"), AT)
    assert [edge for edge, _ in public.told] == ["public-frame"]


def test_a_stream_of_unreadable_prices_ends_the_connection() -> None:
    public = Public()
    for _ in range(MALFORMED_MAX):
        public.talk.on_frame("{}", AT)
    with pytest.raises(PayloadError):
        public.talk.on_frame("{}", AT)


def test_a_request_that_the_venue_did_not_understand_ends_the_connection() -> None:
    public = Public().talk
    public.on_frame(samples.text("ws_error_not_json.json"), AT)
    assert public.failed is not None


@pytest.mark.parametrize("name", ["ws_pong.json", "ws_trade.json", "ws_kline_items_capture.json"])
def test_pongs_and_topics_of_nobody_are_life_and_nothing_else(name: str) -> None:
    assert not Public().talk.on_frame(samples.text(name), AT)
    assert not Private().talk.on_frame(samples.text(name), AT)


def test_the_login_is_stamped_when_the_socket_opens() -> None:
    private = Private()
    private.now_ms += 90_000
    (frame,) = private.talk.opening(AT)
    login = json.loads(frame)
    assert (login["action"], login["args"][1], login["args"][3]) == ("access", "1700000090000", "web")


def test_private_topics_are_asked_for_after_the_login_and_once() -> None:
    private = Private()
    private.talk.opening(AT)
    assert not private.talk.admitted
    private.acknowledge("access")
    assert private.talk.admitted
    (frame,) = private.talk.wanted(frozenset({BTC}))
    assert json.loads(frame) == samples.plain("ws_req_subscribe_private.json")
    assert not private.talk.wanted(frozenset({ETH}))
    for group in ("futures/position", "futures/order", "futures/asset:USDT"):
        assert group in private.talk.waiting
        private.acknowledge("subscribe", group)
    assert not private.talk.waiting


def test_a_refused_login_fails_the_connection_and_is_told() -> None:
    private = Private()
    private.talk.on_frame(samples.text("ws_login_failed.json"), AT)
    assert private.talk.failed is not None
    assert not private.talk.admitted
    assert len(private.refused) == 1


def test_a_refused_private_topic_fails_the_connection() -> None:
    private = Private()
    private.acknowledge("access")
    private.talk.wanted(frozenset())
    private.talk.on_frame(samples.text("ws_subscribe_needs_login.json"), AT)
    assert private.talk.failed is not None


def test_pushes_become_events() -> None:
    private = Private()
    (positions,) = private.talk.on_frame(samples.text("ws_position.json"), AT)
    (order,) = private.talk.on_frame(samples.text("ws_order.json"), AT)
    (balance,) = private.talk.on_frame(samples.text("ws_asset_capture.json"), AT)
    assert isinstance(positions, PositionsPushed)
    assert isinstance(order, OrderPushed)
    assert isinstance(balance, BalancePushed)
    assert private.pushed == [positions]


def test_a_repeated_order_push_is_told_once() -> None:
    private = Private()
    assert private.talk.on_frame(samples.text("ws_order.json"), AT)
    assert not private.talk.on_frame(samples.text("ws_order.json"), AT)


def test_a_cancellation_in_the_millisecond_of_its_order_is_not_taken_for_a_repetition() -> None:
    private = Private()
    frame = samples.plain("ws_order.json")
    frame["data"][0]["action"] = 2
    assert private.talk.on_frame(json.dumps(frame), AT)
    frame["data"][0]["action"] = 3
    assert private.talk.on_frame(json.dumps(frame), AT)


def test_a_private_push_that_can_not_be_read_ends_the_connection() -> None:
    with pytest.raises(PayloadError):
        Private().talk.on_frame('{"group":"futures/position","data":[{"symbol":"BTCUSDT"}]}', AT)


def test_I26_a_talk_shows_no_credential() -> None:
    assert CREDENTIALS.secret not in repr(vars(Private().talk)).replace("fn", "")
