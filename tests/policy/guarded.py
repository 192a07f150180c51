"""An account under a policy, for tests of the decision: time passes, marks come, reads are repeated, outcomes are told."""

from copy import copy
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeVar

from guardd.model.decision import Close, Protect, Reduce
from guardd.model.event import BalanceRead, IntentMoved, MarkSeen, PositionsRead, Source
from guardd.model.fold import fold
from guardd.model.instant import Instant
from guardd.model.intent import Action, CloseAtMarket, Intent, Stage, client_id
from guardd.model.names import MarginMode, Side, Symbol
from guardd.model.outcome import Accepted
from guardd.model.position import Position
from guardd.model.state import AccountState
from guardd.policy.confirm import Confirmation
from guardd.policy.decide import Decided, decide
from guardd.policy.language import Policy
from guardd.policy.load import load_policy
from guardd.policy.memory import Memory
from tests.changed import replace
from tests.model.accounts import BTC, START, D, account, balance, row

Found = TypeVar("Found")


def policy_of(*rules: str, stale_after: str = "15s") -> Policy:
    """A policy of these rules, each as it stands in the file, without the dash."""
    listed = "\n".join("  - " + rule.strip().replace("\n", "\n    ") for rule in rules)
    return load_policy(f"version: 1\nlimits: {{stale_after: {stale_after}}}\nrules:\n{listed}\n", source="policy.yaml")


def rule(when: str, then: str, *, name: str = "r", more: str = "") -> str:
    extra = f"\n{more}" if more else ""
    return f"name: {name}\nwhen: {when}\nthen: [{then}]{extra}"


def cross(side: Side = Side.LONG, *, symbol: Symbol = BTC, quantity: str = "100", mark: str = "89000") -> Position:
    entry = "90000"
    return row(side, symbol=symbol, quantity=quantity, entry=entry, mark=mark, mode=MarginMode.CROSS)


@dataclass
class Guarded:
    policy: Policy
    state: AccountState
    rows: tuple[Position, ...]
    wallet: str = "2000"
    now: Instant = START
    memory: Memory = field(default_factory=Memory)
    confirmation: Confirmation = field(default_factory=Confirmation)

    def look(self) -> Decided:
        return decide(self.policy, self.state, self.memory, self.confirmation, now=self.now)

    def mark(self, price: str, symbol: Symbol = BTC, *, last: str | None = None, index: str | None = None) -> Decided:
        """A frame that confirms itself, unless told otherwise; then a look."""
        self.frame(price, symbol, last=last if last is not None else price, index=index if index is not None else price)
        return self.look()

    def bare(self, price: str, symbol: Symbol = BTC, *, source: Source = Source.STREAM) -> Decided:
        """A mark alone: nothing in its frame confirms it."""
        self.frame(price, symbol, source=source)
        return self.look()

    def frame(
        self,
        price: str,
        symbol: Symbol = BTC,
        *,
        last: str | None = None,
        index: str | None = None,
        source: Source = Source.STREAM,
    ) -> None:
        self.now = self.now.later_by(0.001)
        seen = MarkSeen(
            symbol,
            D(price),
            self.now,
            index=None if index is None else D(index),
            last=None if last is None else D(last),
            source=source,
        )
        self.confirmation.seen(seen)
        fold(self.state, seen)

    def wait(self, seconds: float, *, read: bool = True) -> None:
        """Time passes; with `read`, the marks are seen anew at its end, and positions and balance are read again."""
        self.now = self.now.later_by(seconds)
        if read:
            for seen in list(self.state.marks.values()):
                again = copy(seen)
                again.at = self.now
                fold(self.state, again)
            self.read()

    def read(self, *rows: Position) -> None:
        self.rows = rows or self.rows
        self.rows = tuple(replace(each, venue_ms=self.now.wall_ms) for each in self.rows)
        fold(self.state, PositionsRead(started=self.now, at=self.now, positions=self.rows))
        fold(self.state, BalanceRead(at=self.now, balances=(balance(*self.rows, wallet=self.wallet),)))

    def send(self, decision: Reduce | Close, *stages: Stage) -> Intent:
        """What execution would tell of this decision."""
        held = self.state.held[decision.key]
        size = decision.size if isinstance(decision, Reduce) else held.position.quantity
        progress = self.state.progress.get((decision.episode, decision.rule))
        step = progress.steps if progress else 0
        intent = Intent(
            id=client_id(decision.key.account, decision.episode, decision.rule, step),
            account=decision.key.account,
            key=decision.key,
            episode=decision.episode,
            rule=decision.rule,
            step=step,
            action=Action.REDUCE if isinstance(decision, Reduce) else Action.CLOSE,
            write=CloseAtMarket(key=decision.key, size=size),
            decided=self.now,
            frame_ns=None,
            quantity_before=held.position.quantity,
            closed_before=Decimal(0),
            reason=decision.reason,
        )
        for stage in stages:
            self.move(intent, stage)
        return intent

    def move(self, intent: Intent, stage: Stage) -> None:
        outcome = Accepted(order_id=None, sent_ns=self.now.mono_ns) if stage is Stage.ACCEPTED else None
        fold(self.state, IntentMoved(at=self.now, intent=intent, stage=stage, outcome=outcome))


SENT = (Stage.DECIDED, Stage.JOURNALLED, Stage.SENT)
VERIFIED = (*SENT, Stage.ACCEPTED, Stage.VERIFIED)


def guarded(
    policy: Policy, *rows: Position, wallet: str = "2000", shown: bool = True, open_for_s: float = 0.0
) -> Guarded:
    """The account as after CONFIRM; `shown=False`: these positions were opened later, and seen when they had been so long."""
    if not shown:
        rows = tuple(replace(each, opened_ms=START.wall_ms - round(open_for_s * 1000)) for each in rows)
    state = account(*rows, wallet=wallet)
    made = Guarded(policy=policy, state=state, rows=rows, wallet=wallet)
    if shown:
        made.memory.show(state)
    return made


def only(decided: Decided, kind: type[Found]) -> Found:
    found = every(decided, kind)
    assert len(found) == 1, decided.decisions
    return found[0]


def every(decided: Decided, kind: type[Found]) -> list[Found]:
    return [decision for decision in decided.decisions if isinstance(decision, kind)]


def acts(decided: Decided) -> list[Reduce | Close]:
    return [decision for decision in decided.decisions if isinstance(decision, Reduce | Close)]


def protect(decided: Decided) -> Protect:
    return only(decided, Protect)
