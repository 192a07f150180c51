"""What the strikes do: each begins, stands for its time, and ends. What it struck is counted."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Final

from guardd.errors import JournalError
from guardd.model.event import OperatorWord
from guardd.simulator.contracts import ContractStatus
from guardd.simulator.faults import FaultKind
from guardd.simulator.refusals import Refused
from guardd.simulator.terms import VenueState
from tests.changed import replace
from tests.simulation.loop import VirtualClock
from tests.simulation.market import Prices
from tests.simulation.menu import MENU, Act
from tests.simulation.plot import Part, Strike
from tests.simulation.process import Process, another_on
from tests.simulation.room import Room
from tests.simulation.wire import Weather

CONDITIONS: Final = frozenset(
    {
        FaultKind.FREEZE_SOCKET,
        FaultKind.CLOCK_OFFSET,
        FaultKind.PARTIAL_FILL,
        FaultKind.OTHER_FAMILY,
        FaultKind.CONVERTING,
    }
)
"""These stand and aren't drawn: they count once."""
AT_LOGIN: Final = frozenset({FaultKind.REFUSE_LOGIN, FaultKind.LOGIN_UNAVAILABLE})
"""Met where somebody logs in: so every connection breaks first."""
_STATES: Final = {
    "reduce-only": VenueState.REDUCE_ONLY,
    "closes-only": VenueState.CLOSES_ONLY,
    "shut": VenueState.MAINTENANCE,
}


