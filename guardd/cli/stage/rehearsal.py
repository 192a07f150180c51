"""What is done with cases: each is played and judged, its probes are replayed, and every mutant of the policy is tried."""

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from functools import partial

from msgspec import Struct

from guardd.cli.stage.play import play
from guardd.model.names import RuleName
from guardd.policy.cases.judge import Recording, Verdict, judge
from guardd.policy.cases.language import Case
from guardd.policy.cases.mutants import Mutant
from guardd.policy.cases.probes import Crossings, Probe, probes_of
from guardd.policy.language import Policy


class Probed(Struct, frozen=True, kw_only=True):
    """A probe and what came of it."""

    probe: Probe
    holds: bool
    recording: Recording


class Played(Struct, frozen=True, kw_only=True):
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


class Gauntlet:
    """Everything that a mutant has to get past: the cases, and the probes of its own rule.

    What is about the same rule is tried first, what ended mutants of that rule before, and the short before the long: most mutants
    end within a few steps.
    """

    def __init__(self, cases: Sequence[Case], probes: Sequence[Probe]) -> None:
        self._trials: list[tuple[Case, Probe | None]] = [(case, None) for case in cases]
        self._trials += [(probe.case, probe) for probe in probes]
        self._ended: Counter[tuple[RuleName | None, str]] = Counter()

    async def ended_by(self, mutant: Mutant) -> str:
        """The name of the first case or probe that fails with this mutant; empty: it survives."""
        for case, probe in sorted(self._trials, key=lambda trial: self._order(mutant, *trial)):
            name = case.name if probe is None else probe.name
            if await _fails(mutant, case, probe):
                self._ended[mutant.rule, name] += 1
                return name
        return ""

    def _order(self, mutant: Mutant, case: Case, probe: Probe | None) -> tuple[bool, int, int]:
        name = case.name if probe is None else probe.name
        return not _is_about(mutant, case, probe), -self._ended[mutant.rule, name], case.steps


async def _fails(mutant: Mutant, case: Case, probe: Probe | None) -> bool:
    if probe is None:
        recording = await play(case, mutant.policy, enough=partial(_failed, case))
        return not judge(case, recording).passed
    mine = mutant.rule is None or _is_about(mutant, case, probe)
    return mine and not probe.holds(await play_probe(probe, mutant.policy))


def _is_about(mutant: Mutant, case: Case, probe: Probe | None) -> bool:
    """A probe is its rule's alone; a case is about each rule that it expects something of."""
    if probe is not None:
        return mutant.rule == probe.crossing.rule.name
    return any(expected.rule == mutant.rule for expected in case.decisions)


def _failed(case: Case, so_far: Recording, at_s: Decimal) -> bool:
    return not judge(case, so_far, until_s=at_s).passed
