"""Messages to people, off every path that acts: by Apprise, or a JSON POST to an http(s) address.

A fact is queued the moment it is heard (I21); delivery is a task of its own. What repeats an edge that was told is dropped, and a
receiver that is down costs its own messages only.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Protocol

import aiohttp
import structlog
from msgspec import Struct

from guardd.model.facts import Fact, Said
from guardd.model.instant import MS_PER_S, Instant
from guardd.model.names import Severity
from guardd.telemetry.courier import Courier
from guardd.telemetry.errand import FOR_GOOD, SENT, Errand

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
    daily_summary: bool = True
    """Whether the summary of each day goes there, whatever `min_severity` says."""


class Trouble(Struct, frozen=True, kw_only=True):
    """Why a message didn't arrive. `for_good`: another try won't change it."""

    why: str
    for_good: bool = False


class Way(Protocol):
    """How messages reach one receiver; one at a time."""

    async def send(self, said: Said) -> Trouble | None:
        """None when it arrived. Raises nothing, and tells no part of the address (I26)."""
        ...

    async def open(self) -> None:
        """What would take time at the first message."""
        ...

    async def close(self) -> None: ...


def by_apprise(url: str) -> bool:
    """Whether this address is one for Apprise: http and https get our own JSON, every other scheme is Apprise's."""
    scheme, found, _ = url.partition("://")
    return bool(found) and scheme.lower() not in ("http", "https")


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

    def summarise(self, said: Said) -> None:
        """Queue the summary of a day for whoever wants one."""
        for outbox in self._outboxes:
            if outbox.receiver.daily_summary:
                outbox.put(said, asked_for=True)

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
        receiver, failing = outbox.receiver, False
        way: Way = _ByApprise(receiver.url) if by_apprise(receiver.url) else _ByPost(receiver.url, session)
        try:
            await way.open()
            while True:
                said = await outbox.first()
                problem = await self._send(way, said)
                outbox.done(said)
                self._count("sent" if problem is None else "failed")
                if (problem is not None) != failing:
                    failing = problem is not None
                    verb = "notification_failing" if failing else "notification_fine"
                    log.warning(verb, receiver=receiver.name, why=problem or "the last message arrived")
        finally:
            await way.close()

    async def _send(self, way: Way, said: Said) -> str | None:
        """None when it arrived; else why not."""
        problem: Trouble | None = None
        for attempt in range(TRIES):
            if attempt:
                await self._sleep(PAUSES_S[attempt - 1])
            problem = await way.send(said)
            if problem is None or problem.for_good:
                break
        return problem.why if problem is not None else None


async def deliver_once(receiver: Receiver, said: Said) -> str | None:
    """One try, for a person who waits for its result; None when it arrived, else why not."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=DEADLINE_S)) as session:
        way: Way = _ByApprise(receiver.url) if by_apprise(receiver.url) else _ByPost(receiver.url, session)
        try:
            problem = await way.send(said)
        finally:
            await way.close()
    return problem.why if problem is not None else None


class _ByPost:
    """A JSON POST. Errors of the client may show the address, so only their class is told (I26)."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session

    async def send(self, said: Said) -> Trouble | None:
        try:
            async with self._session.post(self._url, json=message(said), allow_redirects=False) as answer:
                if answer.status < 300:
                    return None
                lasting = 400 <= answer.status < 500 and answer.status != 429
                return Trouble(why=f"the receiver answered {answer.status}", for_good=lasting)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            return Trouble(why=type(error).__name__)

    async def open(self) -> None:
        """Connections are made as they are needed."""

    async def close(self) -> None:
        """The session is everybody's."""


class _ByApprise:
    """By the process beside us; it is started ahead of the first message."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._courier = Courier()

    async def open(self) -> None:
        """A process that can't be started now is started, or told as trouble, with the first message."""
        with suppress(OSError):
            await self._courier.start()

    async def send(self, said: Said) -> Trouble | None:
        answer = await self._courier.carry(errand_of(said, self._url))
        return None if answer == SENT else Trouble(why=answer, for_good=answer in FOR_GOOD)

    async def close(self) -> None:
        await self._courier.close()


def message(said: Said) -> dict[str, str | None]:
    """The body of a POST. `text` stands by itself: chat services show that field alone."""
    at = datetime.fromtimestamp(said.at.wall_ms / MS_PER_S, tz=UTC).isoformat(timespec="seconds")
    return {
        "source": "guardd",
        "severity": said.severity.value,
        "account": said.account,
        "edge": said.edge,
        "at": at.replace("+00:00", "Z"),
        "text": f"{_heading(said)}: {said.text}",
    }


def errand_of(said: Said, url: str) -> Errand:
    """The same for Apprise: a heading and a text."""
    at = message(said)["at"]
    title = f"guardd {_heading(said)}"
    return Errand(url=url, title=title, text=f"{said.text}\n{at}", severity=said.severity.value)


def _heading(said: Said) -> str:
    return f"[{said.severity.upper()}]" + (f" {said.account}" if said.account else "")


class _Outbox:
    """What waits for one receiver."""

    def __init__(self, receiver: Receiver, count: Callable[[str], None]) -> None:
        self.receiver = receiver
        self._count = count
        self._waiting: deque[Said] = deque()
        self._filled = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, said: Said, *, asked_for: bool = False) -> None:
        """`asked_for`: whatever its severity."""
        if not asked_for and _RANK[said.severity] < _RANK[self.receiver.min_severity]:
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
