"""One check of the doctor: what was checked, the result, and what to do about it."""

from dataclasses import dataclass
from enum import StrEnum


class Result(StrEnum):
    """The result of a check."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"
    """Not checked. The text says why."""


@dataclass(frozen=True, slots=True)
class Check:
    """One finding.

    Attributes:
        name: what was checked.
        result: its result.
        text: what was found, and what to do about it.
    """

    name: str
    result: Result
    text: str

    @property
    def failed(self) -> bool:
        """Whether something must be fixed."""
        return self.result is Result.FAIL

    def to_dict(self) -> dict[str, str]:
        """Its JSON."""
        return {"check": self.name, "result": str(self.result), "text": self.text}
