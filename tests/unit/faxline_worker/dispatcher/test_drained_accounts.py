"""A drained account is forgotten when nothing of it is under way and no worker can begin anything."""

from typing import Any
from unittest.mock import Mock

import pytest

from faxline_worker.dispatcher.served import Served
from faxline_worker.state.store import Store
from tests.stage.daemon import make_dispatcher


@pytest.mark.parametrize(
    ("jobs", "every_worker_knows", "forgotten"),
    [
        ({"queued": 3}, True, True),
        ({"queued": 3}, False, False),
        ({"submitting": 1}, True, False),
        ({"submitted": 1}, True, False),
        ({"in_doubt": 1}, True, False),
    ],
)
def test_it_is_forgotten_once_nothing_is_under_way_and_every_worker_knows(
    jobs: dict[str, int], every_worker_knows: bool, forgotten: bool
) -> None:
    store: Any = Mock(spec=Store, keys=Mock(), streams=Mock(), schema=Mock(), maintenance=Mock())
    store.state.return_value = Mock(jobs=jobs, receipt_wait=0)
    served, client, log, accounts = Served({"acme": store}), Mock(), Mock(), Mock()
    client.xlen.return_value = 2
    served.serve(["acme"], draining=["acme"])
    drained = Mock(return_value=every_worker_knows)
    dispatcher = make_dispatcher(client, served, metrics=Mock(), log=log, accounts=accounts, drained=drained)
    dispatcher.timers._tidy("acme")
    assert accounts.leave.called == forgotten
    assert accounts.drain.called, "it is noted, so that a process that starts now finds it"
    assert drained.called == ("queued" in jobs)
    counts = [call.kwargs["count"] for call in log.info.call_args_list]
    assert counts == ([5] if forgotten else []), "what waits, and what still lies in its intake"
