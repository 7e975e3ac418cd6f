"""A push whose reply is lost, or that no replica confirms: its error says how it stays one fax."""

import asyncio
import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from faxline import AsyncFaxLine, FaxLine, NotReplicated, QueueUnavailable
from faxline.cli.running import run
from faxline.contract.redis_keys import RedisKeys
from faxline.steps.replicas import Confirmation
from tests.stage.proxies import TcpProxy

KEYS = RedisKeys("default")
TO, FILES = "+13105550147", ["https://example.com/a.pdf"]
UNCONFIRMED: dict[str, Any] = {"replicas": 1, "replicas_timeout": 0.001}


@pytest.fixture
def lossy(redis_client: redis.Redis) -> Iterator[str]:
    """The URL of a way to Redis on which each reply to an XADD is lost."""
    with TcpProxy(redis_client.get_connection_kwargs()["port"], loses=b"XADD") as proxy:
        yield f"redis://127.0.0.1:{proxy.port}/{redis_client.get_connection_kwargs()['db']}"


@pytest.fixture
def ids(redis_client: redis.Redis) -> Callable[[], set[str]]:
    """The ids of what was pushed."""

    def read() -> set[str]:
        entries: Any = redis_client.xrange(KEYS.intake)
        return {json.loads(text)["id"] for _, fields in entries for text in fields.values()}

    return read


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What the command says when it fails, for want of Redis or because it is interrupted."""
    for name in [name for name in os.environ if name.startswith("FAXLINE_")]:
        monkeypatch.delenv(name)

    def call(url: str, *arguments: str, code: int = 3) -> str:
        assert run(["--redis", url, *arguments]) == code
        return capsys.readouterr().err

    return call


def taken(client: redis.Redis) -> None:
    """Write the record of a fax that iFax took, as the daemon would."""
    record: Any = {"state": "submitted", "number": TO, "priority": "normal", "job_id": "71"}
    client.hset(KEYS.job("old"), mapping=record | {"created_at": 1, "updated_at": 1, "kind": "send"})


@pytest.mark.parametrize("kind", ["send", "resend"])
def test_the_error_of_a_push_whose_reply_was_lost_names_the_id_that_was_made_for_it(
    lossy: str, ids: Callable[[], set[str]], kind: str
) -> None:
    with FaxLine(lossy) as line:

        def push(name: str | None) -> object:
            return line.send(to=TO, files=FILES, id=name) if kind == "send" else line.resend("old", id=name)

        with pytest.raises(QueueUnavailable) as caught:
            push(None)
        assert ids() == {caught.value.id}
        assert f"again with the id {caught.value.id}" in str(caught.value)
        with pytest.raises(QueueUnavailable):
            push(caught.value.id)
    assert ids() == {caught.value.id}


@pytest.mark.parametrize("kind", ["send", "resend"])
def test_the_asyncio_twin_names_it_too(lossy: str, ids: Callable[[], set[str]], kind: str) -> None:
    async def push() -> None:
        async with AsyncFaxLine(lossy) as line:
            await (line.send(to=TO, files=FILES) if kind == "send" else line.resend("old"))

    with pytest.raises(QueueUnavailable) as caught:
        asyncio.run(push())
    assert ids() == {caught.value.id}
    assert f"again with the id {caught.value.id}" in str(caught.value)


def test_the_error_of_a_push_that_no_replica_confirmed_names_its_id(
    redis_url: str, ids: Callable[[], set[str]]
) -> None:
    async def push() -> None:
        async with AsyncFaxLine(redis_url, **UNCONFIRMED) as line:
            await line.send(to=TO, files=FILES)

    with FaxLine(redis_url, **UNCONFIRMED) as line, pytest.raises(NotReplicated) as caught:
        line.send(to=TO, files=FILES)
    assert ids() == {caught.value.id}
    assert f"again with the id {caught.value.id}" in str(caught.value)
    with pytest.raises(NotReplicated) as asynchronous:
        asyncio.run(push())
    assert ids() == {caught.value.id, asynchronous.value.id}


@pytest.mark.parametrize("arguments", [("send", "--to", TO, *FILES), ("resend", "old")])
def test_the_command_says_with_which_id_to_repeat_it(
    lossy: str,
    ids: Callable[[], set[str]],
    told: Callable[..., str],
    redis_client: redis.Redis,
    arguments: tuple[str, ...],
) -> None:
    taken(redis_client)
    said = told(lossy, *arguments)
    (name,) = ids()
    assert f"again with --id {name}" in said
    assert f"again with --id {name}" in told(lossy, *arguments, "--id", name)
    assert ids() == {name}


def test_the_command_names_the_id_of_what_no_replica_confirmed(
    redis_url: str, ids: Callable[[], set[str]], told: Callable[..., str]
) -> None:
    said = told(redis_url, "--replicas", "1", "send", "--to", TO, *FILES)
    (name,) = ids()
    assert f"again with --id {name}" in said


def test_the_command_names_the_id_where_redis_goes_away_while_it_waits(
    redis_url: str, ids: Callable[[], set[str]], told: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise QueueUnavailable("Redis went away; try again")

    monkeypatch.setattr(FaxLine, "wait", away)
    said = told(redis_url, "send", "--to", TO, *FILES, "--wait", "--json")
    (name,) = ids()
    assert f"again with --id {name}" in said


def test_the_command_names_the_id_when_it_is_interrupted_in_its_push(
    redis_url: str, ids: Callable[[], set[str]], told: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(Confirmation, "missed", interrupt)
    said = told(redis_url, "--replicas", "1", "send", "--to", TO, *FILES, code=130)
    (name,) = ids()
    assert f"add --id {name}" in said
