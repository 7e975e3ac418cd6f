"""Random and mutated HTTP requests for the webhook, drawn from a seed; a few are right and signed."""

import gzip
import json
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from faxline_chaos.oddities import HEADERS, METHODS, ODD, PATH, PATHS, SIGNATURES
from faxline_worker.receipts.signature import HEADER, sign

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LIMIT = 64 * 1024
"""Bytes of a body that the webhook takes at most."""
MARK = "the-fuzz-mark"
"""Stands in every body that is not random; no log line may have it."""
NUMBER = "+12025557788"
"""Likewise."""


@dataclass(frozen=True)
class Request:
    """One request.

    Attributes:
        raw: its bytes as sent.
        body: what the webhook may store of it if it is rightly signed, else None.
        whole: whether an answer is due. Another one may leave the webhook waiting for more; its connection is
            of no further use.
    """

    raw: bytes
    body: bytes | None = None
    whole: bool = True


@dataclass
class _Parts:
    """A request under construction."""

    method: bytes = b"POST"
    path: bytes = PATH
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""

    def raw(self) -> bytes:
        lines = b"".join(name + b": " + value + b"\r\n" for name, value in self.headers.items())
        return self.method + b" " + self.path + b" HTTP/1.1\r\n" + lines + b"\r\n" + self.body


