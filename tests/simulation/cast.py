"""One guarded account in a story: its owner, what is checked of it, and who has told and asked what in its name."""

from pathlib import Path
from typing import Final

from guardd.model.facts import Fact, RequestFinished
from guardd.policy.language import Policy
from guardd.simulator.control import AccountSettings
from guardd.simulator.run import SimulatedVenue
from guardd.simulator.stamps import RequestStamp
from guardd.venues.wire import WireRequest
from tests.changed import replace
from tests.simulation.checks import Case, Checks, Span
from tests.simulation.plot import Part
from tests.simulation.process import Process
from tests.simulation.room import Room
from tests.simulation.trader import Trader

KEY_HEADERS: Final = ("X-BM-KEY", "ACCESS-KEY")


class Cast:
    """From the story's first second to its last."""

    def __init__(self, part: Part, venue: SimulatedVenue, owner: AccountSettings, room: Room, policy: Policy) -> None:
        self.part, self.room, self._key = part, room, owner.key
        self.exchange = room.server.exchange
        self.trader = Trader(part, room.server)
        self.checks = Checks(self.exchange, part.uid, part.last_percent, room.server.now_ms())
        self.checks.case = Case(
            account=part.name,
            venue=venue,
            policy=policy,
            acts=not part.observe,
            server=room.server,
            secrets=(owner.key, owner.secret, owner.passphrase),
        )

    def rewrite(self, policy: Policy, now: float) -> None:
        """From now on it is this policy that the guard is judged by; what is under way by the one before is excused."""
        if self.checks.case is not None:
            self.checks.case = replace(self.checks.case, policy=policy)
        self.checks.disturb(now)

    def look(self, now: float, guard: Process | None) -> None:
        guarded = guard is not None and self.part.name in guard.armed_at
        self.checks.look(now, guarded=guarded and not self.part.observe)

    def excuse(self, what: str, from_s: float, until_s: float, excuses: frozenset[str] = frozenset()) -> None:
        """Nobody asks whether it acts in time until then."""
        self.checks.disturb(until_s)
        self.checks.spans.append(Span(kind=what, from_s=from_s, until_s=until_s, excuses=excuses))

    def heard(self, fact: Fact, now: float, life: Path) -> None:
        if isinstance(fact, RequestFinished):
            return  # the most by far; what counts of it is in what follows from it
        if getattr(fact, "account", None) in (None, self.part.name):
            self.checks.heard(fact, now, str(life))

    def leaving(self, request: WireRequest, now: float, life: Path) -> None:
        if self._key in map(request.headers.get, KEY_HEADERS):
            self.checks.leaving(request, life, now)

    def unheard(self, request: WireRequest, now: float, life: Path) -> None:
        if self._key in map(request.headers.get, KEY_HEADERS):
            self.checks.requests.unheard(request, now, str(life))

    def asked(self, room: Room, stamp: RequestStamp, now: float, life: Path) -> None:
        if room is not self.room:
            return
        if stamp.uid == self.part.uid:
            self.checks.asked(stamp, now, str(life))
        else:
            self.checks.requests.heard_of(stamp, now, str(life))

    def breaches(self, *, alone: bool) -> list[str]:
        return [line if alone else f"[{self.part.name}] {line}" for line in self.checks.breaches]

    def left(self) -> list[str]:
        """What is held and what rests. An order for exactly what is held is one for all of it."""
        query, uid = self.exchange.query, self.part.uid
        held = {(each.symbol, each.side): each.size for each in query.positions(uid) if each.size}
        found = [f"{symbol} {side.value} {size}" for (symbol, side), size in held.items()]
        for plan in query.open_plans(uid):
            size = "whole" if plan.size is None or plan.size in held.values() else str(plan.size)
            found.append(f"{plan.symbol} {plan.kind.value} {plan.side.value} {plan.trigger_price} {size}")
        return sorted(found)
