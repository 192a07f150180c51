"""Who can reach the interface: this machine alone, unless the settings say otherwise."""

import asyncio
from urllib.parse import urlsplit

import pytest
from aiohttp import web

from guardd.config import HttpSettings, is_loopback
from guardd.http.app import serve


async def reached(host: str, *, at: str) -> bool:
    """Whether something that listens on `host` answers at another address."""
    where: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(serve(web.Application(), host=host, port=0, listening=where.set_result))
        port = urlsplit(await where).port
        try:
            _, writer = await asyncio.open_connection(at, port)
        except OSError:
            found = False
        else:
            found = True
            writer.close()
        task.cancel()
    return found


def test_the_default_is_loopback_without_a_token_that_would_let_anybody_write() -> None:
    assert is_loopback(HttpSettings().host)
    assert HttpSettings().token is None


@pytest.mark.parametrize(("at", "answers"), [("127.0.0.1", True), ("127.0.0.2", False)])
async def test_by_default_only_the_loopback_address_answers(at: str, answers: bool) -> None:
    assert await reached(HttpSettings().host, at=at) is answers


async def test_a_wider_address_would_be_seen() -> None:
    assert await reached("0.0.0.0", at="127.0.0.2")
