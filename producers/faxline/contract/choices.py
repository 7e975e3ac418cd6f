"""What a producer may choose for a fax. It is apart from the entries, which need pydantic."""

from enum import StrEnum


class Priority(StrEnum):
    """Which job goes first. Among equals, the oldest does."""

    URGENT = "urgent"
    NORMAL = "normal"
    BULK = "bulk"


class InDoubtPolicy(StrEnum):
    """What happens to a job in doubt at the end of the wait."""

    HOLD = "hold"
    RESEND = "resend"
    FAIL = "fail"
