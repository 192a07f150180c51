"""What the demo waits for before the market moves, and what it reads of the guard's words."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from guardd.demo import story
from guardd.demo.story import Tone
from guardd.demo.watch import Guarded, GuardedAccount, Log, LogLine, Status


def status(state: str = "live", *protected: bool) -> Status:
    held = tuple(Guarded(symbol=f"S{n}", side="long", protected=ok, next_rule=None) for n, ok in enumerate(protected))
    return Status(
        mode="enforce", accounts=(GuardedAccount(name="main", state=state, state_reason="why", positions=held),)
    )


@pytest.mark.parametrize(
    ("seen", "observe", "missing"),
    [
        (status("live", True, True), False, ""),
        (status("starting", True, True), False, "main is starting: why"),
        (status("live", True), False, "main shows 1 of 2 positions"),
        (status("live", True, False), False, "main has no verified stop yet for S1 long"),
        (status("live", False, False), True, ""),
        (Status(mode="enforce", accounts=()), False, "no account is shown"),
    ],
)
def test_the_market_stands_until_each_position_is_protected(seen: Status, observe: bool, missing: str) -> None:
    assert seen.waits_for(2, observe=observe) == missing


def test_a_line_that_is_being_written_is_read_when_it_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "daemon.log"
    log = Log(file=file)
    line = '{"event": "rule_fired", "why": "%s", "timestamp": "2026-11-21T11:35:08.233Z"}\n'
    file.write_text("not JSON\n" + line % "one" + (line % "two")[:20])
    assert [each.why for each in log.fresh()] == ["one"]
    file.write_text("not JSON\n" + line % "one" + line % "two")
    assert [each.why for each in log.fresh()] == ["two"]
    assert list(log.fresh()) == []


def test_rules_that_fire_and_warnings_are_shown_and_routine_is_not() -> None:
    at = datetime(2026, 11, 21, 11, 35, 8, 233_000, tzinfo=UTC)
    fired = story.say(LogLine(event="rule_fired", timestamp=at, why="reduce by 346"))
    assert fired is not None
    assert (fired.who, fired.tone, fired.text, fired.at_ms) == ("guard", Tone.TALK, "reduce by 346", 1795260908233)
    assert story.say(LogLine(event="told", level="critical", timestamp=at, why="unprotected")) is not None
    assert story.say(LogLine(event="told", level="info", timestamp=at, why="live")) is None
    assert story.say(LogLine(event="stop_loss_accepted", timestamp=at)) is None
