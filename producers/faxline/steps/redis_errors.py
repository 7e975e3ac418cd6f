"""Translates the errors of Redis, and reads the shapes of its replies."""

import socket
import ssl
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import redis
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ClusterDownError,
    MasterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from faxline.contract.connections.cluster_topology import NoSlotsError
from faxline.contract.errors import NotAllowed, QueueUnavailable

Entry: TypeAlias = tuple[bytes, dict[bytes, bytes]]
"""An entry of a stream: its id and its fields."""

_STATES = {
    "NOREPLICAS": "takes no writes: it has too few replicas (min-replicas-to-write)",
    "READONLY": "takes no writes: it is a replica",
    "UNBLOCKED": "takes no writes: it has become a replica",
    "MISCONF": "takes no writes: it cannot write its file; see its log, and whether its disk is full",
    "MASTERDOWN": "does not serve: the replica lost its primary",
    "CLUSTERDOWN": "does not serve: its cluster is down",
    "TRYAGAIN": "does not serve the slot: it is moving to another server",
    "LOADING": "is reading its file",
    "BUSY": "is busy with a script",
}
"""What keeps Redis from serving anyone, by the first word of its error reply."""


def unavailable(
    error: Exception, *, pushing: bool, right: str = "", place: str = "", name: str | None = None
) -> QueueUnavailable:
    """Translate an error of the client. Raise the result `from None`: the error may quote what was sent.

    Args:
        error: a `redis.RedisError`.
        pushing: whether something was pushed. The message then says that pushing again is safe.
        right: what the command does, if the user lacks the right for it, such as `read the audit`.
        place: the address of the server, such as `host:port`.
        name: the id of the entry that was pushed. An earlier try may have stored it, whatever the last one
            was answered, so each message names it.
    """
    if is_forbidden(error):
        what = right or ("push onto this account" if pushing else "do this")
        return NotAllowed(
            f"this Redis user may not {what}: use one that may (ops/redis/users.acl), or give it the right"
        )
    if is_out_of_ids(error):
        return QueueUnavailable(
            "Redis refused: this account's stream is out of ids, so nothing was taken. A dispatcher replaces "
            f"the stream within seconds: push again,{with_id(name) or ' with the same id'}",
            name,
        )
    what = trouble(error, place)
    if is_full(error):
        again = with_id(name) or " with the same id"
        return QueueUnavailable(f"{what} and took nothing; push again later,{again}", name)
    if is_lasting(error):
        then = f"; then push again{with_id(name)}" if name else ""
        return QueueUnavailable(f"{what}{then}", name)
    if is_refusal(error):
        then = f", then push again{with_id(name)}" if name else ""
        return QueueUnavailable(f"{what}; check the user's permissions and the server{then}", name)
    again = f"try again{with_id(name)}: repeating it with the same id is safe" if pushing else "try again"
    return QueueUnavailable(f"{what}; {again}", name)


def with_id(name: str | None) -> str:
    """The words that name an id to push again with; empty without one."""
    return f" with the id {name}" if name else ""


def trouble(error: Exception, place: str = "") -> str:
    """Say in a few words what is wrong with Redis. Nothing of what was sent is quoted."""
    place = getattr(error, "node", place)  # of a cluster, the node that was asked last
    where = f"Redis at {place}" if place else "Redis"
    if is_full(error):
        return f"{where} is full"
    if is_refusal(error):
        return f"{where} refused ({type(error).__name__})"
    return f"{where} {cause_of(error)}"


def cause_of(error: Exception) -> str:
    """Say what keeps Redis from serving, and what to do. The text follows the server's name."""
    if isinstance(error, redis.ConnectionError) and "max number of clients" in str(error):
        return "has as many clients as it takes (maxclients): raise that, or end those that nobody needs"
    if state := state_of(error):
        return state
    for one in _chain(error):
        for kind, text in _CAUSES:
            if isinstance(one, kind):
                return text.format(why=getattr(one, "verify_message", "") or "see the log of the server")
    silent = isinstance(error, redis.ConnectionError | redis.TimeoutError | OSError)
    return f"{'did not answer' if silent else 'failed'} ({type(error).__name__})"


