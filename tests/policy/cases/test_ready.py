"""The ready policies of config/policies: checked at 5, 20 and 50 times, played, and held to every number in them.

A mutant that survives here is a number that no case of its file holds. The whole, by hand:
guardd policy test --mutate config/policies/tests/*.cases.yaml
"""

import re
from decimal import Decimal

import pytest

from guardd.cli import cases
from guardd.daemon.wiring import policy_from
from guardd.policy.check import Bench, Weight, findings
from guardd.policy.language import Notify
from tests.policy.cases.scene import READY

NAMES = ("conservative-isolated", "cross-portfolio", "market-maker-hedge", "observe-only", "take-profit-ladder")
MUTATED = ("observe-only", "take-profit-ladder")
"""The quickest; the others are mutated by the command above."""
LEVERAGES = (Decimal(5), Decimal(20), Decimal(50))


def test_these_are_all_of_them_and_each_has_its_cases() -> None:
    assert sorted(file.stem for file in READY.glob("*.yaml")) == sorted(NAMES)
    assert sorted(file.name.partition(".")[0] for file in (READY / "tests").glob("*.cases.yaml")) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_ready_policy_says_whom_it_suits_and_what_it_does_at_three_leverages(name: str) -> None:
    comment = [line for line in (READY / f"{name}.yaml").read_text().splitlines() if line.startswith("#")]
    said = " ".join(comment)
    assert "For whom:" in said
    assert all(word in said for word in ("at 5×", "at 20×", "at 50×"))
    assert f"tests/{name}.cases.yaml" in said


@pytest.mark.parametrize("name", NAMES)
def test_the_prices_in_a_ready_policys_comment_are_those_of_its_thresholds(name: str) -> None:
    """Of a long that liquidates where (1 − 1/leverage) of the entry no longer covers maintenance 0.5 % and a fee of 0.06 %."""
    text = (READY / f"{name}.yaml").read_text()
    rows = re.findall(r"^# +([a-z-]+) +(\d+) % +(-[\d.]+) % +(-[\d.]+) % +(-[\d.]+) %", text, re.MULTILINE)
    floor = re.search(r"from_entry: -(\d+)%", text)
    checked = 0
    for row, left, *said in rows:
        for leverage, move in zip(LEVERAGES, said, strict=True):
            end = (1 - 1 / leverage) / (1 - Decimal("0.0056")) - 1
            there = end * (100 - int(left))
            if row == "stop" and floor is not None:
                there = max(there, -Decimal(floor[1]))
            assert abs(there - Decimal(move)) <= Decimal("0.06"), (row, leverage, there)
            checked += 1
        metric = "liquidation_buffer" if row == "stop" else "buffer_left"
        assert row == "liquidation" or re.search(rf"{metric}: ({{below: )?{left}%", text), row
    assert checked >= 6 or name == "take-profit-ladder"


@pytest.mark.parametrize("name", NAMES)
def test_a_ready_policy_is_clean_under_check_at_five_twenty_and_fifty_times(name: str) -> None:
    policy = policy_from(READY / f"{name}.yaml")
    found = [each for each in findings(policy, Bench(leverages=LEVERAGES)) if each.weight is not Weight.INFO]
    assert found == []


def test_the_one_that_only_observes_has_no_action_but_telling() -> None:
    actions = {type(action) for rule in policy_from(READY / "observe-only.yaml").rules for action in rule.then}
    assert actions == {Notify}


@pytest.mark.parametrize("name", [name for name in NAMES if name not in MUTATED])
def test_every_case_passes_with_its_probes(name: str) -> None:
    hold(cases.results_of(READY / "tests" / f"{name}.cases.yaml"))


@pytest.mark.timeout(300)  # some thirty mutants, each played until a case or probe fails
@pytest.mark.parametrize("name", MUTATED)
def test_every_case_passes_with_its_probes_and_no_mutant_survives(name: str) -> None:
    result = cases.results_of(READY / "tests" / f"{name}.cases.yaml", mutate=True)
    hold(result)
    assert [f"{each.mutant.place.line}: {each.mutant.what}" for each in result.survivors] == []
    assert len(result.tried) >= 20


def hold(result: cases.Tested) -> None:
    wrong = [pairing for played in result.played for pairing in played.verdict.pairings if pairing.wrong]
    assert wrong == []
    assert [each.probe.name for played in result.played for each in played.probed if not each.holds] == []
    assert sum(len(played.probed) for played in result.played) >= 6
