"""A line on the session's server."""

from collections.abc import Iterator

import pytest

from faxline import FaxLine


@pytest.fixture
def line(redis_url: str) -> Iterator[FaxLine]:
    with FaxLine(redis_url) as made:
        yield made
