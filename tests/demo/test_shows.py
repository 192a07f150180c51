"""The same moment on a terminal and without one."""

import io
from decimal import Decimal

import pytest
from rich.console import Console

from guardd.demo import scenario
from guardd.demo.frame import Frame, Show
from guardd.demo.plain import Plain
from guardd.demo.screen import Screen
from guardd.demo.story import Line, Tone
from guardd.demo.watch import Account, Balance, Plan, Position, Quote, Venue
from guardd.simulator.orders import MarginMode, PlanKind, PositionSide, Side

ESCAPE = "\x1b"
ADDRESS = "http://127.0.0.1:40001"
STOP = Plan(symbol="BTCUSDT", kind=PlanKind.STOP_LOSS, side=Side.SELL, trigger_price=Decimal("84738.6"))


def account(*plans: Plan) -> Account:
    long = Position(
        symbol="BTCUSDT",
        side=PositionSide.LONG,
        margin_mode=MarginMode.CROSS,
        size=Decimal(635),
        mark_price=Decimal(86_400),
        liquidation_price=Decimal("84672"),
    )
    return Account(balance=Balance(equity=Decimal("8123.4")), positions=(long,), plans=plans)


def frame(offset_ms: int = 12_345) -> Frame:
    marks = {"BTCUSDT": Decimal(86_400), "ETHUSDT": Decimal(3_050), "SOLUSDT": Decimal(170)}
    venue = Venue(
        now_ms=0,
        quotes={symbol: Quote(mark=mark) for symbol, mark in marks.items()},
        accounts={scenario.GUARDED: account(STOP), scenario.TWIN: account()},
    )
    play = scenario.play(seed=1, seconds=scenario.SECONDS)
    return Frame(offset_ms=offset_ms, play=play, venue=venue, status=None, feed_silent=False)


def shown(make: type[Screen] | type[Plain], *, terminal: bool, width: int = 80, height: int = 24) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, height=height, force_terminal=terminal)
    show: Show = Screen(console, ADDRESS) if make is Screen else Plain(console)
    show.line(Line(at_ms=0, who="twin", tone=Tone.HURT, text="LIQUIDATED: SOL (isolated)"), 11_900)
    show.frame(frame())
    show.end()
    return out.getvalue()


def test_without_a_terminal_there_are_plain_lines_and_nothing_moves() -> None:
    text = shown(Plain, terminal=False)
    assert ESCAPE not in text
    assert "  11.9 s twin   LIQUIDATED: SOL (isolated)" in text.splitlines()
    assert "market the market slides: BTC 86,400.0 (−4.0 %), ETH 3,050.00 (−4.7 %), SOL 170.00 (−5.6 %)" in text
    assert "main   equity 8,123 USDT; BTC long cross 2.0 % from liquidation, stop at 84,738.6" in text
    assert "twin   equity 8,123 USDT; BTC long cross 2.0 % from liquidation, no stop" in text


def test_plain_lines_come_every_few_seconds_not_with_each_look() -> None:
    out = io.StringIO()
    show = Plain(Console(file=out, width=80, force_terminal=False))
    for offset_ms in range(12_000, 15_000, 200):
        show.frame(frame(offset_ms))
    assert out.getvalue().count("the market slides") == 1


@pytest.mark.parametrize(("width", "height"), [(80, 24), (200, 50)])
def test_the_picture_holds_both_accounts_events_and_the_address_within_the_terminal(width: int, height: int) -> None:
    text = shown(Screen, terminal=True, width=width, height=height)
    for words in ("main (guarded)", "twin (nobody guards it)", "84,738.6", "no stop", "LIQUIDATED", ADDRESS):
        assert words in text
    assert text[: text.index(ADDRESS)].count("\n") < height - 1


def test_no_color_leaves_words_and_takes_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    assert f"{ESCAPE}[1;31m" in shown(Screen, terminal=True) or f"{ESCAPE}[31m" in shown(Screen, terminal=True)
    monkeypatch.setenv("NO_COLOR", "1")
    text = shown(Screen, terminal=True)
    assert "LIQUIDATED" in text
    assert not any(f"{ESCAPE}[{code}m" in text for code in ("31", "1;31", "32", "33", "36"))
