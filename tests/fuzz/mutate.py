"""JSON that is nearly right: a sample as a tree in which numbers keep their digits and an object may hold a key twice."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from tests.fuzz.choices import Choices

CHANGES_MAX: Final = 4
_DEPTH_MAX: Final = 4


@dataclass(frozen=True)
class Leaf:
    """A text that stands in the JSON as it is, right or wrong."""

    text: str


@dataclass
class Table:
    pairs: list[tuple[str, "Node"]] = field(default_factory=list)


@dataclass
class Listing:
    items: list["Node"] = field(default_factory=list)


Node: TypeAlias = Leaf | Table | Listing
Path: TypeAlias = tuple[int, ...]
"""Which pair or item at each level."""

EMPTIED: Final = (
    "null",
    '""',
    '"-"',
    "[]",
    "{}",
    "true",
    '"?"',
    '"NaN"',
    "NaN",
    '"Infinity"',
    "Infinity",
    "1e999",
    '"1e999"',
)
"""What a field may hold instead of its value, none of which can be meant as one."""
STRANGE: Final = (
    *EMPTIED,
    *(
        '"-Infinity"',
        "-Infinity",
        '"sNaN"',
        "-1",
        '"-1"',
        "0",
        '"0"',
        '"-0"',
        "0.0",
        "1",
        "2",
        "7",
        '"1"',
        "1.5",
        '"0.1"',
        "false",
    ),
    *("1e-999", "1e999999999999999999999", '"1e99999999999999999999"', '"1E+30"', '"1e-30"', "9" * 25, f'"{"9" * 25}"'),
    *(
        "9" * 5000,
        f'"{"9" * 5000}"',
        f'"0.{"1" * 200}"',
        "9007199254740993",
        "18446744073709551616",
        '"1_000"',
        '"0x10"',
        '"1,5"',
    ),
    *(
        '"1,000.5"',
        '" 1 "',
        '"٣"',
        '"\\u0000"',
        '"\\ud800"',
        f'"{"x" * 3000}"',
        '"market"',
        '"long"',
        '"-5.5"',
        "[null]",
        "[[]]",
    ),
    *('{"":null}', "1582230000", "4102444800001", '"1582230000000"', "-0.0", "+1", "01", "'", "undefined", ""),
)
_WRECKS: Final = (b"\xff", b"\x00", b"\xed\xa0\x80", b'"', b"}", b"]", b",", b"\\", b"\xef\xbb\xbf", b"\x1f\x8b", b"\n")


def tree(text: bytes | str) -> Node:
    return _node(json.loads(text, object_pairs_hook=_Pairs, parse_float=_Digits, parse_int=_Digits))


class _Pairs(list[tuple[str, object]]):
    pass


class _Digits(str):
    __slots__ = ()


def _node(value: object) -> Node:
    match value:
        case _Pairs():
            return Table([(name, _node(each)) for name, each in value])
        case list():
            return Listing([_node(each) for each in value])
        case _Digits():
            return Leaf(str(value))
        case _:
            return Leaf(json.dumps(value))


def written(node: Node) -> bytes:
    return _text(node).encode("utf-8", "surrogatepass")


def _text(node: Node) -> str:
    match node:
        case Leaf(text):
            return text
        case Table(pairs):
            return "{" + ",".join(f"{json.dumps(name)}:{_text(each)}" for name, each in pairs) + "}"
        case Listing(items):
            return "[" + ",".join(map(_text, items)) + "]"


def places(node: Node, at: Path = ()) -> Iterator[Path]:
    """Every value of the tree, the root left out."""
    for index, each in enumerate(_children(node)):
        yield (*at, index)
        yield from places(each, (*at, index))


def _children(node: Node) -> list[Node]:
    match node:
        case Leaf():
            return []
        case Table(pairs):
            return [each for _, each in pairs]
        case Listing(items):
            return items


def name_at(node: Node, path: Path) -> str:
    """The key that stands before the value; empty for an item of a list."""
    *above, last = path
    parent = node_at(node, tuple(above))
    return parent.pairs[last][0] if isinstance(parent, Table) else ""


def node_at(node: Node, path: Path) -> Node:
    for step in path:
        node = _children(node)[step]
    return node


def put(node: Node, path: Path, new: Node | None) -> Node:
    """The tree with another value at a place; None: without it. What isn't on the way is shared."""
    if not path:
        return node if new is None else new
    first, *rest = path
    if isinstance(node, Table):
        name, below = node.pairs[first]
        after = new if not rest else put(below, tuple(rest), new)
        middle = [] if after is None else [(name, after)]
        return Table([*node.pairs[:first], *middle, *node.pairs[first + 1 :]])
    assert isinstance(node, Listing)
    after = new if not rest else put(node.items[first], tuple(rest), new)
    return Listing([*node.items[:first], *([] if after is None else [after]), *node.items[first + 1 :]])


