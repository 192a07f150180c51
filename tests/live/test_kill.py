"""A short run of the kill loop, and proof that its verdict can fail."""

from decimal import Decimal
from pathlib import Path

import pytest

from guardd.clock import SystemClock
from guardd.journal.sqlite import SqliteJournal
from guardd.model.intent import Action, CloseAtMarket, Intent
from guardd.model.names import AccountName, ClientId, EpisodeId, PositionKey, RuleName, Symbol
from guardd.model.names import Side as PositionSide
from guardd.simulator.faults import FaultKind
from guardd.simulator.orders import OrderRequest, Side
from tests.changed import replace
from tests.live.desk import Desk, open_desk, until
from tests.live.kill_loop import loop, summary
from tests.live.kill_verdict import apart, judged, resting, wanted
from tests.live.places import PLACES, Place

LONG = PositionKey(AccountName("main"), Symbol("BTCUSDT"), PositionSide.LONG)
ROUNDS = 4


@pytest.mark.timeout(180)
@pytest.mark.parametrize("place", PLACES.values(), ids=lambda place: place.venue.value)
async def test_I08_killed_in_a_fall_and_started_again_one_decision_is_executed_once_and_everything_is_protected(
    place: Place,
) -> None:
    played = await loop(times=ROUNDS, seed=782, place=place)
    assert [figures.breaches for figures in played] == [[]] * ROUNDS, "\n".join(summary(played))
    assert any(figures.left for figures in played)


async def test_a_spent_call_that_proves_the_key_keeps_no_position_from_its_stop(tmp_path: Path) -> None:
    """As after a start that was killed a moment ago: the call's budget is one in two seconds. The proof comes later."""
    async with open_desk(tmp_path) as desk:
        desk.open("BTCUSDT", "long", 100)
        desk.faults.add(FaultKind.TOO_MANY, target="*transfer-contract-list", times=1)

        def proofs() -> list[int]:
            requests = desk.server.stamps.requests
            return [each.status for each in requests if each.path.endswith("transfer-contract-list")]

        async with desk.guard():
            await until(lambda: bool(desk.plans()), within_s=40, what="a stop rests")
            assert proofs() == [429]
            await until(lambda: proofs() == [429, 200], within_s=8, what="the key is proved after all")


async def test_a_secret_that_is_refused_only_later_parks_the_account(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        desk.faults.add(FaultKind.TOO_MANY, target="*transfer-contract-list", times=1)
        async with desk.guard(environ={"BITMART_API_SECRET": "wrong"}) as guard:
            await until(lambda: bool(guard.events("account_parked")), within_s=40, what="parked")
            assert "refuses our credentials" in guard.events("account_parked")[0]["why"]


def meant(name: str, rule: str, step: int, size: int) -> Intent:
    return Intent(
        id=ClientId(name),
        account=LONG.account,
        key=LONG,
        episode=EpisodeId("BTCUSDT-long-1"),
        rule=RuleName(rule),
        step=step,
        action=Action.REDUCE,
        write=CloseAtMarket(key=LONG, size=Decimal(size)),
        decided=SystemClock().now(),
        frame_ns=None,
        quantity_before=Decimal(100),
        closed_before=Decimal(0),
        reason="test",
    )


async def journalled(home: Path, *intents: Intent) -> None:
    journal = SqliteJournal.open(home / "data", now=SystemClock().now, listen=lambda fact: None)
    for intent in intents:
        await journal.intend(intent)
    await journal.close()


def closes(desk: Desk, name: str, size: int, *, side: Side = Side.SELL, reduce: bool = True) -> None:
    order = OrderRequest(symbol=LONG.symbol, side=side, size=Decimal(size), reduce=reduce, client_id=name)
    desk.server.exchange.place("main", order, desk.server.now_ms())


async def test_the_verdict_is_silent_about_one_trim(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        desk.open("BTCUSDT", "long", 100)
        await journalled(tmp_path, meant("gd1a", "trim", 0, 25))
        closes(desk, "gd1a", 25)
        assert judged(desk, [desk.server.now_ms()]) == []


async def test_the_verdict_sees_a_second_trim(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        desk.open("BTCUSDT", "long", 100)
        await journalled(tmp_path, meant("gd1a", "trim", 0, 25), meant("gd1b", "trim", 1, 19))
        closes(desk, "gd1a", 25)
        closes(desk, "gd1b", 19)
        [found] = judged(desk, [desk.server.now_ms()])
        assert found.startswith("I7: closed in episode BTCUSDT-long-1")


async def test_the_verdict_sees_one_step_under_two_ids(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        desk.open("BTCUSDT", "long", 100)
        first = meant("gd1a", "trim", 0, 25)
        await journalled(tmp_path, first, replace(first, id=ClientId("gd1b")))
        closes(desk, "gd1a", 25)
        closes(desk, "gd1b", 25)
        assert any("executed 2 times" in found for found in judged(desk, [desk.server.now_ms()]))


async def test_the_verdict_sees_an_exposure_raised_and_an_order_that_no_journal_knows(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        desk.open("BTCUSDT", "long", 100)
        await journalled(tmp_path, meant("gd1a", "trim", 0, 25))
        closes(desk, "gd1stranger", 5, side=Side.BUY, reduce=False)
        found = judged(desk, [desk.server.now_ms()])
        assert [each.split(":")[0] for each in found] == ["I2", "I20"]


async def test_the_verdict_sees_a_position_that_a_running_guard_left_without_a_stop(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        desk.open("BTCUSDT", "long", 100)
        await journalled(tmp_path)
        [found] = judged(desk, [desk.server.now_ms() - 6_000], now_ms=desk.server.now_ms() + 6_000)
        assert "without a stop under a running guard" in found
        assert resting(desk) != wanted(desk)
        assert "stop_loss" in apart(desk)
