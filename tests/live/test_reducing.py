"""The price falls through each reducing rule: the venue gets exactly the orders that the policy names."""

import asyncio
import json
from decimal import Decimal
from pathlib import Path

import pytest

from tests.live.desk import Desk, RunningGuard, open_desk, until
from tests.live.places import PLACES, Place

LADDER = """\
version: 1
limits: {orders_per_minute: 60}
rules:
  - name: resting-protection
    then:
      - stop_loss: {trigger: {liquidation_buffer: 10%}}
  - name: trim
    when: {distance_to_liquidation: {below: 6%}}
    cooldown: 5m
    then:
      - reduce: {by: 25%}
  - name: last-resort
    when: {buffer_left: {below: 35%}}
    then: [close: {}]
"""


async def fall(desk: Desk, symbol: str, start: int, end: int, *, steps: int) -> None:
    """A straight fall, a step each 50 ms."""
    for step in range(1, steps + 1):
        desk.price(symbol, (Decimal(start) + (Decimal(end) - start) * step / steps).quantize(Decimal("0.1")))
        await asyncio.sleep(0.05)


def closes(desk: Desk) -> list[dict[str, object]]:
    """Closing orders that the guard got through, as the exchange recorded them."""
    return [row for row in desk.ledger("order_accepted") if str(row["client_id"]).startswith("gd1")]


async def ready(guard: RunningGuard, positions: int) -> None:
    await until(
        lambda: len(guard.events("position_protected")) >= positions, within_s=10, what="everything is protected"
    )


@pytest.mark.parametrize("place", PLACES.values(), ids=lambda place: place.venue.value)
async def test_a_fall_through_trim_and_last_resort_sends_one_trim_and_one_close(tmp_path: Path, place: Place) -> None:
    async with open_desk(tmp_path, deposit=1_000, place=place) as desk:
        desk.open("BTCUSDT", "long", 100, isolated=True, leverage=10)
        async with desk.guard(LADDER) as guard:
            await ready(guard, 1)
            await fall(desk, "BTCUSDT", 90_000, 85_900, steps=30)
            await until(
                lambda: desk.positions() == {("BTCUSDT", "long"): Decimal(75)}, within_s=5, what="trimmed by 25 %"
            )
            await fall(desk, "BTCUSDT", 85_900, 84_300, steps=20)
            await until(lambda: not desk.positions(), within_s=5, what="closed")
            metrics = await guard.get("/metrics")
        sizes = [Decimal(str(row["size"])) * desk.lot("BTCUSDT") for row in closes(desk)]
        assert sizes == [Decimal(25), Decimal(75)], json.dumps(desk.ledger("order_accepted"), indent=1)
        for action in ("reduce", "close"):
            labels = f'account="main",action="{action}",outcome="accepted",venue="{place.settings_name}"'
            assert f"guardd_actions_total{{{labels}}} 1.0" in metrics