def _twice(node: Node, path: Path, new: Node) -> Node:
    """The same key, or the same row, a second time."""
    *above, last = path
    parent = node_at(node, tuple(above))
    if isinstance(parent, Table):
        return put(node, tuple(above), Table([*parent.pairs, (parent.pairs[last][0], new)]))
    assert isinstance(parent, Listing)
    return put(node, tuple(above), Listing([*parent.items, new]))


def changed(node: Node, choices: Choices) -> Node:
    """One to four changes, anywhere."""
    for _ in range(1 + choices.below(CHANGES_MAX)):
        where = list(places(node))
        if not where:
            return Leaf(choices.of(STRANGE))
        path = choices.of(where)
        here = node_at(node, path)
        match choices.below(8):
            case 0:
                node = put(node, path, None)
            case 1:
                node = put(node, path, Listing([here]))
            case 2:
                node = put(node, path, Table([("a", here)]))
            case 3:
                node = _twice(node, path, Leaf(choices.of(STRANGE)) if choices.below(2) else here)
            case 4:
                node = put(node, path, _negative(here))
            case 5:
                node = put(node, path, node_at(node, choices.of(where)))
            case _:
                node = put(node, path, Leaf(choices.of(STRANGE)))
    return node


def _negative(node: Node) -> Node:
    if not isinstance(node, Leaf):
        return Leaf("null")
    return Leaf(f'"-{node.text[1:]}' if node.text.startswith('"') else f"-{node.text}")


def wrecked(text: bytes, choices: Choices) -> bytes:
    """Cut off, or with bytes in it that don't belong there."""
    at = choices.below(len(text) + 1)
    match choices.below(4):
        case 0:
            return text[:at]
        case 1:
            return text[:at] + choices.of(_WRECKS) + text[at:]
        case 2:
            return text[:at] + choices.of(_WRECKS) + text[at + 1 :]
        case _:
            return text + text[at:]


def reworded(text: bytes, choices: Choices) -> bytes:
    """A text of words (YAML, a series) in which up to four are others."""
    words = re.split(rb"(\s+)", text)
    for _ in range(1 + choices.below(CHANGES_MAX)):
        at = choices.below(len(words))
        other = choices.of(words) if choices.below(2) else choices.of(STRANGE).encode()
        words[at] = other if choices.below(4) else b""
    return b"".join(words)


def anything(choices: Choices, depth: int = 0) -> Node:
    """Some JSON that has nothing to do with a sample."""
    if depth >= _DEPTH_MAX or choices.spent:
        return Leaf(choices.of(STRANGE))
    match choices.below(4):
        case 0:
            return Table([(choices.of(_NAMES), anything(choices, depth + 1)) for _ in range(choices.below(5))])
        case 1:
            return Listing([anything(choices, depth + 1) for _ in range(choices.below(4))])
        case _:
            return Leaf(choices.of(STRANGE))


_NAMES: Final = (
    "code",
    "data",
    "group",
    "event",
    "arg",
    "list",
    "msg",
    "symbol",
    "a",
    "",
    "success",
    "action",
    "channel",
    "topic",
    "ts",
)
