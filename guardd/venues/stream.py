"""What every dialect's socket needs: connect with backoff, log in, subscribe, ping, notice silence, and come back.

A dialect supplies a `Conversation`: what to say and what the frames mean, without any I/O. A `Link` holds it over a `Wire`, and
`keep_connected` merges the events of several links.

Where a venue cuts every connection after a time, an heir is made before that: it logs in and subscribes beside the connection that
serves, and takes over only then. Both hear the same meanwhile, so what the heir hears moves its own state alone; the take-over is
told as another `StreamMoved` upwards, and whoever reads it takes a snapshot as after any other.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final, Protocol

from guardd.clock import Clock
from guardd.errors import GuarddError
from guardd.model.event import Event, StreamMoved, StreamName
from guardd.model.facts import Listener, StreamChanged
from guardd.model.instant import NS_PER_S, Instant
from guardd.model.names import AccountName, Symbol, VenueName
from guardd.venues import retry
from guardd.venues.base import Ear, Heard
from guardd.venues.wire import Closed, Socket, Unconnected, Wire

PULSE_S: Final = 1.0
"""How often silence, pings and outstanding acknowledgements are looked at."""
STEADY_S: Final = 30.0
"""A connection that lasted this long was a good one: the next loss starts the backoff anew."""
ATTEMPTS_MAX: Final = 30
"""Connection attempts of one link in a minute; a venue that counts 60 a minute and address leaves room for two links."""
ATTEMPTS_WINDOW_S: Final = 60.0
EVENTS_WAITING_MAX: Final = 10_000
"""Beyond this the links stop reading, so that a slow reader slows the venue and not the memory."""
HEIR_PAUSE_S: Final = 60.0
"""Between two tries to make an heir: the connection that serves has some time left."""
_FRAMES_BETWEEN_TURNS: Final = 64
"""Frames that may be read in a row from the buffer before other tasks get a turn."""


def _no_pause() -> float:
    return 0.0


class Conversation(Protocol):
    """One connection's talk, made anew for each connection; plain state, no I/O. What it knows is of its own connection
    alone: an heir hears what the connection that serves hears, and only the latter's events are told."""

    @property
    def admitted(self) -> bool:
        """True once the login was acknowledged; from the start where there is none."""
        ...

    @property
    def waiting(self) -> Collection[str]:
        """Topics that were asked for and not yet acknowledged."""
        ...

    @property
    def failed(self) -> str | None:
        """Why this connection is of no use (login refused, a topic refused that it can't do without), else None."""
        ...

    def opening(self, now: Instant) -> Sequence[str]:
        """Frames sent as soon as the socket is open: the login, stamped with `now`."""
        ...

    def wanted(self, symbols: frozenset[Symbol]) -> Sequence[str]:
        """Frames that take this connection's subscriptions to what it should carry for `symbols`, each within the venue's
        frame limit; empty when they are that already. Called once after admission and on each change of `symbols`."""
        ...

    def on_frame(self, frame: str | bytes, at: Instant) -> Sequence[Event]:
        """Take in one frame: acknowledgements change the state, everything else becomes events. An error raised here (a
        `PayloadError`) ends the connection, so that the next one begins from a snapshot."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkTerms:
    """How one socket of a venue wants to be treated."""

    stream: StreamName
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    ping_frame: str | None = None
    """The venue's own ping, as text; None where protocol pings do."""
    ping_every_s: float = 10.0
    silence_s: float = 30.0
    """No frame at all for this long: the connection is given up."""
    acknowledge_within_s: float = 10.0
    connect_within_s: float = 10.0
    messages_per_s_max: int | None = None
    """Frames that the venue takes from us in any second, pings included; None where nobody counts."""
    renew_after_s: float | None = None
    """An heir takes over from a connection of this age; None where the venue lets connections live."""
    keep_away_s: Callable[[], float] = _no_pause
    """Asked after each loss: the least time until the next connection, beyond the backoff."""


