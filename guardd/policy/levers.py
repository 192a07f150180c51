"""Steps that put more behind a position instead of making it smaller: how much, or why not (interfaces.md 2.4, I16, I17).

Money is moved only where it is there and may go: the free balance, `at_most` of the rule, `top_up_per_day` of the account.
"""

from decimal import Decimal
from enum import StrEnum
from typing import Final, TypeAlias, assert_never

from msgspec import Struct

from guardd.model.instant import Instant
from guardd.model.intent import FINISHED, Action, Intent, Stage
from guardd.model.moved import moved_by_rule, moved_today
from guardd.model.names import ClientId, EpisodeId, MarginMode, RuleName
from guardd.model.reading import is_value
from guardd.model.state import AccountState
from guardd.policy.conditions import Use, metric_of
from guardd.policy.language import (
    AddMarginBy,
    AddMarginUntil,
    Limits,
    LowerLeverage,
    Metric,
    PolicyAction,
    PolicyRule,
    TopUp,
    compares,
)
from guardd.policy.reasons import plain
from guardd.policy.sizes import NoSize, aim_text, is_there, margin_until
from guardd.policy.view import View
from guardd.risk.strengthened import margin_for_leverage

Strengthening: TypeAlias = LowerLeverage | AddMarginBy | AddMarginUntil | TopUp
VERIFIED_WITHIN_S: Final = 2.0
"""A margin or leverage step that isn't verified by then counts as failed (interfaces.md 2.5)."""


class Lever(Struct, frozen=True, kw_only=True):
    """One such step. `amount`: the leverage to set, or the money to move; `money`: what it puts behind the position."""

    action: Action
    amount: Decimal
    coin: str
    money: Decimal

    @property
    def what(self) -> str:
        """In words, up to the position's name."""
        match self.action:
            case Action.SET_LEVERAGE:
                return f"lower the leverage to {plain(self.amount)} of"
            case Action.ADD_MARGIN:
                return f"add {plain(self.amount)} {self.coin} of margin to"
            case _:
                return f"move {plain(self.amount)} {self.coin} from spot to futures for"


def action_of(action: Strengthening) -> Action:
    """Its word in the journal and the metrics."""
    match action:
        case LowerLeverage():
            return Action.SET_LEVERAGE
        case AddMarginBy() | AddMarginUntil():
            return Action.ADD_MARGIN
        case TopUp():
            return Action.TOP_UP
        case _:
            assert_never(action)


def lever_of(
    action: Strengthening, view: View, rule: PolicyRule, state: AccountState, limits: Limits, now: Instant
) -> Lever | NoSize:
    """The step of one action about the assessed position, or why it can't be made."""
    if view.held.missing_since is not None or view.held.close_seen is not None:
        return NoSize(why="the position may be gone already (I16)")
    match action:
        case LowerLeverage():
            return _lower(action, view, rule, state)
        case AddMarginBy() | AddMarginUntil():
            return _add(action, view, rule, state, limits, now)
        case TopUp():
            return _top_up(action, view, state, limits, now)
        case _:
            assert_never(action)


def _lower(action: LowerLeverage, view: View, rule: PolicyRule, state: AccountState) -> Lever | NoSize:
    now = view.risk.leverage
    if not state.capabilities.set_leverage:
        return NoSize(why="this venue sets no leverage")
    if not is_value(now):
        return NoSize(why="its leverage isn't known")
    if action.to >= now:
        return NoSize(why=f"the leverage is {plain(now)} already, and is only ever lowered (I17)")
    if view.cross and not _is_about_leverage(rule):
        why = "in cross the leverage moves neither liquidation price nor margin ratio: reduce, or top up (I15)"
        return NoSize(why=why)
    need = margin_for_leverage(view.on, action.to)
    if not is_value(need):
        return NoSize(why="what margin the lower leverage asks for isn't known")
    no = _beyond_free(need, view, state, f"a leverage of {plain(action.to)} asks for")
    money = Decimal(0) if view.cross else need
    return no or Lever(action=Action.SET_LEVERAGE, amount=action.to, coin=view.instrument.settle, money=money)


def _is_about_leverage(rule: PolicyRule) -> bool:
    return rule.when is not None and any(leaf.metric is Metric.LEVERAGE for leaf in compares(rule.when))


def _add(
    action: AddMarginBy | AddMarginUntil,
    view: View,
    rule: PolicyRule,
    state: AccountState,
    limits: Limits,
    now: Instant,
) -> Lever | NoSize:
    if view.risk.margin_mode is not MarginMode.ISOLATED:
        return NoSize(why="a cross position has no margin of its own: top up")
    if not state.capabilities.add_margin:
        return NoSize(why="this venue has no call that adds margin")
    if view.held.position.auto_margin:
        return NoSize(why="the venue itself adds margin to it (auto-margin): one of the two must be off")
    if no := _wrong_coin(action.coin, view):
        return no
    went = moved_by_rule(state, view.held.episode.id, rule.name, now)
    match action:
        case AddMarginBy():
            if action.at_most is not None and went + action.amount > action.at_most:
                why = f"{plain(went)} {action.coin} went to it already, at_most is {plain(action.at_most)}"
                return NoSize(why=why)
            amount = action.amount
        case AddMarginUntil():
            found = _until(action, view, action.at_most - went)
            if isinstance(found, NoSize):
                return found
            amount = found
    no = _beyond_day(amount, state, limits, now) or _beyond_free(amount, view, state, "the margin addition takes")
    return no or Lever(action=Action.ADD_MARGIN, amount=amount, coin=action.coin, money=amount)


