"""TLS contexts that connections share for as long as the files of their certificates stay the same.

redis-py makes a context for each connection and has it read all authorities of the system, which takes some
30 ms of CPU. A worker has a connection for each thread and node, a dispatcher one for each account.
"""

import ssl
from functools import lru_cache
from pathlib import Path
from typing import Any

from redis.asyncio.connection import RedisSSLContext

_KEPT = 8
"""More than the servers, users and authorities of a process. The oldest is made anew."""
_OPTIONS = tuple(name for name in RedisSSLContext.__slots__ if name != "context")


class SharedTls:
    """Mixed into redis-py's blocking TLS connections."""

    def _wrap_socket_with_ssl(self, sock: Any) -> Any:
        this: Any = self
        if this.ssl_validate_ocsp or this.ssl_validate_ocsp_stapled:
            return super()._wrap_socket_with_ssl(sock)  # type: ignore[misc]
        options = RedisSSLContext(
            keyfile=this.keyfile,
            certfile=this.certfile,
            cert_reqs=this.cert_reqs,
            include_verify_flags=this.ssl_include_verify_flags,
            exclude_verify_flags=this.ssl_exclude_verify_flags,
            ca_certs=this.ca_certs,
            ca_data=this.ca_data,
            ca_path=this.ca_path,
            check_hostname=this.check_hostname,
            min_version=this.ssl_min_version,
            ciphers=this.ssl_ciphers,
            password=this.certificate_password,
        )
        return shared(options).wrap_socket(sock, server_hostname=this.host)


class AsyncSharedTls:
    """Mixed into redis-py's asyncio TLS connections."""

    def _connection_arguments(self) -> Any:
        this: Any = self
        this.ssl_context.context = shared(this.ssl_context)
        return super()._connection_arguments()  # type: ignore[misc]


def shared(options: RedisSSLContext) -> ssl.SSLContext:
    """The context of these options; made anew when a file has changed.

    Args:
        options: those of a connection.

    Raises:
        OSError: a file cannot be read, or holds no certificate.
    """
    values = tuple(_hashable(getattr(options, name)) for name in _OPTIONS)
    files = (options.keyfile, options.certfile, options.ca_certs, options.ca_path)
    return _made(values, tuple(Path(file).stat().st_mtime_ns if file else 0 for file in files))


@lru_cache(maxsize=_KEPT)
def _made(values: tuple[Any, ...], _: tuple[int, ...]) -> ssl.SSLContext:
    return RedisSSLContext(**dict(zip(_OPTIONS, values, strict=True))).get()


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