class Mailbox:
    """Events on their way from the links to the one who reads them, in order of arrival. What an `ear` takes isn't queued."""

    def __init__(self) -> None:
        self.ear: Ear | None = None
        self._events: list[Event] = []
        self._arrived = asyncio.Event()
        self._emptied = asyncio.Event()

    @property
    def crowded(self) -> bool:
        return len(self._events) >= EVENTS_WAITING_MAX

    def put(self, event: Event) -> bool:
        """True: give way to the other tasks now, before the next frame."""
        if self.ear is not None and not self._events:
            try:
                heard = self.ear(event)
            except Exception:  # it goes the long way, where what fails with it is supervised and told
                self.ear, heard = None, Heard.NOT_TAKEN
            if heard is not Heard.NOT_TAKEN:
                return heard is Heard.GIVE_WAY
        self._events.append(event)
        self._arrived.set()
        return False

    async def take(self) -> list[Event]:
        """Everything that waits, at least one event."""
        await self._arrived.wait()
        self._arrived.clear()
        events, self._events = self._events, []
        self._emptied.set()
        return events

    async def room(self) -> None:
        """Wait until somebody took what is here."""
        self._emptied.clear()
        await self._emptied.wait()


class Link:
    """One socket, held for ever. `last_frame_ns` (monotonic, 0 before the first frame) and `frames` are there to be sampled:
    no fact is made for a frame, there are thousands each second."""

    def __init__(
        self,
        *,
        terms: LinkTerms,
        conversation: Callable[[], Conversation],
        wire: Wire,
        clock: Clock,
        random: Random,
        account: AccountName,
        venue: VenueName,
        listener: Listener,
    ) -> None:
        self._terms = terms
        self._conversation = conversation
        self._wire = wire
        self._clock = clock
        self._random = random
        self._account = account
        self._venue = venue
        self._listener = listener
        self._symbols: frozenset[Symbol] = frozenset()
        self._symbols_changed = asyncio.Event()
        self._attempts_ns: deque[int] = deque(maxlen=ATTEMPTS_MAX)
        self._up: bool | None = None
        self._serving: _Session | None = None
        self.frames = 0

    @property
    def stream(self) -> StreamName:
        return self._terms.stream

    @property
    def up(self) -> bool:
        """Connected, logged in and every subscription acknowledged."""
        return self._up is True

    @property
    def last_frame_ns(self) -> int:
        return 0 if self._serving is None else self._serving.heard_ns

    def watch(self, symbols: Collection[Symbol]) -> None:
        """Carry these symbols from now on; a live connection is told at once, each new one from its start."""
        wanted = frozenset(symbols)
        if wanted != self._symbols:
            self._symbols = wanted
            self._symbols_changed.set()

    def watched(self) -> int:
        """How many symbols it carries: as many positions, or twice that in hedge mode."""
        return len(self._symbols)

    async def run(self, mailbox: Mailbox) -> None:
        """Connect, carry, lose, come back: for ever. Cancellation passes and closes the socket."""
        failures = 0
        while True:
            await self._pace()
            began_ns = self._clock.monotonic_ns()
            try:
                why = await self._one_life(mailbox)
            except Exception as error:
                why = _name(error)
            _heed_cancellation()
            lasted_s = (self._clock.monotonic_ns() - began_ns) / NS_PER_S
            failures = 0 if self.up and lasted_s >= STEADY_S else failures + 1
            self._move(mailbox, up=False, why=why)
            backoff_s = retry.reconnect_s(max(0, failures - 1), self._random.random())
            await self._clock.sleep(max(backoff_s, self._terms.keep_away_s()))

    async def _pace(self) -> None:
        """Never more attempts in a minute than the venue puts up with."""
        now_ns = self._clock.monotonic_ns()
        if len(self._attempts_ns) == ATTEMPTS_MAX:
            await self._clock.sleep(ATTEMPTS_WINDOW_S - (now_ns - self._attempts_ns[0]) / NS_PER_S)
        self._attempts_ns.append(self._clock.monotonic_ns())

    async def _one_life(self, mailbox: Mailbox) -> str:
        """A connection, and the heirs that take over from it without a gap; why the last of them ended."""
        session = await self._connected()
        while isinstance(session, _Session):
            self._serving = session
            try:
                ended = await self._serve(session, mailbox)
            except BaseException:
                if session.heir is not None:
                    await session.heir.socket.close()
                raise
            if isinstance(ended, _Session):
                self._tell(mailbox, up=True, why="renewed before the venue would have cut it, without a gap")
            session = ended
        return session

    async def _connected(self) -> "_Session | str":
        terms = self._terms
        socket = await self._wire.connect(terms.url, terms.headers, terms.connect_within_s)
        if isinstance(socket, Unconnected):
            return socket.why
        return _Session(socket=socket, talk=self._conversation(), opened_ns=self._clock.monotonic_ns())

    async def _serve(self, session: "_Session", mailbox: Mailbox) -> "_Session | str":
        """One connection from its beginning, or from its take-over, to its end: the heir, or why it ended."""
        why = "the connection ended"
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pulse(session))
                group.create_task(self._follow_symbols(session))
                group.create_task(self._renew(session))
                await self._open(session)
                await self._listen(session, mailbox)
        except* _Lost as lost:
            why = str(_first(lost))
        finally:
            await session.socket.close()
        return why if session.heir is None else session.heir

    async def _open(self, session: "_Session") -> None:
        if not session.settled:
            await self._say(session, session.talk.opening(self._clock.now()))

    async def _listen(self, session: "_Session", mailbox: Mailbox) -> None:
        """The path of every tick: no task, no log and no fact for a frame."""
        receive, on_frame, put, now = session.socket.receive, session.talk.on_frame, mailbox.put, self._clock.now
        await self._settle_in(session, mailbox)
        while True:
            frame = await receive()
            if isinstance(frame, Closed):
                raise _Lost(frame.why)
            at = now()
            session.heard_ns = at.mono_ns
            self.frames += 1
            give_way = self.frames % _FRAMES_BETWEEN_TURNS == 0
            for event in on_frame(frame, at):
                give_way |= put(event)
            if not session.settled:
                await self._settle_in(session, mailbox)
            if give_way:
                await self._clock.sleep(0)
                if mailbox.crowded:
                    await mailbox.room()

    async def _settle_in(self, session: "_Session", mailbox: Mailbox) -> None:
        if not session.settled:
            await self._settle(session)
            if session.settled:
                self._move(mailbox, up=True, why="every subscription is acknowledged")

    async def _settle(self, session: "_Session") -> None:
        """Before a connection is of use: subscribe once the login is acknowledged; settled once every subscription is."""
        talk = session.talk
        if talk.failed is not None:
            raise _Lost(talk.failed)
        if talk.admitted and not session.subscribed:
            session.subscribed = True
            await self._say(session, talk.wanted(self._symbols))
        session.settled = session.subscribed and not talk.waiting

    async def _renew(self, session: "_Session") -> None:
        """In time before the venue cuts the connection: leave an heir behind. One that can't be made is tried again meanwhile."""
        if self._terms.renew_after_s is None:
            return
        await self._clock.sleep(self._terms.renew_after_s)
        while True:
            await self._pace()
            session.heir = await self._heir()
            if session.heir is not None:
                raise _Lost("an heir takes over")
            await self._clock.sleep(max(HEIR_PAUSE_S, self._terms.keep_away_s()))

    async def _heir(self) -> "_Session | None":
        """A further connection, logged in and subscribed. Whatever fails in it must not cost the one that serves."""
        heir = await self._connected()
        if isinstance(heir, str):
            return None
        try:
            async with asyncio.TaskGroup() as group:
                pulse = group.create_task(self._pulse(heir))
                await self._open(heir)
                await self._settle(heir)
                while not heir.settled:
                    await self._hear(heir)
                pulse.cancel()
        except* Exception:
            heir.settled = False
        finally:
            if not heir.settled:
                await heir.socket.close()
        return heir if heir.settled else None

    async def _hear(self, heir: "_Session") -> None:
        """One frame of a connection that doesn't serve yet: its state moves, its events are those that the other one tells."""
        frame = await heir.socket.receive()
        if isinstance(frame, Closed):
            raise _Lost(frame.why)
        at = self._clock.now()
        heir.heard_ns = at.mono_ns
        heir.talk.on_frame(frame, at)
        await self._settle(heir)

    async def _follow_symbols(self, session: "_Session") -> None:
        """Tells a subscribed connection of each change of the wanted symbols; an heir of those that it missed."""
        while True:
            if session.subscribed:
                await self._say(session, session.talk.wanted(self._symbols))
            await self._symbols_changed.wait()
            self._symbols_changed.clear()

    async def _say(self, session: "_Session", frames: Sequence[str]) -> None:
        for frame in frames:
            await self._send(session, frame)
        if frames:
            session.asked_ns = self._clock.monotonic_ns()

    async def _send(self, session: "_Session", frame: str) -> None:
        wait_s = session.wait_s(self._clock.monotonic_ns(), self._terms.messages_per_s_max)
        if wait_s > 0:
            await self._clock.sleep(wait_s)
        await session.socket.send_text(frame)

    async def _pulse(self, session: "_Session") -> None:
        """Pings, and notices what does not come: frames, acknowledgements, a change for the worse that was told in a frame."""
        terms, talk = self._terms, session.talk
        pinged_ns = session.opened_ns
        while True:
            await self._clock.sleep(PULSE_S)
            now_ns = self._clock.monotonic_ns()
            if talk.failed is not None:
                raise _Lost(talk.failed)
            if (now_ns - session.heard_ns) / NS_PER_S >= terms.silence_s:
                raise _Lost(f"no frame for {terms.silence_s:.3g} s")
            unsettled = not session.settled or bool(talk.waiting)
            if unsettled and (now_ns - session.asked_ns) / NS_PER_S >= terms.acknowledge_within_s:
                raise _Lost(_unacknowledged(talk, terms.acknowledge_within_s))
            if terms.ping_frame is not None and (now_ns - pinged_ns) / NS_PER_S >= terms.ping_every_s:
                pinged_ns = now_ns
                await self._send(session, terms.ping_frame)

    def _move(self, mailbox: Mailbox, *, up: bool, why: str) -> None:
        """Tell the edge, not the level."""
        if self._up is up:
            return
        self._up = up
        self._tell(mailbox, up=up, why=why)

    def _tell(self, mailbox: Mailbox, *, up: bool, why: str) -> None:
        mailbox.put(StreamMoved(at=self._clock.now(), stream=self.stream, up=up, why=why))
        self._listener(StreamChanged(account=self._account, venue=self._venue, stream=self.stream, up=up, why=why))


