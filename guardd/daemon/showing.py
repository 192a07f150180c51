"""What people see of one account, and when: at the next pulse after something happened, else as figures drift (I21)."""

from collections.abc import Mapping
from functools import partial
from typing import Final

from guardd.config import Mode
from guardd.daemon.gate import condition
from guardd.daemon.hands import Hands
from guardd.daemon.lookout import Lookout
from guardd.daemon.telling import Teller
from guardd.daemon.view import account_view
from guardd.model.account import AccountCondition
from guardd.model.facts import AccountView
from guardd.model.instant import Instant
from guardd.model.names import PositionKey, Severity, Symbol
from guardd.model.state import AccountState
from guardd.policy.blindness import unjudged
from guardd.policy.language import Policy
from guardd.policy.memory import Memory
from guardd.policy.watch import Solved

VIEW_AT_REST_NS: Final = 1_500_000_000
"""How often people and metrics see new figures of the account while nothing but marks moves. What happened is shown at the next
pulse, and what time alone brings within `JUDGED_EVERY_NS` more: all of it within a second (I21)."""
JUDGED_EVERY_NS: Final = 500_000_000
GRAVE: Final = frozenset({AccountCondition.STALE, AccountCondition.BLOCKED, AccountCondition.PARKED})


class Showing:
    """One account's window. `missing`: why nothing is decided yet; empty once it is."""

    def __init__(self, *, state: AccountState, hands: Hands, lookout: Lookout, teller: Teller) -> None:
        self._state = state
        self._hands = hands
        self._lookout = lookout
        self._teller = teller
        self._viewed_ns = self._judged_ns = 0
        self._due = True
        self.view: AccountView | None = None
        self.restless = False
        """Something happened that people shall see at the next pulse: what is being settled in a moment isn't an alarm."""
        self.unfinished = False
        """It goes on with the next review."""

    def pulse(self) -> None:
        self._due = self.restless or self._lookout.undecided

    def show(
        self,
        policy: Policy,
        memory: Memory,
        solved: Mapping[PositionKey, Solved],
        *,
        ready: bool,
        missing: tuple[str, ...],
        unsettled: frozenset[Symbol],
        now: Instant,
    ) -> None:
        """Publish the account's figures if it is time to. `unsettled`: what isn't at rest, where alone a rule may be unjudged."""
        found: tuple[AccountCondition, str] | None = None
        known = None if self.view is None else (self.view.condition, self.view.condition_why)
        judge = partial(self._condition, policy, memory, ready=ready, missing=missing, unsettled=unsettled, now=now)
        if not self.unfinished:
            if not self._due and now.mono_ns - self._judged_ns < JUDGED_EVERY_NS:
                return
            self._judged_ns, found = now.mono_ns, judge()
            by_time = known != found or self._lookout.lists_aged(now)
            if not (self._due or by_time or now.mono_ns - self._viewed_ns >= VIEW_AT_REST_NS):
                return
        self.unfinished = self._lookout.freshen(now)
        if self.unfinished:
            return
        found = found or judge()
        self._viewed_ns, self.restless, self._due = now.mono_ns, False, False
        changed = known is None or known[0] is not found[0]
        look = self._lookout.look(policy, self._hands, now, solved=solved)
        self.view = account_view(
            self._state,
            mode=Mode.ENFORCE if self._state.armed and not self._state.foreign_guard else Mode.OBSERVE,
            condition=found,
            accounts=look.accounts,
            seen=look.seen,
            unprotected_s=look.unprotected_s,
            unguarded=look.unguarded,
            now=now,
        )
        self._teller.fact(self.view)
        for severity, edge, text in look.alarms:
            self._teller.say(severity, edge, text, now)
        if changed:
            self._tell(*found, now)

    def _condition(
        self,
        policy: Policy,
        memory: Memory,
        *,
        ready: bool,
        missing: tuple[str, ...],
        unsettled: frozenset[Symbol],
        now: Instant,
    ) -> tuple[AccountCondition, str]:
        stale = ""
        if ready:
            old = self._lookout.blindness(policy.limits.stale_after_s, now)
            stale = "; ".join(old or unjudged(policy, self._state, memory, now, among=unsettled))
        return condition(self._state, missing=missing, stale=stale, now=now)

    def _tell(self, word: AccountCondition, why: str, now: Instant) -> None:
        severity = Severity.CRITICAL if word in GRAVE else Severity.INFO
        self._teller.say(severity, "condition", f"{self._state.name}: {word}{': ' if why else ''}{why}", now)
