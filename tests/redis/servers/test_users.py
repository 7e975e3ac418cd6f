"""The users of ops/redis/users.acl on a real server: what each may do, and what it is refused."""

import asyncio
import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from faxline import AsyncFaxLine, FaxLine, JobRejected, JobState, NotAllowed, WaitTimeout
from faxline.cli.running import run
from faxline.contract.redis_keys import INTAKE_GROUP, RedisKeys
from faxline_local.redis_access import Access, Tls
from faxline_local.redis_server import RedisServer
from faxline_local.server_binaries import RedisServerError, ServerBinary
from faxline_worker.state.archive_marks import ArchiveMarks
from faxline_worker.state.redis_clients import check_reachable, state_client, unserved

ROOT = Path(__file__).parents[3]
TEMPLATE = ROOT / "ops/redis/users.acl"
PAGE = (ROOT / "docs/redis.md").read_text()
USERS = ("producer", "webhook", "dispatcher", "worker", "operator", "archive", "console")
ROWS = re.findall(r"^\| ([^|]+) \| `([^`]+)`" + r" \| (yes|no)" * len(USERS) + r" \|$", PAGE, re.MULTILINE)
CASES = [
    (user, command, answer)
    for _, command, *answers in ROWS
    for user, answer in zip(USERS, answers, strict=True)
]


@pytest.fixture(scope="module")
def clients(guarded: RedisServer) -> Iterator[dict[str, redis.Redis]]:
    found = {user: redis.Redis.from_url(guarded.url(0, user), protocol=2) for user in USERS}
    yield found
    for client in found.values():
        client.close()


def is_refused(client: redis.Redis, command: str) -> bool:
    """Whether the ACL is what refuses it; that there is no such group or script is another matter."""
    try:
        client.execute_command(*shlex.split(command))  # type: ignore[no-untyped-call]
    except redis.exceptions.NoPermissionError:
        return True
    except redis.ResponseError as error:
        if not str(error).startswith(
            ("NOGROUP", "No matching script", "no such key", "The XGROUP subcommand requires")
        ):
            raise
    return False


def test_a_user_may_do_what_the_production_page_says_and_is_refused_the_rest(
    clients: dict[str, redis.Redis],
) -> None:
    found = [
        (user, command, "no" if is_refused(clients[user], command) else "yes") for user, command, _ in CASES
    ]
    assert found == CASES


def test_the_archive_reads_and_marks_with_its_own_rights(
    clients: dict[str, redis.Redis], guarded: RedisServer
) -> None:
    with redis.Redis.from_url(guarded.url(0)) as admin:
        admin.xadd(RedisKeys("archived").audit, {"who": "test"})
    marks = ArchiveMarks(clients["archive"], "archived")
    assert marks.switch_on()
    page = marks.read("audit")
    assert page is not None
    assert [fields for _, fields in page.entries] == [{"who": "test"}]
    assert marks.archived(page)
    assert marks.switch_off()
    with pytest.raises(redis.ResponseError, match=r"this command|no permissions"):
        clients["archive"].eval(
            "return redis.call('XADD', KEYS[1] .. 'events', '*', 'a', 'b')", 1, marks.keys.prefix
        )