async def keep_connected(
    *links: Link,
    beside: Collection[Callable[[], Coroutine[object, object, None]]] = (),
    mailbox: Mailbox | None = None,
    ear: Ear | None = None,
) -> AsyncGenerator[Event, None]:
    """The events of `links` as they come, for ever. `beside` are endless companions (`Transport.tend`) that live and end with them.

    A dialect that has events of its own to tell (a block, a venue that closes) passes the `mailbox` that it puts them in. `ear`
    is offered each event where it arrives, as long as nothing waits before it; what it takes doesn't come out here.

    Close it with `contextlib.aclosing`: its end cancels the links and waits until their sockets are closed.
    """
    mailbox = Mailbox() if mailbox is None else mailbox
    mailbox.ear = ear
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(link.run(mailbox), name=f"link {link.stream}") for link in links]
        tasks += [group.create_task(companion(), name="companion") for companion in beside]
        try:
            while True:
                for event in await mailbox.take():
                    yield event
        except GeneratorExit:
            # The group must end without an error of its own: it would wrap this one, and `aclose` would not know it.
            for task in tasks:
                task.cancel()


class _Lost(Exception):
    """This connection is over; the text says why."""


@dataclass(slots=True, kw_only=True)
class _Session:
    """One connection's state beside its conversation."""

    socket: Socket
    talk: Conversation
    opened_ns: int
    asked_ns: int = 0
    heard_ns: int = 0
    subscribed: bool = False
    settled: bool = False
    heir: "_Session | None" = None
    said_ns: deque[int] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.asked_ns = self.heard_ns = self.opened_ns

    def wait_s(self, now_ns: int, per_s_max: int | None) -> float:
        """Takes the next place for a frame and says how long until it: never more than `per_s_max` in any second."""
        if per_s_max is None:
            return 0.0
        place_ns = now_ns
        if len(self.said_ns) >= per_s_max:
            place_ns = max(now_ns, self.said_ns[-per_s_max] + NS_PER_S)
        self.said_ns.append(place_ns)
        while len(self.said_ns) > per_s_max:
            self.said_ns.popleft()
        return (place_ns - now_ns) / NS_PER_S


def _heed_cancellation() -> None:
    """A task group whose task is cancelled while it ends for an error of its own raises that error and forgets the cancellation
    (Python 3.11 and 3.12): a link that was lost as it was told to stop would come back, and nobody would tell it again."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _first(group: BaseExceptionGroup[_Lost]) -> BaseException:
    """The first plain error in a group, however deep."""
    found: BaseException = group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found


def _unacknowledged(talk: Conversation, within_s: float) -> str:
    what = ", ".join(sorted(talk.waiting)[:3]) or "the subscription" if talk.admitted else "the login"
    return f"{what}: not acknowledged within {within_s:.3g} s"


def _name(error: BaseException) -> str:
    """Our own errors carry no secrets and speak for themselves; of others only the class is told (I26)."""
    plain = _first(error) if isinstance(error, BaseExceptionGroup) else error
    return f"{type(plain).__name__}: {plain}" if isinstance(plain, GuarddError) else type(plain).__name__
