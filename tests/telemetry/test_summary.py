"""One message a day, from facts alone."""

from decimal import Decimal

from guardd.model.event import BlockKind
from guardd.model.facts import BlockChanged, Fact, ForcedExit, ForcedExitKind, RuleFired
from guardd.model.instant import Instant
from guardd.model.intent import Stage
from guardd.model.names import RuleName, Severity
from guardd.telemetry.summary import POSITIONS_SHOWN_MAX, DailySummary
from tests.changed import replace
from tests.telemetry.making import MAIN, START, WHO, key, position, said, staged, view

DAY = 86_400.0


def told(summary: DailySummary, *facts: Fact, at: Instant = START) -> list[str]:
    for fact in facts:
        summary(fact)
    return summary.take(at).text.splitlines()


def test_a_quiet_day_is_told_too() -> None:
    lines = told(DailySummary(START), view(position(unprotected_s=0.0)), at=START.later_by(DAY))
    assert lines == [
        "since 2026-01-01 00:00 UTC: no critical messages",
        f"main: live, {view().mode}, 1 position",
        f"  equity {view().equity:.2f} USDT (+0.00)",
        "  nearest to liquidation: BTCUSDT long, 8.7 % away",
        "  BTCUSDT long 0.1: 8.7 % from liquidation, stop verified",
    ]


def test_what_was_done_and_what_happened_is_counted_and_the_next_day_begins_at_zero() -> None:
    summary = DailySummary(START)
    fired = RuleFired(**WHO, key=key(), rule=RuleName("trim"), text="x")
    forced = ForcedExit(**WHO, key=key(), kind=ForcedExitKind.ADL)
    block = BlockChanged(**WHO, kind=BlockKind.EDGE, until_ms=5)
    near = position(distance_to_liquidation=Decimal("0.021"), unprotected_s=12.0, protected=False)
    first = view(near, equity=Decimal(1000))
    lines = told(
        summary,
        first,
        replace(first, equity=Decimal("890.5"), positions=(replace(near, distance_to_liquidation=Decimal("0.3")),)),
        fired,
        fired,
        forced,
        block,
        replace(block, until_ms=0),
        staged(Stage.SENT),
        staged(Stage.VERIFIED),
        said(Severity.CRITICAL),
        said(Severity.WARNING),
        at=START.later_by(DAY),
    )
    assert lines[0].endswith(": 1 critical message")
    assert lines[1].endswith("1 position, 1 of them unprotected")
    assert "  equity 890.50 USDT (-109.50)" in lines
    assert "  nearest to liquidation: BTCUSDT long, 2.1 % away" in lines
    assert "  without a verified stop for 12 s" in lines
    assert "  rules fired: trim 2" in lines
    assert "  ended by others: adl 1" in lines
    assert "  held back by the venue: 1 time" in lines
    assert any(line.startswith("  actions: ") and line.endswith("done 1") for line in lines)
    second = told(summary, at=START.later_by(2 * DAY))
    assert second[0] == "since 2026-01-02 00:00 UTC: no critical messages"
    assert second[2] == "  equity 890.50 USDT (+0.00)"
    assert not [line for line in second if "actions" in line or "rules" in line or "without a" in line]


def test_seconds_without_a_stop_are_those_of_this_day() -> None:
    summary = DailySummary(START)
    told(summary, view(position(unprotected_s=100.0)))
    lines = told(summary, view(position(unprotected_s=130.0)))
    assert "  without a verified stop for 30 s" in lines


def test_it_stays_short_whatever_is_held() -> None:
    many = [position(f"C{number}USDT") for number in range(POSITIONS_SHOWN_MAX + 3)]
    lines = told(DailySummary(START), view(*many))
    assert lines[-1] == "  and 3 more"


def test_it_is_a_message_of_its_own_edge_that_no_severity_filter_stops_from_being_queued() -> None:
    made = DailySummary(START).take(START.later_by(DAY))
    assert (made.severity, made.account, made.edge) == (Severity.INFO, None, "summary/2026-01-02 00:00")
    assert MAIN not in made.text