@pytest.mark.parametrize("taken", [False, True], ids=["before a dispatcher read it", "at work on it"])
def test_a_producer_does_not_take_an_older_faxs_end_for_that_of_a_push_which_intake_has_yet_to_reject(
    guarded: RedisServer, taken: bool
) -> None:
    keys, rejected = RedisKeys("default"), {"reason": "id_reused", "member": "id", "message": "taken"}
    with redis.Redis.from_url(guarded.url(0)) as admin, FaxLine(guarded.url(0, "producer")) as line:
        admin.delete(keys.intake)
        admin.xgroup_create(keys.intake, INTAKE_GROUP, "0", mkstream=True)
        admin.hset(keys.job("a"), mapping={"state": "delivered", "n": "0", "created_at": "1"})
        pushed = line.send(to="+12025550123", files=["https://example.com/a.pdf"], id="a")
        if taken:
            admin.xreadgroup(INTAKE_GROUP, "one", {keys.intake: ">"})
        with pytest.raises(WaitTimeout):
            line.wait(pushed, timeout=0.3)
        with admin.pipeline() as pipe:  # in one step, as intake does
            data = json.dumps(rejected | {"entry": pushed.entry})
            pipe.xadd(keys.events, {"event": "fax.rejected", "job": "a", "at": 1, "data": data})
            pipe.xack(keys.intake, INTAKE_GROUP, pushed.entry or "")
            pipe.xdel(keys.intake, pushed.entry or "")
            pipe.execute()
        with pytest.raises(JobRejected, match="taken"):
            line.wait(pushed, timeout=0.3)


def test_a_producer_has_the_older_faxs_end_of_a_repeat_that_intake_has_taken(guarded: RedisServer) -> None:
    keys = RedisKeys("default")
    with redis.Redis.from_url(guarded.url(0)) as admin, FaxLine(guarded.url(0, "producer")) as line:
        admin.delete(keys.intake, keys.events)
        admin.xgroup_create(keys.intake, INTAKE_GROUP, "0", mkstream=True)
        admin.hset(keys.job("a"), mapping={"state": "delivered", "n": "0", "created_at": "1"})
        pushed = line.send(to="+12025550123", files=["https://example.com/a.pdf"], id="a")
        admin.xreadgroup(INTAKE_GROUP, "one", {keys.intake: ">"})
        admin.xack(keys.intake, INTAKE_GROUP, pushed.entry or "")
        admin.xdel(keys.intake, pushed.entry or "")
        assert line.wait(pushed, timeout=5).state is JobState.DELIVERED


def test_the_table_has_what_producers_and_webhooks_must_not_do() -> None:
    refused = {(user, shlex.split(command)[0]) for user, command, answer in CASES if answer == "no"}
    needed = ("EVAL", "EVALSHA", "FCALL", "KEYS", "FLUSHALL", "CONFIG", "XTRIM", "XDEL", "ZRANGE", "ZADD")
    assert {(user, word) for user in ("producer", "webhook") for word in needed} <= refused
    assert [command for user, command, answer in CASES if (user, answer) == ("webhook", "yes")] == [
        "XADD fax:{default}:status * body x",
        "SMISMEMBER fax:accounts a",
        "HSET fax:processes:webhook a x",
        "TIME",
    ]
    may = [command for user, command, answer in CASES if (user, answer) == ("producer", "yes")]
    assert not any(key in command for command in may for key in ("ready", "status", "orders", "permits"))


ON_A_DOCUMENT = [
    "SET {} other",
    "SET {} other XX KEEPTTL",
    "GETSET {} other",
    "SETRANGE {} 0 other",
    "APPEND {} other",
    "SETBIT {} 7 1",
    "EXPIRE {} 1",
    "PEXPIRE {} 1",
    "PEXPIREAT {} 1",
    "PERSIST {}",
    "DEL {}",
    "UNLINK {}",
    "GETDEL {}",
    "RENAME {} fax:{{default}}:upload:x",
    "RENAME fax:{{default}}:upload:x {}",
    "COPY fax:{{default}}:upload:x {} REPLACE",
    "RESTORE {} 0 x REPLACE",
    "MOVE {} 1",
    "MSET {} other",
    "GET {}",
    "EVAL \"return redis.call('DEL', KEYS[1])\" 1 {}",
]


@pytest.mark.parametrize("user", ["producer", "operator", "console", "webhook"])
def test_whoever_pushes_can_do_nothing_to_a_document_that_is_stored(
    guarded: RedisServer, clients: dict[str, redis.Redis], user: str
) -> None:
    key = "fax:{default}:document:" + "ab" * 32
    with redis.Redis.from_url(guarded.url(0)) as admin:
        for command in ON_A_DOCUMENT:
            admin.set(key, b"a letter", px=600_000)
            admin.set("fax:{default}:upload:x", b"other")
            assert is_refused(clients[user], command.format(key)), command
            assert admin.get(key) == b"a letter", command
            assert 500_000 < int(admin.pttl(key)) <= 600_000, command


