"""What looks wrong in a policy that is right by its grammar: told by `check` and before CONFIRM, never a reason to refuse it."""

from collections.abc import Sequence
from typing import Final

from guardd.policy.language import Policy
from guardd.policy.sense.finding import Finding, Kind, Weight
from guardd.policy.sense.models import LEVERAGES, Bench, Subject, bench_of, modelled
from guardd.policy.sense.powers import powers
from guardd.policy.sense.prices import on_the_models
from guardd.policy.sense.protection import resting_orders
from guardd.policy.sense.wording import by_the_words

__all__ = ["LEVERAGES", "Bench", "Finding", "Kind", "Subject", "Weight", "bench_of", "findings"]


def findings(policy: Policy, bench: Bench | None = None) -> tuple[Finding, ...]:
    """Everything that looks wrong, in the order of the file; judged on model positions of the bench (None: the usual ones)."""
    asked = Bench() if bench is None else bench
    models = modelled(policy, asked)
    found = [
        *by_the_words(policy),
        *on_the_models(policy, models),
        *resting_orders(policy, models),
        *powers(policy, models, asked),
    ]
    kept = [each for each in found if not _said_already(each, found)]
    return tuple(sorted(kept, key=lambda each: (each.line, each.column, tuple(Weight).index(each.weight))))


_REASONS: Final = {Kind.NEVER: Kind.CONTRADICTION, Kind.NO_HELP: Kind.AIM}
"""What follows from another finding about the same rule, which tells it better."""


def _said_already(finding: Finding, found: Sequence[Finding]) -> bool:
    reason = _REASONS.get(finding.kind)
    return any(each.kind is reason and each.rule == finding.rule for each in found)
