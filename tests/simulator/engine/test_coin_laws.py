"""Laws over several coins: conservation in each, a pool that is worth what its coins are, closes that never turn."""

from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from guardd.simulator.accounts import money
from guardd.simulator.coins import Coin
from guardd.simulator.contracts import Contract
from guardd.simulator.ledger import RowKind
from guardd.simulator.orders import MarginMode, PlanKind, PositionMode, PositionSide, Side
from guardd.simulator.records import AccountKind, FlowKind, PositionView, TransferDirection
from guardd.simulator.refusals import Refused
from guardd.simulator.terms import FillModel, RestingCloses, Terms
from tests.simulator.engine.stage import BTC, ETH, PERP, Stage, d, stage

STEPS = 50
Held = tuple[PositionView, ...]
SYMBOLS = (BTC, PERP, ETH)
TINY = Decimal("1e-9")


def mark_of(made: Stage, symbol: str) -> Decimal:
    quote = made.exchange.query.quote(symbol)
    assert quote is not None
    return quote.mark


def act(made: Stage, rng: Random) -> None:
    """One random step of a trader, the market or the exchange; a refusal is an answer like any other."""
    symbol = rng.choice(SYMBOLS)
    side = rng.choice(list(Side))
    leg = next((p.side for p in made.exchange.query.positions("a", symbol)), PositionSide.LONG)
    size = rng.choice([5, 20, 100, 400]) * (30 if symbol == ETH else 1)
    mark = mark_of(made, symbol)
    tick = made.exchange.query.contract(symbol).tick
    price = str((mark * rng.randrange(980, 1021) / 1000 / tick).to_integral_value() * tick)
    coin = rng.choice(["USDT", "USDC", "BTC"])
    steps: list[Callable[[], object]] = [
        lambda: made.order(side, size, symbol=symbol),
        lambda: made.order(side, size, price=price, symbol=symbol),
        lambda: made.order(leg.closing, size, reduce=True, symbol=symbol),
        lambda: made.order(leg.closing, size, price=price, reduce=True, symbol=symbol),
        lambda: made.plan(
            price, closes=leg, size=rng.choice([None, size]), kind=rng.choice(list(PlanKind)[:2]), symbol=symbol
        ),
        lambda: made.mark(str(mark * rng.choice([980, 995, 1000, 1004, 1020]) / 1000), symbol=symbol),
        lambda: made.mark(str(mark * rng.choice([850, 930, 1070, 1150]) / 1000), symbol=symbol),
        lambda: made.exchange.settle_funding(symbol, Decimal(rng.randrange(-50, 50)) / 10_000, made.tick()),
        lambda: made.exchange.close_position("a", symbol, leg, made.tick()),
        lambda: made.exchange.set_leverage("a", symbol, made.tick(), leverage=Decimal(rng.randrange(1, 60))),
        lambda: made.exchange.set_leverage("a", symbol, made.tick(), margin_mode=rng.choice(list(MarginMode))),
        lambda: made.exchange.add_margin("a", symbol, leg, Decimal(rng.randrange(-100, 100)), made.tick()),
        lambda: made.exchange.set_auto_margin("a", symbol, leg, made.tick(), on=rng.random() < 0.7),
        lambda: made.exchange.transfer(
            "a", rng.choice(list(TransferDirection)), d(rng.randrange(1, 500)), made.tick(), coin
        ),
        lambda: made.exchange.grant("a", Decimal(rng.randrange(1, 20)) / 1000, made.tick(), "BTC"),
        lambda: made.exchange.set_coin(Coin(name="USDC", price=Decimal(rng.randrange(90, 101)) / 100), made.tick()),
        lambda: made.exchange.cancel_all("a", symbol, made.tick()),
        lambda: made.exchange.auto_deleverage("a", symbol, leg, d(size), made.tick()),
    ]
    with suppress(Refused):
        rng.choices(steps, [14, 8, 3, 4, 3, 10, 5, 1, 1, 1, 1, 1, 2, 1, 0.5, 1, 0.5, 0.5])[0]()


