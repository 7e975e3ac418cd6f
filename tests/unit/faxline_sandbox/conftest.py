"""A sandbox over a real socket, without faults, and a client on it."""

from collections.abc import Iterator

import httpx
import pytest

from faxline_sandbox import (
    SandboxServer,
)
from tests.stage.sandboxes import Receiver, config


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxServer]:
    with SandboxServer(config()) as running:
        yield running


@pytest.fixture
def sandbox(server: SandboxServer) -> Iterator[SandboxServer]:
    yield server
    server.clear_faults()


@pytest.fixture
def client(sandbox: SandboxServer) -> Iterator[httpx.Client]:
    headers = {"accessToken": "t"}
    with httpx.Client(base_url=f"{sandbox.url}/customer", headers=headers, trust_env=False) as made:
        yield made


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()