def _until(action: AddMarginUntil, view: View, room: Decimal) -> Decimal | NoSize:
    aim = aim_text(action.metric, action.target, action.coin)
    present = metric_of(view.risk, action.metric, Use.CLOSE)
    if present is not None and is_there(present, action.metric, action.target):
        return NoSize(why=f"{aim} is reached already")
    found = margin_until(action.metric, action.target, view.on, view.risk, view.instrument, at_most=room)
    if found is not None:
        return found
    notional = view.risk.notional
    most = notional if is_value(notional) else room
    needed = margin_until(action.metric, action.target, view.on, view.risk, view.instrument, at_most=most)
    why = f"no addition within {plain(room)} {action.coin} (at_most, less what went already) brings it to {aim}"
    return NoSize(why=why if needed is None else f"{why}: that takes {plain(needed)} {action.coin}")


def _top_up(action: TopUp, view: View, state: AccountState, limits: Limits, now: Instant) -> Lever | NoSize:
    if not view.cross:
        return NoSize(why="a transfer puts nothing behind an isolated position: add margin")
    if not state.capabilities.top_up:
        return NoSize(why="this venue has no call that moves money from spot to futures")
    no = _wrong_coin(action.coin, view) or _beyond_day(action.amount, state, limits, now)
    return no or Lever(action=Action.TOP_UP, amount=action.amount, coin=action.coin, money=action.amount)


def _wrong_coin(coin: str, view: View) -> NoSize | None:
    settle = view.instrument.settle
    return None if coin == settle else NoSize(why=f"the rule speaks of {coin}, and this position settles in {settle}")


def _beyond_day(amount: Decimal, state: AccountState, limits: Limits, now: Instant) -> NoSize | None:
    went = moved_today(state, now)
    if went + amount <= limits.top_up_per_day:
        return None
    allowed = plain(limits.top_up_per_day)
    return NoSize(why=f"top_up_per_day: {plain(went)} went in 24 hours, {plain(amount)} more would pass {allowed}")


def _beyond_free(amount: Decimal, view: View, state: AccountState, what: str) -> NoSize | None:
    balance = state.balance_behind(view.held.key.symbol)
    if balance is None:
        return NoSize(why="the free balance isn't known")
    if amount <= balance.available:
        return None
    return NoSize(why=f"{what} {plain(amount)} {view.instrument.settle}, {plain(balance.available)} are free (I16)")


# What became of a step


class Progress(StrEnum):
    OPEN = "open"
    """Nothing left yet: it waits for a read, or was refused a moment ago."""
    WAITS = "waits"
    DONE = "done"
    FAILED = "failed"


def progress_of(
    action: Strengthening, state: AccountState, rule: RuleName, episode: EpisodeId, since: Instant, now: Instant
) -> Progress:
    """What became of the step that was decided then. Without an answer for two seconds it has failed, wherever it is held up.

    Where nothing may be sent nothing fails: observing tells of the first action, and stays there.
    """
    late = now.seconds_since(since) >= VERIFIED_WITHIN_S
    found = _steps(action, state, rule, episode, since)
    if not found:
        return Progress.FAILED if late and state.armed and not state.foreign_guard else Progress.OPEN
    if Stage.VERIFIED in found.values():
        return Progress.DONE
    if all(stage in FINISHED for stage in found.values()):
        return Progress.FAILED
    return Progress.FAILED if late else Progress.WAITS


def unsettled(action: Strengthening, view: View, state: AccountState, now: Instant) -> bool:
    """True when an earlier step of its kind, by whatever rule or run, has no end after two seconds: no other goes beside it."""
    word = action_of(action)
    pending = state.pending.values() if word is Action.TOP_UP else state.in_flight(view.held.key)
    return any(
        each.intent.action is word and now.seconds_since(each.intent.decided) >= VERIFIED_WITHIN_S for each in pending
    )


def cools(action: PolicyAction, state: AccountState, rule: PolicyRule, now: Instant) -> bool:
    """A top-up is for the whole account: within its cooldown none of the rule's positions asks for another."""
    return isinstance(action, TopUp) and any(
        finished.stage is Stage.VERIFIED
        and (finished.intent.rule, finished.intent.action) == (rule.name, Action.TOP_UP)
        and now.seconds_since(finished.at) < rule.cooldown_s
        for finished in state.finished
    )


def tried_before(
    action: Strengthening,
    state: AccountState,
    rule: RuleName,
    episode: EpisodeId,
    since: Instant,
    *,
    acted: Instant | None,
) -> bool:
    """True when the action has one try a breach and had it: a lower leverage, and a top-up from a balance that nobody can read.

    Money that was asked for and never seen isn't asked for again either: what is late must not come twice.
    """
    if acted is not None:
        return False
    steps = _steps(action, state, rule, episode, since)
    once = isinstance(action, LowerLeverage) or (isinstance(action, TopUp) and not state.capabilities.spot_balance)
    return bool(steps) if once else Stage.FAILED in steps.values()


def _steps(
    action: Strengthening, state: AccountState, rule: RuleName, episode: EpisodeId, since: Instant
) -> dict[ClientId, Stage]:
    """The intents of one action of a rule that were decided since then, and how far each came.

    A top-up is for the whole account: whichever of the rule's positions asked for it.
    """
    word = action_of(action)
    found: list[tuple[Intent, Stage]] = [(finished.intent, finished.stage) for finished in state.finished]
    found += [(pending.intent, pending.stage) for pending in state.pending.values()]
    return {
        intent.id: stage
        for intent, stage in found
        if (intent.rule, intent.action) == (rule, word)
        and (word is Action.TOP_UP or intent.episode == episode)
        and intent.decided.mono_ns >= since.mono_ns
    }
