"""The deliberate bugs are about the code as it is. What catches each: `python -m tests.mutation.bugs`."""

import ast

import pytest

from tests.mutation.bugs import BUGS, BY_SIMULATION_MIN
from tests.mutation.mutants import equivalents
from tests.mutation.patch import TREE, Bug, stale


def test_there_are_enough_and_each_has_a_name_of_its_own() -> None:
    names = [bug.name for bug in BUGS]
    assert len(names) == len(set(names)) >= 28 > BY_SIMULATION_MIN


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_bug_is_about_the_code_as_it_is(bug: Bug) -> None:
    assert stale(bug) == ""
    assert bug.says.endswith(".")
    assert bug.tests
    assert all((TREE / test.partition("::")[0]).exists() for test in bug.tests)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_bug_is_a_mistake_of_meaning_and_not_of_syntax(bug: Bug) -> None:
    texts: dict[str, str] = {}
    for edit in bug.edits:
        texts[edit.file] = texts.get(edit.file, (TREE / edit.file).read_text()).replace(edit.old, edit.new)
    for file, text in texts.items():
        ast.parse(text, filename=file)


def test_a_change_that_changes_nothing_says_why() -> None:
    assert all(
        each.why and each.change and (TREE / each.function.partition("::")[0]).is_file() for each in equivalents()
    )
