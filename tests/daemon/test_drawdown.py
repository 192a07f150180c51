"""`account_drawdown` through a whole guard: what it reads, when it acts, and what it goes on from after a restart."""

import asyncio
from decimal import Decimal

import pytest

from guardd.execution.awaken import awaken
from guardd.model.account import AccountCondition, Balance
from guardd.model.event import BalanceRead, LedgerRead
from guardd.model.facts import AccountView
from guardd.model.flow import Flow, FlowKind
from guardd.model.fold import fold
from guardd.model.names import VenueName
from guardd.model.reading import Absent, Reading
from guardd.model.state import AccountState
from guardd.risk.drawdown import LEDGER_AGE_S_MAX, drawdown_of
from tests.daemon.test_guard import GuardBench
from tests.execution.bench import ACCOUNT, CAN_ALL, D, balance
from tests.policy.guarded import rule

FALLEN = rule("{account_drawdown: {above: 10%}}", "close: {}", name="enough")


class MoneyBench(GuardBench):
    """The account has 20 000 and an unrealised profit that a test sets; the ledger is the fake venue's."""

    def __init__(self, *rules: str) -> None:
        super().__init__(*rules)
        self.wallet = D(20_000)

    async def begin(self, *, learned: bool = True) -> None:
        """The ledger and two account reads are in: the day's high is 20 000."""
        await super().begin(learned=learned)
        self.ledger()
        for _ in range(2):
            await self.account()

    def ledger(self) -> None:
        now, flows = self.clock.now(), tuple(self.venue.flows)
        self.guard.inbox.post(LedgerRead(started=now, at=now, since_ms=0, flows=flows))

    async def account(self, profit: int = 0, *, mark: str | None = None) -> None:
        """An account read, two seconds after the last."""
        await self.settle(2)
        price = mark or str(100 + Decimal(profit) / 100)
        self.frame(price)
        await self.read(price)
        now = self.clock.now()
        told = balance(equity=self.wallet + profit, unrealized_pnl=D(profit))
        self.guard.inbox.post(BalanceRead(started=now, at=now, balances=(told,)))
        await self.settle(0.05)

    def flow(self, amount: int, kind: FlowKind) -> None:
        self.wallet += amount
        at_ms = self.clock.now().wall_ms
        self.venue.flows.append(
            Flow(id=f"row{len(self.venue.flows)}", at_ms=at_ms, currency="USDT", amount=D(amount), kind=kind)
        )

    @property
    def drawdown(self) -> Reading:
        return drawdown_of(self.guard.state, "USDT", self.clock.now()).ratio


async def test_a_fall_from_the_days_high_closes_with_the_account_read_that_shows_it() -> None:
    bench = MoneyBench(FALLEN)
    await bench.begin()
    await bench.account(-1_900)
    assert bench.closes() == []
    bench.flow(-200, FlowKind.FUNDING)
    bench.ledger()
    await bench.account(-1_900)
    assert bench.closes() == [D(100)]
    assert bench.told("account_drawdown 10.5 % is above 10 %")
    await bench.end()


async def test_a_mark_moves_no_drawdown() -> None:
    bench = MoneyBench(FALLEN)
    await bench.begin()
    for price in ("95", "85", "82"):
        bench.frame(price)
        await bench.settle(0.3)
    assert bench.drawdown == 0
    assert bench.closes() == []
    await bench.end()


async def test_a_withdrawal_is_no_fall_and_closes_nothing() -> None:
    bench = MoneyBench(FALLEN)
    await bench.begin()
    bench.flow(-15_000, FlowKind.WITHDRAWAL)
    await bench.account()
    assert bench.drawdown is Absent.UNKNOWN
    bench.ledger()
    await bench.settle(0.3)
    assert bench.drawdown == 0
    assert bench.closes() == []
    await bench.end()


async def test_a_step_that_nothing_explains_closes_nothing_and_is_told_and_shown_as_blindness() -> None:
    bench = MoneyBench(FALLEN)
    await bench.begin()
    bench.wallet -= 5_000
    for _ in range(9):
        await bench.account()
    assert bench.closes() == []
    [text] = bench.told("can't be judged: ")
    assert "the ledger doesn't explain a step of the wallet: -5000 USDT" in text
    shown = [fact for fact in bench.facts if isinstance(fact, AccountView)][-1]
    assert shown.condition is AccountCondition.STALE
    assert "rule enough can't be judged" in shown.condition_why
    assert "-5000 USDT" in shown.balances[0].drawdown_why
    await bench.end()


