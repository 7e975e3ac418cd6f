"""An order whose XADD got no reply is added again: it stays one order, and its answer is the first one's."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import Mock

import pytest
import redis

from faxline import AsyncFaxLine, FaxLine, JobState, NotInDoubt, NotSettled, OrderTimeout
from faxline.contract.redis_keys import INTAKE_GROUP
from faxline_worker.dispatcher import operator_orders
from faxline_worker.dispatcher.dispatcher import Dispatcher
from faxline_worker.state.results import Admitted
from faxline_worker.state.store import Store
from tests.stage.proxies import TcpProxy

Doubt = Callable[..., Admitted]


@pytest.fixture
def way(redis_client: redis.Redis) -> Iterator[str]:
    """The URL of a way to Redis on which the reply to the first order is lost."""
    target = redis_client.get_connection_kwargs()
    with TcpProxy(target["port"], loses=b"XADD", times=1) as proxy:
        yield f"redis://127.0.0.1:{proxy.port}/{target['db']}"


@pytest.fixture
def lossy(way: str) -> Iterator[FaxLine]:
    with FaxLine(way) as line:
        yield line


@pytest.fixture
def long_orders(dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The thread of the long-running orders."""
    monkeypatch.setattr(operator_orders, "BLOCK", 0.02)
    stopping = threading.Event()

    def work() -> None:
        while not stopping.is_set():
            dispatcher.long_orders.run(Mock())

    thread = threading.Thread(target=work)
    thread.start()
    yield
    stopping.set()
    thread.join()


def set_aside(store: Store, client: Any, text: str = "{}") -> str:
    entry = client.xadd(store.keys.intake, {"send": text})
    client.xreadgroup(INTAKE_GROUP, "test", {store.keys.intake: ">"})
    store.streams.set_aside("intake", entry.decode(), "KeyError")
    return str(client.xrevrange(store.keys.dead, count=1)[0][0].decode())


def audited(line: FaxLine, what: str) -> list[str]:
    return [entry.outcome for entry in line.audit() if entry.what == what]


@pytest.mark.usefixtures("dispatcher")
def test_a_doubt_is_settled_once_and_whoever_ordered_it_learns_so(
    lossy: FaxLine, line: FaxLine, doubt: Doubt
) -> None:
    doubt("a")
    assert lossy.resolve("a", resend=True, by="me@here", timeout=20).state is JobState.QUEUED
    assert audited(line, "resolve resend") == ["done"]
    assert [step.event for step in line.job("a").history].count("fax.retrying") == 1


def test_a_doubt_that_is_settled_again_after_a_timeout_is_settled_once(
    line: FaxLine, store: Store, doubt: Doubt, redis_client: Any, request: pytest.FixtureRequest
) -> None:
    doubt("a")
    for attempt in (None, 1):
        with pytest.raises(OrderTimeout):
            line.resolve("a", resend=True, attempt=attempt, by="me@here", timeout=0.05)
    assert redis_client.xlen(store.keys.orders) == 2
    orders = [entry for entry, _ in redis_client.xrange(store.keys.orders)]
    request.getfixturevalue("dispatcher")
    for entry in orders:
        ((_, answers),) = redis_client.xread({store.keys.reply(entry.decode()): "0"}, block=20_000)
        assert answers[0][1][b"result"] == b"done"
    assert audited(line, "resolve resend") == ["done"]
    assert line.job("a").state is JobState.QUEUED
    with pytest.raises(NotInDoubt):
        line.resolve("a", resend=True, by="me@here", timeout=20)


@pytest.mark.usefixtures("dispatcher")
def test_an_order_that_had_to_wait_for_a_receipt_is_carried_out_when_it_is_given_again(
    line: FaxLine, store: Store, doubt: Doubt, redis_client: Any
) -> None:
    doubt("a")
    waits = redis_client.xadd(store.keys.status, {"kind": "receipt", "body": "{}"})
    with pytest.raises(NotSettled, match="a receipt that may settle"):
        line.resolve("a", resend=True, by="me@here", timeout=20)
    redis_client.xdel(store.keys.status, waits)
    assert line.resolve("a", resend=True, by="me@here", timeout=20).state is JobState.QUEUED


