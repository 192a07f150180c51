"""Reads that go out together: none is broken off because another failed."""

import asyncio

import pytest

from guardd.errors import VenueBusy, VenueUnreachable
from guardd.venues.together import both, together


async def test_I12_a_read_under_way_hears_its_answer_though_another_has_failed() -> None:
    heard: list[str] = []

    async def slow() -> int:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        heard.append("429")
        raise VenueBusy("its bucket rests")

    async def held_back() -> int:
        raise VenueUnreachable("not sent")

    with pytest.raises(VenueUnreachable, match="not sent"):
        await together(held_back(), slow())
    with pytest.raises(VenueBusy):
        await both(slow(), held_back())
    assert heard == ["429", "429"]


async def test_what_they_give_comes_in_the_order_in_which_they_were_asked() -> None:
    async def given(value: int, turns: int) -> int:
        for _ in range(turns):
            await asyncio.sleep(0)
        return value

    assert await together(given(1, 3), given(2, 1)) == [1, 2]
    assert await both(given(1, 3), given(2, 1)) == (1, 2)