def is_lasting(error: Exception) -> bool:
    """Whether trying again is useless: the login or the certificate is refused, or a file is missing."""
    return cause_of(error).startswith(_LASTING)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and its causes. The client's own error has only the text of its cause."""
    one: BaseException | None = error
    while one is not None:
        yield one
        one = one.__cause__ or one.__context__


_UNTRUSTED = (
    "shows a certificate that is not trusted ({why}): name the file of its authority in the URL, "
    "rediss://…?ssl_ca_certs=FILE"
)
_NO_TLS = (
    "did not agree on TLS: a server without it takes a redis:// URL, one that asks for a client's "
    "certificate ssl_certfile and ssl_keyfile"
)
_CLOSED = (
    "closed the connection: it is going down, or takes no more clients (maxclients), or speaks TLS, and the "
    "URL must begin with rediss://"
)
_SILENT = (
    "did not answer in time: it hangs, a firewall is in the way, or a rediss:// URL names a port without TLS"
)
_NO_SLOTS = (
    "has no slots, as far as the nodes know that could be asked: name others in the Redis URL, or make a "
    "cluster of them (`valkey-cli --cluster create`)"
)
_LOGIN = "refuses the user or the password: check them in the Redis URL, and the server's users"
_CAUSES: Sequence[tuple[type[BaseException], str]] = (
    (AuthenticationError, _LOGIN),
    (AuthorizationError, _LOGIN),
    (ssl.SSLCertVerificationError, _UNTRUSTED),
    (ssl.SSLError, _NO_TLS),
    (FileNotFoundError, "cannot be asked: a file that the Redis URL names (ssl_ca_certs) is not there"),
    (socket.gaierror, "cannot be found: no such host; check the name in the Redis URL"),
    (ConnectionRefusedError, "refused the connection: start it, or check host and port in the Redis URL"),
    (ConnectionResetError, _CLOSED),
    (NoSlotsError, _NO_SLOTS),
    (TimeoutError, _SILENT),
)
_LASTING = ("refuses the user", "shows a certificate", "cannot be asked")


def is_full(error: Exception) -> bool:
    """Whether Redis refused because it is full. A transaction may be refused at its end."""
    return isinstance(error, OutOfMemoryError) or (isinstance(error, ResponseError) and "OOM" in str(error))


def is_out_of_ids(error: Exception) -> bool:
    """Whether a stream takes no entry because it ran out of ids (the daemon's stream_watch.py)."""
    return is_refusal(error) and "exhausted the last possible ID" in str(error)


def is_refusal(error: Exception) -> bool:
    """Whether Redis refused: the user lacks the right, or the server does not know the command."""
    return isinstance(error, ResponseError) and not state_of(error)


def state_of(error: Exception) -> str:
    """Say what keeps Redis from serving anyone at the moment; "" if the error is about something else.

    The command is not the cause. It will be served later, perhaps by another server.
    """
    kinds = {
        ReadOnlyError: "READONLY",
        MasterDownError: "MASTERDOWN",
        ClusterDownError: "CLUSTERDOWN",
        TryAgainError: "TRYAGAIN",
        BusyLoadingError: "LOADING",
    }
    answer = str(error).rpartition("caused error: ")[2]  # a pipeline's error has the command in front
    word = next((word for kind, word in kinds.items() if isinstance(error, kind)), answer.partition(" ")[0])
    return _STATES.get(word, "") if isinstance(error, RedisError) else ""


def is_forbidden(error: Exception) -> bool:
    """Whether Redis' ACL refused the command."""
    return isinstance(error, NoPermissionError)


def entries_of(reply: Any) -> list[Entry]:
    """Read the entries of one stream. A client on protocol 3 returns them in another shape."""
    if isinstance(reply, dict):
        return [entry for pages in reply.values() for page in pages for entry in page]
    return [entry for _, entries in reply or [] for entry in entries]
