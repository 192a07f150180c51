"""A wallet for each margin coin: what happens in one leaves the other alone."""

from decimal import Decimal

import pytest

from guardd.simulator.coins import Coin, haircuts
from guardd.simulator.happenings import BalanceChanged, Liquidated
from guardd.simulator.orders import MarginMode, PositionMode, PositionSide
from guardd.simulator.records import AccountKind, FlowKind, TransferDirection
from guardd.simulator.refusals import RefusalReason, Refused
from tests.simulator.engine.stage import BTC, PERP, Stage, d, stage


def two_coins(*, usdt: str = "10000", usdc: str = "10000", mode: MarginMode = MarginMode.CROSS) -> Stage:
    made = stage(deposit=usdt, deposits={"USDC": d(usdc)}, margin_mode=mode)
    made.mark(90000, symbol=PERP)
    return made


def wallets(made: Stage) -> dict[str, Decimal]:
    return {each.coin: each.wallet for each in made.exchange.query.balances("a")}


def test_profit_and_fees_are_kept_in_the_contracts_margin_coin() -> None:
    made = two_coins()
    made.buy(100, symbol=PERP)
    made.mark(91000, symbol=PERP)
    made.sell(100, symbol=PERP, reduce=True)
    fees = d("0.0006") * (9000 + 9100)
    assert wallets(made) == {"USDC": 10000 + 100 - fees, "USDT": 10000}
    assert {flow.coin for flow in made.exchange.query.flows("a", PERP)} == {"USDC"}


def test_margin_is_taken_from_the_own_coin_only() -> None:
    made = two_coins(usdc="100")
    with pytest.raises(Refused) as caught:
        made.buy(100, symbol=PERP)
    assert caught.value.reason is RefusalReason.INSUFFICIENT_BALANCE
    made.buy(100)
    balances = {each.coin: each for each in made.exchange.query.balances("a")}
    assert balances["USDT"].position_margin == 900
    assert balances["USDC"].available == 100


def test_one_coins_liquidation_leaves_the_others_positions_alone() -> None:
    made = two_coins(usdc="1000")
    made.buy(100)
    made.buy(100, symbol=PERP)
    made.mark(80000, symbol=PERP)
    assert (made.held(symbol=PERP), made.held()) == (0, 100)
    assert wallets(made)["USDC"] == 0
    ended = next(event for event in made.heard if isinstance(event, Liquidated))
    assert (ended.symbols, ended.coin) == ((PERP,), "USDC")
    assert made.exchange.insurance["USDT"] == 0
    assert made.exchange.insurance["USDC"] != 0


def test_the_cross_ratio_is_of_one_coin_and_reaches_one_where_it_ends() -> None:
    made = two_coins(usdc="1000")
    made.buy(100, symbol=PERP)
    position = made.position(symbol=PERP)
    assert position is not None
    assert position.liquidation_price is not None
    made.mark(str(position.liquidation_price + d("0.0001")), symbol=PERP)
    ratio = made.exchange.query.balance("a", "USDC").cross_ratio
    assert ratio is not None
    assert d("0.99999") < ratio < 1
    view = made.position(symbol=PERP)
    assert view is not None
    assert view.risk_ratio == ratio
    assert made.exchange.query.balance("a").cross_ratio == 0


def test_transfers_and_grants_move_one_coin() -> None:
    made = stage(deposit="100", spot="50")
    made.exchange.grant("a", d(70), made.tick(), "USDC")
    made.exchange.transfer("a", TransferDirection.TO_SPOT, d(30), made.tick(), "USDC")
    assert wallets(made) == {"USDC": 40, "USDT": 100}
    assert made.exchange.query.balance("a", "USDC").spot == 30
    with pytest.raises(Refused) as caught:
        made.exchange.transfer("a", TransferDirection.TO_FUTURES, d(31), made.tick(), "USDC")
    assert caught.value.reason is RefusalReason.INSUFFICIENT_SPOT_BALANCE
    assert [each.coin for each in made.exchange.query.transfers("a")] == ["USDC"]


def test_each_changed_coin_is_told_once_at_the_end() -> None:
    made = two_coins()
    made.heard.clear()
    made.buy(10, symbol=PERP)
    told = [event.balance.coin for event in made.heard if isinstance(event, BalanceChanged)]
    assert told == ["USDC"]
    assert isinstance(made.heard[-1], BalanceChanged)
    assert made.heard[-1].pool is None


