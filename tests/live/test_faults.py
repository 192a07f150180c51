"""Each fault of the simulated venue, alone, during a fall: by the ledger of the exchange the guard did right.

A case takes some ten seconds, most of which is waiting: several run at once, in threads, ahead of the tests that judge them.
"""

import asyncio
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.live.fall import Case, Story, did, live_through, wrongs
from tests.live.faults import CASES

AT_ONCE = 3
QUICK = [case for case in CASES if case.quick]


@pytest.fixture(scope="module")
def stories(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator["_Stories"]:
    """The story of every case that was selected; under xdist, which spreads the tests itself, none runs ahead."""

    homes = tmp_path_factory.mktemp("falls")

    def live(case: Case) -> Story:
        home = homes / str(QUICK.index(case))
        home.mkdir()
        return asyncio.run(live_through(case, home))

    chosen = {item.callspec.params["case"].name for item in request.session.items if _is_a_case(item)}  # type: ignore[attr-defined]
    ahead = "PYTEST_XDIST_WORKER" not in os.environ
    with ThreadPoolExecutor(AT_ONCE if ahead else 1, thread_name_prefix="fall") as pool:
        yield _Stories(lambda case: pool.submit(live, case), [case for case in QUICK if ahead and case.name in chosen])
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("case", QUICK, ids=lambda case: case.name)
def test_the_guard_does_right_through(case: Case, stories: "_Stories") -> None:
    story = stories.of(case)
    assert wrongs(story) == [], did(story)


class _Stories:
    """Stories under way, by the name of their case."""

    def __init__(self, begin: Callable[[Case], Future[Story]], ahead: Iterable[Case]) -> None:
        self._begin = begin
        self._begun = {case.name: begin(case) for case in ahead}

    def of(self, case: Case) -> Story:
        if case.name not in self._begun:
            self._begun[case.name] = self._begin(case)
        return self._begun[case.name].result()


def _is_a_case(item: pytest.Item) -> bool:
    return isinstance(item, pytest.Function) and item.path == Path(__file__) and "case" in item.callspec.params
