"""The small pieces that every sentence of a policy is read with: a mapping with known keys, one of several words, one key."""

from collections.abc import Collection, Iterable
from enum import StrEnum
from typing import TypeVar

from guardd.policy.nodes import Entry, Faults, Items, Table, Text, Value, described, shown

Word = TypeVar("Word", bound=StrEnum)


def read_table(value: Value, what: str, keys: Collection[str], faults: Faults) -> Table | None:
    """A mapping of which every key is known; unknown keys are faults and left out."""
    if not isinstance(value, Table):
        faults.expected(value.place, described(value), what)
        return None
    for key, entry in value.entries.items():
        if key not in keys:
            faults.unknown(entry.place, key, "key", keys)
    return value


def read_arguments(value: Value, what: str, keys: Collection[str], faults: Faults) -> Table | None:
    """The same, where nothing at all means no arguments."""
    if isinstance(value, Text) and value.null:
        return Table(place=value.place, entries={})
    return read_table(value, what, keys, faults)


def read_single(value: Value, what: str, faults: Faults) -> tuple[str, Entry] | None:
    """A mapping of exactly one key."""
    if not isinstance(value, Table):
        faults.expected(value.place, described(value), what)
        return None
    if len(value.entries) != 1:
        names = ", ".join(value.entries) or "none"
        faults.expected(value.place, f"{len(value.entries)} keys ({shown(names)})", f"exactly one: {what}")
        return None
    return next(iter(value.entries.items()))


def read_items(value: Value, what: str, faults: Faults) -> tuple[Value, ...] | None:
    """A list that isn't empty."""
    if not isinstance(value, Items):
        faults.expected(value.place, described(value), what)
        return None
    if not value.items:
        faults.expected(value.place, "an empty list", what)
        return None
    return value.items


def read_text(value: Value, what: str, faults: Faults) -> str | None:
    if not isinstance(value, Text) or value.null or not value.value:
        faults.expected(value.place, described(value), what)
        return None
    return value.value


def read_word(value: Value, words: Iterable[Word], kind: str, faults: Faults) -> Word | None:
    """One of the given words."""
    known = {str(word): word for word in words}
    text = read_text(value, f"one of {', '.join(known)}", faults)
    if text is None:
        return None
    if text not in known:
        faults.unknown(value.place, text, kind, known)
    return known.get(text)
