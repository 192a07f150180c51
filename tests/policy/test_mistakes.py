"""One file for each kind of mistake that a policy can hold, and beside it what is said of it: it must read as help."""

from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from guardd.policy.check import Bench, Finding, Kind, Subject, findings
from guardd.policy.load import load_policy
from guardd.policy.nodes import PolicyRefused, excerpt
from guardd.venues.bitmart.venue import CAPABILITIES

MISTAKES: Final = Path(__file__).parent / "mistakes"
NAMES: Final = sorted(path.stem for path in MISTAKES.glob("*.yaml"))
AT_BITMART: Final = Bench(subjects=(Subject(families=(("", CAPABILITIES),)),))


def said(name: str) -> str:
    """What a terminal shows. That 20× and 50× are undefendable is so of every policy: told in its own file only."""
    text = (MISTAKES / f"{name}.yaml").read_text(encoding="utf-8")
    try:
        found = found_in(name)
    except PolicyRefused as refused:
        return f"{refused.shown()}\n"
    return "\n".join(
        shown(each, name, text) for each in found if each.kind is not Kind.UNDEFENDABLE or name == "undefendable"
    )


@cache
def found_in(name: str) -> tuple[Finding, ...]:
    policy = load_policy((MISTAKES / f"{name}.yaml").read_text(encoding="utf-8"), source=f"{name}.yaml")
    return findings(policy, AT_BITMART)


def shown(finding: Finding, name: str, text: str) -> str:
    first = f"{name}.yaml:{finding.line}:{finding.column}: {finding.weight}: {finding.sentence}"
    return f"{first}\n{excerpt(text, finding.place)}\nto mend it: {finding.mend}\n"


@pytest.mark.parametrize("name", NAMES)
def test_each_kind_of_mistake_is_told_where_it_stands_why_and_how_to_mend_it(name: str) -> None:
    assert said(name) == (MISTAKES / f"{name}.said").read_text(encoding="utf-8")


def test_there_is_an_example_of_each_kind_of_finding() -> None:
    kinds: set[Kind] = set()
    for name in NAMES:
        with suppress(PolicyRefused):
            kinds |= {each.kind for each in found_in(name)}
    assert kinds == set(Kind)
