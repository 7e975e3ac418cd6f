"""The places that calls go to: the stub, and the sandbox, seen alike."""

import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from faxline_local.processes import START_TIMEOUT, Part, free_port, wait_for
from faxline_local.stack import Local


@dataclass(frozen=True)
class Seen:
    """What an endpoint has seen: how many requests, and when the first and the last came (Unix seconds)."""

    count: int
    first: float
    last: float


class Endpoint(ABC):
    """Where faxes are sent."""

    name: str
    url: str
    """The API's base."""

    @property
    @abstractmethod
    def part(self) -> Part:
        """Its process."""

    @abstractmethod
    def count(self) -> int:
        """Requests accepted so far."""

    @abstractmethod
    def seen_since(self, count: int) -> Seen:
        """What came after so many."""


class Stub(Endpoint):
    """The stub, a process of its own; start it before what calls it, and close it."""

    name = "stub"

    def __init__(self, directory: Path) -> None:
        port = free_port()
        self._base = f"http://127.0.0.1:{port}"
        self.url = f"{self._base}/v1"
        directory.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "tests.benchmarks.speed.stub", str(port)]
        self._part = Part(
            "stub", directory / "stub.log", os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}, command
        )
        self._http = httpx.Client(trust_env=False, timeout=30)
        if not wait_for(self._answers, START_TIMEOUT):
            raise TimeoutError("the stub did not start; see its log")

    @property
    def part(self) -> Part:
        """Its process."""
        return self._part

    def count(self) -> int:
        """Requests accepted so far."""
        return int(self._ask("stats")["count"])

    def seen_since(self, count: int) -> Seen:
        """What came since the last `forget`; the count must be 0."""
        assert count == 0
        found = self._ask("stats")
        return Seen(int(found["count"]), found["first"], found["last"])

    def arrivals(self) -> Mapping[str, float]:
        """When each fax came first, by its subject."""
        found: Mapping[str, float] = self._ask("arrivals")
        return found

    def forget(self) -> None:
        """Count anew."""
        self._http.delete(self._base).raise_for_status()

    def close(self) -> None:
        """End it."""
        self._http.close()
        self._part.stop()

    def _answers(self) -> bool:
        try:
            return self._http.get(f"{self._base}/stats").is_success
        except httpx.HTTPError:
            return False

    def _ask(self, page: str) -> Any:
        return self._http.get(f"{self._base}/{page}").raise_for_status().json()


class Sandbox(Endpoint):
    """The sandbox of a `Local`."""

    name = "sandbox"

    def __init__(self, local: Local) -> None:
        self._local = local
        self.url = local.ifax_url

    @property
    def part(self) -> Part:
        """Its process."""
        return self._local.part("sandbox")

    def count(self) -> int:
        """Requests accepted so far."""
        return sum(int(one["accepted"]) for one in self._local.stats().values())

    def seen_since(self, count: int) -> Seen:
        """What came after so many."""
        times = sorted(float(arrival["at"]) for rows in self._local.arrivals().values() for arrival in rows)[
            count:
        ]
        return Seen(len(times), times[0], times[-1])
