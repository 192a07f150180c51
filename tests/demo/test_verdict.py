"""How it ended is read from the ledger alone, and can end either way."""

from decimal import Decimal

from guardd.demo import scenario, story
from guardd.demo.verdict import judge
from guardd.simulator.engine import Exchange
from guardd.simulator.ledger import LedgerRow, RowKind
from guardd.simulator.orders import OrderRequest, PlanKind, PlanRequest, Side
from tests.demo.course import BEGAN_MS, Hand, opened, played

PLAY = scenario.play(seed=2, seconds=scenario.SECONDS_MIN)


def close_everything(exchange: Exchange, uid: str) -> None:
    for position in exchange.query.positions(uid):
        order = OrderRequest(symbol=position.symbol, side=position.side.closing, size=position.size, reduce=True)
        exchange.place(uid, order, exchange.now_ms)


def at_the_crash(uid: str) -> Hand:
    def hand(exchange: Exchange, offset_ms: int) -> None:
        if offset_ms == PLAY.crash_ms:
            close_everything(exchange, uid)

    return hand


def test_a_guarded_account_that_closed_in_time_is_what_the_demo_is_for() -> None:
    exchange = played(PLAY, hand=at_the_crash(scenario.GUARDED))
    verdict = judge(exchange.ledger, began_ms=BEGAN_MS, end_ms=BEGAN_MS + PLAY.end_ms)
    assert verdict.guard_held
    assert verdict.guarded.liquidated == ()
    assert verdict.twin.liquidated == ("SOL", "BTC", "ETH")
    assert verdict.kept == exchange.query.balance(scenario.GUARDED).equity > Decimal(4_000)
    assert verdict.guarded.equity_before == verdict.twin.equity_before < scenario.DEPOSIT
    assert verdict.guarded.held == ()


def test_an_account_that_nobody_guarded_is_no_success() -> None:
    verdict = judge(played(PLAY).ledger, began_ms=BEGAN_MS, end_ms=BEGAN_MS + PLAY.end_ms)
    assert not verdict.guard_held
    assert verdict.guarded.liquidated == ("SOL", "BTC", "ETH")
    assert verdict.deeds == ()
    assert verdict.kept == 0
    assert verdict.unprotected_ms > 0


def test_a_twin_that_lives_proves_nothing() -> None:
    verdict = judge(opened().ledger, began_ms=BEGAN_MS, end_ms=BEGAN_MS)
    assert not verdict.guard_held
    assert verdict.guarded.held == ("1 BTC long", "6 ETH short", "100 SOL long")


def test_a_deed_says_when_what_and_the_marks_that_called_for_it() -> None:
    def hand(exchange: Exchange, offset_ms: int) -> None:
        if offset_ms == 0 and exchange.now_ms == BEGAN_MS:
            plan = PlanRequest(
                symbol="SOLUSDT",
                kind=PlanKind.STOP_LOSS,
                side=Side.SELL,
                reduce=True,
                trigger_price=Decimal("170"),
                client_id=f"gd1stop{len(exchange.query.open_plans(scenario.GUARDED))}",
            )
            if not exchange.query.open_plans(scenario.GUARDED):
                exchange.place_plan(scenario.GUARDED, plan, exchange.now_ms)

    exchange = played(PLAY, hand=hand)
    verdict = judge(exchange.ledger, began_ms=BEGAN_MS + 1, end_ms=BEGAN_MS + PLAY.end_ms)
    rested, closed = verdict.deeds[:2]
    assert rested.what == "stop at 170.00 rest for the SOL long"
    assert rested.offset_ms == -1
    fill = closing_fill(exchange)
    assert closed.what.startswith("the resting order closed 100 SOL of the SOL long at 1")
    assert closed.offset_ms == fill.at_ms - BEGAN_MS - 1
    assert closed.gained == fill.decimal("realized_pnl")
    assert f"mark {fill.details['mark']}" in closed.why
    assert closed.why.endswith("before liquidation")


def closing_fill(exchange: Exchange) -> LedgerRow:
    rows = exchange.ledger.rows(uid=scenario.GUARDED, kind=RowKind.FILL, symbol="SOLUSDT")
    return next(row for row in rows if story.is_closing(row))


def test_a_leg_without_a_stop_is_counted_from_the_start_of_the_play_to_its_end() -> None:
    exchange = opened()
    verdict = judge(exchange.ledger, began_ms=BEGAN_MS, end_ms=BEGAN_MS + 700)
    assert verdict.unprotected_ms == 700
