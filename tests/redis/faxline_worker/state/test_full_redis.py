"""A Redis that is full and evicts nothing: what is inside goes on."""

import base64
import collections
import json
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import Mock

import pytest
import redis

from faxline import FaxLine, JobState, QueueUnavailable
from faxline.contract.page_count import digest
from faxline.contract.redis_keys import ACCOUNTS, INTAKE_GROUP
from faxline_local.redis_server import RedisServer
from faxline_local.server_binaries import ServerBinary
from faxline_worker.observability.pulse import Loops
from faxline_worker.receipts.reconciler import Reconciler
from faxline_worker.state.redis_clients import unserved
from faxline_worker.state.results import Admitted
from faxline_worker.state.store import Store
from faxline_worker.wakeups.actors import QUEUE, Wakes
from faxline_worker.wakeups.broker import WakeBroker, queue_key
from tests.stage.daemon import make_dispatcher, usual_settings, worker_metrics

TEXT = b"A letter."
FAX = {
    "faxNumber": "+12025550123",
    "faxData": [{"fileName": "a.txt", "fileData": base64.b64encode(TEXT).decode()}],
}


@pytest.fixture
def server(server_binary: ServerBinary) -> Iterator[RedisServer]:
    with RedisServer(binary=server_binary) as own:
        yield own


@pytest.fixture
def client(server: RedisServer) -> Iterator[Any]:
    with redis.Redis.from_url(server.url()) as made:
        yield made


def test_a_full_transaction_is_told_as_full_whenever_it_became_so(server: RedisServer, client: Any) -> None:
    client.config_set("maxmemory", client.info("memory")["used_memory"] + 400_000)
    with FaxLine(server.url()) as line:
        documents = [f"document {i} ".encode() * 2000 for i in range(100)]
        taken: list[bytes] = []

        def push(data: bytes) -> None:
            line.send(to="+12025550123", files=[("a.txt", data)])
            taken.append(data)

        with pytest.raises(QueueUnavailable, match=r"Redis at \S+ is full and took nothing"):
            collections.deque(map(push, documents), maxlen=0)
        assert taken
        assert client.xlen(line.keys.intake) == len(taken)
        kept = [client.get(key) for key in client.scan_iter(line.keys.upload("*"))]
        assert sorted(kept) == sorted(taken)


@pytest.mark.slow
def test_a_dispatcher_that_starts_on_a_full_redis_takes_what_is_inside_through_to_its_end(
    server: RedisServer, client: Any, wait_until: Callable[..., Any]
) -> None:
    settings = usual_settings(NUMBERS__CONCURRENT="0")
    store = Store(client, settings, "default")
    broker = WakeBroker(redis.Redis.from_url(server.url(1)), [])
    client.xadd(store.keys.intake, {"send": json.dumps({"id": "a", "fax": FAX})})
    client.xadd(store.keys.intake, {"send": json.dumps({"id": "b", "fax": FAX})})
    receipt = {"jobId": 7, "faxStatus": "delivered", "faxTotalPages": 1, "faxTransferredPages": 1}
    client.xadd(store.keys.status, {"body": json.dumps(receipt), "kind": "receipt"})
    client.xadd(store.keys.status, {"body": "?", "kind": "malformed"})
    client.xadd(store.keys.orders, {"order": "pause", "by": "me@here"})
    client.xadd(store.keys.orders, {"order": "resume", "by": "me@here"})
    client.config_set("maxmemory", 1)
    with pytest.raises(redis.OutOfMemoryError) as caught:
        client.set("x", "y")
    assert unserved(caught.value)
    dispatcher = make_dispatcher(
        client,
        {"default": store},
        wakes=Wakes(broker),
        consumer="full",
        sweep=0.5,
        wake_lease=0.5,
        loops=(loops := Loops()),
    )
    dispatcher.start()
    try:
        wait_until(lambda: client.zcard(store.keys.ready) == 2)
        wait_until(lambda: client.xlen(store.keys.orders) == 0)
        wait_until(lambda: broker.client.llen(queue_key(QUEUE)) >= 3)  # two to submit, one to reconcile
        wait_until(lambda: set(loops.checks().values()) == {True})
    finally:
        dispatcher.stop()
    assert client.smembers(ACCOUNTS) == {b"default"}
    assert store.documents.read(digest(TEXT))[0] == TEXT
    assert client.xlen(store.keys.intake) == 0
    assert not client.exists(store.keys.dead)

    broker.declare_queue(QUEUE)
    consumer = broker.consume(QUEUE, timeout=20_000)
    message = next(consumer)
    assert message is not None
    consumer.requeue([message])
    assert next(broker.consume(QUEUE, timeout=20_000)) is not None
    admitted = store.submission.admit("permit", "")
    assert isinstance(admitted, Admitted)
    store.submission.mark(admitted)
    store.submission.settle(admitted, {"decision": "accepted", "job_id": "7"})
    metrics = worker_metrics()
    Reconciler(store, Mock(), metrics, Mock()).turn()
    with FaxLine(server.url()) as line:
        job = line.job("a")
        assert (job.state, job.pages) == (JobState.DELIVERED, 1)
        assert [step.event for step in job.history] == ["fax.queued", "fax.submitted", "fax.delivered"]
        assert [job.id for job in line.jobs()] == ["b"]
        assert [entry.why for entry in line.dead()] == ["malformed"]
        with pytest.raises(QueueUnavailable, match="full"):
            line.pause(by="me@here")
    assert client.xpending(store.keys.intake, INTAKE_GROUP)["pending"] == 0
    broker.close()
