"""What comes of a case, heard from the guard's own facts and from the exchange: decisions, tellings, what the market did."""

from decimal import Decimal
from typing import Final

from guardd.clock import Clock
from guardd.execution.proposal import INPUT_DECISION
from guardd.execution.windows import input_of
from guardd.model.facts import Fact, IntentStaged, RuleFired, Said
from guardd.model.instant import NS_PER_S, Instant
from guardd.model.intent import (
    Action,
    AddMargin,
    CloseAtMarket,
    Intent,
    ModifyProtection,
    PlaceProtection,
    SetLeverage,
    Stage,
    TransferToFutures,
)
from guardd.model.names import PositionKey, RuleName, Severity
from guardd.policy.cases.judge import Heard, Made, Recording
from guardd.policy.cases.load import LIQUIDATED, NOTIFY
from guardd.policy.language import Notify, Policy
from guardd.simulator.happenings import Happening, Liquidated, PlanAction, PlanChanged

HOUSEKEEPING: Final = frozenset({Action.CANCEL_PROTECTION})


class Hearing:
    """Writes the recording of one case. `began`: the moment of its second 0, once that has come."""

    def __init__(self, policy: Policy, clock: Clock) -> None:
        self.recording = Recording()
        self.began: Instant | None = None
        self._policy = policy
        self._clock = clock
        self._decisions: set[str] = set()
        self._tried: dict[tuple[PositionKey, RuleName], Decimal] = {}
        """Protection that was wanted and doesn't stand yet, and its trigger price."""

    def _now_s(self) -> Decimal:
        if self.began is None:
            return Decimal(-1)
        return Decimal(self._clock.monotonic_ns() - self.began.mono_ns) / NS_PER_S

    def stumbled(self, why: str) -> None:
        self.recording.heard.append(Heard(at_s=self._now_s(), severity=Severity.CRITICAL, text=f"a task failed: {why}"))

    def fact(self, fact: Fact) -> None:
        match fact:
            case IntentStaged(stage=Stage.DECIDED):
                self._intent(fact.intent)
            case IntentStaged(stage=Stage.VERIFIED):
                self._tried.pop((fact.intent.key, fact.intent.rule), None)
            case RuleFired():
                self._fired(fact)
            case Said():
                self.recording.heard.append(Heard(at_s=self._now_s(), severity=fact.severity, text=fact.text))
            case _:
                pass

    def _intent(self, intent: Intent) -> None:
        """Slices, further tries and the cancels of one decision are one decision."""
        rule, _, _ = intent.rule.partition("/")
        if intent.action in HOUSEKEEPING or rule == "sweep":
            return
        at_s = self._now_s()
        name = input_of(intent, INPUT_DECISION) if intent.action in (Action.CLOSE, Action.REDUCE) else None
        if intent.action is Action.CANCEL_ENTRIES:
            name = f"{intent.key}/{rule}/{intent.action}/{at_s}"
        if isinstance(intent.write, PlaceProtection | ModifyProtection):
            slot = (intent.key, intent.rule)
            if self._tried.get(slot) == intent.write.trigger_price:
                return
            self._tried[slot] = intent.write.trigger_price
        if name is not None and name in self._decisions:
            return
        self._decisions.add(name or intent.id)
        self.recording.made.append(
            Made(
                at_s=at_s,
                rule=rule,
                action=str(intent.action),
                symbol=intent.key.symbol,
                side=intent.key.side,
                figures=_figures(intent),
                text=intent.reason,
            )
        )

    def _fired(self, fact: RuleFired) -> None:
        """What a rule tells. Counted on its edge, as the daemon counts it."""
        rule = next((rule for rule in self._policy.rules if rule.name == fact.rule), None)
        for action in rule.then if rule is not None else ():
            if isinstance(action, Notify):
                self.recording.made.append(
                    Made(
                        at_s=self._now_s(),
                        rule=fact.rule,
                        action=NOTIFY,
                        symbol=fact.key.symbol if fact.key is not None else "",
                        side=fact.key.side if fact.key is not None else None,
                        severity=action.severity,
                        text=fact.text,
                    )
                )

    def happened(self, happening: Happening) -> None:
        if self.began is None:
            return
        match happening:
            case Liquidated():
                for symbol in happening.symbols:
                    lost = f"the exchange liquidated {symbol}, {happening.loss} {happening.coin} lost"
                    self.recording.made.append(
                        Made(at_s=self._now_s(), rule="", action=LIQUIDATED, symbol=symbol, side=None, text=lost)
                    )
            case PlanChanged(action=PlanAction.TRIGGERED | PlanAction.FAILED):
                plan = happening.plan
                what = f"{plan.kind.value} of {plan.symbol} {plan.position_side.value} at {plan.trigger_price}"
                text = f"the exchange: {what} {plan.status.value}"
                self.recording.market.append((self._now_s(), text))
            case _:
                pass


def _figures(intent: Intent) -> dict[str, Decimal]:
    match intent.write:
        case CloseAtMarket():
            return {"size": intent.write.size}
        case PlaceProtection() | ModifyProtection():
            sized = {} if intent.write.size is None else {"size": intent.write.size}
            return {**sized, "price": intent.write.trigger_price}
        case SetLeverage():
            return {"leverage": intent.write.leverage}
        case AddMargin() | TransferToFutures():
            return {"amount": intent.write.amount}
        case _:
            return {}
