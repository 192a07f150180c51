"""Each case runs for every venue of the registry."""

import pytest

from tests.venues.contract.bench import Bench
from tests.venues.contract.registry import VENUES, bench_of


@pytest.fixture(params=VENUES)
def bench(request: pytest.FixtureRequest) -> Bench:
    return bench_of(request.param)
