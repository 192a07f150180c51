"""A daemon starts on positions that somebody else opened: everything is protected, verified and told alike."""

from decimal import Decimal
from pathlib import Path

import pytest

from tests.live.desk import open_desk, until
from tests.live.places import PLACES, Place


@pytest.mark.parametrize("place", PLACES.values(), ids=lambda place: place.venue.value)
async def test_every_position_has_a_stop_at_the_venue_within_five_seconds_of_the_start(
    tmp_path: Path, place: Place
) -> None:
    async with open_desk(tmp_path, place=place) as desk:
        desk.open("BTCUSDT", "long", 100)
        desk.open("ETHUSDT", "short", 500, isolated=True)

        async with desk.guard() as guard:
            await until(lambda: len(desk.plans()) == 2, within_s=8, what="two stops rest")
            await until(
                lambda: len(guard.events("position_protected")) == 2, within_s=3, what="both are told as protected"
            )
            status = await guard.status()

        account = status["accounts"][0]
        assert account["state"] == "live"
        assert [position["protected"] for position in account["positions"]] == [True, True]
        told = {position["stop_loss"]["trigger_price"] for position in account["positions"]}
        assert {Decimal(price) for price in told} == {plan.trigger_price for plan in desk.plans()}
