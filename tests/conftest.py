"""What every test leaves as it found it."""

from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def _log_as_it_was() -> Iterator[None]:
    """A story of the simulation logs nothing; the next test of the same process may look for a line."""
    yield
    structlog.reset_defaults()
