"""What an operator can order; the daemon carries it out."""

from enum import StrEnum

MOST_DIGITS = 18
"""The most digits of a jobId of iFax."""


class Order(StrEnum):
    """What an operator can order."""

    PAUSE = "pause"
    RESUME = "resume"
    RESOLVE = "resolve"
    REDRIVE = "redrive"
    FORGET = "forget"
    ROTATE = "rotate"
    KEYS = "keys"
    RECOVER = "recover"
    DROP = "drop"
    REVEAL = "reveal"
