"""How old the figures are, and when that is blindness (interfaces.md 2.3 "Ages", I9)."""

from functools import lru_cache
from typing import Final

from msgspec import Struct

from guardd.model.instant import Instant
from guardd.model.names import MarginMode
from guardd.model.state import AccountState, Held

READ_AGE_S_MAX: Final = 15.0
"""Position and account."""
READ_AGE_NEAR_S_MAX: Final = 3.0
"""Position and account, within twice the nearest trigger's distance; and a position before a closing move."""
PLANS_AGE_S_MAX: Final = 60.0
POSITION_MODE_AGE_S_MAX: Final = 60.0


class Ages(Struct, frozen=True, kw_only=True):
    """Seconds since each source last told the truth; None: never."""

    mark_s: float | None
    position_s: float | None
    account_s: float | None
    plans_s: float | None

    def oldest_s(self, margin_mode: MarginMode) -> float | None:
        """The metric `data_age`: the oldest source that a position of this margin mode is judged by; None: one was never seen."""
        judged_s = [self.mark_s, self.position_s]
        if margin_mode is MarginMode.CROSS:
            judged_s.append(self.account_s)
        known_s = [age_s for age_s in judged_s if age_s is not None]
        return max(known_s) if len(known_s) == len(judged_s) else None


class AgeLimits(Struct, frozen=True, kw_only=True):
    """Seconds each source may be old."""

    mark_s: float
    position_s: float
    account_s: float
    plans_s: float = PLANS_AGE_S_MAX


def ages_of(state: AccountState, held: Held, now: Instant) -> Ages:
    """The ages of what is known about one position."""
    seen = state.marks.get(held.key.symbol)
    return Ages(
        mark_s=_since_s(seen.at if seen is not None else None, now),
        position_s=_since_s(held.read, now),
        account_s=_since_s(state.balances_at, now),
        plans_s=_since_s(state.plans_at, now),
    )


@lru_cache(maxsize=64)
def limits(stale_after_s: float, *, near: bool) -> AgeLimits:
    """The limits that hold now. `near`: the mark is within twice the nearest trigger's distance.

    Remembered: it hangs on nothing but what it is asked with, and a policy asks with one figure.
    """
    read_s = READ_AGE_NEAR_S_MAX if near else READ_AGE_S_MAX
    return AgeLimits(mark_s=stale_after_s, position_s=read_s, account_s=read_s)


def blind_on(ages: Ages, allowed: AgeLimits, margin_mode: MarginMode) -> tuple[str, ...]:
    """What is too old to decide anything escalating on, in words; empty when the guard sees.

    The account's figures carry a cross position only: an isolated one is judged by its own margin.
    """
    judged = [("mark", ages.mark_s, allowed.mark_s), ("position", ages.position_s, allowed.position_s)]
    if margin_mode is MarginMode.CROSS:
        judged.append(("account", ages.account_s, allowed.account_s))
    return tuple(_complaint(name, age_s, limit_s) for name, age_s, limit_s in judged if _too_old(age_s, limit_s))


def plans_are_fresh(ages: Ages) -> bool:
    """False when the list of plan orders is too old to call a position protected."""
    return not _too_old(ages.plans_s, PLANS_AGE_S_MAX)


def _since_s(earlier: Instant | None, now: Instant) -> float | None:
    return None if earlier is None else max(now.seconds_since(earlier), 0.0)


def _too_old(age_s: float | None, limit_s: float) -> bool:
    return age_s is None or age_s > limit_s


def _complaint(name: str, age_s: float | None, limit_s: float) -> str:
    if age_s is None:
        return f"{name}: never seen"
    return f"{name}: {age_s:.1f} s old, at most {limit_s:g} s allowed"