class Forces:
    """Everything that can strike, in reach of one pair of hands."""

    def __init__(
        self,
        *,
        rooms: Sequence[Room],
        weather: Sequence[Weather],
        prices: Sequence[Prices],
        parts: Sequence[Part],
        clock: VirtualClock,
        processes: Callable[[], list[Process]],
        guard: Callable[[], Process | None],
        wrong: Callable[[str], None],
    ) -> None:
        """`clock` is the guard's machine's, `guard` the first of its `processes`. `wrong` hears what must not be."""
        self._rooms, self._weather, self._prices, self._parts = rooms, weather, prices, parts
        self._clock, self._processes, self._guard, self._wrong = clock, processes, guard, wrong
        self.struck: dict[str, int] = {}

    def begin(self, strike: Strike) -> None:
        match MENU[strike.what].act:
            case Act.VENUE:
                assert strike.fault is not None
                self._rooms[strike.site].server.faults.set(strike.fault)
                if strike.fault.kind in CONDITIONS:
                    self._count(strike, 1)
                if strike.fault.kind in AT_LOGIN:
                    self._rooms[strike.site].cut()
            case Act.WEATHER:
                self._blow(strike)
            case Act.CONDUCT:
                self._count(strike, self._turn(strike))
            case Act.MACHINE:
                self._count(strike, self._break(strike))

    def end(self, strike: Strike) -> None:
        match MENU[strike.what].act:
            case Act.VENUE:
                assert strike.fault is not None
                faults = self._rooms[strike.site].server.faults
                self._count(strike, next(hits for fault, hits in faults.listed() if fault.name == strike.fault.name))
                faults.clear(strike.fault.name)
            case Act.WEATHER:
                self._calm(strike)
            case Act.CONDUCT:
                self._turn_back(strike)
            case Act.MACHINE:
                self._mend(strike)

    def _count(self, strike: Strike, hits: int) -> None:
        self.struck[strike.what] = self.struck.get(strike.what, 0) + hits

    # The network

    def _blow(self, strike: Strike) -> None:
        weather = self._weather[strike.site]
        match strike.what:
            case "lost-before":
                weather.lost_before = strike.size
            case "lost-after":
                weather.lost_after = strike.size
            case "slow-net":
                weather.tail_ms = weather.push_tail_ms = strike.size
                self._count(strike, 1)
            case _:
                weather.down = True
                self._rooms[strike.site].cut()
                self._count(strike, 1)

    def _calm(self, strike: Strike) -> None:
        weather, fair = self._weather[strike.site], Weather()
        match strike.what:
            case "lost-before" | "lost-after":
                weather.lost_before = weather.lost_after = 0.0
                self._count(strike, weather.lost)
                weather.lost = 0
            case "slow-net":
                weather.tail_ms, weather.push_tail_ms = fair.tail_ms, fair.push_tail_ms
            case _:
                weather.down = False

    # The exchange's own doings

    def _turn(self, strike: Strike) -> int:
        room, uid = self._rooms[strike.site], self._parts[strike.part].uid
        exchange, now_ms, symbol = room.server.exchange, room.server.now_ms(), strike.symbol
        contract = exchange.query.contract(symbol)
        size = Decimal(str(strike.size))
        match strike.what:
            case "upgraded":
                room.upgrade(uid)
            case "paused":
                exchange.set_status(symbol, ContractStatus.PAUSED, now_ms)
            case "delisted":
                exchange.set_status(symbol, ContractStatus.DELISTED, now_ms, settle=True)
            case "tick":
                exchange.set_contract(replace(contract, tick=contract.tick * size), now_ms)
            case "tiers":  # none asks for more than the position is worth: tables that make no sense are C119's
                by = min(size, Decimal("0.95") / contract.tiers[-1].rate)
                tiers = [replace(each, rate=each.rate * by, deduction=each.deduction * by) for each in contract.tiers]
                exchange.set_tiers(symbol, tuple(tiers), now_ms)
            case "adl":
                return self._deleverage(room, uid, symbol, size)
            case "last-apart":
                self._prices[strike.site].last_apart[symbol] = size
            case "index-apart":
                self._prices[strike.site].index_apart[symbol] = size
            case "funding":
                exchange.settle_funding(symbol, size, now_ms)
            case state:
                exchange.set_state(_STATES[state], now_ms)
        return 1

    def _turn_back(self, strike: Strike) -> None:
        server = self._rooms[strike.site].server
        if strike.what in _STATES:
            server.exchange.set_state(VenueState.NORMAL, server.now_ms())
        elif strike.what == "last-apart":
            self._prices[strike.site].last_apart.pop(strike.symbol, None)
        elif strike.what == "index-apart":
            self._prices[strike.site].index_apart.pop(strike.symbol, None)
        elif strike.what == "paused" and server.exchange.query.status(strike.symbol) is ContractStatus.PAUSED:
            server.exchange.set_status(strike.symbol, ContractStatus.TRADING, server.now_ms())

    def _deleverage(self, room: Room, uid: str, symbol: str, share: Decimal) -> int:
        exchange = room.server.exchange
        held = next((each for each in exchange.query.positions(uid, symbol) if each.size), None)
        if held is None:
            return 0
        step = exchange.query.contract(symbol).step
        size = max((held.size * share / step).to_integral_value() * step, step)
        try:
            exchange.auto_deleverage(uid, symbol, held.side, size, room.server.now_ms())
        except Refused:
            return 0
        return 1

    # The machine

    def _break(self, strike: Strike) -> int:
        match strike.what:
            case "clock-step":
                self._clock.step(strike.size / 1_000)
            case "clock-drift":
                self._clock.drift(round(strike.size))
            case "disk-full":
                for process in self._processes():
                    process.disk.full = True
            case "disk-slow":
                for process in self._processes():
                    process.disk.tail_s = strike.size
            case "halted":
                self._speak(OperatorWord.HALT)
            case _:
                return self._trespass()
        return 1

    def _mend(self, strike: Strike) -> None:
        match strike.what:
            case "clock-drift":
                self._clock.drift(0)
            case "disk-full":
                for process in self._processes():
                    process.disk.full = False
            case "disk-slow":
                for process in self._processes():
                    process.disk.calm()
            case "halted":
                self._speak(OperatorWord.RESUME)
            case _:
                pass

    def resume(self, name: str) -> None:
        """The operator's word to one account."""
        guard = self._guard()
        for account in guard.accounts if guard is not None else ():
            if account.name == name:
                account.speak(OperatorWord.RESUME, "simulation")

    def _speak(self, word: OperatorWord) -> None:
        """To the guard alone: a second instance that is told to resume takes the other's orders for its own."""
        guard = self._guard()
        for account in guard.accounts if guard is not None else ():
            account.speak(word, "simulation")

    def _trespass(self) -> int:
        """Somebody starts guardd again on the same data directory."""
        for process in self._processes():
            try:
                another_on(process)
            except JournalError:
                continue
            self._wrong(f"I14: a second process took {process.data.name}")
        return len(self._processes())
