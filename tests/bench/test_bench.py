"""The harness runs from end to end, and what it says of a run is what happened in it. No figure of time is asserted."""

import asyncio
import socket
import time

import pytest

from tests.bench import machine
from tests.bench.cast import Cast
from tests.bench.clients import Client
from tests.bench.figures import quantile, ratio, reactions_us
from tests.bench.measure import Terms, one_life
from tests.bench.process import Cores
from tests.bench.report import markdown, svg
from tests.bench.script import Script
from tests.bench.section import Bar, Goal, Section
from tests.bench.stamped import Arrival, StampedListener


async def test_the_floor_answers_every_crossing_of_a_tape() -> None:
    terms = Terms(cores=Cores.of_machine(), pairs=1, quick=True, ccxt_python=None)
    script = Script(ticks_per_s=200, seconds=0.7, crossings=3, crossings_per_s=20)
    [(_, outcome)] = await one_life(terms, Cast(positions=3), [("", script)], Client.FLOOR)
    assert (len(outcome.reactions_us), outcome.missed) == (3, 0)
    assert all(each > 0 for each in outcome.reactions_us)
    assert outcome.ticks >= 100
    assert 0 < outcome.cpu_share <= 1.1
    assert 10 < outcome.memory_mib < 500


async def test_an_order_is_stamped_when_its_last_byte_is_readable_however_late_it_is_read() -> None:
    heard: list[Arrival] = []
    with StampedListener(heard.append) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with socket.create_connection(listener.getsockname()) as client:
            connection, _ = listener.accept()
            with connection:
                body = b'{"symbol":"SYN00001USDT","size":"1"}'
                head = b"POST /api/v2/mix/order/place-order HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body)
                client.sendall(head + body[:5])
                await asyncio.to_thread(connection.recv, 1 << 16)
                assert heard == []
                before_ns = time.monotonic_ns()
                client.sendall(body[5:])
                after_ns = time.monotonic_ns()
                await asyncio.sleep(0.1)
                await asyncio.to_thread(connection.recv, 1 << 16)
    [arrival] = heard
    assert arrival.symbol == "SYN00001USDT"
    assert before_ns <= arrival.mono_ns <= after_ns + 50_000_000


def test_only_orders_are_stamped() -> None:
    heard: list[Arrival] = []
    with StampedListener(heard.append) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with socket.create_connection(listener.getsockname()) as client:
            connection, _ = listener.accept()
            with connection:
                client.sendall(b"POST /api/v2/mix/order/place-tpsl-order HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")
                connection.recv(1 << 16)
    assert heard == []


def test_trains_pause_where_a_venue_counts_orders() -> None:
    script = Script(ticks_per_s=1, seconds=1, crossings=4, crossings_per_s=100, train=2, train_every_s=1.5)
    assert script.offsets_s() == [0.5, 0.51, 2.0, 2.01]
    assert Script(ticks_per_s=1, seconds=1, crossings=2, together=True).offsets_s() == [0.5, 0.5]


def test_ratios_are_taken_within_pairs() -> None:
    assert ratio([2, 30, 4], [1, 10, 4]) == 2
    assert quantile([1, 2, 3, 4], 0.5) == 2.5
    assert reactions_us([{"sent_ns": 1_000, "arrived_ns": 3_000}, {"sent_ns": 1_000, "arrived_ns": 0}]) == (2.0,)


@pytest.mark.parametrize(
    ("goal", "met"),
    [
        (Goal(text="", value=1.2, limit=1.5, stretch=1.25), "stretch"),
        (Goal(text="", value=1.4, limit=1.5, stretch=1.25), "goal"),
        (Goal(text="", value=1.6, limit=1.5), "missed"),
        (Goal(text="", value=40, limit=50, at_least=True), "missed"),
        (Goal(text="", value=float("nan"), limit=50), "missed"),
    ],
)
def test_a_goal_without_a_figure_is_missed(goal: Goal, met: str) -> None:
    assert goal.met == met


def test_the_report_names_the_machine_and_every_figure() -> None:
    section = Section(title="Reaction", head=("client", "p50"), rows=[("floor", "1,000")])
    section.goals.append(Goal(text="ours ÷ floor", value=1.234, limit=1.5, stretch=1.25))
    text = markdown([section], machine=machine.described(), notes=["7 runs."])
    assert "cores" in text
    assert "| ours ÷ floor | 1.23 | ≤ 1.5 | ≤ 1.25 | stretch |" in text
    assert "| floor | 1,000 |" in text
    drawn = svg([Bar(label="a < b", value=100, beyond=2_000), Bar(label="none", value=float("nan"), beyond=1)])
    assert "a &lt; b" in drawn
    assert "none" not in drawn
