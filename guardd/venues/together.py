"""Several reads at once: each comes to its end, then the first failure is raised as itself.

None is broken off for another's sake: what the venue answers to a request that has left counts (a 429 rests its bucket, a ban
stops everything), and an answer that nobody waits for costs its connection.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from guardd.errors import GuarddError

_Read = TypeVar("_Read")
_Other = TypeVar("_Other")


async def together(*reads: Coroutine[Any, Any, _Read]) -> list[_Read]:
    """What each gives, in order."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_ended(read)) for read in reads]
    return [_given(task.result()) for task in tasks]


async def both(first: Coroutine[Any, Any, _Read], second: Coroutine[Any, Any, _Other]) -> tuple[_Read, _Other]:
    """`together`, for two reads that give different things."""
    async with asyncio.TaskGroup() as group:
        one, other = group.create_task(_ended(first)), group.create_task(_ended(second))
    return _given(one.result()), _given(other.result())


async def _ended(read: Coroutine[Any, Any, _Read]) -> _Read | GuarddError:
    try:
        return await read
    except GuarddError as error:
        return error


def _given(result: _Read | GuarddError) -> _Read:
    if isinstance(result, GuarddError):
        raise result
    return result
