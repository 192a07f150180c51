"""Frames of both families' sockets (Bitget reference, 13; UTA reference, 11)."""

import contextlib
import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardd.errors import PayloadError
from guardd.venues.bitget.frames import (
    FRAME_BYTES_MAX,
    Acknowledged,
    LoggedIn,
    Noise,
    Pong,
    Push,
    Refused,
    Topic,
    parse_frame,
    request_frames,
    topic,
)

SAMPLES = Path(__file__).parents[2] / "samples"
TICKER = topic(instType="USDT-FUTURES", channel="ticker", instId="BTCUSDT")


def sample(name: str) -> str:
    return (SAMPLES / name).read_text()


@pytest.mark.parametrize("frame", ["pong", b"pong"])
def test_a_pong_is_no_json(frame: str | bytes) -> None:
    assert parse_frame(frame) == Pong()


@pytest.mark.parametrize("name", ["bitget/ws_login_ok_documented.json", "bitget/ws_login_ok_live.json"])
def test_a_login_is_taken_whether_its_code_is_a_text_or_a_number(name: str) -> None:
    assert parse_frame(sample(name)) == LoggedIn()


def test_a_login_event_with_another_code_is_a_refusal() -> None:
    frame = '{"event":"login","code":30005,"msg":"login failed"}'
    assert parse_frame(frame) == Refused(code="30005", text="login failed", topic=None)


@pytest.mark.parametrize(
    ("name", "code", "about"),
    [
        ("bitget/ws_error_channel_not_exist.json", "30001", None),
        ("bitget/ws_error_invalid_sign.json", "30015", None),
        ("bitget/ws_error_need_login.json", "30004", None),
        ("bitget/ws_login_error_documented.json", "30005", None),
        ("bitget-uta/ws_error.json", "30001", topic(instType="UTA", topic="positions")),
    ],
)
def test_recorded_refusals_are_read_with_their_codes_as_text(name: str, code: str, about: Topic | None) -> None:
    found = parse_frame(sample(name))
    assert isinstance(found, Refused)
    assert (found.code, found.topic) == (code, about)


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("bitget/ws_subscribe_ack_ticker.json", TICKER),
        ("bitget/ws_subscribe_ack_account.json", topic(instType="USDT-FUTURES", channel="account", coin="default")),
        ("bitget-uta/ws_subscribe_ack.json", topic(instType="UTA", topic="position")),
    ],
)
def test_recorded_acknowledgements_are_those_of_what_was_asked(name: str, asked: Topic) -> None:
    found = parse_frame(sample(name))
    assert isinstance(found, Acknowledged)
    assert found.subscribed
    assert found.topic.key == asked.key


def test_a_topic_is_the_same_in_any_case_and_order() -> None:
    other = topic(instId="btcusdt", channel="ticker", instType="usdt-futures")
    assert other.key == TICKER.key
    assert TICKER.name == "ticker USDT-FUTURES BTCUSDT"


@pytest.mark.parametrize(
    ("name", "channel", "inst_type", "selector"),
    [
        ("bitget/ws_ticker.json", "ticker", "USDT-FUTURES", "BTCUSDT"),
        ("bitget/ws_positions_empty.json", "positions", "USDT-FUTURES", "default"),
        ("bitget/ws_account.json", "account", "USDT-FUTURES", "default"),
        ("bitget/ws_equity.json", "equity", "USDT-FUTURES", ""),
        ("bitget-uta/ws_ticker_futures.json", "ticker", "USDT-FUTURES", "BTCUSDT"),
        ("bitget-uta/ws_position_ended.json", "position", "UTA", ""),
        ("bitget-uta/ws_strategy_order.json", "strategy-order", "UTA", "default"),
        ("bitget-uta/ws_fast_fill.json", "fast-fill", "UTA", ""),
    ],
)
def test_recorded_pushes_are_told_apart_by_channel_and_kind_of_instrument(
    name: str, channel: str, inst_type: str, selector: str
) -> None:
    found = parse_frame(sample(name))
    assert isinstance(found, Push)
    assert (found.channel, found.inst_type) == (channel, inst_type)
    assert found.selector == selector
    assert found.rows == json.loads(sample(name), parse_float=Decimal)["data"]


@pytest.mark.parametrize("folder", ["bitget", "bitget-uta"])
def test_every_recorded_frame_of_the_server_is_read(folder: str) -> None:
    ours = ("request", "subscribe_private", "subscribe_ticker")
    names = [
        path for path in sorted((SAMPLES / folder).glob("*ws_*.json")) if not any(word in path.stem for word in ours)
    ]
    assert len(names) > 10
    for path in names:
        parse_frame(path.read_text())


@pytest.mark.parametrize("frame", ['{"event":"trade","code":"0"}', '{"op":"x"}', '{"event":7}', '{"event":null}'])
def test_frames_that_concern_nobody_are_noise(frame: str) -> None:
    assert isinstance(parse_frame(frame), Noise)


@pytest.mark.parametrize(
    "frame",
    ["", "[]", "1", "{", "PONG!", '{"data":[]}', '{"arg":{},"data":[]}', '{"event":"subscribe"}', b"\xff\xfe"],
)
def test_a_frame_that_is_neither_is_a_payload_error(frame: str | bytes) -> None:
    with pytest.raises(PayloadError):
        parse_frame(frame)


@given(st.text() | st.binary())
def test_no_frame_raises_anything_else(frame: str | bytes) -> None:
    with contextlib.suppress(PayloadError):
        parse_frame(frame)


@given(st.lists(st.text("ABCXYZ0123456789_", min_size=3, max_size=24), max_size=200, unique=True))
def test_every_topic_is_asked_for_once_in_frames_that_the_venue_takes(symbols: list[str]) -> None:
    topics = [topic(instType="USDT-FUTURES", channel="ticker", instId=symbol) for symbol in symbols]
    frames = request_frames("subscribe", topics)
    assert all(len(frame.encode()) <= FRAME_BYTES_MAX for frame in frames)
    asked = [Topic(tuple(arg.items())) for frame in frames for arg in json.loads(frame)["args"]]
    assert asked == topics


def test_a_request_is_printed_as_documented() -> None:
    documented = json.loads(sample("bitget/ws_subscribe_ticker.json"))
    assert [json.loads(frame) for frame in request_frames("subscribe", [TICKER])] == [documented]
