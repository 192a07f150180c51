"""Messages to people: a JSON POST to each receiver, off every path that acts.

A fact is queued the moment it is heard (I21); delivery is a task of its own. What repeats an edge that was told is dropped, and a
receiver that is down costs its own messages only.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import aiohttp
import structlog

from guardd.model.facts import Fact, Said
from guardd.model.instant import MS_PER_S, Instant
from guardd.model.names import Severity

QUEUE_MAX: Final = 200
"""Messages that wait for one receiver; beyond it the least severe and oldest goes."""
REPEAT_S: Final = 300.0
"""The same edge at the same severity is told again after this long at the earliest."""
EDGES_MAX: Final = 2_000
"""Edges remembered; beyond it the oldest is forgotten, and would be told again."""
DEADLINE_S: Final = 10.0
TRIES: Final = 3
PAUSES_S: Final = (1.0, 5.0)
_RANK: Final = {Severity.INFO: 0, Severity.WARNING: 1, Severity.CRITICAL: 2}

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """Where messages go. The address holds a token and is never shown; `name` is (`env:TELEGRAM_URL`)."""

    name: str
    url: str = field(repr=False)
    min_severity: Severity = Severity.WARNING


class Notifier:
    """Hears facts, queues what people must know, and delivers it while `run` runs."""

    def __init__(
        self,
        *,
        receivers: Sequence[Receiver],
        count: Callable[[str], None],
        now: Callable[[], Instant],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._outboxes = tuple(_Outbox(receiver, count) for receiver in receivers)
        self._count = count
        self._now = now
        self._sleep = sleep
        self._told: dict[tuple[str, str], tuple[Severity, Instant]] = {}

    def __call__(self, fact: Fact, /) -> None:
        if isinstance(fact, Said) and self._outboxes and self._is_news(fact):
            for outbox in self._outboxes:
                outbox.put(fact)

    @property
    def waiting(self) -> int:
        """Messages that are queued and not delivered yet, for all receivers together."""
        return sum(len(outbox) for outbox in self._outboxes)

    async def run(self) -> None:
        """Deliver for ever; the supervisor starts this. What is queued survives a restart of it."""
        if not self._outboxes:
            return
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=DEADLINE_S)) as session,
            asyncio.TaskGroup() as group,
        ):
            for outbox in self._outboxes:
                group.create_task(self._deliver(outbox, session), name=f"notify {outbox.receiver.name}")

    def _is_news(self, said: Said) -> bool:
        """A new edge, another severity of it, or a reminder after `REPEAT_S`."""
        place = (said.account or "", said.edge)
        before = self._told.pop(place, None)
        repeated = before is not None and before[0] is said.severity and said.at.seconds_since(before[1]) < REPEAT_S
        self._told[place] = before if before is not None and repeated else (said.severity, said.at)
        if len(self._told) > EDGES_MAX:
            self._told.pop(next(iter(self._told)))
        return not repeated

    async def _deliver(self, outbox: "_Outbox", session: aiohttp.ClientSession) -> None:
        failing = False
        while True:
            said = await outbox.first()
            problem = await self._send(outbox.receiver, said, session)
            outbox.done(said)
            self._count("sent" if problem is None else "failed")
            if (problem is not None) != failing:
                failing = problem is not None
                verb = "notification_failing" if failing else "notification_fine"
                log.warning(verb, receiver=outbox.receiver.name, why=problem or "the last message arrived")

    async def _send(self, receiver: Receiver, said: Said, session: aiohttp.ClientSession) -> str | None:
        """None when it arrived; else why not. Errors of the client may show the address, so only their class is told (I26)."""
        problem: str | None = None
        for attempt in range(TRIES):
            if attempt:
                await self._sleep(PAUSES_S[attempt - 1])
            try:
                async with session.post(receiver.url, json=message(said), allow_redirects=False) as answer:
                    if answer.status < 300:
                        return None
                    problem = f"the receiver answered {answer.status}"
                    if 400 <= answer.status < 500 and answer.status != 429:
                        return problem
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                problem = type(error).__name__
        return problem


def message(said: Said) -> dict[str, str | None]:
    """The body of a POST. `text` stands by itself: chat services show that field alone."""
    at = datetime.fromtimestamp(said.at.wall_ms / MS_PER_S, tz=UTC).isoformat(timespec="seconds")
    place = f" {said.account}" if said.account else ""
    return {
        "source": "guardd",
        "severity": said.severity.value,
        "account": said.account,
        "edge": said.edge,
        "at": at.replace("+00:00", "Z"),
        "text": f"[{said.severity.upper()}]{place}: {said.text}",
    }


class _Outbox:
    """What waits for one receiver."""

    def __init__(self, receiver: Receiver, count: Callable[[str], None]) -> None:
        self.receiver = receiver
        self._count = count
        self._waiting: deque[Said] = deque()
        self._filled = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, said: Said) -> None:
        if _RANK[said.severity] < _RANK[self.receiver.min_severity]:
            return
        self._waiting.append(said)
        if len(self._waiting) > QUEUE_MAX:
            self._waiting.remove(min(self._waiting, key=lambda each: _RANK[each.severity]))
            self._count("dropped")
        self._filled.set()

    async def first(self) -> Said:
        """The oldest; it stays queued until `done`, so that a delivery that was cut off is made again."""
        while not self._waiting:
            self._filled.clear()
            await self._filled.wait()
        return self._waiting[0]

    def done(self, said: Said) -> None:
        if self._waiting and self._waiting[0] is said:
            self._waiting.popleft()