@pytest.mark.usefixtures("dispatcher")
def test_a_refusal_comes_twice_too(lossy: FaxLine, line: FaxLine, doubt: Doubt) -> None:
    doubt("a")
    line.resolve("a", fail=True, by="me@here", timeout=20)
    with pytest.raises(NotInDoubt, match="is not in doubt: it is failed"):
        lossy.resolve("a", resend=True, by="me@here", timeout=20)
    assert audited(line, "resolve resend") == ["refused"]


@pytest.mark.usefixtures("dispatcher")
def test_the_asyncio_twin_orders_once(way: str, line: FaxLine, doubt: Doubt) -> None:
    async def order() -> JobState:
        async with AsyncFaxLine(way) as twin:
            return (await twin.resolve("a", resend=True, by="me@here", timeout=20)).state

    doubt("a")
    assert asyncio.run(order()) is JobState.QUEUED
    assert audited(line, "resolve resend") == ["done"]


@pytest.mark.parametrize("what", ["redrive", "drop"])
@pytest.mark.usefixtures("dispatcher")
def test_an_entry_is_put_back_or_dropped_once(
    lossy: FaxLine, line: FaxLine, store: Store, redis_client: Any, what: str
) -> None:
    entry = set_aside(store, redis_client)
    getattr(lossy, what)(entry, by="me@here", timeout=20)  # raises nothing
    assert audited(line, what) == ["done"]


@pytest.mark.usefixtures("dispatcher")
def test_numbers_are_noted_once_as_shown(lossy: FaxLine, line: FaxLine, doubt: Doubt) -> None:
    doubt("a")
    assert lossy.reveal(["a"], by="me@here", timeout=20) == {"a": "+12345678901"}
    assert audited(line, "reveal") == ["done"]


@pytest.mark.usefixtures("dispatcher", "long_orders")
def test_a_job_is_forgotten_once_and_the_answer_counts_it(
    lossy: FaxLine, line: FaxLine, doubt: Doubt
) -> None:
    doubt("a")
    line.resolve("a", fail=True, by="me@here", timeout=20)
    assert lossy.forget("a", by="me@here", timeout=20).jobs == 1
    assert audited(line, "forget") == ["done"]


@pytest.mark.usefixtures("dispatcher", "long_orders")
def test_a_copy_of_an_order_to_forget_does_not_forget_the_next_fax_of_that_id(
    line: FaxLine, doubt: Doubt, redis_client: Any
) -> None:
    def failed() -> None:
        doubt("a")
        line.resolve("a", fail=True, by="me@here", timeout=20)

    def forget() -> dict[bytes, bytes]:
        order: Any = {"order": "forget", "job": "a", "by": "me", "token": "the same"}
        entry: str = redis_client.xadd(line.keys.orders, order).decode()
        page: Any = redis_client.xread({line.keys.reply(entry): "0"}, block=20_000)
        return dict(page[0][1][0][1])

    failed()
    first = forget()
    assert json.loads(first[b"told"])["forgotten"] == 1
    failed()
    assert forget() == first
    assert line.job("a").state is JobState.FAILED


def test_an_order_without_a_token_is_carried_out_each_time(store: Store, redis_client: Any) -> None:
    """So an older client's are, as ever."""
    replies = []
    for _ in range(2):
        order: str = redis_client.xadd(store.keys.orders, {"order": "pause", "by": "me"}).decode()
        replies.append(store.orders.pause_or_resume(order, "pause", "me"))
    assert replies == ["done", "idle"]


def test_another_order_has_another_token(line: FaxLine, redis_client: Any) -> None:
    for _ in range(2):
        with pytest.raises(TimeoutError):
            line.pause(by="me@here", timeout=0)
    tokens = [fields[b"token"] for _, fields in redis_client.xrange(line.keys.orders)]
    assert len({*tokens}) == 2
