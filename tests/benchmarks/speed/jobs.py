"""Jobs made in this process, by the daemon's own scripts: registered, admitted, submitted."""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any
from unittest.mock import Mock
from uuid import uuid4

import redis

from faxline.contract.redis_keys import INTAKE_GROUP
from faxline_worker.config.settings import read_settings
from faxline_worker.intake.registrar import AT_ONCE, Intake
from faxline_worker.observability.metrics.dispatcher import DispatcherMetrics
from faxline_worker.observability.metrics.families import new_registry
from faxline_worker.processes.common import failure_labels
from faxline_worker.state.results import Admitted
from faxline_worker.state.store import Store
from tests.benchmarks.pushes import fax
from tests.stage.intake import create_group

ACCEPTED: Mapping[str, Any] = {
    "decision": "accepted",
    "reason": "accepted",
    "retry": 1000,
    "jitter": 1.0,
    "call": "fax-send",
    "outcome": "accepted",
    "status": 200,
    "ms": 50,
}
RELEASED: Mapping[str, Any] = {"decision": "released"}


class Maker:
    """Makes the jobs of one account.

    Args:
        client: of the state's database.
        account: its name.
        settings: FAXLINE_ variables without the prefix.
    """

    def __init__(self, client: redis.Redis, account: str, settings: Mapping[str, str]) -> None:
        variables = {f"FAXLINE_{name}": value for name, value in settings.items()}
        variables[f"FAXLINE_ACCOUNTS__{account.upper()}__TOKEN"] = "token"
        self._client = client
        self.store = Store(client, read_settings(variables), account, who="benchmark")
        self._intake = Intake(
            self.store, DispatcherMetrics(new_registry(), [account], failure_labels()), Mock()
        )
        create_group(self.store)
        self.batches: list[float] = []
        """Seconds of each call of `register`."""

    def register(self, names: Sequence[str], **more: Any) -> None:
        """Push an entry a job and register it as a dispatcher does; what it checks is checked once.

        Args:
            names: the jobs' ids.
            more: what else their entries say, such as `group` or `metadata`.
        """
        first = self._intake._items.read(
            "0-1", {b"send": json.dumps({"id": "x", "fax": fax("x"), **more}).encode()}
        )
        assert isinstance(first, dict)
        template, group = first["jobs"][0], {name: first[name] for name in ("group", "size") if name in first}
        for start in range(0, len(names), AT_ONCE):
            page = names[start : start + AT_ONCE]
            with self._client.pipeline(transaction=False) as pipe:
                for _ in page:
                    pipe.xadd(self.store.keys.intake, {"send": "{}"})
                pipe.execute()
            reply: Any = self._client.xreadgroup(
                INTAKE_GROUP, "benchmark", {self.store.keys.intake: ">"}, count=AT_ONCE
            )
            entries = reply[0][1]
            items = [
                {"entry": entry.decode(), "jobs": [_job(template, name)], **group}
                for (entry, _), name in zip(entries, page, strict=True)
            ]
            began = time.perf_counter()
            self.store.intake.register(items)
            self.batches.append(time.perf_counter() - began)

    def admit(self) -> tuple[Admitted, float]:
        """Admit the next job; it, and the seconds that took."""
        token, began = uuid4().hex, time.perf_counter()
        admitted = self.store.submission.admit(token, "", 1.0)
        seconds = time.perf_counter() - began
        assert isinstance(admitted, Admitted)
        return admitted, seconds

    def release(self, admitted: Admitted) -> None:
        """Put it back in its place."""
        self.store.submission.settle(admitted, RELEASED)

    def submit(self, count: int, first_job_id: int) -> None:
        """Take so many jobs through admission, mark and acceptance; their jobIds count up from the first."""
        for i in range(count):
            admitted, _ = self.admit()
            self.store.submission.mark(admitted)
            self.store.submission.settle(
                admitted, {**ACCEPTED, "job_id": str(first_job_id + i), "attempt": admitted.attempt}
            )


def _job(template: Mapping[str, Any], name: str) -> dict[str, Any]:
    request = fax(name)
    fields = template["fields"] | {"request": json.dumps(request), "number": request["faxNumber"]}
    return {**template, "id": name, "digest": f"{name:0>64}"[-64:], "fields": fields}
