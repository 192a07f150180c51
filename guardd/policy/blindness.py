"""Unknown for longer than `stale_after` is blindness (interfaces.md 2.2): which rules can't be judged, and for how long by now."""

from collections.abc import Iterable

from guardd.model.instant import Instant
from guardd.model.names import Symbol
from guardd.model.state import AccountState
from guardd.policy.conditions import Use
from guardd.policy.language import Policy, PolicyRule
from guardd.policy.memory import Memory


def judged_by(rule: PolicyRule) -> Use:
    """By which number a rule is held to be blind: one that acts by the number that may close."""
    return Use.CLOSE if rule.delevers else Use.WARN


def unjudged(
    policy: Policy, state: AccountState, memory: Memory, now: Instant, *, among: Iterable[Symbol] | None = None
) -> tuple[str, ...]:
    """Every rule that has been unknown for a position on one of these instruments for `stale_after`, in words.

    No position is at rest of which a rule is unknown (`policy.rest`), so nobody has to ask about those.
    """
    found: list[str] = []
    for held in state.in_order() if among is None else state.holds_any(among):
        key = held.key
        known = memory.episodes.get(held.episode.id)
        for rule in policy.rules if known is not None else ():
            remembered = known.rules.get((rule.name, judged_by(rule))) if known is not None else None
            since = remembered.unknown_since if remembered is not None else None
            if since is not None and now.seconds_since(since) >= policy.limits.stale_after_s:
                found.append(f"{key.symbol} {key.side}: rule {rule.name} can't be judged")
    return tuple(found)