def test_nobody_comes_in_without_a_name(guarded: RedisServer, access: Access) -> None:
    url = guarded.url(0, "producer").replace(f"producer:{access.passwords['producer']}@", "")
    with redis.Redis.from_url(url) as client, pytest.raises(redis.AuthenticationError):
        client.ping()
    for password in ("", "default", "x"):
        client = redis.Redis.from_url(url, username="default", password=password)
        with client, pytest.raises(redis.AuthenticationError):
            client.ping()


def test_a_restart_keeps_what_scripts_and_transactions_wrote(
    server_binary: ServerBinary, access: Access
) -> None:
    with RedisServer(binary=server_binary, access=access, appendfsync="always") as server:
        with (
            redis.Redis.from_url(server.url(0, "dispatcher")) as dispatcher,
            FaxLine(server.url(0, "producer")) as line,
        ):
            dispatcher.eval(
                "redis.call('SET', KEYS[1] .. 'a', '1'); redis.call('SET', KEYS[1] .. 'b', '1')",
                1,
                line.keys.prefix,
            )
            line.push("cancel", {"id": "a"})  # a transaction
        server.kill()
        server.restart()
        with redis.Redis.from_url(server.url(0)) as client:
            kept = client.get(line.keys.prefix + "a"), client.get(line.keys.prefix + "b")
            assert (kept, client.xlen(line.keys.intake)) == ((b"1", b"1"), 1)
        assert "NOPERM" not in server.log.read_text()


def test_the_file_holds_no_password_and_a_server_does_not_start_with_it_as_it_is(
    server_binary: ServerBinary,
) -> None:
    text = TEMPLATE.read_text()
    assert not re.search(r" >|nopass|#[0-9a-f]{64}", text)
    lines = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))
    with pytest.raises(RedisServerError, match="ACL"):
        RedisServer(binary=server_binary, access=Access(lines, {"admin": "x"})).start()


def test_a_script_that_its_user_may_not_run_on_a_key_blames_no_entry(clients: dict[str, redis.Redis]) -> None:
    with pytest.raises(redis.ResponseError) as caught:
        clients["worker"].eval("return redis.call('GET', 'other')", 0)
    assert unserved(caught.value)
    with pytest.raises(redis.ResponseError) as another:
        clients["worker"].eval("return redis.call('GET')", 0)
    assert not unserved(another.value)


def test_a_producer_reads_a_queued_job_without_its_place_and_an_operator_with_it(
    guarded: RedisServer,
) -> None:
    with (
        redis.Redis.from_url(guarded.url(0)) as admin,
        FaxLine(guarded.url(0, "producer"), "shared") as producer,
        FaxLine(guarded.url(0, "operator"), "shared") as operator,
    ):
        record: Any = {"state": "queued", "place": "1", "priority": "normal", "number": "+12025550123"}
        admin.hset(producer.keys.job("a"), mapping=record)
        admin.zadd(producer.keys.ready, {"a": 1})
        assert (producer.job("a").state, producer.job("a").forecast) == (JobState.QUEUED, None)
        forecast = operator.job("a").forecast
        assert forecast is not None
        assert forecast.place == 0
        assert [job.id for job in operator.jobs()] == ["a"]


