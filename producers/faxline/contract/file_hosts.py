"""Checks the host of a fileUrl against the allowed hosts.

iFax fetches the file, with a URL parser that Faxline does not know. So a host is allowed only if every parser
finds the same host in the URL. A URL that parsers may read differently (a user before an @, a backslash, a
percent sign, a look-alike character) has no host here. Note that an allowed host may redirect anywhere.
"""

import ipaddress
import re
import unicodedata
from collections.abc import Collection
from functools import lru_cache

_AUTHORITY = re.compile(r"https?://([^/]*)", re.IGNORECASE)
_HOST_AND_PORT = re.compile(r"(\[[^\[\]]*\]|[^\[\]:]*)(?::([0-9]*))?", re.ASCII)
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_NAME = 253
"""The most characters of a host's name."""
_PORT = 65535


def is_allowed(url: str, hosts: Collection[str]) -> bool:
    """Whether a URL's host is one of the allowed hosts.

    Args:
        url: an http or https URL.
        hosts: the allowed hosts, as `host_pattern` takes them. If empty, every URL is allowed.

    Raises:
        ValueError: a host is not a valid pattern.
    """
    if not hosts:
        return True
    host = host_of(url)
    return host is not None and any(_fits(host, host_pattern(pattern)) for pattern in hosts)


def host_of(url: str) -> str | None:
    """The host that every parser finds in a URL, as lower-case ASCII; None if parsers may disagree."""
    found = _AUTHORITY.match(url)
    if found is None or "@" in found[1]:  # also after a ? or #: some parsers read a user there
        return None
    parts = _HOST_AND_PORT.fullmatch(re.split(r"[?#]", found[1])[0])
    if parts is None or int(parts[2] or 0) > _PORT:
        return None
    return _normal(parts[1])


@lru_cache(maxsize=1024)
def host_pattern(text: str) -> str:
    """Normalise an allowed host: a name, `*.` and a name for all its subdomains, or an IP address.

    Raises:
        ValueError: the text is something else, such as a URL or a name with a port.
    """
    wild, name = ("*.", text[2:]) if text.startswith("*.") else ("", text)
    host = _normal(f"[{name}]" if name.count(":") > 1 and not name.startswith("[") else name)
    if host is None or (wild and _is_address(host)):
        raise ValueError("a host is a name such as files.example.com, *.example.com, or an IP address")
    return wild + host


def _fits(host: str, pattern: str) -> bool:
    return host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern


def _is_address(host: str) -> bool:
    return host.startswith("[") or _NUMBER.fullmatch(host.rpartition(".")[2]) is not None


def _normal(host: str) -> str | None:
    """Normalise a host for comparison; None if parsers may disagree about it."""
    try:
        if host.startswith("["):
            address = ipaddress.IPv6Address(host[1:-1])
            return f"[{address.compressed}]" if address.scope_id is None else None
        host = host.removesuffix(".")  # the dot of the DNS root
        return str(ipaddress.IPv4Address(host))
    except ValueError:
        pass
    labels = [_label(label) for label in host.split(".")]
    known = [label for label in labels if label is not None]
    name = ".".join(known)
    if len(known) < len(labels) or len(name) > _NAME or _NUMBER.fullmatch(known[-1]):
        return None  # some parsers read a number at the end as an IPv4 address: 127.1, 0x7f000001
    return name


def _label(label: str) -> str | None:
    """A part of a name as ASCII (IDNA's A-label); None if parsers may disagree about it."""
    if not label.isascii():
        plain = unicodedata.normalize("NFC", label).lower()
        one_form = plain == unicodedata.normalize("NFKC", plain) == plain.casefold() and not plain.isascii()
        letters = all(unicodedata.category(one)[0] in "LMN" for one in plain if not one.isascii())
        if not (one_form and letters):
            return None
        label = "xn--" + plain.encode("punycode").decode("ascii")
    label = label.lower()
    return label if _LABEL.fullmatch(label) else None
