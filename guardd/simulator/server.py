"""The thin shell: sockets outside, a dialect inside. Everything that decides anything is synchronous and elsewhere.

    async with SimulatorServer(exchange, dialect, faults, clock=SystemClock()) as server:
        ... server.rest_url, server.stream_url ...

One pulse lets time pass: due fills, funding, periodic frames, late pushes, sockets that the venue ends.
"""

import asyncio
import socket
from collections import Counter
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from decimal import Decimal
from types import TracebackType
from typing import Self

from aiohttp import WSCloseCode, WSMsgType, web

from guardd.clock import Clock
from guardd.simulator.engine import Exchange
from guardd.simulator.faults import FaultKind, Faults
from guardd.simulator.orders import Order, Plan
from guardd.simulator.prices import PriceTick
from guardd.simulator.records import Quote
from guardd.simulator.refusals import RefusalReason
from guardd.simulator.stamps import Stamps
from guardd.simulator.terms import FillModel
from guardd.simulator.wire import Close, Dialect, Push, Request, StreamSession

CONTROL_PREFIX = "/_simulator/"
PULSE_S = 0.05
SOCKETS_PER_ADDRESS_MAX = 500  # BitMart reference 14.1
SERVER_PING_S = 54.0  # measured (14.4)
_SHUTDOWN_S = 1.0
_TASK_PREFIX, _WRITER = "simulator-", "socket"


@dataclass(slots=True)
class _Socket:
    session: StreamSession
    queue: "asyncio.Queue[Push | Close | str]"
    transport: asyncio.WriteTransport | None


