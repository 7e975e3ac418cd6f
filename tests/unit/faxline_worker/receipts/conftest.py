"""The webhook in this process, with a store in memory."""

import pytest

from tests.stage.webhooks import MemoryStore, Site


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def site(store: MemoryStore) -> Site:
    return Site(store)