def test_a_position_mode_may_be_that_of_one_product_line() -> None:
    made = two_coins()
    query = made.exchange.query
    made.buy(10)
    made.exchange.set_position_mode("a", PositionMode.ONE_WAY, made.tick(), group="USDC-M")
    assert (query.position_mode("a", "USDC-M"), query.position_mode("a", "USDT-M")) == (
        PositionMode.ONE_WAY,
        PositionMode.HEDGE,
    )
    made.buy(10, symbol=PERP)
    made.sell(15, symbol=PERP)
    made.sell(15)
    assert [(p.symbol, p.side.value, p.size) for p in query.positions("a")] == [
        (PERP, "short", 5),
        (BTC, "long", 10),
        (BTC, "short", 15),
    ]
    with pytest.raises(Refused) as caught:
        made.exchange.set_position_mode("a", PositionMode.HEDGE, made.tick(), group="USDC-M")
    assert caught.value.reason is RefusalReason.POSITIONS_EXIST
    made.buy(5, symbol=PERP, reduce=True)
    made.exchange.set_position_mode("a", PositionMode.HEDGE, made.tick(), group="USDC-M")
    assert query.position_mode("a", "USDC-M") is PositionMode.HEDGE


def test_setting_the_accounts_mode_ends_the_lines_own() -> None:
    made = two_coins()
    made.exchange.set_position_mode("a", PositionMode.ONE_WAY, made.tick(), group="USDC-M")
    made.exchange.set_position_mode("a", PositionMode.HEDGE, made.tick())
    assert made.exchange.query.position_mode("a", "USDC-M") is PositionMode.HEDGE


def test_funding_is_paid_in_the_margin_coin() -> None:
    made = two_coins()
    made.buy(100, symbol=PERP)
    made.exchange.settle_funding(PERP, d("0.001"), made.tick())
    assert made.exchange.ledger.flow_total("a", FlowKind.FUNDING, "USDC") == -9
    assert made.exchange.ledger.flow_total("a", FlowKind.FUNDING, "USDT") == 0


def test_the_equity_of_several_coins_is_their_worth_in_dollars() -> None:
    made = stage(deposit="100", deposits={"USDC": d(200), "BTC": d("0.5")})
    assert made.exchange.ledger.equity_series("a")[-1].equity == 300  # BTC had no price yet
    made.mark(80000)
    made.exchange.grant("a", d(1), made.tick())
    assert made.exchange.ledger.equity_series("a")[-1].equity == 301 + 40000
    assert made.exchange.query.usd_price("BTC") == 80000
    assert made.exchange.query.usd_price("NOBODYS") == 0


def test_a_classic_account_has_no_pool() -> None:
    made = two_coins()
    assert made.exchange.query.account_kind("a") is AccountKind.CLASSIC
    with pytest.raises(ValueError, match="no pool"):
        made.exchange.query.pool("a")


def test_what_is_above_a_haircuts_floor_counts_less() -> None:
    coin = Coin(name="X", haircuts=haircuts([("0", "0.9"), ("1000", "0.5"), ("2000", "0")]))
    values = [Decimal(usd) for usd in (-100, 0, 1000, 1500, 2000, 9000)]
    assert [coin.collateral(usd) for usd in values] == [-100, 0, 900, 1150, 1400, 1400]


@pytest.mark.parametrize("rows", [[], [("1", "1")], [("0", "0.5"), ("10", "0.6")], [("0", "1"), ("0", "0.5")]])
def test_haircuts_that_do_not_fall_from_zero_are_refused(rows: list[tuple[str, str]]) -> None:
    with pytest.raises(ValueError, match="X"):
        Coin(name="X", haircuts=haircuts(rows))


def test_isolated_margin_may_be_added_from_its_own_coin_only() -> None:
    made = two_coins(usdc="950", mode=MarginMode.ISOLATED)
    made.buy(100, symbol=PERP)
    with pytest.raises(Refused) as caught:
        made.exchange.add_margin("a", PERP, PositionSide.LONG, d(500), made.tick())
    assert caught.value.reason is RefusalReason.INSUFFICIENT_BALANCE
    made.exchange.add_margin("a", PERP, PositionSide.LONG, d(40), made.tick())
    assert made.exchange.query.balance("a", "USDC").isolated_margin == 940
