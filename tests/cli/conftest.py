from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.stage import KEYS, Desktop, Venue, inside


@pytest.fixture
def venue() -> Iterator[Venue]:
    with Venue() as running:
        yield running


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Desktop]:
    """Settings whose venue isn't there."""
    desktop = Desktop(place=tmp_path, environment=dict(KEYS))
    desktop.write()
    with inside(tmp_path):
        yield desktop


@pytest.fixture
def desktop(tmp_path: Path, venue: Venue) -> Iterator[Desktop]:
    """Settings of the account `main` at the simulated exchange."""
    port = int(venue.server.rest_url.rpartition(":")[2])
    made = Desktop(place=tmp_path, port=port, environment=dict(KEYS))
    made.write()
    with inside(tmp_path):
        yield made
