"""A worker's turn of `submit`, in this process, and what comes of it."""

from typing import Any
from unittest.mock import Mock

from faxline_sandbox import SandboxServer
from faxline_worker.config.retries import SubmissionRetries
from faxline_worker.ifax import IfaxClient
from faxline_worker.state.store import Store
from faxline_worker.submission.standing import Standing
from faxline_worker.submission.submitter import Submitter
from faxline_worker.tracing.spans import NoTraces
from tests.stage.daemon import worker_metrics

LARGE = b"".join(b"%09d " % i for i in range(100_000))
"""A document of a million bytes, no two pieces of it alike."""


def submitter(store: Store, client: Any, **more: Any) -> Submitter:
    """One of a worker that is alone and traces nothing.

    Args:
        store: the account's.
        client: an `IfaxClient`, or what stands for one.
        more: arguments of `Submitter` that are to be otherwise.
    """
    usual: dict[str, Any] = {
        "token": lambda: "t",
        "caller_id": None,
        "retries": SubmissionRetries(),
        "wakes": Mock(),
        "metrics": worker_metrics(),
        "log": Mock(),
        "patience": 1,
        "traces": NoTraces(),
        "applied": Mock(),
        "standing": Standing(1, 45, Mock()),
    }
    return Submitter(store=store, client=client, **(usual | more))


def turn(store: Store, server: SandboxServer) -> None:
    """One turn of a worker."""
    with IfaxClient(server.url, timeout=20) as client:
        submitter(store, client).turn("wake")


def record(store: Store, client: Any, job: str = "a") -> dict[str, str]:
    """A job's record."""
    return {k.decode(): v.decode() for k, v in client.hgetall(store.keys.job(job)).items()}
