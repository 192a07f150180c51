"""What the guard tells: I9, I20 (decisions follow from their inputs), I21, I22, I26. By its facts, held against what is true."""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

from guardd.config import Mode
from guardd.journal.canonical import decoded
from guardd.journal.entry import RecordKind
from guardd.journal.reading import JournalReader
from guardd.model.account import AccountCondition
from guardd.model.facts import AccountView, Fact, IntentStaged, Refused, RequestFinished, RuleFired, Said, StreamChanged
from guardd.model.intent import Action, Intent, PlaceProtection, Stage, client_id
from guardd.model.names import Severity
from guardd.model.outcome import Rejected
from guardd.policy.language import AllOf, AnyOf, Compare, Condition, Metric, Not, Policy, Sense
from guardd.simulator.orders import PositionSide
from tests.simulation.checks.ground import Ground, LegKey

REDUCES: Final = frozenset({Action.REDUCE, Action.CLOSE})
MAY: Final = {
    AccountCondition.HALTED: frozenset({Action.STOP_LOSS, Action.CLOSE, Action.FREE_VOLUME, Action.CANCEL_PROTECTION}),
    AccountCondition.PARKED: frozenset({Action.STOP_LOSS}),
}
"""What may be decided where not everything may (I22, interfaces.md section 4); with a close goes what holds its volume (I13) and
what it leaves behind (I6)."""
SEES_BARE_WITHIN_S: Final = 61.0
"""`protected` is 0 once the plan orders that were read are a minute old (interfaces.md 2.3 Ages), and is told within 1 s (I21)."""
CONTRADICTS: Final = frozenset({"stale-read", "empty-read", "bad-tick", "upgraded", "other-family"})
"""Faults under which what is read contradicts itself or the streams."""
PARKS_WITHIN_S: Final = 15.0
"""The second read that agrees with the first (I29)."""
SHOWN_WITHIN_S: Final = 2.0
"""A condition that changes is in a view by then."""
OTHER_S: Final = 180.0
"""The longest cooldown of a story, and its step's way: so long a second instance's step counts against it (I14)."""
BLIND_TOLD_WITHIN_S: Final = 2.0
"""I21's second, and the pulse that notices."""


@dataclass(slots=True)
class _Life:
    """What one guard has shown of itself."""

    began: float
    ended: float | None = None
    view: AccountView | None = None
    condition_since: float = -1e9
    alarmed_at: float = -1e9
    """It last said something that isn't mere information."""
    foreign_at_start: bool = False


