"""What is shown of one account: only what concerns somebody."""

from decimal import Decimal

from guardd.daemon.view import account_view
from guardd.model.account import AccountCondition
from guardd.model.event import BalanceRead
from guardd.model.fold import fold
from guardd.risk.assess import assess_accounts
from tests.execution.bench import Bench, balance, position

ZERO = Decimal(0)


async def test_a_coin_that_backs_no_position_and_holds_nothing_is_doubted_by_nobody() -> None:
    bench = Bench()
    await bench.hold(position())
    empty = balance("0", currency="USDC", equity=ZERO, position_margin=ZERO)
    suspect = balance(equity=ZERO)
    fold(bench.state, BalanceRead(at=bench.now, balances=(suspect, empty)))
    shown = account_view(
        bench.state,
        mode="observe",
        condition=(AccountCondition.LIVE, ""),
        accounts=assess_accounts(bench.state, now=bench.now),
        seen={},
        unprotected_s={},
        unguarded=(),
        now=bench.now,
    )
    assert [(each.currency, each.doubt) for each in shown.balances] == [
        ("USDT", "the venue gave no possible equity"),
        ("USDC", ""),
    ]
    await bench.end()
