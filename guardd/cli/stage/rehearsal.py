"""What is done with cases: each is played and judged, its probes are replayed, and every mutant of the policy is tried."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial

from guardd.cli.stage.play import play
from guardd.policy.cases.judge import Recording, Verdict, judge
from guardd.policy.cases.language import Case
from guardd.policy.cases.mutants import Mutant
from guardd.policy.cases.probes import Crossings, Probe, probes_of
from guardd.policy.language import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """A probe and what came of it."""

    probe: Probe
    holds: bool
    recording: Recording


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """A case, what came of it, and the probes that it gave rise to; none where the case itself failed."""

    case: Case
    verdict: Verdict
    recording: Recording
    probed: tuple[Probed, ...]

    @property
    def passed(self) -> bool:
        return self.verdict.passed and all(each.holds for each in self.probed)


async def rehearse(case: Case, policy: Policy, *, probing: bool = True) -> Played:
    """Play a case, judge it, and replay it to either side of each threshold that it crosses."""
    crossings = Crossings(case=case, policy=policy)
    recording = await play(case, policy, look=crossings.look if probing else None)
    verdict = judge(case, recording)
    probed: list[Probed] = []
    if verdict.passed:
        for probe in probes_of(case, crossings.found, recording):
            again = await play_probe(probe, policy)
            probed.append(Probed(probe=probe, holds=probe.holds(again), recording=again))
    return Played(case=case, verdict=verdict, recording=recording, probed=tuple(probed))


async def play_probe(probe: Probe, policy: Policy) -> Recording:
    """Play it until its rule has acted, or to its end."""
    return await play(probe.case, policy, enough=lambda so_far, at_s: probe.fired(so_far))


async def kills(mutant: Mutant, cases: Sequence[Case], probes: Sequence[Probe]) -> str:
    """The name of the first case or probe that fails with this mutant; empty: it survives.

    What is about the same rule is tried first, the short before the long: most mutants end within a few steps.
    """
    trials: list[tuple[bool, int, Case, Probe | None]] = [
        (not _expects(case, mutant), case.steps, case, None) for case in cases
    ]
    trials += [(mutant.rule != probe.crossing.rule.name, probe.case.steps, probe.case, probe) for probe in probes]
    for stranger, _, case, probe in sorted(trials, key=lambda trial: trial[:2]):
        if probe is None:
            recording = await play(case, mutant.policy, enough=partial(_failed, case))
            if not judge(case, recording).passed:
                return case.name
        elif (not stranger or mutant.rule is None) and not probe.holds(await play_probe(probe, mutant.policy)):
            return probe.name
    return ""


def _failed(case: Case, so_far: Recording, at_s: Decimal) -> bool:
    return not judge(case, so_far, until_s=at_s).passed


def _expects(case: Case, mutant: Mutant) -> bool:
    return any(expected.rule == mutant.rule for expected in case.decisions)
