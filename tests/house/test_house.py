"""The house test: the whole package against every rule of its architecture.

A failure names file and line, the rule, what was found and what to do. The rules are in imports.py, effects.py and
shape.py; test_planted.py shows that each of them catches a breach.
"""

import pytest

from tests.house import effects, imports, shape
from tests.house.source import REPOSITORY, House, Rule

RULES = (*imports.RULES, *effects.RULES, *shape.RULES)


@pytest.fixture(scope="module")
def house() -> House:
    return House.read()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_the_package_keeps_the_rule(rule: Rule, house: House) -> None:
    breaches = sorted(set(rule.breaches(house)))
    report = "\n".join(f"  {breach}" for breach in breaches)
    assert not breaches, f"{len(breaches)} breach(es) of {rule.name}: {rule.reason}\n{report}"


def test_every_room_of_the_architecture_is_there(house: House) -> None:
    rooms = imports.ROOMS - {"__main__"}
    missing = rooms - {module.room for module in house.modules}
    assert not missing, f"rooms that the architecture names and guardd/ lacks: {', '.join(sorted(missing))}"


def test_the_top_level_holds_only_what_the_architecture_names() -> None:
    names = [entry.name for entry in REPOSITORY.iterdir()]
    ignored = (REPOSITORY / ".gitignore").read_text(encoding="utf-8").splitlines()
    breaches = list(shape.top_level_breaches(names, ignored))
    assert not breaches, "\n".join(str(breach) for breach in breaches)


def test_rule_names_are_unique_and_every_rule_says_why_and_what_to_do() -> None:
    names = [rule.name for rule in RULES]
    assert sorted(set(names)) == sorted(names)
    for rule in RULES:
        assert rule.reason, f"{rule.name} gives no reason"
        assert "\n" not in rule.reason, f"the reason of {rule.name} is longer than a line"
        assert rule.remedy, f"{rule.name} names no remedy"