@dataclass(slots=True)
class Telling:
    """`heard` for each fact. `on_intent` is told each intent when it is durable, before it leaves; `on_void` of one that
    never arrived, as far as the guard could find out; `on_kept` of one that never left, as the guard says."""

    ground: Ground
    on_intent: Callable[[Intent, float, str], None]
    on_void: Callable[[Intent], None]
    on_kept: Callable[[Intent], None]
    decisions: int = 0
    lives: dict[str, _Life] = field(default_factory=dict)
    spoken_at: float = -1e9
    """When an operator spoke last."""
    _bare_since: dict[LegKey, float] = field(default_factory=dict)
    _overlapped_at: float = -1e9
    _placers: set[str] = field(default_factory=set)
    """Whose orders may rest: by one journal's successive lives."""

    def begun(self, life: str, now: float) -> None:
        if self._alive():
            self._overlapped_at = now
        rests = any(each.ours for there in self.ground.resting.values() for each in there.values())
        foreign = rests and self._placers != {_lineage(life)}
        self.lives[life] = _Life(began=now, foreign_at_start=foreign)

    def ended(self, life: str, now: float) -> None:
        known = self.lives.get(life)
        if known is not None:
            if self._alive() > 1:
                self._overlapped_at = now
            known.ended = now

    def heard(self, fact: Fact, now: float, life: str) -> None:
        mine = self.lives.get(life)
        if mine is None:
            mine = self.lives[life] = _Life(began=now)
        if isinstance(fact, RequestFinished):
            return  # the most by far; its endpoint is a name of ours, its detail is in what follows from it
        match fact:
            case IntentStaged():
                self._staged(fact, now, life, mine)
            case AccountView():
                if mine.view is None or mine.view.condition is not fact.condition:
                    mine.condition_since = now
                    self._parks(mine, fact, now)
                mine.view = fact
            case Said(severity=severity):
                if severity is not Severity.INFO:
                    mine.alarmed_at = now
                self._hush(fact.text + fact.edge, now)
            case RuleFired():
                self._hush(fact.text, now)
            case Refused() | StreamChanged():
                self._hush(fact.why, now)
            case _:
                pass

    def look(self, now: float, *, guarded: bool) -> None:
        """I21: a loss of protection, and blindness, show in what is told in time. Asked at each price."""
        if not guarded:
            self._bare_since.clear()
            return
        alive = [each for each in self.lives.values() if each.ended is None and each.view is not None]
        if len(alive) != 1:
            return
        mine = alive[0]
        self._protection(mine, now)

    def _protection(self, mine: _Life, now: float) -> None:
        for key, position in self.ground.held():
            if self.ground.covered(key) > 0:
                self._bare_since.pop(key, None)
                continue
            since = self._bare_since.setdefault(key, now)
            if now - since <= SEES_BARE_WITHIN_S or now - mine.began <= SEES_BARE_WITHIN_S or mine.view is None:
                continue
            shown = next((each for each in mine.view.positions if _is(each.key, key)), None)
            if shown is not None and shown.protected:
                what = f"{key[0]} {key[1]} has had no stop for {now - since:.0f} s and is shown as protected"
                self.ground.breach("I21", now, f"{what} ({position.size} held)")
                self._bare_since[key] = now + 1e9

    def blind(self, span_kind: str, begins: float, ends: float, stale_after_s: float, now: float) -> None:
        """I21: the venue was gone from `begins` to `ends`, longer than data may be old: somebody was told meanwhile."""
        by = begins + stale_after_s + BLIND_TOLD_WITHIN_S
        if ends < by:
            return
        for life in self.lives.values():
            if life.began > begins - 2 * stale_after_s or (life.ended is not None and life.ended < by):
                continue
            if life.view is not None and life.view.positions and not begins <= life.alarmed_at <= now:
                self.ground.breach("I21", now, f"{span_kind} for {ends - begins:.0f} s and nobody was told")

    def alone(self, now: float) -> bool:
        """One guard is alive, and no other beside it was for a while."""
        return now - self._overlapped_at > OTHER_S and self._alive() <= 1

    @property
    def steps_aside(self) -> bool:
        """Whoever is alive only looks on, beside orders that its own journal doesn't know (I14): until an operator resumes it."""
        alive = [(_lineage(life), each.view) for life, each in self.lives.items() if each.ended is None]
        return bool(alive) and all(
            view is not None and view.mode is Mode.OBSERVE and self._placers - {whose} for whose, view in alive
        )

    @property
    def parked(self) -> bool:
        """The one guard that is alive has parked the account."""
        alive = [each.view for each in self.lives.values() if each.ended is None]
        return len(alive) == 1 and alive[0] is not None and alive[0].condition is AccountCondition.PARKED

    def _parks(self, mine: _Life, view: AccountView, now: float) -> None:
        """I29: what was read contradicted itself. Where every read and push was true, there is nothing to be parked by."""
        if view.condition is not AccountCondition.PARKED or mine.view is None:
            return  # a later life remembers it
        kinds = {span.kind for span in self.ground.spans if span.from_s <= now <= span.until_s + PARKS_WITHIN_S}
        if not kinds & CONTRADICTS:
            self.ground.breach("I29", now, f"parked though all that was read was true: {view.condition_why}")

    # Decisions

    def _staged(self, fact: IntentStaged, now: float, life: str, mine: _Life) -> None:
        intent = fact.intent
        if fact.stage is Stage.VOID:
            self.on_void(intent)
        if fact.stage is Stage.REJECTED and isinstance(fact.outcome, Rejected) and not fact.outcome.code:
            self.on_kept(intent)
        if fact.stage is not Stage.JOURNALLED:
            return
        self.decisions += 1
        condition = mine.view.condition if mine.view is not None else AccountCondition.LIVE
        settled = now - max(mine.condition_since, self.spoken_at) > SHOWN_WITHIN_S
        if settled and intent.action not in MAY.get(condition, frozenset(Action)):
            self.ground.breach("I22", now, f"{intent.action} of {intent.rule} while {condition}")
        self._second_instance(intent, now, life)
        if isinstance(intent.write, PlaceProtection):
            self._placers.add(_lineage(life))
        self.on_intent(intent, now, life)

    def _second_instance(self, intent: Intent, now: float, life: str) -> None:
        """I14: who starts later, beside orders that its journal doesn't know, only looks on from 10 s on."""
        mine = self.lives[life]
        first = min((each.began for each in self.lives.values() if each.ended is None), default=mine.began)
        if mine.began > first and mine.foreign_at_start and now - mine.began > 10.0 and now - first > 20.0:
            self.ground.breach("I14", now, f"the later of two instances means {intent.action} ({intent.rule})")

    def _alive(self) -> int:
        return sum(each.ended is None for each in self.lives.values())

    # At the end of a life

    def verify(self, data: Path, now: float) -> None:
        """I20 and I26, of a data directory as it was left: the chain, each decision anew from its inputs, no secret."""
        with JournalReader.open(data) as journal:
            for verdict in journal.verify():
                if verdict.problem is not None:
                    self.ground.breach("I20", now, f"{data.name}, {verdict.account}: {verdict.problem}")
            records = journal.list(kind=RecordKind.INTENT, limit=100_000)
        case = self.ground.case
        for record in records:
            intent = decoded(Intent, record.body["intent"])
            if intent.id != client_id(intent.account, intent.episode, intent.rule, intent.step):
                self.ground.breach("I20", now, f"{intent.id} isn't the id of {intent.rule} step {intent.step}")
            if case is not None and intent.account == case.account and not follows(case.policy, intent):
                self.ground.breach(
                    "I20", now, f"{intent.id} of {intent.rule} doesn't follow from its inputs {intent.inputs}"
                )
        self._no_secret_in(data, now)

    def _no_secret_in(self, data: Path, now: float) -> None:
        secrets = self.ground.case.secrets if self.ground.case is not None else ()
        if not secrets:
            return
        for file in sorted(data.iterdir()):
            if file.is_file() and any(secret.encode() in file.read_bytes() for secret in secrets):
                self.ground.breach("I26", now, f"{file.name} holds a secret")

    def _hush(self, text: str, now: float) -> None:
        if self.ground.case is not None and any(secret in text for secret in self.ground.case.secrets):
            self.ground.breach("I26", now, "a fact holds a secret")


