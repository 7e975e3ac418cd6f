"""Every run of the real processes is searched: for what nobody may find in what they show, for refusals."""

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, cast

import pytest
import redis

from faxline.contract.connections.redis_url import connect
from faxline_local import stack
from faxline_local.redis_access import Access
from faxline_local.server_binaries import ServerBinary
from faxline_local.stack import Local
from tests.clusters import nodes_of
from tests.stage.marks import logged, marks_in, shown

ASKED_ONCE = ("config|get", "appendfsync")
"""A dispatcher looks whether it may know it."""


def refusals(local: Local) -> list[str]:
    """What a part of the daemon was refused for want of a right in ops/redis/users.acl, by Redis' own log."""
    if local.server.access is None:
        return []
    try:
        with connect(local.redis_url, decode_responses=True) as client:
            log: Any = [entry for node in nodes_of(client) for entry in cast("Any", node.acl_log(count=1000))]
    except redis.RedisError:  # the test has stopped the server
        return []
    return [
        f"{entry['username']} lacks {entry['reason']} {entry['object']} ({entry['context']})"
        for entry in log
        if entry["username"] in {"dispatcher", "worker", "webhook"} and entry["object"] not in ASKED_ONCE
    ]


@pytest.fixture(autouse=True, scope="session")
def nothing_leaks() -> Iterator[None]:
    """Search each `Local` when it ends; the test that used it fails where a mark is found."""
    leave = Local.__exit__

    def searched(
        local: Local,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        found = shown(local) if error is None else {}
        lacks = refusals(local) if error is None else []
        leave(local, kind, error, trace)
        if error is None:
            assert lacks == []
            assert marks_in(found | logged(local)) == []

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Local, "__exit__", searched)
        yield


@pytest.fixture(scope="session")
def make_local(server_binary: ServerBinary, access: Access) -> Callable[..., Local]:
    """`make_local(folder, **options)`: all processes, as the users of `users.acl`."""
    return lambda folder, **options: stack.Local(folder, binary=server_binary, access=access, **options)
