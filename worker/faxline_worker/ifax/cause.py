"""The type of a delivery's cause of failure: its reason in the metrics, and whether to send again."""

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self


class Again(StrEnum):
    """Which wait precedes the next delivery: the name of a setting of FAXLINE_RETRIES__DELIVERY."""

    BUSY = "busy"
    """The line is busy; it will be free soon."""
    NO_ANSWER = "no_answer"
    """Nobody answers, or the machine is off or out of paper: a person must act first."""
    OTHER = "other"
    """Trouble on the line, which is often over at once."""


@dataclass(frozen=True, slots=True)
class Cause:
    """One row of the table of causes.

    Attributes:
        number: the number in Q.850, or FreeSWITCH's own if it never changed; else None.
        reason: Faxline's fixed name, a metric's label.
        again: which wait precedes the next delivery; None means final, because another would fail alike.
        lower: whether the next delivery must use a lower quality, because it would fail alike otherwise.
        source: the software that writes the text.
    """

    number: int | None
    reason: str
    again: Again | None
    lower: bool = False
    source: str = "FreeSWITCH"

    def doubted(self) -> Self:
        """The cause for a text that only resembles the row's text: never final."""
        return self if self.again is not None else replace(self, again=Again.OTHER)


def rows(
    source: str, reason: str, again: Again | None, texts: str, *, lower: bool = False
) -> dict[str, Cause]:
    """Make rows with the same meaning.

    Args:
        source: the software that writes the texts.
        reason: see `Cause.reason`.
        again: see `Cause.again`.
        texts: the texts, separated by line breaks or ` | `.
        lower: see `Cause.lower`.
    """
    cause = Cause(None, reason, again, lower, source)
    return {text.strip(): cause for text in re.split(r"\n| \| ", texts.strip())}
