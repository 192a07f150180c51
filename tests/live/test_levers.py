"""More is put behind a position before it is closed: leverage, margin, a transfer. Each once, and nothing follows."""

import json
from decimal import Decimal
from pathlib import Path

from guardd.simulator.faults import Fault, FaultKind
from guardd.simulator.orders import PositionSide
from guardd.simulator.records import PositionView
from tests.live.desk import Desk, RunningGuard, open_desk, until
from tests.live.places import BITGET, BITMART, UNIFIED

LONG = ("BTCUSDT", "long")


def policy(when: str, then: str) -> str:
    rule = f"  - name: feed\n    when: {when}\n    then: [{then}, close: {{}}]\n"
    return f"version: 1\nlimits: {{top_up_per_day: 1000 USDT}}\nrules:\n{rule}"


def view(desk: Desk) -> PositionView:
    found = desk.server.exchange.query.position("main", "BTCUSDT", PositionSide.LONG)
    assert found is not None
    return found


def sent(desk: Desk, path: str) -> int:
    return sum(stamp.path.endswith(path) for stamp in desk.writes())


async def counted(guard: RunningGuard, action: str, venue: str, outcome: str = "accepted") -> bool:
    labels = f'account="main",action="{action}",outcome="{outcome}",venue="{venue}"'
    return f"guardd_actions_total{{{labels}}} 1.0" in await guard.get("/metrics")


def staged(guard: RunningGuard, action: str, stage: str) -> bool:
    return any(event.get("event") == f"{action}_{stage}" for event in guard.events())


async def test_a_lower_leverage_that_helps_leaves_the_position_open(tmp_path: Path) -> None:
    async with open_desk(tmp_path, deposit=3_000, place=BITMART) as desk:
        desk.open("BTCUSDT", "long", 100, isolated=True, leverage=10)
        rules = policy("{distance_to_liquidation: {below: 6%}}", "set_leverage: {to: 5}")
        async with desk.guard(rules) as guard:
            await guard.lives()
            await desk.fall("BTCUSDT", 90_000, 86_000)
            await until(lambda: staged(guard, "set_leverage", "verified"), within_s=5, what="verified")
            await desk.fall("BTCUSDT", 86_000, 85_000)
            assert desk.positions() == {LONG: Decimal(100)}
            assert (view(desk).leverage, sent(desk, "/submit-leverage")) == (5, 1)
            assert await counted(guard, "set_leverage", "bitmart")


async def test_I07_margin_whose_answer_is_lost_is_added_once_and_just_enough(tmp_path: Path) -> None:
    async with open_desk(tmp_path, deposit=3_000, place=BITGET) as desk:
        desk.open("BTCUSDT", "long", 100, isolated=True, leverage=10)
        before = view(desk).margin
        desk.fault(Fault(name="lost", kind=FaultKind.TIMEOUT_AFTER, target="*/account/set-margin", times=1))
        then = "add_margin: {until: {distance_to_liquidation: 8%}, at_most: 900 USDT}"
        async with desk.guard(policy("{distance_to_liquidation: {below: 6%}}", then)) as guard:
            await guard.lives()
            await desk.fall("BTCUSDT", 90_000, 85_500, steps=10)
            await until(lambda: staged(guard, "add_margin", "verified"), within_s=9, what="found in the position")
            assert sent(desk, "/set-margin") == 1
            added = view(desk).margin - before
            assert 50 < added < 500
        rows = [row for row in desk.ledger("setting") if "added_margin" in json.dumps(row)]
        assert len(rows) == 1


async def test_a_top_up_from_spot_lowers_the_accounts_ratio_and_nothing_is_closed(tmp_path: Path) -> None:
    async with open_desk(tmp_path, deposit=1_100, place=UNIFIED) as desk:
        desk.open("BTCUSDT", "long", 100, leverage=10)
        rules = policy("{account_margin_ratio: {above: 8%}}", "top_up: {amount: 600 USDT}")
        async with desk.guard(rules) as guard:
            await guard.lives()
            await desk.fall("BTCUSDT", 90_000, 83_500)
            await until(lambda: staged(guard, "top_up", "verified"), within_s=5, what="recorded")
            assert desk.positions() == {LONG: Decimal(100)}
            assert sent(desk, "/account/transfer") == 1
            assert spot(desk) == 400
            assert await counted(guard, "top_up", "bitget")


def spot(desk: Desk) -> Decimal:
    (found,) = [each for each in desk.server.exchange.query.balances("main") if each.coin == "USDT"]
    return found.spot
