"""What the guard's looks leave behind: doubts about the account, before and after an episode was found sound (I29)."""

from guardd.daemon.lookout import Lookout
from guardd.model.event import BlockKind, BlockMoved, MarkSeen, PositionsPushed, Source
from guardd.model.fold import fold
from guardd.model.reading import Absent
from tests.daemon.test_guard import pushed
from tests.execution.bench import BTC, LONG, Bench, D, position


async def sound() -> tuple[Bench, Lookout]:
    """A position that a cross-check found nothing against."""
    bench = Bench()
    await bench.hold(position())
    fold(bench.state, MarkSeen(BTC, D(100), bench.now, source=Source.STREAM))
    fold(bench.state, PositionsPushed(at=bench.now, updates=(pushed(),)))
    lookout = Lookout(bench.state)
    assert lookout.cross_check(bench.now) == ()
    assert lookout.doubts(LONG) == ()
    return bench, lookout


async def test_I29_a_position_mode_that_was_not_read_for_a_minute_holds_the_first_close_back() -> None:
    bench, lookout = await sound()
    bench.clock.pass_time(61)
    lookout.cross_check(bench.now)
    [doubt] = lookout.doubts(LONG)
    assert "position mode" in doubt


async def test_I29_while_a_block_holds_reads_back_the_mode_that_was_last_read_serves() -> None:
    """A protective close is tried through a Cloudflare block for as long as the breach lasts (interfaces 6)."""
    bench, lookout = await sound()
    bench.clock.pass_time(61)
    fold(bench.state, BlockMoved(at=bench.now, kind=BlockKind.EDGE, until=bench.now.later_by(30)))
    lookout.cross_check(bench.now)
    assert lookout.doubts(LONG) == ()


async def test_I29_what_is_proved_wrong_takes_a_sound_episode_back() -> None:
    bench, lookout = await sound()
    await bench.hold(position(notional=D(1), liquidation_price=Absent.UNKNOWN))
    lookout.cross_check(bench.now)
    assert lookout.doubts(LONG) != ()