class Requests:
    """Makes one request after another.

    Args:
        seed: of everything random.
        secret: the account's webhook secret.
    """

    def __init__(self, seed: int, secret: bytes) -> None:
        self._chance = random.Random(f"fuzz:{seed}")
        self._secret = secret
        self._made = 0

    def next(self) -> Request:
        """The next request."""
        self._made += 1
        kinds: Mapping[Callable[[], Request], int] = {
            self._right: 15,
            self._odd_signature: 20,
            self._mutated_after_signing: 15,
            self._other_body: 12,
            self._odd_path: 10,
            self._odd_headers: 12,
            self._odd_size: 3,
            self._chunked: 6,
            self._wrong_length: 4,
            self._broken: 8,
        }
        return self._chance.choices(list(kinds), list(kinds.values()))[0]()

    def _receipt(self) -> bytes:
        data = {
            "jobId": self._made,
            "toNumber": NUMBER,
            "fromNumber": NUMBER,
            "faxStatus": self._chance.choice(("delivered", "failed", "", "ü", "unheard-of")),
            "message": MARK,
            "code": self._chance.choice((0, 17, -1, 10**30, "17", None)),
            "faxTotalPages": self._chance.choice((1, 0, -5, 1e300, "x")),
        }
        whole = self._chance.choice(
            ({"event": "fax.completed", "data": data}, data, {"data": [data]}, [data, {"n": self._made}])
        )
        return json.dumps(whole).encode()

    def _parts(self, body: bytes, *, signed: bool) -> _Parts:
        headers = {b"Host": b"127.0.0.1", b"Content-Length": b"%d" % len(body)}
        if signed:
            text = sign(body, self._secret)
            shown = self._chance.choice((text, text.upper(), f"sha256={text}", f"  {text}  "))
            headers[HEADER.encode()] = shown.encode()
        return _Parts(headers=headers, body=body)

    def _right(self) -> Request:
        body = self._receipt()
        return Request(self._parts(body, signed=True).raw(), body)

    def _odd_signature(self) -> Request:
        parts = self._parts(self._receipt(), signed=False)
        if self._chance.random() < 0.9:
            good = sign(parts.body, self._secret).encode()
            flipped = bytes([good[0] ^ 1]) + good[1:]
            wrong = sign(parts.body, b"another secret").encode()
            choices = (*SIGNATURES, flipped, good[:-1], good + b"0", wrong, self._noise(64))
            parts.headers[HEADER.encode()] = _line(self._chance.choice(choices))
        return Request(parts.raw())

    def _mutated_after_signing(self) -> Request:
        parts = self._parts(self._receipt(), signed=True)
        place = self._chance.randrange(len(parts.body))
        parts.body = parts.body[:place] + bytes([parts.body[place] ^ 1]) + parts.body[place + 1 :]
        return Request(parts.raw())

    def _other_body(self) -> Request:
        """Bodies that make no sense, some of them signed: those are kept for a look."""
        receipt = self._receipt()
        body = self._chance.choice(
            (
                self._noise(self._chance.randrange(2000)),
                receipt[: self._chance.randrange(len(receipt))],
                b"[" * 20_000 + b"%d" % self._made,
                b"1" * 10_000,
                receipt.decode().encode("utf-16"),
                gzip.compress(receipt),
                b"null",
                b'{"jobId":%d,"direction":"received"}' % self._made,
                b"",
            )
        )
        signed = self._chance.random() < 0.5
        return Request(self._parts(body, signed=signed).raw(), body if signed else None)

    def _odd_path(self) -> Request:
        parts = self._parts(self._receipt(), signed=True)
        parts.path = self._chance.choice((*PATHS, PATH + b"/" + self._word(), b"/" + self._word()))
        parts.method = self._chance.choice(METHODS)
        stored = parts.body if parts.method == b"POST" else None
        return Request(parts.raw(), stored, whole=parts.method == b"POST")

    def _odd_headers(self) -> Request:
        parts = self._parts(self._receipt(), signed=self._chance.random() < 0.2)
        for _ in range(self._chance.randrange(1, 6)):
            value = self._chance.choice(
                (self._word(), b"gzip", b"chunked", b"close", b"100-continue", b"websocket")
            )
            parts.headers[self._chance.choice(HEADERS)] = value
        return Request(parts.raw(), parts.body if HEADER.encode() in parts.headers else None, whole=False)

    def _odd_size(self) -> Request:
        size = self._chance.choice((LIMIT - 1, LIMIT, LIMIT + 1, 3 * LIMIT, 1_000_000))
        body = (b"%d" % self._made).ljust(size, b" ")
        signed = self._chance.random() < 0.5
        return Request(self._parts(body, signed=signed).raw(), body if signed else None)

    def _chunked(self) -> Request:
        signed = self._chance.random() < 0.5
        parts = self._parts(self._receipt(), signed=signed)
        body = parts.body
        del parts.headers[b"Content-Length"]
        parts.headers[b"Transfer-Encoding"] = b"chunked"
        cut = self._chance.randrange(1, len(body))
        good = (
            b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:cut], body[cut:])) + b"0\r\n\r\n"
        )
        bad = (
            b"zz\r\n" + good,
            good[:-9],
            b"-1\r\n" + good,
            b"f" * 40 + b"\r\n" + good,
            good.replace(b"\r\n", b"\n"),
        )
        whole = self._chance.random() < 0.5
        parts.body = good if whole else self._chance.choice(bad)
        return Request(parts.raw(), body if signed else None, whole=whole)

    def _wrong_length(self) -> Request:
        parts = self._parts(self._receipt(), signed=self._chance.random() < 0.5)
        body = parts.body if HEADER.encode() in parts.headers else None
        length = self._chance.choice(
            (b"-1", b"0x10", b"1" * 400, b"%d" % (len(parts.body) + 9), b"+5", b"5, 6", b"")
        )
        parts.headers[b"Content-Length"] = length
        return Request(parts.raw(), body, whole=False)

    def _broken(self) -> Request:
        parts = self._parts(self._receipt(), signed=True)
        raw, body = parts.raw(), parts.body
        end = raw.index(b"\r\n\r\n")
        place = self._chance.randrange(end)
        broken = self._chance.choice(
            (
                raw[:place],
                raw[:place] + self._word() + raw[place:],
                raw[:place] + bytes([self._chance.randrange(256)]) + raw[place + 1 :],
                raw.replace(b"HTTP/1.1", self._chance.choice((b"HTTP/9.9", b"HTTP/1.0", b"", b"HTTPS/1.1"))),
                raw.replace(b"\r\n", b"\n", 3),
                b"\r\n" * self._chance.randrange(9) + raw,
                self._noise(500),
                b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + self._noise(200),
                raw[:end] + b"\r\nX-Long: " + b"a" * 100_000 + raw[end:],
                raw[:end] + b"".join(b"\r\nX-%d: y" % i for i in range(2000)) + raw[end:],
            )
        )
        return Request(broken, body, whole=False)

    def _noise(self, length: int) -> bytes:
        return self._chance.randbytes(length)

    def _word(self) -> bytes:
        return self._chance.choice((*ODD, self._noise(self._chance.randrange(1, 40))))


def _line(value: bytes) -> bytes:
    """A header's value that does not end its line."""
    return value.replace(b"\r", b" ").replace(b"\n", b" ").replace(b"\x00", b" ")
