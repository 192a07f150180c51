"""What a restart wakes up with, out of everything that is known: the same sums for every journal."""

from collections.abc import Iterable
from typing import Final

from guardd.journal.base import Memory, Remembered, RuleMark
from guardd.model.highwater import HighWater
from guardd.model.intent import FINISHED, Stage
from guardd.model.names import ClientId, EpisodeId, OrderId, RuleName
from guardd.model.position import Episode
from guardd.model.state import lasting

REMEMBERED_MS: Final = 24 * 3_600_000
"""The longest window of the policy's limits (interfaces.md 2.6)."""


def memory_of(
    known: Iterable[Remembered],
    *,
    episodes: Iterable[Episode],
    order_ids: Iterable[OrderId],
    client_ids: Iterable[ClientId],
    halted: bool,
    parked: str | None,
    now_ms: int,
    high_waters: Iterable[HighWater] = (),
) -> Memory:
    """`known` are the intents of one account, `episodes` its open ones.

    A record from the future counts as recent: a doubtful clock is no time (I24).
    """
    oldest_first = sorted(known, key=lambda each: (each.at_ms, each.intent.id))
    open_episodes = tuple(sorted(episodes, key=lambda episode: episode.id))
    still_count = frozenset(episode.id for episode in open_episodes)
    young = [each for each in oldest_first if each.at_ms > now_ms - REMEMBERED_MS]
    marking = [
        each for each in oldest_first if each.at_ms > now_ms - REMEMBERED_MS or each.intent.episode in still_count
    ]
    return Memory(
        unfinished=tuple(each for each in oldest_first if each.stage not in FINISHED),
        recent=(
            *lasting((each for each in oldest_first if each.at_ms <= now_ms - REMEMBERED_MS), still_count),
            *(each for each in young if each.stage in FINISHED),
        ),
        episodes=open_episodes,
        rule_marks=_rule_marks(marking),
        order_ids=frozenset(order_ids),
        halted=halted,
        parked=parked,
        client_ids=frozenset(client_ids),
        high_waters=tuple(sorted(high_waters, key=lambda water: water.currency)),
    )


def _rule_marks(known: Iterable[Remembered]) -> tuple[RuleMark, ...]:
    """The number of each rule's next step in each episode, and when its last step was verified (as `guardd.model.fold`)."""
    steps: dict[tuple[EpisodeId, RuleName], int] = {}
    verified: dict[tuple[EpisodeId, RuleName], int] = {}
    for each in known:
        if each.stage not in FINISHED or each.stage in (Stage.VOID, Stage.REFUSED):
            continue
        place = (each.intent.episode, each.intent.rule)
        steps[place] = max(steps.get(place, 0), each.intent.step + 1)
        if each.stage is Stage.VERIFIED:
            verified[place] = max(verified.get(place, 0), each.at_ms)
    return tuple(
        RuleMark(episode=episode, rule=rule, steps=count, verified_ms=verified.get((episode, rule)))
        for (episode, rule), count in sorted(steps.items())
    )
