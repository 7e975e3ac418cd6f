"""A worker's turn of `submit`, in this process."""

from typing import Any
from unittest.mock import Mock

from faxline_worker.config.retries import SubmissionRetries
from faxline_worker.state.store import Store
from faxline_worker.submission.standing import Standing
from faxline_worker.submission.submitter import Submitter
from faxline_worker.tracing.spans import NoTraces
from tests.stage.daemon import worker_metrics


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