def play(seed: int, check: Callable[[Stage, Held], None]) -> Stage:
    rng = Random(seed)
    made = stage(
        deposit=str(rng.choice([300, 2_000, 20_000])),
        deposits={"USDC": d(rng.choice([0, 1_500, 10_000])), "BTC": d(rng.choice(["0", "0.02", "0.3"]))},
        spot="1000",
        kind=rng.choice(list(AccountKind)),
        leverage=rng.choice([20, 50, 50]),
        margin_mode=rng.choice([MarginMode.CROSS, MarginMode.CROSS, MarginMode.ISOLATED]),
        position_mode=rng.choice(list(PositionMode)),
        terms=Terms(
            forfeit=rng.random() < 0.5,
            partial_liquidation=rng.random() < 0.4,
            partial_isolated=rng.random() < 0.5,
            partial_tiers=rng.choice([1, 2]),
            net_hedges_first=rng.random() < 0.5,
            liquidation_cancels_all=rng.random() < 0.5,
            larger_side_counts=rng.random() < 0.5,
            orders_need_maintenance=rng.random() < 0.5,
            cross_margin_at_mark=rng.random() < 0.5,
            one_way_closes=rng.choice(list(RestingCloses)),
            hedge_closes=rng.choice(list(RestingCloses)),
            position_plan_replaces=rng.random() < 0.5,
            order_sets_leverage=rng.random() < 0.5,
        ),
        fills=rng.choice([FillModel(), FillModel(slices=3, slice_interval_ms=40, resting_share=d("0.4"))]),
    )
    made.mark(90000, symbol=PERP)
    made.mark(3000, symbol=ETH)
    for _ in range(STEPS):
        act(made, rng)
        check(made, made.exchange.query.positions("a"))
    return made


def each_coin_is_conserved(made: Stage) -> None:
    """A wallet is the sum of its flows, and what trading and takeovers moved is what the fills' prices alone say."""
    query = made.exchange.query
    for balance in query.balances("a"):
        flows = query.flows("a", coin=balance.coin)
        assert balance.wallet == sum(flow.amount for flow in flows)
        assert balance.equity == balance.wallet + balance.unrealized
        cash = Decimal(0)
        for row in made.exchange.ledger.rows(uid="a", kind=RowKind.FILL):
            if row.details["coin"] == balance.coin:
                sign = 1 if row.details["side"] == "buy" else -1
                cash -= sign * money(row.decimal("size") * Decimal("0.001") * row.decimal("price"))
        positions = [position for position in query.positions("a") if position.coin == balance.coin]
        held = sum((p.side.sign * p.notional_mark for p in positions), Decimal(0))
        profit = sum(flow.amount for flow in flows if flow.kind in (FlowKind.REALIZED_PNL, FlowKind.LIQUIDATION))
        insured = made.exchange.insurance[balance.coin]
        assert abs(profit + insured + balance.unrealized - (cash + held)) < TINY


def conversions_are_fair(made: Stage) -> None:
    """What one coin pays of another's debt is worth what it pays, at that moment's prices."""
    rows = made.exchange.ledger.rows(uid="a", kind=RowKind.FLOW)
    moved = [row.decimal("value") for row in rows if row.details["flow"] == FlowKind.CONVERSION.value]
    for paid, spent in zip(moved[::2], moved[1::2], strict=True):
        assert abs(paid + spent) < Decimal("1e-6")
        assert paid > 0 > spent


def the_pool_is_worth_its_coins(made: Stage, held: Held) -> None:
    """Recomputed from what can be read: positions, orders and coins."""
    query = made.exchange.query
    if query.account_kind("a") is not AccountKind.UNIFIED:
        return
    pool = query.pool("a")
    crossed = [position for position in held if position.margin_mode is MarginMode.CROSS]
    effective, equity = Decimal(0), Decimal(0)
    for balance in query.balances("a"):
        coin = next(each for each in query.coins() if each.name == balance.coin)
        own = sum((p.unrealized_pnl for p in crossed if p.coin == balance.coin), Decimal(0))
        usd = (balance.wallet - balance.isolated_margin + own) * query.usd_price(balance.coin)
        effective += usd if usd <= 0 else min(coin.haircuts, key=lambda h: h.from_usd).ratio * usd
        equity += balance.equity * query.usd_price(balance.coin)
    assert abs(pool.effective - effective) < TINY
    assert abs(pool.equity - equity) < TINY
    burden = sum((demand(made, symbol, held) for symbol in SYMBOLS), Decimal(0))
    assert abs(pool.maintenance - burden) < TINY
    assert pool.maintenance == 0 or pool.effective > pool.maintenance


