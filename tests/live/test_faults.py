"""Each fault of the simulated venue, alone, during a fall: by the ledger of the exchange the guard did right.

A case takes some ten seconds, most of which is waiting: several run at once, in threads, ahead of the tests that judge them.
Here, those in which the venue's dialect matters run at two venues each, in turn; `python -m tests.live.faults` runs all of them
at each venue, and the simulation mixes all faults on a virtual clock.
"""

import asyncio
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.live.fall import Case, Story, did, live_through, wrongs
from tests.live.faults import CASES
from tests.live.places import BITMART, PLACES, Place

AT_ONCE = 3
AT_VENUES = 2
EVERYWHERE = [case for case in CASES if case.quick and case.everywhere]


def _places(number: int, case: Case) -> list[Place]:
    """Two of those that know the case; which ones goes round."""
    known = [place for place in PLACES.values() if place.venue not in case.not_at]
    return [known[(number + n) % len(known)] for n in range(min(AT_VENUES, len(known)))]


PLAYED = [(place, case) for number, case in enumerate(EVERYWHERE) for place in _places(number, case)]
Played = tuple[Place, Case]


def _name(played: Played) -> str:
    place, case = played
    return case.name if place is BITMART else f"{place.venue}: {case.name}"


@pytest.fixture(scope="module")
def stories(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator["_Stories"]:
    """The story of every case that was selected; under xdist, which spreads the tests itself, none runs ahead."""

    homes = tmp_path_factory.mktemp("falls")

    def live(played: Played) -> Story:
        home = homes / str(PLAYED.index(played))
        home.mkdir()
        place, case = played
        return asyncio.run(live_through(case, home, place))

    chosen = {_name(item.callspec.params["played"]) for item in request.session.items if _is_a_case(item)}  # type: ignore[attr-defined]
    ahead = "PYTEST_XDIST_WORKER" not in os.environ
    with ThreadPoolExecutor(AT_ONCE if ahead else 1, thread_name_prefix="fall") as pool:
        yield _Stories(
            lambda each: pool.submit(live, each), [each for each in PLAYED if ahead and _name(each) in chosen]
        )
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("played", PLAYED, ids=_name)
def test_the_guard_does_right_through(played: Played, stories: "_Stories") -> None:
    story = stories.of(played)
    assert wrongs(story) == [], did(story)


class _Stories:
    """Stories under way, by the name of their case."""

    def __init__(self, begin: Callable[[Played], Future[Story]], ahead: Iterable[Played]) -> None:
        self._begin = begin
        self._begun = {_name(played): begin(played) for played in ahead}

    def of(self, played: Played) -> Story:
        name = _name(played)
        if name not in self._begun:
            self._begun[name] = self._begin(played)
        return self._begun[name].result()


def _is_a_case(item: pytest.Item) -> bool:
    return isinstance(item, pytest.Function) and item.path == Path(__file__) and "played" in item.callspec.params
