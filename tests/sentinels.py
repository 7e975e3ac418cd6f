"""A primary, its replicas and their Sentinels on this machine, for tests of a failover."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis

from faxline_local.processes import wait_for
from faxline_local.redis_access import ADMIN, Access
from faxline_local.redis_server import RedisServer
from faxline_local.server_binaries import ServerBinary
from faxline_local.stack import Local

SERVICE = "faxes"
OWN = "the-sentinels-own-password"
DOWN_AFTER = 1000
"""Milliseconds of silence after which a Sentinel takes a server for dead."""
PATIENCE = 30.0


class Sentinel(RedisServer):
    """One Sentinel; where the servers have users, it is `sentinel` there and asks for a password itself.

    Args:
        binary: the servers' program, which is the Sentinels' too.
        primary: the server that it begins with.
        quorum: how many must agree that it is gone.
    """

    def __init__(self, binary: ServerBinary, primary: RedisServer, quorum: int) -> None:
        super().__init__(binary=binary, access=primary.access)
        self._primary = primary
        self._quorum = quorum

    @property
    def client(self) -> redis.Redis:
        """A client of the Sentinel itself."""
        options: dict[str, Any] = {"password": OWN} if self.access is not None else {}
        if self.access is not None and self.access.tls is not None:
            options |= {"ssl": True, "ssl_ca_certs": str(self.access.tls.authority)}
        return redis.Redis(port=self.port, socket_timeout=2, **options)

    def _command(self) -> list[str]:
        path = self.directory / "sentinel.conf"
        if not path.exists() or f"port {self.port}" not in path.read_text():
            path.write_text("\n".join(self._lines()))
        return [str(self.binary.path), str(path), "--sentinel"]

    def _lines(self) -> list[str]:
        lines = [
            "bind 127.0.0.1",
            f"sentinel monitor {SERVICE} 127.0.0.1 {self._primary.port} {self._quorum}",
            f"sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER}",
            f"sentinel failover-timeout {SERVICE} 5000",
        ]
        if self.access is None:
            return [f"port {self.port}", *lines]
        options = self.access.options(self.port, self.directory / "none")
        del options["aclfile"]
        return [
            *(f"{name} {value}" for name, value in options.items()),
            *lines,
            f"sentinel auth-user {SERVICE} sentinel",
            f"sentinel auth-pass {SERVICE} {self.access.passwords['sentinel']}",
            f"requirepass {OWN}",
        ]

    def _answers(self) -> bool:
        try:
            with self.client as client:
                info: Any = client.info("server")
                return bool(info["process_id"] == self.pid)
        except redis.RedisError:
            return False


class Watched:
    """A primary with its replicas, watched by Sentinels that know it as `faxes`, until the context ends.

    Args:
        binary: the servers' program.
        access: their users and TLS; none when None.
        replicas, sentinels: how many.
        options: further lines of each server's configuration.
    """

    def __init__(
        self,
        binary: ServerBinary,
        access: Access | None = None,
        *,
        replicas: int = 1,
        sentinels: int = 3,
        options: Mapping[str, str] | None = None,
    ) -> None:
        more = {"repl-diskless-sync-delay": "0", **(options or {})}  # else a replica waits for others for 5 s
        if access is not None:
            more |= {"masteruser": "replica", "masterauth": access.passwords["replica"]}
        self.access = access
        self.servers = [
            RedisServer(binary=binary, access=access, options=more, appendfsync="always")
            for _ in range(1 + replicas)
        ]
        self.sentinels = [Sentinel(binary, self.servers[0], sentinels // 2 + 1) for _ in range(sentinels)]

    def __enter__(self) -> Self:
        try:
            for server in self.servers:
                server.start()
            for replica in self.servers[1:]:
                with redis.Redis.from_url(replica.url()) as client:
                    client.replicaof("127.0.0.1", self.servers[0].port)
            with redis.Redis.from_url(self.servers[0].url()) as client:
                self._await(lambda: self._in_step(client))
            for sentinel in self.sentinels:
                sentinel.start()
            for sentinel in self.sentinels:
                self._await(lambda sentinel=sentinel: self._knows_all(sentinel))
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each in [*self.sentinels, *self.servers]:
            each.close()

    def url(self, user: str = ADMIN, db: int = 0) -> str:
        """What a client of this user is given: the Sentinels' addresses."""
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        if self.access is None:
            return f"redis+sentinel://{hosts}/{SERVICE}/{db}"
        login, options = f"{user}:{self.access.passwords[user]}", f"?sentinel_password={OWN}"
        scheme = "redis+sentinel"
        if self.access.tls is not None:
            scheme, options = "rediss+sentinel", f"{options}&ssl_ca_certs={self.access.tls.authority}"
        return f"{scheme}://{login}@{hosts}/{SERVICE}/{db}{options}"

    @property
    def primary(self) -> RedisServer:
        """The server that the first Sentinel names."""
        with self.sentinels[0].client as client:
            reply: Any = client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
        return next(server for server in self.servers if server.port == int(reply[1]))

    def fail_over(self) -> None:
        """Have the Sentinels make a replica the primary, as an operator does."""
        with self.sentinels[0].client as client:
            client.execute_command("SENTINEL", "FAILOVER", SERVICE)

    def hand_over(self) -> None:
        """The same as docs/redis.md has it, so that the old primary takes nothing that is lost."""
        old = self.primary
        with redis.Redis.from_url(old.url()) as client:
            client.execute_command("CLIENT", "PAUSE", 15_000, "WRITE")
            self.fail_over()
            self.await_another(old)
            client.execute_command("CLIENT", "KILL", "TYPE", "normal")

    def await_another(self, old: RedisServer) -> None:
        """Wait until all Sentinels name another primary than this one."""
        self._await(lambda: self.primary is not old)

    def _knows_all(self, sentinel: Sentinel) -> bool:
        with sentinel.client as client:
            reply: Any = client.sentinel_master(SERVICE)
        replicas, others = len(self.servers) - 1, len(self.sentinels) - 1
        return (reply["num-slaves"], reply["num-other-sentinels"]) == (replicas, others)

    def _in_step(self, client: redis.Redis) -> bool:
        """Whether all replicas have what is written: Valkey calls one online before it has read its file."""
        try:
            client.set("x", "y")
        except redis.ResponseError:  # NOREPLICAS
            return False
        return bool(client.wait(len(self.servers) - 1, 1000) == len(self.servers) - 1)

    @staticmethod
    def _await(condition: Any) -> None:
        if not wait_for(condition, PATIENCE):
            raise AssertionError("the servers and their Sentinels did not come to know each other")


class WatchedLocal(Local):
    """`Local` on a primary that Sentinels watch; each part is told where they are.

    Args:
        directory: where the logs go.
        watched: the servers, not started yet.
        options: as of `Local`.
    """

    def __init__(self, directory: Path, watched: Watched, **options: Any) -> None:
        super().__init__(directory, **options)
        self.watched = watched
        self.server = watched.servers[0]

    def url_of(self, user: str, db: int = 0) -> str:
        """The Sentinels' addresses, for a user."""
        return self.watched.url(user, db)

    def __enter__(self) -> Self:
        self.watched.__enter__()
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self.watched.__exit__(None, None, None)
