"""What the guard knows from its last looks: risks, wanted protection, cover, blindness, contradictions, seconds unprotected.

Everything here is computed by `risk` and `policy`; this keeps the results between two looks and finds the edges in them.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

from msgspec import Struct

from guardd.daemon.ahead import Ahead
from guardd.daemon.hands import Hands
from guardd.daemon.ripening import Aged
from guardd.daemon.shown import Seen, Shown
from guardd.model.decision import Protect
from guardd.model.instant import Instant
from guardd.model.intent import Action
from guardd.model.names import EpisodeId, MarginMode, PositionKey, Severity, Symbol
from guardd.model.reading import Absent, is_value
from guardd.model.state import AccountState, Held
from guardd.policy.language import Policy
from guardd.policy.watch import Solved
from guardd.risk.ages import PLANS_AGE_S_MAX, ages_of, blind_on, limits
from guardd.risk.agreement import Agreement
from guardd.risk.assess import AccountRisk, PositionRisk, assess_accounts, assess_position
from guardd.risk.backing import last_mark
from guardd.risk.cover import Cover
from guardd.risk.crosscheck import Check, Mismatch, Standing, lasting, standing

DRIFT_TOLD_FROM: Final = Decimal("0.02")
"""A liquidation price of our own that is this far from the venue's is told (interfaces.md 2.2)."""

FRESHENED: Final = 100
"""So many positions at rest are reckoned anew, at their present marks, each time that people are shown the account,"""
AT_ONCE: Final = 8
"""a few at once: a tenth of a millisecond each, and no review stands long before a price frame."""
FEW: Final = 300
ACCOUNT_NS_A_POSITION: Final = 3_000_000
"""Beyond a few hundred positions the account's sums are made anew after so long for each of them."""
REPLACED_WITHIN_S: Final = 0.5
"""While a stop or a close is on its way, a loss of protection is told only when it lasts: neither moving a stop nor one that goes
with its position is an alarm, and I21 leaves a second."""


class Look(Struct, frozen=True, kw_only=True):
    """One look at the account, for people."""

    accounts: Mapping[str, AccountRisk]
    """Each balance by its currency."""
    seen: Mapping[PositionKey, Seen]
    unprotected_s: Mapping[PositionKey, float]
    unguarded: tuple[tuple[Symbol, str], ...]
    alarms: tuple[tuple[Severity, str, str], ...]