async def test_marks_that_contradict_an_account_read_make_it_unknown() -> None:
    bench = MoneyBench(FALLEN)
    await bench.begin()
    await bench.account(-9_000, mark="100")
    assert bench.drawdown is Absent.UNKNOWN
    assert bench.closes() == []
    await bench.account()
    assert bench.drawdown == 0
    await bench.end()


async def test_without_a_ledger_it_is_unknown_and_never_closes() -> None:
    bench = MoneyBench(FALLEN)
    await bench.begin()
    await bench.settle(LEDGER_AGE_S_MAX)
    await bench.account(-5_000)
    assert bench.drawdown is Absent.UNKNOWN
    assert bench.closes() == []
    await bench.end()


async def test_the_ledger_is_read_only_for_a_policy_that_asks_for_it_and_at_once_when_a_wallet_moved() -> None:
    for asked, rules in ((False, (rule("{distance_to_liquidation: {below: 5%}}", "close: {}"),)), (True, (FALLEN,))):
        bench = MoneyBench(*rules)
        reading = asyncio.create_task(dict(bench.guard.reader.tasks())["read-ledger"]())
        bench.tasks.append(reading)
        await bench.begin()
        assert bool(bench.venue.ledger_asked) is asked
        before = len(bench.venue.ledger_asked)
        bench.flow(-100, FlowKind.TRANSFER)
        await bench.account()
        await bench.settle(0.3)
        assert len(bench.venue.ledger_asked) - before == (1 if asked else 0)
        await bench.end()


async def test_a_restart_on_the_same_day_goes_on_from_the_journals_high() -> None:
    first = MoneyBench(FALLEN)
    await first.begin()
    await first.account(-1_000)
    await first.end()
    second = MoneyBench(FALLEN)
    second.clock.pass_time(60)
    memory = await first.journal.recall(ACCOUNT)
    state = AccountState(name=ACCOUNT, venue=VenueName("fake"), capabilities=CAN_ALL)
    awaken(state, memory, now=second.clock.now(), clock_offset_ms=0)
    second.guard.state.books.update(state.books)
    await GuardBench.begin(second)
    second.ledger()
    await second.account(-1_000)
    assert second.drawdown == D("0.05")
    await second.end()


@pytest.mark.parametrize("kind", [FlowKind.DEPOSIT, FlowKind.TRANSFER, FlowKind.VOUCHER])
async def test_money_that_came_in_hides_no_fall(kind: FlowKind) -> None:
    bench = MoneyBench(FALLEN)
    await bench.begin()
    bench.flow(40_000, kind)
    bench.ledger()
    await bench.account()
    bench.flow(-6_300, FlowKind.PNL)
    bench.ledger()
    await bench.account()
    assert bench.drawdown == D("0.105")
    assert bench.closes() == [D(100)]
    await bench.end()


def test_the_balances_of_several_coins_fall_each_for_itself() -> None:
    state = AccountState(name=ACCOUNT, venue=VenueName("fake"), capabilities=CAN_ALL)
    bench = MoneyBench(FALLEN)
    now = bench.clock.now()

    def read(tether: int, dollar: int) -> None:
        told = tuple(
            Balance(
                currency=coin,
                equity=D(amount),
                available=D(amount),
                frozen=D(0),
                position_margin=D(0),
                unrealized_pnl=D(0),
            )
            for coin, amount in (("USDT", tether), ("USDC", dollar))
        )
        fold(state, BalanceRead(started=now, at=now, balances=told))

    fold(state, LedgerRead(started=now, at=now, since_ms=0, flows=()))
    read(1_000, 500)
    read(1_000, 500)
    loss = Flow(id="1", at_ms=now.wall_ms, currency="USDC", amount=D(-50), kind=FlowKind.PNL)
    fold(state, LedgerRead(started=now, at=now, since_ms=0, flows=(loss,)))
    read(1_000, 450)
    assert drawdown_of(state, "USDT", now).ratio == 0
    assert drawdown_of(state, "USDC", now).ratio == D("0.1")
