"""What was decided and told lately, and why: the last few facts of each kind that a reader of the page wants explained."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from guardd.model.facts import Fact, IntentStaged, Refused, RuleFired, Said
from guardd.model.intent import Stage
from guardd.model.names import AccountName, PositionKey, Severity
from guardd.model.outcome import Accepted, Outcome, Rejected, Unknown

KEPT: Final = 60
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the page's diary. `number` counts every change, so a reader knows what it hasn't seen."""

    number: int
    at_ms: int
    account: AccountName | None
    key: PositionKey | None
    kind: What
    severity: Severity
    rule: str
    action: str
    stage: str
    reason: str
    detail: str
    id: str
    """By which `guardd journal why` finds it; empty where that knows of none."""


@dataclass(slots=True, kw_only=True)
class Recent:
    """A listener that keeps the latest `KEPT` entries; a decision that comes to another stage stays one entry."""

    now_ms: Callable[[], int]
    _entries: OrderedDict[str, Entry] = field(default_factory=OrderedDict)
    _number: int = 0

    def __call__(self, fact: Fact, /) -> bool:
        """True when it was worth an entry."""
        match fact:
            case IntentStaged():
                self._staged(fact)
            case Refused(account=account, key=key, rule=rule, action=action, why=why):
                entry = self._entry(account, key, What.REFUSED, Severity.WARNING, why, rule=rule, action=action)
                self._keep(f"refused/{key}/{rule}/{action}", entry)
            case RuleFired(account=account, key=key, rule=rule, text=text):
                entry = self._entry(account, key, What.RULE, Severity.INFO, text, rule=rule)
                self._keep(f"rule/{account}/{key}/{rule}", entry)
            case Said(account=account, severity=severity, edge=edge, text=text) if _adds(severity, edge):
                entry = self._entry(account, None, What.TOLD, severity, text)
                self._keep(f"told/{account}/{edge}", replace(entry, at_ms=fact.at.wall_ms))
            case _:
                return False
        return True

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The newest first."""
        return tuple(reversed(self._entries.values()))

    def _staged(self, fact: IntentStaged) -> None:
        intent = fact.intent
        severity = _SEVERITY.get(fact.stage, Severity.INFO)
        entry = self._entry(
            fact.account, intent.key, What.DECISION, severity, intent.reason, rule=intent.rule, action=intent.action
        )
        detail = fact.detail or _came_of(fact.outcome)
        self._keep(
            f"decision/{intent.id}",
            replace(
                entry, at_ms=intent.decided.wall_ms, stage=fact.stage.value, detail=_cut(detail), id=str(intent.id)
            ),
        )

    def _entry(
        self,
        account: AccountName | None,
        key: PositionKey | None,
        kind: What,
        severity: Severity,
        reason: str,
        *,
        rule: str = "",
        action: str = "",
    ) -> Entry:
        self._number += 1
        return Entry(
            number=self._number,
            at_ms=self.now_ms(),
            account=account,
            key=key,
            kind=kind,
            severity=severity,
            rule=rule,
            action=action,
            stage="",
            reason=_cut(reason),
            detail="",
            id="",
        )

    def _keep(self, name: str, entry: Entry) -> None:
        self._entries.pop(name, None)
        self._entries[name] = entry
        while len(self._entries) > KEPT:
            self._entries.popitem(last=False)


_SEVERITY: Final[dict[Stage, Severity]] = {
    Stage.REFUSED: Severity.WARNING,
    Stage.REJECTED: Severity.WARNING,
    Stage.UNKNOWN: Severity.WARNING,
    Stage.VOID: Severity.WARNING,
    Stage.FAILED: Severity.CRITICAL,
}
_TOLD_BY_A_FACT: Final = ("refused/",)
"""What comes as a fact of its own as well."""


def _adds(severity: Severity, edge: str) -> bool:
    return severity is not Severity.INFO and not edge.startswith(_TOLD_BY_A_FACT)


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
