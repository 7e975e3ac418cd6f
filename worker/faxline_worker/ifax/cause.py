"""What a cause of a failed delivery is: a reason that is counted, and whether another try is worth it."""

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self


class Again(StrEnum):
    """How long a failed delivery waits for the next one: the name of a setting of RETRIES__DELIVERY."""

    BUSY = "busy"
    """The line is taken; it is free again soon."""
    NO_ANSWER = "no_answer"
    """Nobody takes the call, or a machine that is off or out of paper: somebody must come first."""
    OTHER = "other"
    """Trouble on the way, which is often over at once."""


@dataclass(frozen=True, slots=True)
class Cause:
    """One row.

    Attributes:
        number: of Q.850, or FreeSWITCH's own where it never changed; None where it did, or there is none.
        reason: our fixed name, a metric's label.
        again: the waits after which it is sent again; None: final, another try would end the same.
        lower: the next try has to be in a lower quality, or it would end the same.
        source: who writes the text.
    """

    number: int | None
    reason: str
    again: Again | None
    lower: bool = False
    source: str = "FreeSWITCH"

    def doubted(self) -> Self:
        """The same where a text only resembles the row: never final."""
        return self if self.again is not None else replace(self, again=Again.OTHER)


def rows(
    source: str, reason: str, again: Again | None, texts: str, *, lower: bool = False
) -> dict[str, Cause]:
    """Rows with one meaning.

    Args:
        source: who writes the texts.
        reason: as `Cause.reason`.
        again: as `Cause.again`.
        texts: one a line, or with ` | ` between them.
        lower: as `Cause.lower`.
    """
    cause = Cause(None, reason, again, lower, source)
    return {text.strip(): cause for text in re.split(r"\n| \| ", texts.strip())}
