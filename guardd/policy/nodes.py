"""A YAML text as nodes that know where they stand, and the list of everything that is wrong with it.

Every fault of a file is told at once, each with file, line, column, what was found and what was expected.
"""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from guardd.errors import ConfigurationError

NODES_MAX: Final = 10_000
"""Nodes of one policy, aliases counted each time they are used: a file that multiplies itself is refused, not unfolded."""
FOUND_CHARS_MAX: Final = 60


@dataclass(frozen=True, slots=True)
class Place:
    """Line and column as people count them, from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A scalar as it was written. `plain` is false where it stood in quotes."""

    place: Place
    value: str
    plain: bool
    null: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    place: Place
    items: tuple["Value", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    place: Place
    value: "Value"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    place: Place
    entries: Mapping[str, Entry]


Value: TypeAlias = Text | Items | Table


@dataclass(slots=True)
class Faults:
    """What is wrong with a file, in the order of its lines."""

    source: str
    _found: dict[tuple[int, int, str], None] = field(default_factory=dict)

    def add(self, place: Place, text: str) -> None:
        self._found[(place.line, place.column, text)] = None

    def expected(self, place: Place, found: str, expected: str) -> None:
        self.add(place, f"found {found}, expected {expected}")

    def unknown(self, place: Place, word: str, kind: str, known: Iterable[str]) -> None:
        """A name that doesn't exist, with the nearest that does."""
        names = sorted(known)
        near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
        hint = f" (did you mean {near[0]}?)" if near else ""
        self.expected(place, f"the unknown {kind} {shown(word)}", f"one of {', '.join(names)}{hint}")

    def error(self) -> ConfigurationError:
        """All of them as one error."""
        lines = [f"{self.source}:{line}:{column}: {text}" for line, column, text in sorted(self._found)]
        return ConfigurationError("\n".join(lines))

    @property
    def empty(self) -> bool:
        return not self._found


def read_nodes(text: str, faults: Faults) -> Value | None:
    """The document in `text`. None with a fault recorded when it isn't one YAML 1.2 document."""
    yaml = YAML(typ="safe", pure=True)
    try:
        root = yaml.compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(mark.line + 1, mark.column + 1) if mark is not None else Place(1, 1)
        hint = ' (a pattern with * stands in quotes: "*")' if "alias" in str(error.context) else ""
        faults.add(place, f"not YAML: {' '.join(str(error.problem or error.context).split())}{hint}")
        return None
    except YAMLError as error:
        faults.add(Place(1, 1), f"not YAML: {' '.join(str(error).split())}")
        return None
    except RecursionError:
        faults.add(Place(1, 1), "nested too deeply to be a policy")
        return None
    if root is None:
        faults.expected(Place(1, 1), "an empty file", "a policy with version, limits and rules")
        return None
    return _Unfolding(faults).value(root, ())


def shown(text: str) -> str:
    """Text of the file as it may be repeated in an error: on one line and not long."""
    line = " ".join(text.split())
    return f"`{line if len(line) <= FOUND_CHARS_MAX else line[: FOUND_CHARS_MAX - 1] + '…'}`"


def described(value: Value) -> str:
    """What stands there, in words."""
    match value:
        case Text(null=True):
            return "nothing"
        case Text():
            return shown(value.value)
        case Items():
            return "a list"
        case Table():
            return "a mapping"


@dataclass(slots=True)
class _Unfolding:
    faults: Faults
    nodes: int = 0

    def value(self, node: Node, above: tuple[int, ...]) -> Value | None:
        place = Place(node.start_mark.line + 1, node.start_mark.column + 1)
        self.nodes += 1
        if id(node) in above:
            self.faults.add(place, "an alias that holds itself")
            return None
        if self.nodes > NODES_MAX:
            self.faults.add(place, f"more than {NODES_MAX} values: not a policy")
            return None
        match node:
            case ScalarNode():
                null = node.tag == "tag:yaml.org,2002:null"
                return Text(place=place, value=str(node.value), plain=node.style in (None, ""), null=null)
            case SequenceNode():
                items = [self.value(item, (*above, id(node))) for item in node.value]
                return Items(place=place, items=tuple(item for item in items if item is not None))
            case MappingNode():
                return self._table(node, place, (*above, id(node)))
            case _:
                self.faults.expected(place, "a YAML node of an unknown kind", "text, a list or a mapping")
                return None

    def _table(self, node: MappingNode, place: Place, above: tuple[int, ...]) -> Table:
        entries: dict[str, Entry] = {}
        for key_node, value_node in node.value:
            key_place = Place(key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            if not isinstance(key_node, ScalarNode):
                self.faults.expected(key_place, "a list or mapping as a key", "a name")
                continue
            key = str(key_node.value)
            if key in entries:
                first = entries[key].place
                self.faults.add(key_place, f"found {shown(key)} a second time, it stands in line {first.line} already")
                continue
            value = self.value(value_node, above)
            if value is not None:
                entries[key] = Entry(place=key_place, value=value)
        return Table(place=place, entries=entries)