def follows(policy: Policy, intent: Intent) -> bool:
    """Whether a closing intent's rule is true of the figures that it was decided on. Others, and a stop's own close, pass."""
    rule = next((each for each in policy.rules if each.name == intent.rule), None)
    if intent.action not in REDUCES or rule is None or rule.when is None or not rule.reduces:
        return True
    return _true(rule.when, dict(intent.inputs)) is not False


def _true(condition: Condition, inputs: dict[str, str]) -> bool | None:
    match condition:
        case Compare():
            return _compare(condition, inputs)
        case Not(part=part):
            answer = _true(part, inputs)
            return None if answer is None else not answer
        case AllOf(parts=parts):
            answers = [_true(part, inputs) for part in parts]
            return False if False in answers else None if None in answers else True
        case AnyOf(parts=parts):
            answers = [_true(part, inputs) for part in parts]
            return True if True in answers else None if None in answers else False


def _compare(leaf: Compare, inputs: dict[str, str]) -> bool | None:
    """None: the inputs don't say."""
    if leaf.metric is Metric.DATA_AGE:
        return None  # the oldest of what the rule hangs on: not all of its ages are among the inputs
    text = inputs.get("position_age_s" if leaf.metric is Metric.POSITION_AGE else leaf.metric.value)
    if text is None:
        return False  # it doesn't apply: of an isolated position the account's
    if text == "none":
        return leaf.sense is Sense.ABOVE
    try:
        figure = Decimal(text)
    except InvalidOperation:
        return False  # unknown: a rule fires only on true
    return figure < leaf.threshold if leaf.sense is Sense.BELOW else figure > leaf.threshold


def _is(key: object, leg: LegKey) -> bool:
    symbol, side = str(getattr(key, "symbol", "")), str(getattr(key, "side", ""))
    return symbol == leg[0] and side == PositionSide(leg[1]).value


def _lineage(life: str) -> str:
    """A guard that was killed goes on with what its disk kept: `data-0`, `data-1`, … are one."""
    name = Path(life).name
    return "data" if name.startswith("data-") else name
