"""Of everything that strikes in a failing story, the little that it takes: delta debugging over strikes, deeds, kills and twins."""

from collections.abc import Callable, Sequence


def shrunk(items: Sequence[str], fails: Callable[[Sequence[str]], bool], *, most: int = 40) -> tuple[str, ...]:
    """A part of `items` with which it still fails, found within `most` tries; none of it can be left out alone, tries allowing."""
    kept, parts, tries = list(items), 2, 0

    def still(candidate: list[str]) -> bool:
        nonlocal tries
        tries += 1
        return tries <= most and fails(candidate)

    if still([]):
        return ()
    while len(kept) >= 2 and tries < most:
        size = max(len(kept) // parts, 1)
        for start in range(0, len(kept), size):
            rest = kept[:start] + kept[start + size :]
            if rest and still(rest):
                kept, parts = rest, max(parts - 1, 2)
                break
        else:
            if size == 1:
                break
            parts = min(parts * 2, len(kept))
    return tuple(kept)
