"""What the guard knows from its last looks: risks, wanted protection, cover, blindness, contradictions, seconds unprotected.

Everything here is computed by `risk` and `policy`; this keeps the results between two looks and finds the edges in them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from guardd.daemon.ahead import Ahead
from guardd.daemon.hands import Hands
from guardd.daemon.view import Seen
from guardd.model.decision import Protect
from guardd.model.instant import Instant
from guardd.model.intent import Action
from guardd.model.names import EpisodeId, PositionKey, Severity, Symbol
from guardd.model.reading import Absent, is_value
from guardd.model.state import AccountState
from guardd.policy.language import Policy
from guardd.policy.watch import Solved
from guardd.risk.ages import PLANS_AGE_S_MAX, ages_of, blind_on, limits
from guardd.risk.assess import AccountRisk, PositionRisk, assess_accounts
from guardd.risk.backing import last_mark
from guardd.risk.cover import Cover, cover
from guardd.risk.crosscheck import Check, Mismatch, Standing, cross_check, lasting, standing

DRIFT_TOLD_FROM: Final = Decimal("0.02")
"""A liquidation price of our own that is this far from the venue's is told (interfaces.md 2.2)."""

REPLACED_WITHIN_S: Final = 0.5
"""While a stop or a close is on its way, a loss of protection is told only when it lasts: neither moving a stop nor one that goes
with its position is an alarm, and I21 leaves a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
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
        self._ahead = Ahead(state)
        self._mismatches: tuple[Mismatch, ...] = ()
        self._cleared: set[EpisodeId] = set()
        """Episodes that a cross-check once found nothing against."""
        self._checked = False
        self._standing: Standing = {}
        self.risks: dict[PositionKey, PositionRisk] = {}

    def assessed(self, risks: Iterable[PositionRisk]) -> None:
        """Keep the risks of a look."""
        self.risks.update({risk.key: risk for risk in risks})
        for key in [key for key in self.risks if self._state.why_unguarded(key.symbol)]:
            del self.risks[key]

    def wants(self, wishes: Iterable[Protect]) -> None:
        """Keep what shall rest on each position."""
        self._wanted.update({wish.key: wish for wish in wishes})

    def cross_check(self, now: Instant) -> tuple[str, ...]:
        """Check the account's figures against each other; what stays proved wrong, in words."""
        found = cross_check(self._state, now=now)
        self._standing = standing(self._standing, found, now)
        self._mismatches, self._checked = found, True
        held = self._state.held
        self._cleared &= {each.episode.id for each in held.values()}
        self._cleared |= {each.episode.id for key, each in held.items() if not any(_concerns(m, key) for m in found)}
        return tuple(mismatch.text for mismatch in lasting(found, self._standing, now))

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
        for key, held in sorted(self._state.held.items()):
            if self._state.why_unguarded(key.symbol):
                continue
            blind = blind_on(ages_of(self._state, held, now), allowed, held.position.margin_mode)
            found.extend(f"{key.symbol} {key.side}: {what}" for what in blind)
        return tuple(found)

    @property
    def undecided(self) -> bool:
        """A stop is gone and its replacement may be on its way: whether that is an alarm is to be told in a moment."""
        return bool(self._lost)

    def lists_aged(self, now: Instant) -> bool:
        """Since the last look the list of plan orders became too old to call anything protected."""
        return self._lists_fresh and not self._are_lists_fresh(now)

    def look(
        self, policy: Policy, hands: Hands, now: Instant, *, solved: Mapping[PositionKey, Solved] | None = None
    ) -> Look:
        """Everything that is shown, as of now. `solved`: what the guard's watch knows of each position."""
        self._ahead.look(policy, solved or {}, now)
        passed_s = now.seconds_since(self._looked) if self._looked is not None else 0.0
        self._looked, self._lists_fresh = now, self._are_lists_fresh(now)
        seen: dict[PositionKey, Seen] = {}
        alarms: list[tuple[Severity, str, str]] = []
        unguarded: list[tuple[Symbol, str]] = []
        for key, held in sorted(self._state.held.items()):
            risk = self.risks.get(key)
            if risk is None:
                why = self._why_unguarded(key)
                unguarded.append((key.symbol, why))
                if self._state.why_unguarded(key.symbol):
                    alarms.append((Severity.WARNING, f"unguarded/{key}", f"{key}: not guarded: {why}"))
                self._count_unprotected(key, protected=False, passed_s=passed_s)
                continue
            wish = self._wanted.get(key)
            covered = cover(self._state, held, risk, wanted=wish.wanted if wish is not None else (), now=now)
            self._count_unprotected(key, protected=covered.protected, passed_s=passed_s)
            next_rule, next_rule_at = self._ahead.of(risk)
            rules_ahead = self._ahead.all_of(key)
            seen[key] = Seen(
                risk=risk, cover=covered, next_rule=next_rule, next_rule_at=next_rule_at, rules_ahead=rules_ahead
            )
            alarms.extend(self._alarms(key, risk, covered, hands, now))
        self._forget()
        marks = {key.symbol: risk.mark for key, risk in self.risks.items()}
        return Look(
            accounts=assess_accounts(self._state, marks=marks, now=now),
            seen=seen,
            unprotected_s=dict(self._unprotected_s),
            unguarded=tuple(dict.fromkeys(unguarded)),
            alarms=tuple(alarms),
        )

    def _are_lists_fresh(self, now: Instant) -> bool:
        at = self._state.plans_at
        return at is not None and now.seconds_since(at) <= PLANS_AGE_S_MAX

    def _count_unprotected(self, key: PositionKey, *, protected: bool, passed_s: float) -> None:
        self._unprotected_s.setdefault(key, 0.0)
        if not protected:
            self._unprotected_s[key] += passed_s

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
        gone = [key for key in self._unprotected_s if key not in self._state.held]
        for key in gone:
            self._ahead.forget(key)
            for kept in (self._wanted, self._unprotected_s, self._protected, self._lost, self.risks):
                kept.pop(key, None)


def _concerns(mismatch: Mismatch, key: PositionKey) -> bool:
    """A finding about this position, its instrument, or the whole account."""
    return mismatch.key in (key, None) and mismatch.symbol in (key.symbol, None)


def _takes_back(mismatch: Mismatch, *, blocked: bool) -> bool:
    if mismatch.check is Check.POSITION_MODE:
        return mismatch.proved or not blocked
    return mismatch.proved and mismatch.check is not Check.MARKS
