"""Reaches iFax through an HTTP proxy, and trusts a private certificate authority.

The tunnel is part of the connection (RFC 9110, 9.3.6): CONNECT is answered before TLS begins, and so before
the mark of a request is written. Whatever the proxy does until then, nothing of the request was sent.
"""

import base64
import re
import ssl
import time
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Self
from urllib.parse import unquote, urlsplit

import h11
import httpcore

from faxline_worker.ifax.errors import ProxyFailedError, ProxyRefusedError, ProxyTimeoutError

DEFAULT_PORT = 80
_PIECE = 4096
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True)
class Proxy:
    """An HTTP proxy that makes tunnels by CONNECT.

    Attributes:
        host: its name or address, without brackets.
        port: its port.
        passwords: every spelling of its password, for the log's redactor; empty without a password.
        authorization: the value of the header Proxy-Authorization, or empty.
    """

    host: str
    port: int
    passwords: tuple[str, ...] = field(default=(), repr=False)
    authorization: str = field(default="", repr=False)

    @classmethod
    def read(cls, url: str) -> Self:
        """Read a proxy from a URL such as `http://user:password@proxy.example:3128`.

        Raises:
            ValueError: the URL is not valid. The message continues after the variable's name, and quotes
                nothing.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise ValueError("is not a URL: check its host and port") from None
        if parts.scheme != "http" or not parts.hostname or port == 0:
            raise ValueError("must be a URL such as http://proxy.example:3128 or http://user:password@…")
        if parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError("must end after the port: a proxy has no path")
        passwords: tuple[str, ...] = ()
        authorization = ""
        if parts.username is not None:
            written = parts.password or ""
            pair = f"{unquote(parts.username)}:{unquote(written)}".encode()
            encoded = base64.b64encode(pair).decode()
            authorization = f"Basic {encoded}"
            passwords = tuple(dict.fromkeys([written, unquote(written), encoded])) if written else ()
        return cls(parts.hostname, port or DEFAULT_PORT, passwords, authorization)

    def __str__(self) -> str:
        return _authority(self.host, self.port)


def is_loopback(host: str) -> bool:
    """Whether a URL's host is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def trusting(pem: str) -> ssl.SSLContext:
    """Make an SSL context that trusts only the authorities of a PEM bundle.

    Args:
        pem: the text of the bundle. Text between the certificates is ignored.

    Raises:
        ValueError: the bundle holds no certificate, or an unreadable one. The message continues after the
            variable's name.
    """
    found = _CERTIFICATE.findall(pem)
    if not found:
        raise ValueError("holds no certificate in PEM (-----BEGIN CERTIFICATE-----)")
    try:
        return ssl.create_default_context(cadata="\n".join(found))
    except (ssl.SSLError, TypeError):  # TypeError: a non-ASCII character
        raise ValueError("holds a certificate that cannot be read: is it whole?") from None


def open_tunnel(
    stream: httpcore.NetworkStream, proxy: Proxy, host: str, port: int, deadline: float | None
) -> None:
    """Open a tunnel through a proxy. Afterwards, bytes written to the stream reach the host.

    Args:
        stream: a connection to the proxy; the caller closes it if this raises.
        proxy: the proxy.
        host: the host at the tunnel's end: an address, or a name, which the proxy resolves.
        port: the host's port.
        deadline: the `time.monotonic()` moment by which the tunnel must be open; None for no limit.

    Raises:
        ProxyRefusedError: the proxy answered with a status other than 2xx.
        ProxyTimeoutError: the proxy did not answer in time.
        ProxyFailedError: the connection broke, or the proxy sent something else than an answer to CONNECT.
    """
    wire = h11.Connection(h11.CLIENT)
    authority = _authority(host, port)
    headers = [("Host", authority)]
    if proxy.authorization:
        headers.append(("Proxy-Authorization", proxy.authorization))
    try:
        asked = wire.send(h11.Request(method="CONNECT", target=authority, headers=headers)) or b""
        stream.write(asked + (wire.send(h11.EndOfMessage()) or b""), _left(deadline))
        while not isinstance(event := wire.next_event(), h11.Response):
            if event is h11.NEED_DATA:
                wire.receive_data(stream.read(_PIECE, _left(deadline)))
            elif not isinstance(event, h11.InformationalResponse):
                raise ProxyFailedError
    except httpcore.TimeoutException:
        raise ProxyTimeoutError from None
    except (httpcore.NetworkError, h11.RemoteProtocolError):
        raise ProxyFailedError from None
    if event.status_code // 100 != 2:  # noqa: PLR2004 - HTTP's class of success
        raise ProxyRefusedError(event.status_code)
    if wire.trailing_data[0]:  # in TLS and HTTP the client speaks first
        raise ProxyFailedError


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _left(deadline: float | None) -> float | None:
    if deadline is None:
        return None
    left = deadline - time.monotonic()
    if left <= 0:
        raise ProxyTimeoutError
    return left
