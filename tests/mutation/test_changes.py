"""What changes the tool finds in a module, and that a change is made to what everybody has of it."""

import ast
from pathlib import Path

from tests.mutation.changes import changes
from tests.mutation.mutants import ROOMS, TREE

SOURCE = '''\
"""A module."""

LIMIT: Final = Decimal("0.5")


class Held:
    @property
    def near(self) -> bool:
        """Said to people."""
        why = "it is near"
        self.seen += 1
        if self.left <= LIMIT and not self.gone:
            return True
        return No(why=f"{self.left} left", kind=1)
'''


def _found(tmp_path: Path) -> dict[str, tuple[str, frozenset[int]]]:
    file = tmp_path / "held.py"
    file.write_text(SOURCE)
    _, found = changes(file, tmp_path)
    return {each.what: (each.function or each.constant, each.lines) for each in found}


def test_comparisons_conditions_constants_results_and_statements_are_changed(tmp_path: Path) -> None:
    found = _found(tmp_path)
    assert found["Decimal('0.5') → Decimal('1.0')"] == ("LIMIT", frozenset({3}))
    assert found["self.seen += 1 → gone"] == ("Held.near", frozenset({11}))
    assert found["self.left <= LIMIT → self.left < LIMIT"][0] == "Held.near"
    assert {
        "self.left <= LIMIT → self.left > LIMIT",
        "self.left <= LIMIT and (not self.gone) → self.left <= LIMIT or not self.gone",
        "not self.gone → self.gone",
        "return True → return None",
        "True → False",
        "1 → 2",
    } <= set(found)


def test_words_for_people_are_left_alone(tmp_path: Path) -> None:
    assert [what for what in _found(tmp_path) if "near" in what.partition(" → ")[0]] == []
    assert [what for what in _found(tmp_path) if what.startswith("f'")] == []


def test_no_two_changes_have_one_name_and_each_is_still_python() -> None:
    file = TREE / "guardd/execution/approve.py"
    module, found = changes(file, TREE)
    assert len({each.name for each in found}) == len(found) > 300
    for each in found[::25]:
        each.make()
    compile(ast.fix_missing_locations(module), str(file), "exec")


def test_every_room_has_files() -> None:
    assert all(list(TREE.glob(pattern)) for patterns in ROOMS.values() for pattern in patterns)
