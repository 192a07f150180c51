"""One position as the rules see it: assessed, with the rules that are about it and what is too old to be believed."""

from collections.abc import Iterable
from decimal import Decimal

from msgspec import Struct

from guardd.model.instant import Instant
from guardd.model.instrument import Instrument
from guardd.model.names import MarginMode, PositionKey, Side, Symbol
from guardd.model.reading import Reading, is_value
from guardd.model.state import AccountState, Held
from guardd.policy.conditions import AGELESS, BLIND, USES, Truth, Use, evaluate, matches
from guardd.policy.language import ACCOUNT_WIDE, Policy, PolicyRule, WhenBlind
from guardd.risk.ages import Ages, ages_of, blind_on, limits
from guardd.risk.assess import PositionRisk, assess_on
from guardd.risk.backing import Backing, last_mark
from guardd.risk.ground import Ground, ground, whole_account


class View(Struct, frozen=True, kw_only=True):
    """`stale` says what is too old to decide anything escalating on, in words; `reads_stale`: only reads are, the mark is not."""

    held: Held
    instrument: Instrument
    on: Ground
    risk: PositionRisk
    rules: tuple[PolicyRule, ...]
    ages: Ages
    stale: tuple[str, ...]
    reads_stale: bool

    def truth(self, rule: PolicyRule, use: Use) -> Truth:
        """Is the rule's condition true, on data that may be believed? While blind only `when_blind: act` uses the last values."""
        blind = self.stale and rule.when_blind is WhenBlind.HOLD
        return evaluate(rule.when, self.risk, use, without=BLIND if blind else frozenset())

    def truth_on_fresh_data(self, rule: PolicyRule, use: Use) -> Truth:
        """The same without any last values, whatever the rule allows: what `when_blind: act` doesn't reach goes by this."""
        return evaluate(rule.when, self.risk, use, without=BLIND if self.stale else frozenset())

    def truth_on_last_values(self, rule: PolicyRule, use: Use) -> Truth:
        """The same as if nothing were too old: what a read might confirm."""
        return evaluate(rule.when, self.risk, use)

    def truth_at(self, rule: PolicyRule, use: Use, mark: Decimal) -> Truth:
        """The same with the mark elsewhere and everything else as it is."""
        return evaluate(rule.when, assess_on(self.on, mark=mark), use)

    def own_reason(self, rule: PolicyRule, use: Use) -> bool:
        """True when the position's own figures make the rule true, without the account's."""
        return evaluate(rule.when, self.risk, use, without=ACCOUNT_WIDE) is Truth.TRUE

    @property
    def cross(self) -> bool:
        return self.risk.margin_mode is MarginMode.CROSS


def views(
    policy: Policy, state: AccountState, now: Instant, symbols: Iterable[Symbol] | None = None
) -> tuple[View, ...]:
    """Every position that can be assessed, sorted by key. Nothing is said about one that isn't guarded, or without a mark."""
    sums: dict[str, Backing] = {}
    held = [state.held[key] for key in sorted(state.held if symbols is None else _on(frozenset(symbols), state))]
    found = (_view(policy, state, each, now, _whole(sums, state, each)) for each in held)
    return tuple(view for view in found if view is not None)


def _on(symbols: frozenset[Symbol], state: AccountState) -> list[PositionKey]:
    """Looked up, not looked for: an account may hold thousands."""
    keys = (PositionKey(state.name, symbol, side) for symbol in symbols for side in Side)
    return [key for key in keys if key in state.held]


def _whole(sums: dict[str, Backing], state: AccountState, held: Held) -> Backing | None:
    """The sums behind a cross position: made once for each balance."""
    if held.position.margin_mode is not MarginMode.CROSS:
        return None
    balance = state.balance_behind(held.key.symbol)
    name = balance.currency if balance is not None else ""
    if name not in sums:
        sums[name] = whole_account(state, held.key.symbol)
    return sums[name]


def _view(policy: Policy, state: AccountState, held: Held, now: Instant, whole: Backing | None) -> View | None:
    instrument, mark = state.instruments.get(held.key.symbol), last_mark(state, held)
    if instrument is None or instrument.unguarded or not is_value(mark) or mark <= 0:
        return None
    ages = ages_of(state, held, now)
    on = ground(state, held, now=now, whole=whole, ages=ages)
    risk = assess_on(on, mark=mark)
    rules = tuple(rule for rule in policy.rules if matches(rule.match, risk, state.venue))
    allowed = limits(policy.limits.stale_after_s, near=True)
    stale = blind_on(ages, allowed, risk.margin_mode)
    if stale and not _near(on, risk, rules):
        allowed = limits(policy.limits.stale_after_s, near=False)
        stale = blind_on(ages, allowed, risk.margin_mode)
    mark_stale = ages.mark_s is None or ages.mark_s > allowed.mark_s
    if stale and not mark_stale and state.reads_held_back(now):
        stale = ()  # a block holds reads back: the last confirmed quantity serves (interfaces.md 2.3 "Ages")
    return View(
        held=held,
        instrument=instrument,
        on=on,
        risk=risk,
        rules=rules,
        ages=ages,
        stale=stale,
        reads_stale=bool(stale) and not mark_stale,
    )


def _near(on: Ground, risk: PositionRisk, rules: tuple[PolicyRule, ...]) -> bool:
    """Is the mark within twice the distance of the nearest rule that reduces or closes (interfaces.md 2.3 "Ages")?

    That is: would one be true with the mark half as far from liquidation? Without a liquidation price: is one true now?
    """
    levers = [rule for rule in rules if rule.delevers]
    if not levers:
        return False
    halved: Reading = risk.liquidation
    at = [risk]
    if is_value(halved):
        at.append(assess_on(on, mark=(risk.mark + halved) / 2))
    return any(
        evaluate(rule.when, each, use, without=AGELESS) is Truth.TRUE for each in at for rule in levers for use in USES
    )
