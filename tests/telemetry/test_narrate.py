"""The narrator: edges, not levels; a verb, an account, one sentence of why."""

from typing import Any

import pytest

from guardd.model.account import AccountCondition
from guardd.model.event import BlockKind, StreamName
from guardd.model.facts import (
    BlockChanged,
    ClockOffsetRead,
    Contested,
    Fact,
    ForcedExit,
    ForcedExitKind,
    JournalWritten,
    LoopLagged,
    Refused,
    RequestFinished,
    RequestResult,
    RuleFired,
    SnapshotTaken,
    StreamChanged,
)
from guardd.model.intent import Action, Stage
from guardd.model.names import OrderId, RuleName, Severity
from guardd.model.outcome import Accepted, Reason, Rejected, Unknown
from guardd.telemetry.fanout import Fanout
from guardd.telemetry.narrate import Narrator
from tests.telemetry.making import START, WHO, key, position, said, staged, view


class Book:
    """A logger that keeps what it was told."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, Any]]] = []

    def __getattr__(self, level: str) -> Any:
        return lambda verb, **fields: self.lines.append((level, verb, fields))

    def verbs(self) -> list[str]:
        return [verb for _, verb, _ in self.lines]


def told(*facts: Fact) -> Book:
    book = Book()
    narrator = Narrator(book)
    for fact in facts:
        narrator(fact)
    return book


def request(result: RequestResult) -> RequestFinished:
    return RequestFinished(**WHO, endpoint="/positions", result=result, seconds=0.1, detail="timed out")


def test_a_condition_is_told_when_it_changes_and_not_while_it_lasts() -> None:
    stale = view(condition=AccountCondition.STALE, condition_why="no mark for 16 s")
    book = told(view(), view(), stale, stale, view())
    assert [(level, verb) for level, verb, _ in book.lines] == [
        ("info", "account_live"),
        ("warning", "account_stale"),
        ("info", "account_live"),
    ]
    assert book.lines[1][2] == {"account": "main", "mode": "enforce", "why": "no mark for 16 s"}


def test_a_position_is_told_when_it_comes_loses_its_stop_gets_one_and_goes() -> None:
    naked = position(protected=False, stop_loss=None, protection_note="the venue refused it")
    book = told(
        view(), view(position()), view(position()), view(naked), view(naked), view(position()), view(), view(position())
    )
    assert book.verbs() == [
        "account_live",
        "position_seen",
        "position_protected",
        "position_unprotected",
        "position_protected",
        "position_gone",
        "position_seen",
        "position_protected",
    ]
    level, _, fields = book.lines[3]
    assert level == "warning"
    assert fields == {"account": "main", "position": "BTCUSDT/long", "why": "the venue refused it"}


def test_a_failing_endpoint_is_told_once_and_again_when_it_is_fine() -> None:
    ok, slow = request(RequestResult.OK), request(RequestResult.TIMEOUT)
    assert told(ok, ok, slow, slow, ok, ok).verbs() == ["request_failing", "request_fine"]
    assert told(slow, request(RequestResult.CLOUDFLARE)).verbs() == ["request_failing", "request_failing"]


@pytest.mark.parametrize(
    ("fact", "level", "verb", "why"),
    [
        (staged(Stage.DECIDED), "info", "reduce_decided", "the distance fell below 8 %"),
        (staged(Stage.SENT), "debug", "reduce_sent", "the distance fell below 8 %"),
        (staged(Stage.ACCEPTED, Accepted(order_id=OrderId("7"), sent_ns=1)), "info", "reduce_accepted", "order 7"),
        (
            staged(Stage.REJECTED, Rejected(reason=Reason.BALANCE, code="40012", text="no")),
            "warning",
            "reduce_rejected",
            "balance (code 40012: no)",
        ),
        (staged(Stage.UNKNOWN, Unknown(why="timed out")), "warning", "reduce_unknown", "timed out"),
        (staged(Stage.FAILED, action=Action.STOP_LOSS), "error", "stop_loss_failed", "the distance fell below 8 %"),
    ],
)
def test_each_stage_of_an_intent_is_a_line_with_its_reason(fact: Fact, level: str, verb: str, why: str) -> None:
    (line,) = told(fact).lines
    assert line[:2] == (level, verb)
    assert line[2] == {"account": "main", "position": "BTCUSDT/long", "rule": "trim", "id": "gd1abc", "why": why}


def test_a_reaction_is_told_in_milliseconds() -> None:
    (line,) = told(staged(Stage.SENT, reaction_s=0.000185)).lines
    assert line[2]["reaction_ms"] == 0.185


def refused(why: str) -> Refused:
    return Refused(**WHO, key=key(), rule=RuleName("trim"), action=Action.REDUCE, why=why)


def test_a_refusal_that_comes_with_each_tick_is_told_once_until_its_words_change() -> None:
    book = told(refused("30 of 30 orders"), refused("31.5 of 30 orders"), refused("not armed"), refused("not armed"))
    assert [fields["why"] for _, _, fields in book.lines] == ["30 of 30 orders", "not armed"]
    again = told(refused("a"), staged(Stage.SENT), refused("a"))
    assert again.verbs() == ["reduce_refused", "reduce_sent", "reduce_refused"]


def test_streams_blocks_clock_and_loop_are_told_at_their_edges() -> None:
    def stream(up: bool) -> StreamChanged:
        return StreamChanged(**WHO, stream=StreamName.PUBLIC, up=up, why="why")

    def block(until_ms: int) -> BlockChanged:
        return BlockChanged(**WHO, kind=BlockKind.EDGE, until_ms=until_ms)

    def clock(offset_ms: int) -> ClockOffsetRead:
        return ClockOffsetRead(**WHO, offset_ms=offset_ms)

    assert told(stream(True), stream(True), stream(False)).verbs() == ["stream_up", "stream_down"]
    assert told(block(5), block(6), block(0)).verbs() == ["block_began", "block_ended"]
    assert told(clock(20), clock(-1500), clock(-1600), clock(5)).verbs() == ["clock_skewed", "clock_true"]
    lagged = [LoopLagged(seconds=seconds) for seconds in (0.01, 0.5, 0.6, 0.01)]
    assert told(*lagged).verbs() == ["loop_lagged", "loop_on_time"]
    assert told(view(), view(venue_closing=True), view(venue_closing=True)).verbs() == ["account_live", "venue_closing"]


def test_what_is_said_to_people_is_logged_at_its_severity_once() -> None:
    book = told(said(Severity.CRITICAL), said(Severity.CRITICAL), said(Severity.INFO, "other"))
    assert [(level, fields["about"]) for level, _, fields in book.lines] == [("critical", "edge"), ("info", "other")]


def test_rules_forced_exits_and_contests_are_events_each_time() -> None:
    facts: list[Fact] = [
        RuleFired(**WHO, key=None, rule=RuleName("trim"), text="fired"),
        ForcedExit(**WHO, key=key(), kind=ForcedExitKind.LIQUIDATION),
        Contested(**WHO, key=key(), why="reopened"),
    ]
    assert told(*facts, *facts).verbs() == ["rule_fired", "forced_exit", "contested"] * 2


def test_what_happens_all_the_time_is_no_line() -> None:
    assert told(JournalWritten(seconds=1, records=1), SnapshotTaken(**WHO, at=START)).lines == []


def test_a_fanout_hands_each_fact_to_all_in_order() -> None:
    heard: list[str] = []
    fanout = Fanout(lambda fact: heard.append("first"))
    fanout.add(lambda fact: heard.append("second"))
    fanout(view())
    assert heard == ["first", "second"]
