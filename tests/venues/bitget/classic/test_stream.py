"""What the pushes of a classic account are made into, and what they make the adapter read anew (Bitget reference, 13)."""

from collections.abc import Sequence
from typing import Any

from guardd.model.event import BalancePushed, Event, OrderPushed, PositionsPushed
from guardd.model.facts import Said
from guardd.model.instant import Instant
from guardd.model.names import PositionMode, Severity
from guardd.model.position import PositionUpdate
from guardd.venues.bitget.classic.parse.words import Product
from guardd.venues.bitget.classic.stream import PushReader, private_topics
from guardd.venues.bitget.frames import FRAME_BYTES_MAX, Push, request_frames
from tests.venues.bitget.classic import samples
from tests.venues.bitget.classic.bench import LONG_BTC, MAIN, SHORT_BTC, Bench, bench, by_product, dec, row

AT = Instant(5, 1_700_000_000_000)
SHOWN_MS = 1_700_000_020_000


def reader(table: Bench) -> PushReader:
    reads = table.venue._reads
    return PushReader(account=MAIN, known=reads.known, repeats=reads.repeats, tell=table.access.tell)


def push(channel: str, *rows: dict[str, Any], product: str = "USDT-FUTURES", ts_ms: int = SHOWN_MS) -> Push:
    return Push(channel=channel, inst_type=product, selector="default", action="snapshot", rows=list(rows), ts_ms=ts_ms)


def shown(side: str = "long", **fields: object) -> dict[str, Any]:
    documented = samples.plain("ws_positions.json")["data"][0]
    return {
        **documented,
        "instId": "BTCUSDT",
        "holdSide": side,
        "total": "0.01",
        "cTime": "1700000000000",
        "uTime": "1700000001000",
        **fields,
    }


def updates(events: Sequence[Event]) -> list[PositionUpdate]:
    (event,) = events
    assert isinstance(event, PositionsPushed)
    return list(event.updates)


def test_a_position_that_is_missing_from_the_next_full_list_is_pushed_with_quantity_zero() -> None:
    read = reader(bench())
    read(push("positions", shown(), shown("short")), AT)
    rest, gone = updates(read(push("positions", shown("short"), ts_ms=SHOWN_MS + 5), AT))
    assert (rest.key, rest.quantity) == (SHORT_BTC, dec("0.01"))
    assert (gone.key, gone.quantity, gone.venue_ms) == (LONG_BTC, 0, SHOWN_MS + 5)
    assert [each.key for each in updates(read(push("positions", ts_ms=SHOWN_MS + 9), AT))] == [SHORT_BTC]
    assert updates(read(push("positions", ts_ms=SHOWN_MS + 10), AT)) == []


def test_a_list_of_one_product_type_says_nothing_about_another() -> None:
    read = reader(bench("USDT-FUTURES", "USDC-FUTURES"))
    read(push("positions", shown()), AT)
    assert updates(read(push("positions", product="USDC-FUTURES"), AT)) == []


def test_the_first_list_of_a_connection_ends_nothing() -> None:
    table = bench()
    reader(table)(push("positions", shown()), AT)
    assert updates(reader(table)(push("positions"), AT)) == []


def test_frozen_is_what_resting_closes_hold_and_a_leverage_may_be_a_number() -> None:
    (update,) = updates(reader(bench())(push("positions", shown(frozen="0.004", leverage=20)), AT))
    assert update.frozen_quantity == dec("0.004")


async def test_a_pushed_row_counts_on_from_what_was_read() -> None:
    table = bench()
    await table.hold(row(total="0.010", uTime="1700000001000"))
    read = reader(table)
    (update,) = updates(read(push("positions", shown(total="0.007", uTime="1700000002000")), AT))
    assert (update.quantity, update.closed_quantity) == (dec("0.007"), dec("0.003"))
    (gone,) = updates(read(push("positions"), AT))
    assert (gone.quantity, gone.closed_quantity) == (0, dec("0.010"))


async def test_two_sockets_that_tell_the_same_millisecond_count_it_once() -> None:
    """A socket and its heir each tell 0.008, then 0.007, of one millisecond, and neither waits for the other."""
    table = bench()
    await table.hold(row(total="0.010", uTime="1700000001000"))
    heard = []
    for read in (reader(table), reader(table)):
        for total in ("0.008", "0.007"):
            (update,) = updates(read(push("positions", shown(total=total, uTime="1700000002000")), AT))
            heard.append(update.closed_quantity)
    assert heard == [dec("0.002"), dec("0.003"), dec("0.003"), dec("0.003")]


async def test_the_mode_in_a_push_is_the_mode_of_its_product_type() -> None:
    table = bench()
    reader(table)(push("positions", shown(posMode="one_way_mode")), AT)
    assert table.venue._reads.known.mode(Product.USDT) is PositionMode.ONE_WAY


async def test_a_push_makes_a_flat_line_due_at_once() -> None:
    table = bench()
    await table.hold()
    table.network.requests.clear()
    await table.venue.positions()
    assert table.network.requests == []
    reader(table)(push("positions", shown()), AT)
    table.network.on("all-position", by_product(USDT=[row()]))
    assert (await table.venue.positions()).positions


def test_order_pushes_that_repeat_are_told_once() -> None:
    read = reader(bench())
    frame = push("orders", samples.plain("ws_orders_filled.json")["data"][0])
    assert len(read(frame, AT)) == 1
    assert read(frame, AT) == ()


def test_a_stop_that_fired_and_failed_reaches_the_guard_and_people() -> None:
    table = bench()
    documented = samples.plain("ws_orders_algo_pos_loss_fail_execute.json")["data"][0]
    (event,) = reader(table)(push("orders-algo", documented), AT)
    assert isinstance(event, OrderPushed)
    assert (event.update.plan_order_id, event.update.filled, event.update.live) == (documented["orderId"], 0, False)
    assert (event.update.key, event.update.client_id) == (LONG_BTC, None)
    (said,) = table.said("fail-execute")
    assert isinstance(said, Said)
    assert said.severity is Severity.CRITICAL


def test_a_wallet_push_is_a_balance_of_its_coin() -> None:
    (event,) = reader(bench())(push("account", samples.plain("ws_account.json")["data"][0]), AT)
    assert isinstance(event, BalancePushed)
    assert (event.balance.currency, event.balance.margin_ratio) == ("USDT", 0)


def test_a_channel_that_nobody_asked_for_is_no_event() -> None:
    assert reader(bench())(push("fill", {"orderId": "1"}), AT) == ()


def test_every_product_type_is_subscribed_to_in_one_short_frame() -> None:
    topics = private_topics(list(Product))
    assert len(topics) == 12
    frames = request_frames("subscribe", topics)
    assert len(frames) == 1
    assert len(frames[0]) <= FRAME_BYTES_MAX
