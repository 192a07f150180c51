"""Several reads at once: the first failure ends them all and is raised as itself."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

_Read = TypeVar("_Read")
_Other = TypeVar("_Other")


async def together(*reads: Coroutine[Any, Any, _Read]) -> list[_Read]:
    """What each gives, in order."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(read) for read in reads]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]


async def both(first: Coroutine[Any, Any, _Read], second: Coroutine[Any, Any, _Other]) -> tuple[_Read, _Other]:
    """`together`, for two reads that give different things."""
    try:
        async with asyncio.TaskGroup() as group:
            one, other = group.create_task(first), group.create_task(second)
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return one.result(), other.result()