def test_a_producer_is_told_what_it_may_not_read(
    guarded: RedisServer, capsys: pytest.CaptureFixture[str]
) -> None:
    with FaxLine(guarded.url(0, "producer")) as line:
        for ask, what in (
            (line.jobs, "read the queue"),
            (line.account_state, "read the queue"),
            (line.accounts, "read the names of the accounts"),
            (line.audit, "read the audit"),
            (line.dead, "read what was set aside"),
        ):
            with pytest.raises(NotAllowed, match=f"this Redis user may not {what}"):
                ask()
        with pytest.raises(NotAllowed, match="may not give orders"):
            line.pause(by="me")
        with redis.Redis.from_url(guarded.url(0)) as admin:
            admin.hset(line.keys.job("a"), "number", "+12025550123")
        with pytest.raises(NotAllowed, match="may not give orders"):
            line.reveal(["a"], by="me")
    assert run(["--redis", guarded.url(0, "producer"), "list"]) == 3
    assert "this Redis user may not read the queue" in capsys.readouterr().err
    with FaxLine(guarded.url(0, "webhook")) as line, pytest.raises(NotAllowed, match="may not push"):
        line.push("cancel", {"id": "a"})


def test_the_asyncio_line_is_told_the_same(guarded: RedisServer) -> None:
    async def ask() -> None:
        async with AsyncFaxLine(guarded.url(0, "producer")) as line:
            await line.audit()

    with pytest.raises(NotAllowed, match="read the audit"):
        asyncio.run(ask())


def test_library_command_and_daemon_speak_tls_and_trust_only_the_authority_that_the_url_names(
    guarded: RedisServer, access: Access, capsys: pytest.CaptureFixture[str]
) -> None:
    if access.tls is None:
        pytest.skip("this server was built without TLS")
    url = guarded.url(0, "operator")
    assert url.startswith("rediss://")
    with FaxLine(url) as line, state_client(url) as daemon:
        line.push("cancel", {"id": "a"})
        check_reachable(daemon, 5)
    assert run(["--redis", url, "accounts", "--json"]) == 0
    capsys.readouterr()
    stranger = url.partition("?")[0]
    assert run(["--redis", stranger, "accounts"]) == 3
    assert (
        f"Redis at 127.0.0.1:{guarded.port} shows a certificate that is not trusted"
        in capsys.readouterr().err
    )
    with redis.Redis(port=guarded.port) as plain, pytest.raises(redis.ConnectionError):
        plain.ping()


def test_the_script_writes_users_with_which_everybody_comes_in(
    server_binary: ServerBinary, tmp_path: Path, free_port: int
) -> None:
    place = f"127.0.0.1:{free_port}"
    subprocess.run([ROOT / "ops/redis/users.sh", tmp_path / "made", place], check=True)
    rules = (tmp_path / "made/users.acl").read_text()
    urls = {path.stem: path.read_text().strip() for path in (tmp_path / "made").glob("*.url")}
    assert set(USERS) < set(urls)
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "made").iterdir())
    passwords = {user: url.partition("@")[0].rpartition(":")[2] for user, url in urls.items()}
    assert not any(password in rules for password in passwords.values())
    with RedisServer(binary=server_binary, access=Access(rules, passwords)) as running:
        for user, url in urls.items():
            with redis.Redis.from_url(url.replace(place, f"127.0.0.1:{running.port}")) as client:
                assert client.ping(), user
    again = subprocess.run(
        [ROOT / "ops/redis/users.sh", tmp_path / "made"], capture_output=True, text=True, check=False
    )
    assert again.returncode == 1
    assert (tmp_path / "made/users.acl").read_text() == rules


def test_a_server_speaks_tls_with_the_certificate_that_the_script_makes(
    server_binary: ServerBinary, tmp_path: Path, access: Access
) -> None:
    if access.tls is None:
        pytest.skip("this server was built without TLS")
    subprocess.run([ROOT / "ops/redis/certificate.sh", tmp_path], check=True)
    files = Tls(tmp_path / "redis.crt", tmp_path / "redis.key", tmp_path / "ca.crt")
    guarded = Access.of(TEMPLATE.read_text(), files)
    with (
        RedisServer(binary=server_binary, access=guarded) as running,
        redis.Redis.from_url(running.url(0)) as client,
    ):
        assert client.ping()
