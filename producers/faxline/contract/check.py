"""One check of the doctor: what was looked at, how it is, what to do about it."""

from dataclasses import dataclass
from enum import StrEnum


class Result(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"
    """Not looked at; the text says why."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at, and what to do about it."""

    name: str
    result: Result
    text: str

    @property
    def failed(self) -> bool:
        """Whether it must be mended."""
        return self.result is Result.FAIL

    def to_dict(self) -> dict[str, str]:
        """Its JSON."""
        return {"check": self.name, "result": str(self.result), "text": self.text}
