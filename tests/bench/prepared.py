"""Answers about thousands of positions, made once and given again until anything changes: the exchange's core has prices to send.

Only reads of positions: what they say hangs on the engine's state alone, and an envelope's time is put in anew.
"""

import re
from typing import Final

from guardd.simulator.server import SimulatorServer
from guardd.simulator.wire import Reply, Request
from tests.changed import replace

_READS: Final = ("/position/all-position",)
_TIME: Final = re.compile(rb'"requestTime": *\d+')


def prepare(server: SimulatorServer) -> None:
    """From now on a read that was answered is answered alike while the engine's state is the same. Limits don't count it."""
    made: dict[tuple[str, str, str], tuple[int, Reply]] = {}
    dialect, world = server.dialect, server.exchange._world
    judged = dialect.answer

    def answer(request: Request) -> Reply:
        if not request.path.endswith(_READS):
            return judged(request)
        key = dialect.account_of(request), request.path, request.raw_query
        version, reply = made.get(key, (-1, None))
        if reply is None or version != world.version:
            reply = judged(request)
            if reply.response is None or reply.response.status != 200:
                return reply
            made[key] = world.version, reply
        response = reply.response
        assert response is not None
        body = _TIME.sub(b'"requestTime":%d' % request.now_ms, response.body, count=1)
        return Reply(response=replace(response, body=body), delay_ms=reply.delay_ms)

    dialect.answer = answer  # type: ignore[method-assign]
