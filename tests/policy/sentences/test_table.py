"""The table of the contract's sentences is whole: each has a test, and each test named exists."""

import pytest

from tests.policy.sentences.table import ID, SECTIONS, TREE, Sentence, as_markdown, breaks, missing, sentences

TABLE = sentences()


def test_no_sentence_is_without_a_test() -> None:
    assert [each.id for each in TABLE if not each.tests] == []


def test_every_test_that_the_table_names_exists() -> None:
    assert missing(test for each in TABLE for test in each.tests) == ()


def test_a_test_that_does_not_exist_is_found() -> None:
    here = "tests/policy/sentences/test_table.py"
    named = [f"{here}::test_nothing", f"{here}::missing", "tests/nowhere.py::test_it", f"{here}::{_ME}"]
    assert missing(named) == tuple(named[:3])


_ME = "test_a_test_that_does_not_exist_is_found"


def test_every_section_of_the_language_is_in_the_table_in_its_order() -> None:
    assert tuple(dict.fromkeys(each.section for each in TABLE)) == SECTIONS
    assert all(ID.fullmatch(each.id) for each in TABLE)


def test_every_break_is_of_a_sentence_and_changes_something() -> None:
    known = {each.id for each in TABLE}
    for each in breaks():
        assert each.sentence in known
        assert each.edits
        assert all(edit.old != edit.new for edit in each.edits)


@pytest.mark.parametrize("file", sorted({edit.file for each in breaks() for edit in each.edits}))
def test_a_break_is_about_a_file_of_guardd(file: str) -> None:
    assert file.startswith("guardd/")
    assert (TREE / file).is_file()


def test_the_table_for_people_has_a_line_for_each_sentence() -> None:
    one = Sentence(id="2.3/below", says="below", tests=("tests/policy/test_conditions.py::test_x",))
    text = as_markdown([one], {"2.3/below": True})
    assert text.splitlines()[-1] == "| 2.3/below | below | `policy/test_conditions.py::test_x` | ✓ |"
