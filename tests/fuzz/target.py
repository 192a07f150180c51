"""One parser as the fuzzers see it: what it is fed, what it may raise."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

from tests.fuzz import law, mutate
from tests.fuzz.choices import Choices


@dataclass(frozen=True)
class Target:
    """`read` takes the whole text. `venue`: the second law holds too. `json`: samples are mutated as trees, else as bytes."""

    name: str
    read: Callable[[bytes], object]
    samples: tuple[bytes, ...]
    errors: tuple[type[Exception], ...]
    venue: bool = False
    json: bool = True
    lists_may_miss: bool = False
    """The venue documents a missing list as an empty one (UTA reference, 1)."""
    excused: frozenset[str] = frozenset()
    """Fields whose loss the second law doesn't judge; each with its reason where the target stands."""

    @cached_property
    def trees(self) -> tuple[mutate.Node, ...]:
        return tuple(mutate.tree(each) for each in self.samples) if self.json else ()

    def payload(self, source: bytes) -> bytes:
        """What these bytes decide on: a changed sample mostly, else any JSON, or the bytes themselves."""
        choices = Choices(source)
        kind = choices.below(8)
        if kind == 0:
            return choices.rest()
        if kind == 1:
            return mutate.written(mutate.anything(choices))
        if not self.json and kind > 3:
            return mutate.reworded(choices.of(self.samples), choices)
        if kind == 2 or not self.json:
            return mutate.wrecked(choices.of(self.samples), choices)
        return mutate.written(mutate.changed(choices.of(self.trees), choices))

    def obeys(self, each: "Emptied") -> bool:
        """The second law, for one lost field; True where a value came of it."""
        try:
            after = self.read(each.payload)
        except self.errors:
            return False
        law.sound(after)
        try:
            before = self.read(each.sample)
        except self.errors:
            return True  # the sample says nothing to hold this against
        law.weaker(before, after)
        return True

    def strike(self, payload: bytes) -> bool:
        """True where a value came of it. Raises what no target may raise, `Unsound` for a value that no model may hold."""
        try:
            value = self.read(payload)
        except self.errors:
            return False
        law.sound(value)
        return True


@dataclass(frozen=True)
class Emptied:
    """A sample in which one field lost its value."""

    sample: bytes
    payload: bytes
    what: str


def emptied(target: Target) -> Iterator[Emptied]:
    """Every field of every sample, lost in every way; whole rows are left out, as a shorter list is one that can be meant."""
    for sample, root in zip(target.samples, target.trees, strict=True):
        for path in mutate.places(root):
            name = mutate.name_at(root, path)
            if not name or name in target.excused:
                continue
            if not (isinstance(mutate.node_at(root, path), mutate.Listing) and target.lists_may_miss):
                yield Emptied(sample, mutate.written(mutate.put(root, path, None)), f"{name} dropped")
            for text in mutate.EMPTIED:
                if _may_be_meant(name, text, mutate.node_at(root, path)):
                    continue
                yield Emptied(sample, mutate.written(mutate.put(root, path, mutate.Leaf(text))), f"{name} = {text}")
            here = mutate.node_at(root, path)
            yield Emptied(sample, mutate.written(mutate.put(root, path, mutate.Listing([here]))), f"{name} in a list")


_ANY_TEXT = frozenset(
    {
        "symbol",
        "instId",
        "group",
        "channel",
        "topic",
        "instType",
        "event",
        "coin",
        "marginCoin",
        "category",
        "status",
        "code",
    }
    | {"orderId", "order_id", "clientOid", "client_order_id"}
)
"""What chooses or names: another word is another thing, no lost one. A push of another topic isn't ours; a row of another coin, or
of spot, isn't either; the lists tell what becomes of a plan order whose push has a status of tomorrow."""


def _may_be_meant(name: str, text: str, here: mutate.Node) -> bool:
    if isinstance(here, mutate.Listing):
        return text in ("[]", "null")  # empty: both are documented so (Bitget reference, 2; UTA reference, 1)
    return name in _ANY_TEXT and text.startswith('"') and text != '""'
