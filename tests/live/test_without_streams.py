"""The private stream never comes up: positions get their stops all the same, and a close isn't held back for ever (I10, I29)."""

from pathlib import Path

from guardd.simulator.faults import FaultKind
from tests.live.desk import open_desk, until
from tests.live.test_reducing import LADDER, fall


async def test_a_login_that_is_refused_from_the_start_leaves_nothing_naked_and_no_breach_unanswered(
    tmp_path: Path,
) -> None:
    async with open_desk(tmp_path, deposit=1_000) as desk:
        desk.open("BTCUSDT", "long", 100, isolated=True, leverage=10)
        desk.faults.add(FaultKind.REFUSE_LOGIN)
        async with desk.guard(LADDER) as guard:
            await until(lambda: len(desk.plans()) == 1, within_s=25, what="a stop rests without the private stream")
            await fall(desk, "BTCUSDT", 90_000, 84_000, steps=40)
            await until(lambda: not desk.positions(), within_s=25, what="closed by reads alone")
            states = [event["event"] for event in guard.events() if str(event["event"]).startswith("account_")]
        assert "account_stale" in states
        assert not list(desk.ledger("liquidated"))
