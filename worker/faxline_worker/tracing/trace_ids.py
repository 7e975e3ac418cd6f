"""The ids of the spans of a fax. They are made from the job, so the processes need not exchange them."""

import hashlib
from dataclasses import dataclass

_HEX = 16
_PARTS = 4


@dataclass(frozen=True, slots=True)
class Root:
    """The ids of the span that stands for a whole fax.

    Attributes:
        trace: of the trace, 128 bits.
        span: of the span, 64 bits.
        parent: the producer's span; 0 means none.
        sampled: whether the producer's trace is kept. Without a producer's trace, it is.
    """

    trace: int
    span: int
    parent: int = 0
    sampled: bool = True


def root_of(account: str, job: str, born: int, traceparent: str | None) -> Root:
    """Make the ids of a fax's span, the same in every process.

    Args:
        account: the account's name.
        job: the job's id.
        born: when it was registered, milliseconds since 1970. A job's id may be used again later.
        traceparent: the producer's, as W3C's Trace Context has it. A malformed one is ignored.
    """
    digest = hashlib.sha256(f"{account}/{job}/{born}".encode()).digest()
    span = int.from_bytes(digest[16:24], "big") or 1
    parts = (traceparent or "").split("-")
    try:
        if len(parts) == _PARTS and [len(part) for part in parts] == [2, 32, 16, 2]:
            trace, parent, flags = (int(part, _HEX) for part in parts[1:])
            if trace and parent:
                return Root(trace, span, parent, bool(flags & 1))
    except ValueError:
        pass
    return Root(int.from_bytes(digest[:16], "big") or 1, span)
