"""What was decided and told lately, and why: the last few facts of each kind that a reader of the page wants explained."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from guardd.model.facts import Fact, IntentStaged, Refused, RuleFired, Said
from guardd.model.intent import Stage
from guardd.model.names import AccountName, PositionKey, Severity
from guardd.model.outcome import Accepted, Outcome, Rejected, Unknown

KEPT: Final = 80
"""A night of edges, and a page that a telephone still lays out at once. Everything is in the journal."""
TEXT_LETTERS_MAX: Final = 400


class What(StrEnum):
    """`kind` of an entry."""

    DECISION = "decision"
    """Something that was sent, or is to be: it comes to stages."""
    REFUSED = "refused"
    """A decision that may not be carried out."""
    RULE = "rule"
    """A rule became true."""
    TOLD = "told"
    """Anything else that people were told as a warning or worse."""


class Entry(Struct, frozen=True, kw_only=True):
    """One line of the page's diary. `number` counts every change, so a reader knows what it hasn't seen."""

    number: int
    at_ms: int
    account: AccountName | None
    key: PositionKey | None = None
    kind: What = What.TOLD
    severity: Severity = Severity.INFO
    rule: str = ""
    action: str = ""
    stage: str = ""
    reason: str = ""
    detail: str = ""
    id: str = ""
    """By which `guardd journal why` finds it; empty where that knows of none."""


class _Heard(Struct, frozen=True, kw_only=True):
    number: int
    at_ms: int
    fact: IntentStaged | Refused | RuleFired | Said


@dataclass(slots=True, kw_only=True)
class Recent:
    """A listener that keeps the latest `KEPT` facts of these kinds. It hears some before an order leaves, so it only keeps them:
    sentences are made for those who read."""

    now_ms: Callable[[], int]
    _heard: OrderedDict[str, _Heard] = field(default_factory=OrderedDict)
    _number: int = 0
    _made: tuple[int, tuple[Entry, ...]] = (0, ())
    """The entries that were made last, and after which fact."""

    def __call__(self, fact: Fact, /) -> bool:
        """True when it was worth keeping. A decision that comes to another stage takes the place of what it was."""
        match fact:
            case IntentStaged(intent=intent):
                self._keep(intent.id, intent.decided.wall_ms, fact)
            case Refused(key=key, rule=rule, action=action):
                self._keep(f"refused/{key}/{rule}/{action}", self.now_ms(), fact)
            case RuleFired(account=account, key=key, rule=rule):
                self._keep(f"rule/{account}/{key}/{rule}", self.now_ms(), fact)
            case Said(account=account, edge=edge, at=at) if _adds(fact):
                self._keep(f"told/{account}/{edge}", at.wall_ms, fact)
            case _:
                return False
        return True

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The newest first; made once for whatever was heard since."""
        if self._made[0] != self._number:
            self._made = (self._number, self._entries())
        return self._made[1]

    def _entries(self) -> tuple[Entry, ...]:
        """A decision, the rule that led to it and what was told of it say the same: they are one entry."""
        found = [_entry(heard) for heard in reversed(self._heard.values())]
        decided = {_said(each) for each in found if each.kind is What.DECISION}
        ruled = {_said(each) for each in found if each.kind is What.RULE}
        told = {_said(each): each.severity for each in found if each.kind is What.TOLD}
        return tuple(
            replace(each, severity=told.get(_said(each), each.severity)) if each.kind is What.RULE else each
            for each in found
            if not (each.kind is What.RULE and _said(each) in decided)
            and not (each.kind is What.TOLD and _said(each) in decided | ruled)
        )

    def _keep(self, name: str, at_ms: int, fact: IntentStaged | Refused | RuleFired | Said) -> None:
        self._number += 1
        self._heard.pop(name, None)
        self._heard[name] = _Heard(number=self._number, at_ms=at_ms, fact=fact)
        while len(self._heard) > KEPT:
            self._heard.popitem(last=False)


def _entry(heard: _Heard) -> Entry:
    plain = Entry(number=heard.number, at_ms=heard.at_ms, account=heard.fact.account)
    match heard.fact:
        case IntentStaged(intent=intent, stage=stage, outcome=outcome, detail=detail):
            return replace(
                plain,
                key=intent.key,
                kind=What.DECISION,
                severity=_SEVERITY.get(stage, Severity.INFO),
                rule=intent.rule,
                action=intent.action.value,
                stage=stage.value,
                reason=_cut(intent.reason),
                detail=_cut(detail or _came_of(outcome)),
                id=intent.id,
            )
        case Refused(key=key, rule=rule, action=action, why=why):
            return replace(
                plain,
                key=key,
                kind=What.REFUSED,
                severity=Severity.WARNING,
                rule=rule,
                action=action.value,
                reason=_cut(why),
            )
        case RuleFired(key=key, rule=rule, text=text):
            return replace(plain, key=key, kind=What.RULE, rule=rule, reason=_cut(text))
        case Said(severity=severity, text=text):
            return replace(plain, severity=severity, reason=_cut(text))


def _said(entry: Entry) -> tuple[AccountName | None, str]:
    return entry.account, entry.reason


_SEVERITY: Final[dict[Stage, Severity]] = {
    Stage.REFUSED: Severity.WARNING,
    Stage.REJECTED: Severity.WARNING,
    Stage.UNKNOWN: Severity.WARNING,
    Stage.VOID: Severity.WARNING,
    Stage.FAILED: Severity.CRITICAL,
}


def _adds(said: Said) -> bool:
    """It isn't told by a fact of its own as well."""
    return said.severity is not Severity.INFO and not said.edge.startswith("refused/")


def _came_of(outcome: Outcome | None) -> str:
    match outcome:
        case Accepted(order_id=order_id):
            return f"order {order_id}" if order_id is not None else ""
        case Rejected(reason=reason, code=code, text=text):
            return f"{reason} (code {code}: {text})"
        case Unknown(why=why):
            return why
        case None:
            return ""


def _cut(text: str) -> str:
    return text if len(text) <= TEXT_LETTERS_MAX else text[: TEXT_LETTERS_MAX - 1] + "…"