def demand(made: Stage, symbol: str, positions: Held) -> Decimal:
    """Maintenance and closing fee of one contract in USD, by the terms in force."""
    query, terms = made.exchange.query, made.exchange.terms
    sizes = {side: Decimal(0) for side in PositionSide}
    held = {position.side: position.size for position in positions if position.symbol == symbol}
    for position in positions:
        if position.symbol == symbol and position.margin_mode is MarginMode.CROSS:
            sizes[position.side] += position.size
    if terms.orders_need_maintenance and query.settings("a", symbol).margin_mode is MarginMode.CROSS:
        for order in query.open_orders("a", symbol):
            if order.reduce:
                continue
            against = order.position_side.opposite
            one_way = query.position_mode("a") is PositionMode.ONE_WAY
            closing = min(order.remaining, held.get(against, Decimal(0))) if one_way else Decimal(0)
            held[against] = held.get(against, Decimal(0)) - closing
            sizes[order.position_side] += order.remaining - closing
    contract = query.contract(symbol)
    notionals = [size * contract.contract_size * mark_of(made, symbol) for size in sizes.values() if size]
    counted = [max(notionals)] if terms.larger_side_counts and notionals else notionals
    needs = sum((contract.maintenance(each) + contract.taker_fee * each for each in counted), Decimal(0))
    return needs * price_of(made, contract)


def price_of(made: Stage, contract: Contract) -> Decimal:
    return made.exchange.query.usd_price(contract.coin)


def nothing_due_is_left(held: Held) -> None:
    for position in held:
        if position.margin_mode is MarginMode.ISOLATED:
            assert position.margin + position.unrealized_pnl > position.burden
        assert position.risk_ratio is not None
        assert position.risk_ratio < 1


def sizes_are_sound(made: Stage, held: Held) -> None:
    query = made.exchange.query
    for position in held:
        assert 0 <= position.available_size <= position.size
    if query.position_mode("a") is PositionMode.ONE_WAY:
        assert len({position.symbol for position in held}) == len(held)
    for balance in query.balances("a"):
        assert balance.available >= 0
        assert balance.spot >= 0


def resting_closes_fit(made: Stage, held: Held) -> None:
    sizes = {(position.symbol, position.side): position.size for position in held}
    for order in made.exchange.query.open_orders("a"):
        if order.reduce:
            key = order.symbol, order.position_side
            sizes[key] = sizes.get(key, Decimal(0)) - order.remaining
    assert all(size >= 0 for size in sizes.values())


def no_close_turned_or_enlarged_a_position(made: Stage) -> None:
    for row in made.exchange.ledger.rows(uid="a", kind=RowKind.FILL):
        if row.details["reduce"]:
            before, after = row.decimal("before"), row.decimal("after")
            assert abs(after) < abs(before)
            assert before * after >= 0


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32))
def test_every_coin_and_the_pool_obey_their_laws_after_every_step(seed: int) -> None:
    def laws(made: Stage, held: Held) -> None:
        the_pool_is_worth_its_coins(made, held)
        nothing_due_is_left(held)
        sizes_are_sound(made, held)
        resting_closes_fit(made, held)

    made = play(seed, laws)
    each_coin_is_conserved(made)
    conversions_are_fair(made)
    no_close_turned_or_enlarged_a_position(made)


@settings(deadline=None)
@given(
    mode=st.sampled_from(list(PositionMode)),
    rule=st.sampled_from(list(RestingCloses)),
    resting=st.lists(st.integers(1, 40), max_size=4),
    closes=st.lists(st.tuples(st.integers(1, 60), st.booleans()), min_size=1, max_size=4),
    stop=st.sampled_from([None, 5, 100]),
)
def test_closes_against_resting_closes_never_close_more_than_is_held(
    mode: PositionMode,
    rule: RestingCloses,
    resting: list[int],
    closes: list[tuple[int, bool]],
    stop: int | None,
) -> None:
    made = stage(position_mode=mode, terms=Terms(one_way_closes=rule, hedge_closes=rule))
    made.buy(50)
    for size in resting:
        with suppress(Refused):
            made.sell(size, "95000", reduce=True)
    with suppress(Refused):
        made.plan(85000, size=stop)
    for size, limited in closes:
        with suppress(Refused):
            made.sell(size, "94000" if limited else None, reduce=True)
        resting_closes_fit(made, made.exchange.query.positions("a"))
    made.mark(85000)
    made.mark(95000)
    no_close_turned_or_enlarged_a_position(made)
    assert 0 <= made.held() <= 50
    assert made.held(PositionSide.SHORT) == 0
