"""The one signed call that changes nothing may be made once in two seconds: a start just after another finds it spent."""

import asyncio

import pytest

from guardd.errors import VenueBusy
from guardd.simulator.faults import FaultKind
from tests.venues.bitmart.exchange import stand


async def test_a_proof_that_is_turned_away_is_given_up_at_once_when_the_deadline_leaves_no_second_try() -> None:
    async with stand() as on:
        on.faults.add(FaultKind.TOO_MANY, target="*transfer-contract-list", times=1)
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        with pytest.raises(VenueBusy):
            await on.venue.prove_key(deadline_s=1.9)
        assert loop.time() - began_s < 1


async def test_with_more_time_the_proof_waits_for_its_budget() -> None:
    async with stand() as on:
        on.faults.add(FaultKind.TOO_MANY, target="*transfer-contract-list", times=1)
        await on.venue.prove_key()