class SimulatorServer:
    """One exchange on one loopback port: REST, WebSockets and the control routes of `control`."""

    def __init__(
        self,
        exchange: Exchange,
        dialect: Dialect,
        faults: Faults,
        *,
        clock: Clock,
        host: str = "127.0.0.1",
        port: int = 0,
        pulse_s: float = PULSE_S,
        listener: socket.socket | None = None,
    ) -> None:
        """`listener`: a bound socket of the caller's instead of `host` and `port`."""
        self.exchange = exchange
        self.dialect = dialect
        self.faults = faults
        self.stamps = Stamps()
        self.app = web.Application(client_max_size=1 << 20)
        self._clock = clock
        self._host, self._port = host, port
        self._pulse_s = pulse_s
        self._listener = listener
        self._sockets: list[_Socket] = []
        self._per_address: Counter[str] = Counter()
        self._stopping = asyncio.Event()
        self._task_group = asyncio.TaskGroup()
        self._tasks: set[asyncio.Task[None]] = set()
        self._runner: web.AppRunner | None = None
        self._books = {each.symbol: exchange.query.fills(each.symbol) for each in exchange.query.contracts()}
        self._partial: FillModel | None = None
        exchange.set_plan_fault(self._plan_fault)
        exchange.set_cancel_race(self._cancel_race)

    async def __aenter__(self) -> Self:
        for path in self.dialect.stream_paths:
            self.app.router.add_get(path, self._on_socket)
        self.app.router.add_route("*", "/{path:.*}", self._on_request)
        await self._task_group.__aenter__()
        runner = web.AppRunner(
            self.app, handler_cancellation=True, access_log=None, shutdown_timeout=_SHUTDOWN_S, keepalive_timeout=300
        )
        await runner.setup()
        self._runner = runner
        if self._listener is None:
            await web.TCPSite(runner, self._host, self._port).start()
        else:
            await web.SockSite(runner, self._listener).start()
        self._port = int(runner.addresses[0][1])
        self.spawn("pulse", self._beat())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopping.set()
        for each in self._sockets:
            each.queue.put_nowait(Close(code=WSCloseCode.GOING_AWAY, reason="shutting down"))
        writers = [task for task in self._tasks if task.get_name() == f"{_TASK_PREFIX}{_WRITER}"]
        if writers:
            await asyncio.wait(writers, timeout=_SHUTDOWN_S)
        for task in self._tasks:
            task.cancel()
        if self._runner is not None:
            await self._runner.cleanup()
        cancelled = kind is not None and issubclass(kind, asyncio.CancelledError)
        if cancelled:  # perhaps by the group itself, because a task of the server failed: then that is raised
            await self._task_group.__aexit__(kind, error, traceback)
        else:
            await self._task_group.__aexit__(None, None, None)

    @property
    def rest_url(self) -> str:
        return f"http://{self._host}:{self._port}"

    @property
    def stream_url(self) -> str:
        return f"ws://{self._host}:{self._port}"

    def now_ms(self) -> int:
        """The venue's time: the clock's, and off by whatever the fault says."""
        wall_ms = self._clock.now().wall_ms
        if not self.faults.armed(FaultKind.CLOCK_OFFSET):
            return wall_ms
        fault = self.faults.stands(FaultKind.CLOCK_OFFSET, wall_ms)
        return wall_ms + (fault.offset_ms if fault else 0)

    def set_price(self, symbol: str, mark: Decimal, *, quote: Quote | None = None) -> None:
        """One price move, now; with a quote all of its prices, else last and book follow the mark."""
        if quote is None:
            self.exchange.move(symbol, mark=mark, now_ms=self.now_ms())
            return
        self.exchange.move(
            symbol,
            mark=quote.mark,
            index=quote.index,
            last=quote.last,
            bid=quote.bid,
            ask=quote.ask,
            now_ms=self.now_ms(),
        )

    def open_sockets(self) -> list[tuple[StreamSession, asyncio.WriteTransport]]:
        """Every open socket, for a tape that is written past the dialect (`feed`)."""
        return [(each.session, each.transport) for each in self._sockets if each.transport is not None]

    async def play(self, path: Iterable[PriceTick]) -> None:
        """Play a price path at its own pace, from now on."""
        start_ns = self._clock.monotonic_ns()
        for tick in path:
            wait_ns = start_ns + tick.offset_ms * 1_000_000 - self._clock.monotonic_ns()
            await self._clock.sleep(max(wait_ns, 0) / 1e9)  # when late: one turn for the others
            self.set_price(tick.symbol, tick.quote.mark, quote=tick.quote)

    def spawn(self, name: str, work: Coroutine[object, object, None]) -> "asyncio.Task[None]":
        """Run beside the server until it stops; a failure ends the server, and is raised where it is left."""
        task = self._task_group.create_task(work, name=f"{_TASK_PREFIX}{name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def stop(self, name: str) -> int:
        """Cancel what was spawned under this name; returns how many."""
        named = [task for task in self._tasks if task.get_name() == f"{_TASK_PREFIX}{name}"]
        for task in named:
            task.cancel()
        return len(named)

    def pulse(self) -> None:
        """Let the exchange and the dialect look at the time once."""
        now_ms = self.now_ms()
        self._apply_book(now_ms)
        self.exchange.advance(now_ms)
        self.dialect.tick(now_ms)
        for each in self._sockets:
            if each.session.close is not None:
                each.queue.put_nowait(each.session.close)

    async def _beat(self) -> None:
        while True:
            self.pulse()
            await self._clock.sleep(self._pulse_s)

    def _apply_book(self, now_ms: int) -> None:
        """The partial-fill fault: market orders in slices, resting ones bit by bit."""
        if self._partial is None and not self.faults.armed(FaultKind.PARTIAL_FILL):
            return
        fault = self.faults.stands(FaultKind.PARTIAL_FILL, now_ms)
        partial = None
        if fault is not None:
            share = Decimal(fault.factor)
            slices = max(2, int(1 / share)) if 0 < share < 1 else 2
            partial = FillModel(
                slices=slices, slice_interval_ms=fault.delay_ms or 100, resting_share=Decimal(1) / slices
            )
        if partial != self._partial:
            self._partial = partial
            for symbol, book in self._books.items():
                self.exchange.set_fills(partial or book, symbol=symbol)

    def _plan_fault(self, plan: Plan) -> RefusalReason | None:
        fault = self.faults.strikes(
            FaultKind.PLAN_FAILS, self.exchange.now_ms, target=plan.kind.value, account=plan.uid, symbol=plan.symbol
        )
        return RefusalReason.SYSTEM_ERROR if fault else None

    def _cancel_race(self, order: Order) -> bool:
        fault = self.faults.strikes(
            FaultKind.FILL_FIRST, self.exchange.now_ms, target=order.side.value, account=order.uid, symbol=order.symbol
        )
        return fault is not None

    async def _on_request(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        mono_ns = self._clock.monotonic_ns()
        asked = Request(
            method=request.method,
            path=request.path,
            query=dict(request.query),
            raw_query=request.rel_url.raw_query_string,
            headers={name.lower(): value for name, value in request.headers.items()},
            body=body,
            peer_ip=request.remote or "",
            now_ms=self.now_ms(),
        )
        reply = self.dialect.answer(asked)
        self.stamps.note_request(
            mono_ns,
            asked.method,
            asked.path,
            self.dialect.account_of(asked),
            body.decode(errors="replace"),
            reply.response.status if reply.response else 0,
            reply.response.body if reply.response else b"",
        )
        if reply.response is None:
            return await self._swallow(request)
        if reply.delay_ms:
            await self._clock.sleep(reply.delay_ms / 1000)
        return web.Response(
            status=reply.response.status, headers=dict(reply.response.headers), body=reply.response.body
        )

    async def _swallow(self, request: web.Request) -> web.StreamResponse:
        """No answer: until the caller gives up (which cancels this) or the server stops."""
        await self._stopping.wait()
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=503)

    async def _on_socket(self, request: web.Request) -> web.StreamResponse:
        address = request.remote or ""
        if self._per_address[address] >= SOCKETS_PER_ADDRESS_MAX:
            return web.Response(status=429)
        response = web.WebSocketResponse(
            autoping=False, heartbeat=SERVER_PING_S, max_msg_size=1 << 16, timeout=_SHUTDOWN_S
        )
        await response.prepare(request)
        queue: asyncio.Queue[Push | Close | str] = asyncio.Queue()
        session = self.dialect.open(request.path, self.now_ms(), queue.put_nowait)
        opened = _Socket(session, queue, request.transport)
        self._sockets.append(opened)
        self._per_address[address] += 1
        writer = self.spawn(_WRITER, self._write(response, queue))
        try:
            await self._read(response, opened)
        finally:
            writer.cancel()
            self._per_address[address] -= 1
            self._sockets.remove(opened)
            self.dialect.drop(session)
        return response

    async def _read(self, response: web.WebSocketResponse, opened: _Socket) -> None:
        async for message in response:
            now_ms = self.now_ms()
            match message.type:
                case WSMsgType.TEXT:
                    for answer in opened.session.on_frame(message.data, now_ms):
                        opened.queue.put_nowait(answer)
                    if opened.session.close is not None:
                        opened.queue.put_nowait(opened.session.close)
                case WSMsgType.PING:
                    opened.session.touch(now_ms)
                    if not opened.session.frozen(now_ms):
                        await response.pong(message.data)
                case _:
                    opened.session.touch(now_ms)

    async def _write(self, response: web.WebSocketResponse, queue: "asyncio.Queue[Push | Close | str]") -> None:
        while True:
            item = await queue.get()
            try:
                match item:
                    case Close(code=code, reason=reason):
                        await response.close(code=code, message=reason.encode())
                        return
                    case Push(text=text, ticker=ticker, mark=mark):
                        if ticker:
                            self.stamps.note_ticker(self._clock.monotonic_ns(), ticker, mark)
                        await response.send_str(text)
                    case text:
                        await response.send_str(text)
            except ConnectionError:  # the client went away; the reader ends this socket
                return
