import json

from guardd.simulator.ledger import RowKind
from guardd.simulator.orders import CancelCause, PlanKind, PositionMode
from guardd.simulator.refusals import Refused
from guardd.simulator.terms import Terms
from guardd.simulator.truth import (
    exposure_increases,
    most_live_stops,
    repeated_client_ids,
    unprotected_ms,
    unprotected_spans,
)
from tests.simulator.engine.stage import BTC, LONG, SHORT, d, stage


def test_every_row_survives_json_and_rows_are_in_order() -> None:
    made = stage()
    made.buy(10, client_id="one")
    made.plan(85000)
    made.mark(84000)
    rows = made.exchange.ledger.rows()
    assert [json.loads(json.dumps(row.as_json())) for row in rows] == [row.as_json() for row in rows]
    sequences = [row.sequence for row in rows]
    assert sequences == sorted(set(sequences))
    assert {RowKind.ACCOUNT, RowKind.FLOW, RowKind.ORDER_ACCEPTED, RowKind.FILL, RowKind.PLAN} <= {r.kind for r in rows}


def test_a_fill_tells_the_position_before_and_after_it() -> None:
    made = stage(position_mode=PositionMode.ONE_WAY)
    made.buy(10)
    made.sell(15)
    fills = [(row.decimal("before"), row.decimal("after")) for row in made.exchange.ledger.rows(kind=RowKind.FILL)]
    assert fills == [(0, 10), (10, -5)]


def test_refusals_are_on_record_with_their_client_id() -> None:
    made = stage()
    for _ in range(2):
        try:
            made.sell(1, reduce=True, client_id="guess")
        except Refused:
            continue
    rows = made.exchange.ledger.rows(uid="a", kind=RowKind.REFUSED)
    assert [row.details["client_id"] for row in rows] == ["guess", "guess"]


def test_the_equity_series_keeps_edges_and_thins_price_moves() -> None:
    made = stage()
    made.buy(10)
    count = len(made.exchange.ledger.equity_series("a"))
    for price in range(90001, 90051):
        made.mark(price)
    assert len(made.exchange.ledger.equity_series("a")) == count
    made.mark(91000, after_ms=100)
    assert len(made.exchange.ledger.equity_series("a")) == count + 1
    assert made.exchange.ledger.equity_at("a", made.now_ms) == made.exchange.query.balance("a").equity
    assert made.exchange.ledger.equity_at("a", 0) is None


def test_the_summary_adds_up_to_the_equity_when_flat() -> None:
    made = stage()
    made.buy(10)
    made.plan(85000)
    made.exchange.settle_funding(BTC, d("0.0001"), made.tick())
    made.mark(84000)
    summary = made.exchange.ledger.summary("a")
    parts = (summary.deposits, summary.realized_pnl, summary.commission, summary.funding, summary.liquidation)
    assert sum(parts) == summary.equity_last == made.exchange.query.balance("a").equity
    assert (summary.plans_placed, summary.plans_triggered, summary.fills, summary.liquidations) == (1, 1, 2, 0)


# Verdicts


def test_an_opening_by_the_guards_prefix_is_found_and_a_users_is_not() -> None:
    made = stage()
    made.buy(10, client_id="user1")
    assert exposure_increases(made.exchange.ledger, "a", "gd") == []
    made.sell(5, reduce=True, client_id="gd1")
    assert exposure_increases(made.exchange.ledger, "a", "gd") == []
    made.buy(1, client_id="gd2")
    assert [row.details["client_id"] for row in exposure_increases(made.exchange.ledger, "a", "gd")] == ["gd2"]


def test_a_flip_counts_as_an_increase_even_when_it_ends_smaller() -> None:
    made = stage(position_mode=PositionMode.ONE_WAY)
    made.buy(10)
    made.sell(11, client_id="gd1")
    assert len(exposure_increases(made.exchange.ledger, "a", "gd")) == 1


def test_a_client_id_accepted_twice_is_found() -> None:
    made = stage()
    made.buy(1, client_id="gd1")
    made.buy(1, client_id="gd2")
    assert repeated_client_ids(made.exchange.ledger, "a", "gd") == ()
    made.buy(1, client_id="gd1")
    assert repeated_client_ids(made.exchange.ledger, "a", "gd") == ("gd1",)


def test_seconds_without_a_stop_are_counted_to_the_millisecond() -> None:
    made = stage()
    made.buy(10)
    opened = made.now_ms
    made.now_ms += 499
    plan = made.plan(85000)
    made.now_ms += 1_000
    made.exchange.cancel_plan("a", plan.plan_id, made.tick())
    cancelled = made.now_ms
    made.now_ms += 299
    made.sell(10, reduce=True)
    spans = unprotected_spans(made.exchange.ledger, "a", BTC, LONG, until_ms=made.now_ms + 10_000)
    assert spans == [(opened, opened + 500), (cancelled, cancelled + 300)]
    assert unprotected_ms(made.exchange.ledger, "a", BTC, LONG, until_ms=made.now_ms) == 800
    assert unprotected_ms(made.exchange.ledger, "a", BTC, SHORT, until_ms=made.now_ms) == 0


def test_stops_that_do_not_cover_all_of_it_do_not_protect() -> None:
    made = stage()
    made.buy(10)
    made.plan(85000, size=6)
    made.plan(95000, kind=PlanKind.TAKE_PROFIT)
    half = made.now_ms
    made.now_ms += 99
    made.plan(85000, size=4)
    made.now_ms += 1_000
    spans = unprotected_spans(made.exchange.ledger, "a", BTC, LONG, until_ms=made.now_ms)
    assert [end for _, end in spans] == [half + 100]


def test_the_most_stops_that_rested_at_once_are_counted() -> None:
    made = stage()
    made.buy(10)
    first = made.plan(85000, client_id="gd1")
    made.plan(86000, size=10, client_id="gd2")
    made.exchange.modify_plan("a", first.plan_id, made.tick(), trigger_price=d(85500))
    made.exchange.cancel_plan("a", first.plan_id, made.tick())
    made.plan(86500, size=10, client_id="user")
    assert most_live_stops(made.exchange.ledger, "a", BTC, LONG) == 2
    assert most_live_stops(made.exchange.ledger, "a", BTC, LONG, client_id_prefix="user") == 1


def test_time_never_runs_backwards_at_the_venue() -> None:
    made = stage()
    late = made.now_ms
    made.exchange.move(BTC, mark=d(90001), now_ms=late - 5_000)
    assert made.exchange.now_ms == late


def test_a_switch_may_take_plans_along_where_the_terms_say_so() -> None:
    made = stage(terms=Terms(cancel_all_takes_plans=True))
    made.buy(10)
    order = made.buy(1, "80000")
    made.plan(85000)
    made.exchange.arm_cancel_all("a", BTC, made.now_ms + 10, made.now_ms)
    made.exchange.advance(made.now_ms + 10)
    assert made.exchange.query.open_plans("a") == ()
    assert made.exchange.query.order("a", order_id=order.order_id).cancel_cause is CancelCause.TIMED