class Lookout:
    """Kept by one guard."""

    def __init__(self, state: AccountState) -> None:
        self._state = state
        self._wanted: dict[PositionKey, Protect] = {}
        self._unprotected_s: dict[PositionKey, float] = {}
        self._protected: dict[PositionKey, bool] = {}
        self._lost: dict[PositionKey, Instant] = {}
        self._looked: Instant | None = None
        self._lists_fresh = False
        self._aged = Aged(state)
        self._accounts: dict[str, AccountRisk] = {}
        self._accounts_until_ns = 0
        self._shown = Shown(state)
        self._left: int | None = None
        """Of those that are reckoned anew for the next look; None: it wasn't begun."""
        self._anew: set[PositionKey] = set()
        self._ahead = Ahead(state)
        self._mismatches: tuple[Mismatch, ...] = ()
        self._agreement = Agreement(state)
        self._cleared: set[EpisodeId] = set()
        """Episodes that a cross-check once found nothing against."""
        self._swept_at = 0
        self._checked = False
        self._standing: Standing = {}
        self.risks: dict[PositionKey, PositionRisk] = {}

    def assessed(self, risks: Iterable[PositionRisk]) -> None:
        """Keep the risks of a look."""
        self.risks.update({risk.key: risk for risk in risks})

    def wants(self, wishes: Iterable[Protect]) -> None:
        """Keep what shall rest on each position."""
        self._wanted.update({wish.key: wish for wish in wishes})

    def cross_check(self, now: Instant) -> tuple[str, ...]:
        """Check the account's figures against each other; what stays proved wrong, in words."""
        found = self._agreement.check(now)
        self._standing = standing(self._standing, found, now)
        self._mismatches, self._checked = found, True
        self._clear(found)
        return tuple(mismatch.text for mismatch in lasting(found, self._standing, now))

    def _clear(self, found: tuple[Mismatch, ...]) -> None:
        """Of episodes that were found sound once, nothing is to be found out any more."""
        held = self._state.held
        if self._swept_at != self._state.lives_ended:
            self._swept_at = self._state.lives_ended
            self._cleared &= {each.episode.id for each in held.values()}
        if len(self._cleared) == len(held) or any(m.key is None and m.symbol is None for m in found):
            return
        keys, symbols = {m.key for m in found}, {m.symbol for m in found if m.key is None}
        sound = (each for key, each in held.items() if key not in keys and key.symbol not in symbols)
        self._cleared.update(each.episode.id for each in sound)

    def doubts(self, key: PositionKey) -> tuple[str, ...]:
        """What speaks against a first reducing write of this position (I29).

        Once an episode was found sound, what merely can't be checked for a while takes nothing back, but the position mode; nor
        do marks that part later: in a crash they do, and a mark that decides is confirmed by itself (I28). While a block holds
        reads back the mode that was last read serves, as the quantity does: closes are tried through it (interfaces.md 6).
        """
        if not self._checked:
            return ("the account was not cross-checked yet",)
        held = self._state.held.get(key)
        cleared = held is not None and held.episode.id in self._cleared
        return tuple(
            mismatch.text
            for mismatch in self._mismatches
            if _concerns(mismatch, key) and (not cleared or _takes_back(mismatch, blocked=bool(self._state.blocks)))
        )

    def blindness(self, stale_after_s: float, now: Instant) -> tuple[str, ...]:
        """What is too old to decide on, in words, over all positions."""
        found: list[str] = []
        allowed = limits(stale_after_s, near=False)
        for held in self._aged.beyond(allowed, now):
            if self._state.why_unguarded(held.key.symbol):
                continue
            blind = blind_on(ages_of(self._state, held, now), allowed, held.position.margin_mode)
            found.extend(f"{held.key.symbol} {held.key.side}: {what}" for what in blind)
        return tuple(found)

    @property
    def undecided(self) -> bool:
        """A stop is gone and its replacement may be on its way: whether that is an alarm is to be told in a moment."""
        return bool(self._lost)

    def lists_aged(self, now: Instant) -> bool:
        """Since the last look the list of plan orders became too old to call anything protected."""
        return self._lists_fresh and not self._are_lists_fresh(now)

    def freshen(self, now: Instant) -> bool:
        """Before a look: reckon the next few anew, at their present marks. True: there are more."""
        if self._left is None:
            self._left = min(FRESHENED, len(self._state.held))
        count = min(AT_ONCE, self._left)
        self._left -= count
        self._shown.begin(fresh=self._are_lists_fresh(now), now=now)
        for held in self._shown.next_in_turn(count):
            self._reassess(held, now)
            risk = self.risks.get(held.key)
            if risk is not None and not self._state.why_unguarded(held.key.symbol):
                self._see(held, risk, now)
                self._anew.add(held.key)
        return self._left > 0

    def look(
        self, policy: Policy, hands: Hands, now: Instant, *, solved: Mapping[PositionKey, Solved] | None = None
    ) -> Look:
        """Everything that is shown, as of now. `solved`: what the guard's watch knows of each position.

        Of a desk's thousands only those are reckoned anew about which something is other than it was, and what `freshen` took.
        """
        while self._left is None or self._left:
            self.freshen(now)
        anew, self._anew, self._left = self._anew, set(), None
        self._ahead.look(policy, solved or {}, now)
        passed_s = now.seconds_since(self._looked) if self._looked is not None else 0.0
        self._looked, self._lists_fresh = now, self._are_lists_fresh(now)
        seen: dict[PositionKey, Seen] = {}
        alarms: list[tuple[Severity, str, str]] = []
        unguarded: list[tuple[Symbol, str]] = []
        self._shown.begin(fresh=self._lists_fresh, now=now)
        unprotected_s = self._unprotected_s
        for held in self._state.in_order():
            key = held.key
            risk = self.risks.get(key)
            if risk is None or self._state.why_unguarded(key.symbol):
                self.risks.pop(key, None)
                why = self._why_unguarded(key)
                unguarded.append((key.symbol, why))
                if self._state.why_unguarded(key.symbol):
                    alarms.append((Severity.WARNING, f"unguarded/{key}", f"{key}: not guarded: {why}"))
                unprotected_s[key] = unprotected_s.get(key, 0.0) + passed_s
                continue
            known = self._shown.standing(held, risk, self._wanted.get(key), self._ahead.all_of(key))
            found = known if known is not None else self._see(held, risk, now, passed_s=passed_s)
            protected = found.cover.protected
            if known is not None:
                unprotected_s[key] = unprotected_s.get(key, 0.0) + (0.0 if protected else passed_s)
            seen[key] = found
            if known is None or key in anew or self._protected.get(key) is not protected:
                alarms.extend(self._alarms(key, risk, found.cover, hands, now))
        self._forget()
        return Look(
            accounts=self._accounts_of(now),
            seen=seen,
            unprotected_s=dict(unprotected_s),
            unguarded=tuple(dict.fromkeys(unguarded)),
            alarms=tuple(alarms),
        )

    def _see(self, held: Held, risk: PositionRisk, now: Instant, *, passed_s: float = 0.0) -> Seen:
        """What is shown of one position. `passed_s`: the seconds that count as unprotected if it is so now."""
        key = held.key
        wish = self._wanted.get(key)
        covered = self._shown.cover(held, risk, wish, now)
        bare_s = self._unprotected_s.get(key, 0.0) + (0.0 if covered.protected else passed_s)
        self._unprotected_s[key] = bare_s
        next_rule, next_rule_at = self._ahead.of(risk)
        found = Seen(
            risk=risk,
            cover=covered,
            next_rule=next_rule,
            next_rule_at=next_rule_at,
            rules_ahead=self._ahead.all_of(key),
        )
        return self._shown.keep(held, wish, found, bare_s)

    def _reassess(self, held: Held, now: Instant) -> None:
        """The figures of one that nobody has looked at for a while, at its present mark."""
        before, mark = self.risks.get(held.key), last_mark(self._state, held)
        isolated = held.position.margin_mode is MarginMode.ISOLATED
        if before is not None and isolated and is_value(mark) and mark > 0 and mark != before.mark:
            self.risks[held.key] = assess_position(self._state, held, mark=mark, now=now)

    def _accounts_of(self, now: Instant) -> dict[str, AccountRisk]:
        """The sums over a desk's thousands are made as seldom as that they cost a hundredth of a core."""
        if now.mono_ns >= self._accounts_until_ns or self._accounts.keys() != self._state.balances.keys():
            marks = {key.symbol: risk.mark for key, risk in self.risks.items()}
            self._accounts = assess_accounts(self._state, marks=marks, now=now)
            self._accounts_until_ns = now.mono_ns + max(len(self._state.held) - FEW, 0) * ACCOUNT_NS_A_POSITION
        return self._accounts

    def _are_lists_fresh(self, now: Instant) -> bool:
        at = self._state.plans_at
        return at is not None and now.seconds_since(at) <= PLANS_AGE_S_MAX

    def _alarms(
        self, key: PositionKey, risk: PositionRisk, covered: Cover, hands: Hands, now: Instant
    ) -> list[tuple[Severity, str, str]]:
        """The loss of protection and a liquidation price that doesn't fit, on their edges (I21)."""
        found: list[tuple[Severity, str, str]] = []
        before = self._protected.get(key)
        moving = before is True and not covered.protected and self._being_replaced(key, now)
        if not moving:
            self._protected[key] = covered.protected
            self._lost.pop(key, None)
        if before is True and not covered.protected and not moving:
            why = hands.unprotected(key) or covered.note
            found.append((Severity.CRITICAL, f"cover/{key}", f"{key}: no longer protected: {why}"))
        elif before is False and covered.protected:
            found.append((Severity.INFO, f"cover/{key}", f"{key}: a verified stop rests"))
        if is_value(risk.drift) and abs(risk.drift) > DRIFT_TOLD_FROM and not risk.far:
            text = f"{key}: the venue's liquidation price and our own differ by more than {DRIFT_TOLD_FROM * 100:f} %"
            found.append((Severity.WARNING, f"drift/{key}", text))
        if risk.contradiction:
            found.append((Severity.WARNING, f"contradiction/{key}", f"{key}: {risk.contradiction}"))
        return found

    def _being_replaced(self, key: PositionKey, now: Instant) -> bool:
        since = self._lost.setdefault(key, now)
        held = self._state.held.get(key)
        ending = held is not None and (held.close_seen is not None or held.missing_since is not None)
        coming = (Action.STOP_LOSS, Action.CLOSE)
        on_its_way = any(pending.intent.action in coming for pending in self._state.in_flight(key))
        return (on_its_way or ending) and now.seconds_since(since) < REPLACED_WITHIN_S

    def _why_unguarded(self, key: PositionKey) -> str:
        why = self._state.why_unguarded(key.symbol)
        if why:
            return why
        if key.symbol not in self._state.instruments:
            return "its contract's details were not read yet"
        mark = last_mark(self._state, self._state.held[key])
        return "it has no mark price" if mark is Absent.UNKNOWN else "not assessed yet"

    def _forget(self) -> None:
        gone = self._unprotected_s.keys() - self._state.held.keys()
        for key in gone:
            self._ahead.forget(key)
            self._shown.forget(key)
            for kept in (self._wanted, self._unprotected_s, self._protected, self._lost, self.risks):
                kept.pop(key, None)


def _concerns(mismatch: Mismatch, key: PositionKey) -> bool:
    """A finding about this position, its instrument, or the whole account."""
    return mismatch.key in (key, None) and mismatch.symbol in (key.symbol, None)


def _takes_back(mismatch: Mismatch, *, blocked: bool) -> bool:
    if mismatch.check is Check.POSITION_MODE:
        return mismatch.proved or not blocked
    return mismatch.proved and mismatch.check is not Check.MARKS
