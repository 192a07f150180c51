"""A YAML text as nodes that know where they stand, and the list of everything that is wrong with it.

Every fault of a file is told at once, each with file, line, column, what was found and what was expected: on one line of its
own for logs and programs, and with the line of the file and a caret under the place for people.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from msgspec import Struct
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from guardd.errors import ConfigurationError

NODES_MAX: Final = 10_000
"""Nodes of one policy, aliases counted each time they are used: a file that multiplies itself is refused, not unfolded."""
FOUND_CHARS_MAX: Final = 60
EXCERPT_CHARS_MAX: Final = 120
"""Of a line of the file, around the place."""


class Place(Struct, frozen=True, order=True):
    """Line and column as people count them, from 1."""

    line: int
    column: int


class Text(Struct, frozen=True, kw_only=True):
    """A scalar as it was written. `plain` is false where it stood in quotes."""

    place: Place
    value: str
    plain: bool
    null: bool = False


class Items(Struct, frozen=True, kw_only=True):
    place: Place
    items: tuple["Value", ...]


class Entry(Struct, frozen=True, kw_only=True):
    place: Place
    value: "Value"


class Table(Struct, frozen=True, kw_only=True):
    place: Place
    entries: Mapping[str, Entry]


Value: TypeAlias = Text | Items | Table
Path: TypeAlias = tuple[str | int, ...]
"""The way to a value: keys of mappings and places in lists, from the top."""


class Fault(Struct, frozen=True, order=True):
    place: Place
    text: str


class PolicyRefused(ConfigurationError):
    """A policy that can't be used. As text one line `source:line:column: …` for each fault; `shown` adds the lines of the file."""

    def __init__(self, source: str, text: str, faults: tuple[Fault, ...]) -> None:
        lines = [f"{source}:{fault.place.line}:{fault.place.column}: {fault.text}" for fault in faults]
        super().__init__("\n".join(lines))
        self.source = source
        self.faults = faults
        self._text = text

    def shown(self) -> str:
        """Each fault with its line of the file and a caret under the place."""
        parts = zip(str(self).splitlines(), self.faults, strict=True)
        return "\n".join(f"{line}\n{excerpt(self._text, fault.place)}" for line, fault in parts)


@dataclass(slots=True)
class Faults:
    """What is wrong with a file, in the order of its lines."""

    source: str
    text: str = ""
    _found: set[Fault] = field(default_factory=set)

    def add(self, place: Place, text: str) -> None:
        self._found.add(Fault(place, text))

    def expected(self, place: Place, found: str, expected: str) -> None:
        self.add(place, f"found {found}, expected {expected}")

    def unknown(self, place: Place, word: str, kind: str, known: Iterable[str]) -> None:
        """A name that doesn't exist, with the nearest that does."""
        names = sorted(known)
        near = nearest(word, names)
        hint = f" (did you mean {near}?)" if near else ""
        self.expected(place, f"the unknown {kind} {shown(word)}", f"one of {', '.join(names)}{hint}")

    def error(self) -> PolicyRefused:
        """All of them as one error."""
        return PolicyRefused(self.source, self.text, tuple(sorted(self._found)))

    @property
    def empty(self) -> bool:
        return not self._found


def read_nodes(text: str, faults: Faults) -> Value | None:
    """The document in `text`. None with a fault recorded when it isn't one YAML 1.2 document."""
    faults.text = text
    yaml = YAML(typ="safe", pure=True)
    try:
        root = yaml.compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(mark.line + 1, mark.column + 1) if mark is not None else Place(1, 1)
        faults.add(place, f"not YAML: {' '.join(str(error.problem or error.context).split())}{_yaml_hint(error)}")
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


def places_of(root: Value) -> dict[Path, Place]:
    """Where everything stands: a mapping or list at its key, or at its own beginning within a list."""
    found: dict[Path, Place] = {}
    waiting: list[tuple[Path, Place, Value]] = [((), root.place, root)]
    while waiting:
        path, place, value = waiting.pop()
        found[path] = value.place if isinstance(value, Text) else place
        match value:
            case Items():
                waiting.extend(((*path, index), item.place, item) for index, item in enumerate(value.items))
            case Table():
                waiting.extend(((*path, key), entry.place, entry.value) for key, entry in value.entries.items())
            case Text():
                pass
    return found


def place_at(places: Mapping[Path, Place], path: Path) -> Place:
    """The place of this value, else of the nearest that holds it."""
    for length in range(len(path), 0, -1):
        if path[:length] in places:
            return places[path[:length]]
    return Place(1, 1)


def excerpt(text: str, place: Place) -> str:
    """The line of the file, numbered, with a caret under the place and a line under the rest of the word."""
    lines = text.splitlines()
    line = lines[place.line - 1].replace("\t", " ") if place.line <= len(lines) else ""
    start = max(0, place.column - 1 - EXCERPT_CHARS_MAX // 2) if len(line) > EXCERPT_CHARS_MAX else 0
    part, at = line[start : start + EXCERPT_CHARS_MAX].rstrip(), place.column - 1 - start
    word = re.match(r"(?:[^\s,{}\[\]#:]|:(?=[^\s,{}\[\]]))+", line[place.column - 1 :])
    marked = len(word.group()) if word else 1
    number = f"{place.line:>5}"
    return f"{number} | {part}\n{' ' * len(number)} | {' ' * at}^{'~' * min(marked - 1, len(part) - at - 1)}"


def nearest(word: str, names: Iterable[str]) -> str:
    """The name that was probably meant: nearly the same letters, the same words in another order, or the beginning; else empty."""
    known = sorted(names)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return close[0]
    parts = set(word.lower().replace("-", "_").split("_"))
    return next((name for name in known if parts <= set(name.split("_")) or name.startswith(word.lower())), "")


def _yaml_hint(error: MarkedYAMLError) -> str:
    """What people usually did where YAML says what they didn't."""
    problem, context = str(error.problem), str(error.context)
    if "alias" in context:
        return ' (a pattern with * stands in quotes: "*")'
    if "\\t" in problem:
        return " (indent with spaces: YAML takes no tabs)"
    if "mapping values are not allowed" in problem:
        return " (is the line above indented like this one, and is there one `key: value` a line?)"
    if "expected ',' or" in problem:
        begun = "" if error.context_mark is None else f", begun in line {error.context_mark.line + 1},"
        return f" (is a {{ or [{begun} not closed, or a comma missing?)"
    if "could not find expected ':'" in problem:
        return " (a key wants a colon and a space after it)"
    return ""


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
