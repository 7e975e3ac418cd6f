"""The orders of operators, which the daemon carries out."""

from enum import StrEnum

MOST_DIGITS = 18
"""The most digits of a jobId of iFax."""


class Order(StrEnum):
    """The kinds of orders."""

    PAUSE = "pause"
    RESUME = "resume"
    PROBE = "probe"
    RESOLVE = "resolve"
    REDRIVE = "redrive"
    FORGET = "forget"
    ROTATE = "rotate"
    KEYS = "keys"
    RECOVER = "recover"
    DROP = "drop"
    REVEAL = "reveal"
    ASK = "ask"
    VISIT = "visit"
    """Have an order carried out of an account that was removed, whose orders nobody reads."""
