"""Laws that hold whatever clients and prices do: a random client against a random market, every law after every step."""

from collections.abc import Callable
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardd.simulator.accounts import money
from guardd.simulator.happenings import BalanceChanged, PositionChanged
from guardd.simulator.ledger import RowKind
from guardd.simulator.orders import MarginMode, OrderKind, PlanKind, PositionMode, PositionSide, Side, TimeInForce
from guardd.simulator.records import FlowKind, TransferDirection
from guardd.simulator.refusals import Refused
from guardd.simulator.terms import FillModel, LeverageChange, Terms
from tests.simulator.engine.stage import BTC, Stage, d, stage

STEPS = 60


def act(made: Stage, rng: Random) -> None:
    """One random step: mostly sensible, sometimes absurd; a refusal is an answer like any other."""
    side = rng.choice(list(Side))
    size = rng.choice([1, 3, 10, 50, 200])
    price = str(made_mark(made) + rng.randrange(-200, 200) * 10)
    leg = rng.choice(list(PositionSide))
    steps: list[Callable[[], object]] = [
        lambda: made.order(side, size, reduce=rng.random() < 0.5),
        lambda: made.order(side, size, price=price, reduce=rng.random() < 0.5, force=rng.choice(list(TimeInForce))),
        lambda: made.plan(price, closes=leg, size=rng.choice([None, size]), kind=rng.choice(list(PlanKind)[:2])),
        lambda: made.mark(str(made_mark(made) * rng.choice([980, 995, 1000, 1003, 1020]) // 1000)),
        lambda: made.mark(str(made_mark(made) * rng.choice([900, 1100]) // 1000)),
        lambda: made.exchange.settle_funding(BTC, Decimal(rng.randrange(-50, 50)) / 10_000, made.tick()),
        lambda: made.exchange.advance(made.now_ms + 50),
        lambda: made.exchange.set_leverage("a", BTC, made.tick(), leverage=Decimal(rng.randrange(1, 60))),
        lambda: made.exchange.add_margin("a", BTC, leg, Decimal(rng.randrange(-100, 100)), made.tick()),
        lambda: made.exchange.transfer("a", rng.choice(list(TransferDirection)), d(rng.randrange(1, 500)), made.tick()),
        lambda: made.exchange.cancel_all("a", BTC, made.tick()),
        lambda: made.exchange.auto_deleverage("a", BTC, leg, d(size), made.tick()),
    ]
    weights = [8, 8, 3, 10, 1, 1, 3, 1, 1, 1, 1, 1]
    try:
        rng.choices(steps, weights)[0]()
    except Refused:
        made.tick()


def made_mark(made: Stage) -> int:
    quote = made.exchange.query.quote(BTC)
    assert quote is not None
    return int(quote.mark)


def play(seed: int, check: Callable[[Stage], None]) -> Stage:
    rng = Random(seed)
    made = stage(
        deposit=str(rng.choice([500, 3_000, 50_000])),
        spot="1000",
        leverage=rng.choice([5, 20, 50]),
        margin_mode=rng.choice(list(MarginMode)),
        position_mode=rng.choice(list(PositionMode)),
        terms=Terms(
            forfeit=rng.random() < 0.5,
            partial_liquidation=rng.random() < 0.3,
            leverage_change=rng.choice(list(LeverageChange)),
            sweep_plans_when_flat=rng.random() < 0.5,
        ),
        fills=rng.choice(
            [
                FillModel(),
                FillModel(level_size=d(20)),
                FillModel(slices=3, slice_interval_ms=40, resting_share=d("0.4")),
            ]
        ),
    )
    for _ in range(STEPS):
        act(made, rng)
        check(made)
    return made


def money_is_conserved(made: Stage) -> None:
    """The wallet is the sum of its flows; the flows are what the fills, recomputed here from prices alone, say."""
    query = made.exchange.query
    balance = query.balance("a")
    flows = query.flows("a")
    assert balance.wallet == sum(flow.amount for flow in flows)
    assert balance.equity == balance.wallet + balance.unrealized
    # Cash view: every fill moves cash by −signed notional; what is held is worth its mark. No averages involved.
    cash = Decimal(0)
    for row in made.exchange.ledger.rows(uid="a", kind=RowKind.FILL):
        sign = 1 if row.details["side"] == "buy" else -1
        cash -= sign * money(row.decimal("size") * Decimal("0.001") * row.decimal("price"))
    held = sum((p.side.sign * p.notional_mark for p in query.positions("a")), Decimal(0))
    profit = sum(flow.amount for flow in flows if flow.kind in (FlowKind.REALIZED_PNL, FlowKind.LIQUIDATION))
    # The insurance fund holds exactly what liquidations took beyond (or paid instead of) the positions' own result.
    tolerance = Decimal("1e-9")
    assert abs(profit + made.exchange.insurance["USDT"] + balance.unrealized - (cash + held)) < tolerance


def positions_are_sound(made: Stage) -> None:
    query = made.exchange.query
    for position in query.positions("a"):
        assert position.size > 0
        assert 0 <= position.frozen_size <= position.size
        assert position.notional_entry > 0
    if query.position_mode("a") is PositionMode.ONE_WAY:
        assert len(query.positions("a", BTC)) <= 1
    assert all(order.remaining > 0 for order in query.open_orders("a"))
    assert query.balance("a").available >= 0


def nothing_due_is_left_unliquidated(made: Stage) -> None:
    fee = Decimal("0.0006")
    cross = [p for p in made.exchange.query.positions("a") if p.margin_mode is MarginMode.CROSS]
    for position in made.exchange.query.positions("a"):
        if position.margin_mode is MarginMode.ISOLATED:
            behind = position.margin + position.unrealized_pnl
            assert behind > position.maintenance_margin + fee * position.notional_mark
    if cross:
        burden = sum(p.maintenance_margin + fee * p.notional_mark for p in cross)
        assert made.exchange.query.balance("a").cross_balance > burden


def no_close_increases_exposure(made: Stage) -> None:
    for row in made.exchange.ledger.rows(uid="a", kind=RowKind.FILL):
        if row.details["reduce"]:
            before, after = row.decimal("before"), row.decimal("after")
            assert abs(after) < abs(before)
            assert before * after >= 0


@settings(deadline=None)
@given(seed=st.integers(0, 2**32))
def test_every_law_holds_after_every_step(seed: int) -> None:
    def laws(made: Stage) -> None:
        money_is_conserved(made)
        positions_are_sound(made)
        nothing_due_is_left_unliquidated(made)

    no_close_increases_exposure(play(seed, laws))


@settings(deadline=None)
@given(seed=st.integers(0, 2**32))
def test_what_is_told_last_is_what_can_be_read(seed: int) -> None:
    made = play(seed, lambda _: None)
    last = [event.balance for event in made.heard if isinstance(event, BalanceChanged)][-1]
    assert last.wallet == made.exchange.query.balance("a").wallet
    sizes = {
        (event.position.symbol, event.position.side): event.position.size
        for event in made.heard
        if isinstance(event, PositionChanged)
    }
    held = {(p.symbol, p.side): p.size for p in made.exchange.query.positions("a")}
    assert {key: size for key, size in sizes.items() if size} == held
    sequences = [event.sequence for event in made.heard]
    assert sequences == sorted(set(sequences))


@pytest.mark.parametrize("seed", range(5))
def test_the_same_seed_plays_the_same_game(seed: int) -> None:
    one, two = play(seed, lambda _: None), play(seed, lambda _: None)
    assert one.heard == two.heard
    rows = [[row.as_json() for row in made.exchange.ledger.rows()] for made in (one, two)]
    assert rows[0] == rows[1]


@settings(deadline=None)
@given(
    kinds=st.lists(st.sampled_from([OrderKind.MARKET, OrderKind.LIMIT]), min_size=1, max_size=6),
    mode=st.sampled_from(list(PositionMode)),
)
def test_when_flat_equity_is_deposits_plus_every_flow(kinds: list[OrderKind], mode: PositionMode) -> None:
    made = stage(position_mode=mode)
    for kind in kinds:
        made.buy(7, "90000" if kind is OrderKind.LIMIT else None)
        made.mark(made_mark(made) + 37)
    made.exchange.settle_funding(BTC, d("0.0003"), made.tick())
    made.sell(7 * len(made.exchange.query.trades("a")), reduce=True)
    summary = made.exchange.ledger.summary("a")
    assert made.exchange.query.positions("a") == ()
    total = summary.deposits + summary.realized_pnl + summary.commission + summary.funding + summary.liquidation
    assert made.exchange.query.balance("a").equity == total


@settings(deadline=None)
@given(
    leverage=st.integers(1, 100),
    mode=st.sampled_from(list(MarginMode)),
    sizes=st.lists(st.integers(1, 8_000), min_size=1, max_size=4),
    apart=st.integers(-800, 800),
    side=st.sampled_from(list(Side)),
)
def test_an_opening_that_is_accepted_is_not_liquidated_at_the_same_prices(
    leverage: int, mode: MarginMode, sizes: list[int], apart: int, side: Side
) -> None:
    made = stage(deposit="60000", leverage=leverage, margin_mode=mode)
    made.mark(90000, last=str(90000 + apart))
    for size in sizes:
        try:
            made.order(side, size)
        except Refused:
            continue
    assert not made.exchange.ledger.rows(kind=RowKind.LIQUIDATED)


def test_stepping_down_through_tiers_conserves_money() -> None:
    made = stage(deposit="2000000", leverage=20, terms=Terms(partial_liquidation=True))
    made.buy(50_000)
    for price in range(87_000, 80_000, -100):
        made.mark(price)
        money_is_conserved(made)
        nothing_due_is_left_unliquidated(made)
    partial = [row.details["partial"] for row in made.exchange.ledger.rows(kind=RowKind.LIQUIDATED)]
    assert partial[0] is True
    assert partial[-1] is False
