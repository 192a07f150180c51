"""One daemon, an account at each venue: one venue's trouble stays its own."""

from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path

import pytest

from guardd.simulator.faults import Fault, FaultKind
from tests.live.desk import Desk, RunningGuard, open_desk, until, write_several
from tests.live.places import PLACES

POLICY = """\
version: 1
rules:
  - name: resting-protection
    then:
      - stop_loss: {trigger: {from_entry: -8%}}
  - name: trim
    when: {profit_from_entry: {below: -3%}}
    cooldown: 1h
    then:
      - reduce: {by: 25%}
"""
TROUBLES = (
    FaultKind.CLOUDFLARE_403,
    FaultKind.BANNED,
    FaultKind.TIMEOUT_BEFORE,
    FaultKind.ERROR_HTML,
    FaultKind.EMPTY_READ,
)


@pytest.mark.parametrize("trouble", TROUBLES, ids=str)
@pytest.mark.parametrize("from_the_start", [True, False], ids=["from the start", "later"])
async def test_the_trouble_of_one_venue_delays_no_others_protection(
    tmp_path: Path, trouble: FaultKind, from_the_start: bool
) -> None:
    places = [*PLACES.values()]
    async with AsyncExitStack() as stack:
        desks: dict[str, Desk] = {}
        for number, place in enumerate([places[-1], *places]):
            desk = await stack.enter_async_context(open_desk(tmp_path, place=place, seed=number))
            desk.open("BTCUSDT", "long", 100, isolated=True)
            desks[f"{place.venue}-{number}"] = desk
        ill, *well = desks.values()
        if from_the_start:
            ill.faults.set(Fault(name="trouble", kind=trouble))
        config, environ = write_several(tmp_path, POLICY, desks)
        guard = await RunningGuard.start(config, environ)
        stack.push_async_callback(guard.stop)
        await until(lambda: all(each.own_plans() for each in well), within_s=12, what="every well venue's stop rests")
        ill.faults.set(Fault(name="trouble", kind=trouble))
        await until(lambda: len(guard.events("position_protected")) >= len(well), within_s=8, what="they are verified")
        for each in desks.values():
            await each.fall("BTCUSDT", 90_000, 86_900, steps=10)
        await until(
            lambda: all(each.positions() == {("BTCUSDT", "long"): Decimal(75)} for each in well),
            within_s=6,
            what="every well venue's position is trimmed once",
        )
