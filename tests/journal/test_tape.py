"""The tape: cheap to record, bounded on disk, readable afterwards."""

import asyncio
import json
from decimal import Decimal
from pathlib import Path

import pytest

from guardd.clock import ManualClock
from guardd.errors import JournalError
from guardd.journal.tape import WAITING_MAX, Tape, segments
from guardd.journal.worker import InlineWorker
from guardd.model.event import MarkSeen, PositionsRead, Pulse, StreamMoved, StreamName
from guardd.model.names import Symbol
from tests.journal.making import MAIN, at


def lines(folder: Path) -> list[dict]:
    return [json.loads(line) for file in segments(folder) for line in file.read_text().splitlines()]


def mark(price: str, seconds: float, symbol: str = "BTCUSDT") -> MarkSeen:
    return MarkSeen(Symbol(symbol), Decimal(price), at(seconds))


def tape(folder: Path, limit_bytes: int = 1 << 30) -> Tape:
    return Tape(folder, worker=InlineWorker(), limit_bytes=limit_bytes)


async def test_events_are_written_in_their_order_with_exact_figures(tmp_path: Path) -> None:
    made = tape(tmp_path)
    made(MAIN, StreamMoved(at=at(1), stream=StreamName.PUBLIC, up=True, why="connected"))
    made(MAIN, mark("90000.10", 2))
    made(MAIN, PositionsRead(started=at(2), at=at(3), positions=()))
    await made.close()
    found = lines(tmp_path)
    assert [line["event"] for line in found] == ["StreamMoved", "MarkSeen", "PositionsRead"]
    assert found[1]["data"]["mark"] == "90000.10"
    assert {line["account"] for line in found} == {"main"}


async def test_of_marks_the_latest_of_each_symbol_is_kept_and_counted(tmp_path: Path) -> None:
    made = tape(tmp_path)
    for number in range(500):
        made(MAIN, mark(str(number), number / 1000))
    made(MAIN, mark("7", 1, "ETHUSDT"))
    await made.flush()
    assert [(line["data"]["symbol"], line["data"]["mark"], line["count"]) for line in lines(tmp_path)] == [
        ("BTCUSDT", "499", 500),
        ("ETHUSDT", "7", 1),
    ]


async def test_the_ring_stays_below_its_limit_and_loses_the_oldest(tmp_path: Path) -> None:
    limit = 16_000
    made = tape(tmp_path, limit)
    for number in range(400):
        made(MAIN, StreamMoved(at=at(number), stream=StreamName.PUBLIC, up=False, why=f"{number:05d}"))
        await made.flush()
    size = sum(file.stat().st_size for file in segments(tmp_path))
    assert size <= limit
    assert size > limit * 0.8
    told = [line["data"]["why"] for line in lines(tmp_path)]
    assert told[-1] == "00399"
    assert told == sorted(told)
    assert told[0] > "00000"


async def test_the_tape_goes_on_after_a_restart(tmp_path: Path) -> None:
    for seconds in (1, 2):
        made = tape(tmp_path)
        made(MAIN, Pulse(at=at(seconds)))
        await made.close()
    assert len(lines(tmp_path)) == 2


async def test_beyond_its_limit_waiting_events_are_counted_and_dropped(tmp_path: Path) -> None:
    made = tape(tmp_path)
    for _ in range(WAITING_MAX + 3):
        made(MAIN, Pulse(at=at()))
    await made.flush()
    found = lines(tmp_path)
    assert found[0] == {"event": "dropped", "count": 3}
    assert len(found) == WAITING_MAX + 1


async def test_a_disk_that_takes_nothing_is_told_and_the_tape_lives_on(tmp_path: Path) -> None:
    (tmp_path / "tape").write_text("in the way")
    made = tape(tmp_path)
    made(MAIN, Pulse(at=at()))
    with pytest.raises(JournalError, match="the tape has a gap"):
        await made.flush()
    (tmp_path / "tape").unlink()
    made(MAIN, Pulse(at=at(1)))
    await made.flush()
    assert len(lines(tmp_path)) == 1


async def test_it_writes_each_second_while_it_runs(tmp_path: Path) -> None:
    clock = ManualClock()
    made = tape(tmp_path)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(made.run(clock.sleep))
        made(MAIN, Pulse(at=at()))
        await clock.advance(0.9)
        assert lines(tmp_path) == []
        await clock.advance(0.2)
        assert len(lines(tmp_path)) == 1
        running.cancel()
