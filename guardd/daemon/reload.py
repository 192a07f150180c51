"""Another policy while the guard runs: read on SIGHUP, or when its file changed where that is asked for (I23).

Whole or not at all: a bad file changes nothing and is told. Reading and understanding a file takes longer than a price frame may
wait, so both are done on a thread; the adoption itself is one turn of the loop, for all accounts together. What it changed is told
after that: nobody's ears stand before an order.
"""

import asyncio
import hashlib
from collections.abc import Callable, Iterable
from enum import StrEnum
from pathlib import Path
from typing import Final

import structlog
from msgspec import Struct

from guardd.clock import Clock
from guardd.daemon.wiring import policy_text
from guardd.errors import ConfigurationError
from guardd.model.names import RuleName, Severity
from guardd.model.state import AccountState
from guardd.policy.conditions import about
from guardd.policy.difference import Change, difference, fires_now
from guardd.policy.language import Policy, PolicyRule
from guardd.policy.load import load_policy
from guardd.policy.view import View, views

log = structlog.get_logger("guardd")

WATCH_EVERY_S: Final = 1.0
"""How often the file's state is looked at; a changed one counts once it was the same on two looks: nobody is still writing it."""
CHANGES_TOLD_MAX: Final = 12
RULES_PRICED_MAX: Final = 4
POSITIONS_PRICED_MAX: Final = 4
"""Changed rules, and instruments for each, for which a price is told: each costs a search."""
EDGES: Final = 101
"""Names under which reloads are told in turn: none is taken for a repetition of the one before, and none is kept for ever."""


class Outcome(StrEnum):
    ADOPTED = "adopted"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


class Ears(Struct, frozen=True, kw_only=True):
    """Who is told. `count` counts for the metrics; `reloading` tells the service manager that one begins and ends."""

    said: Callable[[Severity, str, str], None]
    count: Callable[[Outcome], None]
    reloading: Callable[[bool], None]


class PolicyReload:
    """The policy's file. `ask` is called by the signal's handler; `run` and, where asked for, `watch` are tasks."""

    def __init__(
        self,
        *,
        path: Path,
        current: Callable[[], Policy],
        adopt: Callable[[Policy], None],
        states: Callable[[], Iterable[AccountState]],
        clock: Clock,
        ears: Ears,
        seen: str,
        pinned: bool = False,
    ) -> None:
        """`seen`: the file's fingerprint, taken before it was first read. `pinned`: CONFIRM named one policy, and a changed file
        alone never puts another in its place."""
        self._path = path
        self._current = current
        self._adopt = adopt
        self._states = states
        self._clock = clock
        self._ears = ears
        self._pinned = pinned
        self._asked = asyncio.Event()
        self._seen = seen
        self._waiting: str | None = None
        """What the file was on the last look, while it is other than what was read."""
        self._count = 0

    def ask(self) -> None:
        """Read the file again. Asked several times while one reading is under way, it is read once more after that."""
        self._asked.set()

    async def run(self) -> None:
        """Reload for ever whenever it is asked for."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            self._ears.reloading(True)
            try:
                await self.reload()
            finally:
                self._ears.reloading(False)

    async def watch(self) -> None:
        """Ask for a reload when the file's text became another one and stays so.

        A Kubernetes mount swaps a symbolic link on the way to the file, an editor renames a new file over the old: both are the
        same to whoever looks at what the path leads to.
        """
        while True:
            await self._clock.sleep(WATCH_EVERY_S)
            await self.look()

    async def look(self) -> None:
        """One look at the file."""
        found = await asyncio.to_thread(fingerprint, self._path)
        if found == self._seen:
            self._waiting = None
        elif found != self._waiting:
            self._waiting = found
        else:
            self._waiting, self._seen = None, found
            self._changed()

    def _changed(self) -> None:
        if self._pinned:
            named = self._current().digest[:12]
            text = f"{self._path} changed: not adopted, because CONFIRM named policy {named}; SIGHUP adopts it"
            self._ears.said(Severity.WARNING, f"policy/pinned/{self._seen[:12]}", text)
            return
        self.ask()

    async def reload(self) -> None:
        """Read the file now; adopt what it says if it is whole, tell what came of it."""
        self._count += 1
        self._seen = await asyncio.to_thread(fingerprint, self._path)
        try:
            text = await asyncio.to_thread(policy_text, self._path)
            policy = await asyncio.to_thread(load_policy, text, source=str(self._path))
        except ConfigurationError as error:
            self._done(Outcome.REFUSED, self._current())
            self._say(Severity.CRITICAL, "refused", f"policy not reloaded, the old one stays: {error}")
            return
        before = self._current()
        if policy.digest == before.digest:
            self._done(Outcome.UNCHANGED, before)
            self._say(Severity.INFO, "unchanged", f"policy reloaded: unchanged, {policy.digest[:12]}")
            return
        self._adopt(policy)
        self._done(Outcome.ADOPTED, policy)
        await self._tell(before, policy)

    async def _tell(self, before: Policy, policy: Policy) -> None:
        """The difference with its prices, and apart from it what loosens."""
        changes = await asyncio.to_thread(difference, before, policy)
        prices = await self._prices(policy, changes)
        told = [change.sentence for change in changes[:CHANGES_TOLD_MAX]]
        for index, change in enumerate(changes[:CHANGES_TOLD_MAX]):
            if change.rule in prices and all(later.rule != change.rule for later in changes[index + 1 :]):
                told[index] += f", {prices[change.rule]}"
        what = f"policy reloaded: now {policy.digest[:12]}: {_listed(told, len(changes))}"
        self._say(Severity.WARNING, "adopted", what)
        looser = [change.sentence for change in changes if change.loosens]
        if looser:
            shown = _listed(looser[:CHANGES_TOLD_MAX], len(looser))
            stay = "the resting stops of running positions stay where they are"
            self._say(Severity.WARNING, "looser", f"the policy is looser than the one before: {shown}; {stay}")

    async def _prices(self, policy: Policy, changes: Iterable[Change]) -> dict[RuleName | None, str]:
        """Where the changed rules fire now: on a few positions each, reckoned off the loop."""
        named = dict.fromkeys(change.rule for change in changes if change.rule is not None)
        rules = [rule for rule in policy.rules if rule.name in named and rule.when is not None][:RULES_PRICED_MAX]
        found: dict[RuleName | None, str] = {}
        for rule in rules:
            seen = [view for state in self._states() for view in self._views(policy, state, rule)]
            said = await asyncio.to_thread(fires_now, rule.name, seen)
            if said:
                found[rule.name] = said
        return found

    def _views(self, policy: Policy, state: AccountState, rule: PolicyRule) -> tuple[View, ...]:
        symbols = dict.fromkeys(key.symbol for key in sorted(state.held) if about(rule.match, key.symbol))
        return views(policy, state, self._clock.now(), tuple(symbols)[:POSITIONS_PRICED_MAX])

    def _done(self, outcome: Outcome, policy: Policy) -> None:
        """Every reload leaves a line in the log, also one that changed nothing."""
        log.info("policy_reload", outcome=outcome.value, policy=policy.digest[:12], number=self._count)
        self._ears.count(outcome)

    def _say(self, severity: Severity, what: str, text: str) -> None:
        """Each reload is an occasion of its own: none is dropped as a repetition of another."""
        self._ears.said(severity, f"policy/{what}/{self._count % EDGES}", text)


def _listed(told: list[str], of: int) -> str:
    more = f"; and {of - len(told)} more" if of > len(told) else ""
    return "; ".join(told) + more


def fingerprint(path: Path) -> str:
    """Of what the path leads to; empty where nothing can be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""
